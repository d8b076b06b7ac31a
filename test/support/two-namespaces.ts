/**
 * Two network namespaces joined by a veth pair, for tests that move real packets.
 *
 *   a (192.0.2.1, 2001:db8:ff::1) = wan = b (192.0.2.2, 2001:db8:ff::2)
 *
 * Names carry the process id; `remove` deletes everything, also after a half-made start.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export const OUTER = {
  4: { a: '192.0.2.1', b: '192.0.2.2' },
  6: { a: '2001:db8:ff::1', b: '2001:db8:ff::2' },
} as const;

export class TwoNamespaces {
  readonly a: string;
  readonly b: string;

  constructor(tag: string) {
    this.a = `tsgw-${tag}-a-${process.pid}`;
    this.b = `tsgw-${tag}-b-${process.pid}`;
  }

  create(): void {
    for (const name of [this.a, this.b]) run('ip', 'netns', 'add', name);
    run(
      'ip',
      'link',
      'add',
      'wan',
      'netns',
      this.a,
      'type',
      'veth',
      'peer',
      'wan',
      'netns',
      this.b,
    );
    for (const side of ['a', 'b'] as const) {
      const name = this[side];
      // Inside, forwarding or not, IPv6 addresses are usable at once.
      run('ip', '-n', name, 'address', 'add', `${OUTER[4][side]}/24`, 'dev', 'wan');
      run('ip', '-n', name, 'address', 'add', `${OUTER[6][side]}/64`, 'dev', 'wan', 'nodad');
      run('ip', '-n', name, 'link', 'set', 'wan', 'up');
      run('ip', '-n', name, 'link', 'set', 'lo', 'up');
    }
  }

  /** The addresses behind the TUN device and the routes into it. */
  configureTun(side: 'a' | 'b', mtu: number): void {
    const name = this[side];
    const [mine, other] = side === 'a' ? [1, 2] : [2, 1];
    run('ip', '-n', name, 'link', 'set', 'tsgw0', 'mtu', String(mtu), 'up');
    run('ip', '-n', name, 'address', 'add', `10.${mine}.0.1/24`, 'dev', 'tsgw0');
    run('ip', '-n', name, 'address', 'add', `2001:db8:${mine}::1/64`, 'dev', 'tsgw0', 'nodad');
    run('ip', '-n', name, 'route', 'add', `10.${other}.0.0/24`, 'dev', 'tsgw0');
    run('ip', '-n', name, 'route', 'add', `2001:db8:${other}::/64`, 'dev', 'tsgw0');
  }

  /** Runs a command in a namespace and answers what it printed, its failure included. */
  output(side: 'a' | 'b', ...command: readonly string[]): string {
    try {
      return execFileSync('ip', ['netns', 'exec', this[side], ...command], {
        encoding: 'utf8',
        timeout: 30_000,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    } catch (error) {
      if (error instanceof Error && 'stdout' in error && 'stderr' in error) {
        return `${error.stdout}${error.stderr}`;
      }
      throw error;
    }
  }

  start(side: 'a' | 'b', ...command: readonly string[]): LineProcess {
    return new LineProcess(
      spawn('ip', ['netns', 'exec', this[side], ...command], {
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    );
  }

  remove(): void {
    for (const name of [this.a, this.b]) {
      try {
        run('ip', 'netns', 'delete', name);
      } catch {
        // It was never made; what counts is that it is not there.
      }
    }
  }
}

/** A process whose JSON lines are kept and which ends when it is told. */
export class LineProcess {
  readonly lines: Record<string, unknown>[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #wake: () => void = () => {};

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.on('exit', (code) => {
        resolve(code);
        this.#wake();
      });
    });
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line.startsWith('{')) this.lines.push(JSON.parse(line));
        this.#wake();
      });
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The first line that has `key`, once it is there. */
  async line(key: string): Promise<Record<string, unknown>> {
    const end = Date.now() + 10_000;
    for (;;) {
      const found = this.lines.find((line) => key in line);
      if (found !== undefined) return found;
      if (this.#child.exitCode !== null || Date.now() > end) {
        throw new Error(`no ${key} from the process, only ${JSON.stringify(this.lines)}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Sends a line and waits for the end; answers the exit code. */
  async stop(): Promise<number | null> {
    this.#child.stdin?.write('stop\n');
    const timer = setTimeout(() => this.kill(), 10_000);
    const code = await this.#ended;
    clearTimeout(timer);
    return code;
  }

  async ended(): Promise<number | null> {
    return this.#ended;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

function run(command: string, ...args: readonly string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
