/**
 * Network namespaces of one lab run: names nobody else has, links between them, and a way out
 * that leaves nothing behind, also after a failure or a signal.
 *
 * A name carries the process id of its owner (`tsgw-4711-1-g1`); the next run sweeps away what
 * a dead owner left. All interfaces are born inside the namespaces: the host's own network sees
 * none of them.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Finished, killLaunched, type RunOptions, run, runSync } from './command.ts';

const prefix = 'tsgw';
const ownedName = new RegExp(`^${prefix}-(\\d+)-\\d+-`);
let networks = 0;

/** One end of a link. */
export interface LinkEnd {
  readonly node: string;
  readonly device: string;
  /** With prefix length, IPv4 and IPv6 as they come. */
  readonly addresses: readonly string[];
}

/** A set of namespaces that come and go together, and a directory for their files. */
export class Network {
  readonly directory: string;
  readonly #base: string;
  readonly #nodes: string[] = [];
  readonly #release: () => void;

  constructor() {
    if (networks === 0) {
      sweep();
    }
    networks += 1;
    this.#base = `${prefix}-${process.pid}-${networks}`;
    this.directory = mkdtempSync(join(tmpdir(), `${this.#base}-`));
    this.#release = atExit(() => this.#remove());
  }

  /** The namespace a node lives in. */
  name(node: string): string {
    return `${this.#base}-${node}`;
  }

  /** What stands before a command to run it at a node. */
  at(node: string): readonly string[] {
    return ['ip', 'netns', 'exec', this.name(node)];
  }

  /** Runs a command at a node. */
  exec(node: string, argv: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return run([...this.at(node), ...argv], options);
  }

  /** Makes a namespace; `sysctls` are set before any interface exists, so that each inherits them. */
  async addNode(node: string, sysctls: readonly string[]): Promise<void> {
    this.#nodes.push(node);
    await run(['ip', 'netns', 'add', this.name(node)]);
    if (sysctls.length > 0) {
      await this.exec(node, ['sysctl', '-qw', ...sysctls]);
    }
    await this.ip(node, ['link set lo up']);
  }

  /** Joins two nodes by a veth pair and brings both ends up. */
  async link(a: LinkEnd, b: LinkEnd): Promise<void> {
    await run([
      ...['ip', 'link', 'add', 'name', a.device, 'netns', this.name(a.node)],
      ...['type', 'veth', 'peer', 'name', b.device, 'netns', this.name(b.node)],
    ]);
    for (const { node, device, addresses } of [a, b]) {
      const lines = addresses.map((address) =>
        address.includes(':')
          ? `address add ${address} dev ${device} nodad`
          : `address add ${address} dev ${device}`,
      );
      await this.ip(node, [...lines, `link set ${device} up`]);
    }
  }

  /** Runs `ip` commands at a node, one a line, in one process. */
  async ip(node: string, lines: readonly string[]): Promise<void> {
    await run(['ip', '-n', this.name(node), '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  /** Ends what still runs inside, deletes the namespaces and the directory. */
  destroy(): void {
    this.#release();
    this.#remove();
  }

  #remove(): void {
    for (const node of this.#nodes) {
      removeNamespace(this.name(node));
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function removeNamespace(name: string): void {
  const { stdout } = runSync(['ip', 'netns', 'pids', name]);
  for (const pid of stdout.split('\n').filter((line) => line !== '')) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It ended between the listing and the signal.
    }
  }
  runSync(['ip', 'netns', 'delete', name]);
}

/** Deletes the namespaces and directories whose owner no longer lives. */
export function sweep(): void {
  const { stdout } = runSync(['ip', 'netns', 'list']);
  for (const name of stdout.split('\n').map((line) => line.split(' ')[0] ?? '')) {
    if (orphaned(name)) {
      removeNamespace(name);
    }
  }
  for (const name of readdirSync(tmpdir())) {
    if (orphaned(name)) {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    }
  }
}

function orphaned(name: string): boolean {
  const owner = ownedName.exec(name)?.[1];
  return owner !== undefined && !existsSync(`/proc/${owner}`);
}

const exits = new Set<() => void>();

/** Has `undo` run when the process ends, however it ends; answers how to forget it. */
function atExit(undo: () => void): () => void {
  if (exits.size === 0) {
    process.once('exit', leave);
    // Not `once`: a second Ctrl-C must not cut the cleaning short.
    process.on('SIGINT', interrupted);
    process.on('SIGTERM', interrupted);
    process.on('SIGHUP', interrupted);
  }
  exits.add(undo);
  return () => {
    exits.delete(undo);
    if (exits.size === 0) {
      process.off('exit', leave);
      process.off('SIGINT', interrupted);
      process.off('SIGTERM', interrupted);
      process.off('SIGHUP', interrupted);
    }
  };
}

function leave(): void {
  killLaunched();
  for (const undo of exits) {
    undo();
  }
  exits.clear();
}

function interrupted(signal: string): void {
  leave();
  process.exit(signal === 'SIGINT' ? 130 : 143);
}
