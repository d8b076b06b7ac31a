/**
 * One charon of strongSwan in a namespace, with all its files to itself: configuration, vici socket,
 * log, and a private /run, for the paths of its pid file and its FIFO are fixed.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alive, end, launch, run, until } from './command.ts';
import { readLog } from './gateway.ts';
import type { Network } from './namespaces.ts';
import { Swanctl } from './swanctl.ts';

export const charon = '/usr/lib/ipsec/charon';

/** Settings of strongswan.conf: `key = value` and sections. */
export interface CharonSection {
  readonly [key: string]: string | number | CharonSection;
}

export interface CharonSettings {
  /** In this order: kernel-libipsec must come before kernel-netlink. */
  readonly plugins: readonly string[];
  /** Further contents of the section `charon`. */
  readonly charon?: CharonSection;
  /** Further sections of `charon.plugins`. */
  readonly pluginSettings?: CharonSection;
  /** Levels of the log, by subsystem; 1 unless told. */
  readonly log?: Readonly<Record<string, number>>;
  /** It has the processor when it needs it, whatever else the machine does: for those that are listened to. */
  readonly comesFirst?: boolean;
}

export class Charon {
  readonly node: string;
  readonly network: Network;
  readonly swanctl: Swanctl;
  readonly #directory: string;
  #process: ChildProcess | undefined;

  constructor(network: Network, node: string) {
    this.network = network;
    this.node = node;
    this.#directory = join(network.directory, `${node}-strongswan`);
    mkdirSync(this.#directory, { recursive: true });
    this.swanctl = new Swanctl(
      join(this.#directory, 'swanctl'),
      `unix://${join(this.#directory, 'charon.vici')}`,
    );
  }

  log(): string {
    return readLog(join(this.#directory, 'charon.log'));
  }

  /** What it wrote to its terminal and its log. */
  said(): string {
    return `${readLog(join(this.#directory, 'output.log'))}${this.log()}`;
  }

  get runs(): boolean {
    return this.#process !== undefined && alive(this.#process);
  }

  process(): ChildProcess {
    if (this.#process === undefined || !alive(this.#process)) {
      throw new Error(`charon at ${this.node} does not run\n${this.said()}`);
    }
    return this.#process;
  }

  async start(settings: CharonSettings): Promise<void> {
    const file = join(this.#directory, 'strongswan.conf');
    writeFileSync(file, strongswanConf(this.#directory, settings));
    const first = settings.comesFirst === true ? 'chrt --rr 1 ' : '';
    this.#process = launch(
      [
        ...this.network.at(this.node),
        ...['sh', '-c', `mount -t tmpfs tmpfs /run && exec ${first}${charon}`],
      ],
      { env: { STRONGSWAN_CONF: file }, logFile: join(this.#directory, 'output.log') },
    );
    await until(
      `charon at ${this.node} to answer`,
      async () => {
        this.process();
        return (await this.swanctl.answers()) || undefined;
      },
      60_000,
    );
  }

  /** Writes a line to a FIFO of its /run, as an administrator at its machine would. */
  async writeFifo(name: string, line: string): Promise<void> {
    const file = `/proc/${this.process().pid}/root/run/${name}`;
    await run(['sh', '-c', 'printf "%s\\n" "$1" > "$0"', file, line], { timeout: 5_000 });
  }

  /** Ends it as an administrator would; it is killed when that takes longer than `patience` ms. */
  async stop(patience = 10_000): Promise<void> {
    if (this.#process !== undefined) {
      await end(this.#process, 'SIGTERM', patience);
    }
  }

  async kill(): Promise<void> {
    if (this.#process !== undefined) {
      await end(this.#process, 'SIGKILL');
    }
  }
}

function strongswanConf(directory: string, settings: CharonSettings): string {
  const levels = { default: 1, ...settings.log };
  return section('charon', {
    load: settings.plugins.join(' '),
    install_virtual_ip_on: 'lo',
    ...settings.charon,
    plugins: {
      vici: { socket: `unix://${directory}/charon.vici` },
      'kernel-libipsec': { load: 'yes' },
      ...settings.pluginSettings,
    },
    filelog: {
      f: { path: `${directory}/charon.log`, time_format: '%T', flush_line: 'yes', ...levels },
    },
  });
}

function section(name: string, contents: CharonSection, indent = ''): string {
  const inner = Object.entries(contents).map(([key, value]) =>
    typeof value === 'object'
      ? section(key, value, `${indent}  `)
      : `${indent}  ${key} = ${value}\n`,
  );
  return `${indent}${name} {\n${inner.join('')}${indent}}\n`;
}
