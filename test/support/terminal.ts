/** A terminal that keeps what is written to it. */
import type { Terminal } from '../../src/cli/terminal.ts';

export class TestTerminal implements Terminal {
  readonly colour: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  stdout = '';
  stderr = '';
  interrupt: () => void = () => {};

  constructor(
    environment: Readonly<Record<string, string | undefined>> = {},
    { colour = false }: { readonly colour?: boolean } = {},
  ) {
    this.environment = environment;
    this.colour = colour;
  }

  out(text: string): void {
    this.stdout += text;
  }

  err(text: string): void {
    this.stderr += text;
  }

  interrupted(): Promise<void> {
    return new Promise((resolve) => {
      this.interrupt = resolve;
    });
  }
}
