/**
 * Starts `abuse.py` in a namespace of the lab, and reads what the gateway counted of it.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../lab/command.ts';
import type { Network } from '../../lab/namespaces.ts';
import type { TsgwGateway } from '../../lab/tsgw.ts';
import type { HostileCounts, HostileOptions } from './hostile-initiator.ts';

/** Where packets claim to come from and go to. */
export interface AbusePath {
  readonly source: string;
  readonly destination: string;
}

export interface AbuseOptions {
  readonly device: string;
  /** Link address of the next hop; a TUN device has none. */
  readonly mac?: string;
  readonly paths?: readonly AbusePath[];
  /** How many of each class; what that is in packets, the script says. */
  readonly count?: number;
  /** Packets a second. */
  readonly rate?: number;
  /** A capture with messages of a real peer, and the gateway they were sent to. */
  readonly capture?: string;
  readonly gateway?: string;
  /** Quote SPIs that are in use. */
  readonly live?: boolean;
  /** A flood ends when this file appears. */
  readonly until?: string;
  /** First of 65536 addresses to claim. */
  readonly network?: string;
}

/** Counts by class of packet, by reason: what is behind the name is the caller's business. */
export type Counts = Readonly<Record<string, number>>;

/** Sends everything `verb` has; answers how many packets of each class left. */
export async function abuse(
  network: Network,
  node: string,
  verb: string,
  options: AbuseOptions,
): Promise<Counts> {
  const input = JSON.stringify({ rate: 3000, count: 100, seed: 4303, ...options });
  const argv = ['/usr/bin/python3', script, verb];
  const { stdout } = await network.exec(node, argv, { input, timeout: 60_000 });
  return counts(JSON.parse(stdout));
}

/** An authenticated peer says everything it should not; answers what it counted. */
export async function hostileInitiator(
  network: Network,
  node: string,
  options: HostileOptions,
): Promise<HostileCounts> {
  const argv = [process.execPath, 'build/test/support/hostile-initiator.js'];
  const input = JSON.stringify(options);
  const { stdout } = await network.exec(node, argv, { input, timeout: 110_000 });
  return JSON.parse(stdout);
}

/** What a capture says of the answers to claimed addresses. */
export async function repliesIn(capture: string, network: string): Promise<Counts> {
  const input = JSON.stringify({ capture, network });
  const { stdout } = await run(['/usr/bin/python3', script, 'replies'], { input });
  return counts(JSON.parse(stdout));
}

/** Link address of a device. */
export async function macOf(network: Network, node: string, device: string): Promise<string> {
  const { stdout } = await network.exec(node, ['ip', '-o', 'link', 'show', device]);
  const mac = /link\/ether ([0-9a-f:]{17})/.exec(stdout)?.[1];
  assert.ok(mac, `${node} has no ${device}: ${stdout}`);
  return mac;
}

/** Everything `tsgw status` says is dropped, by reason. */
export async function dropsOf(gateway: TsgwGateway): Promise<Counts> {
  return counts((await statusOf(gateway)).drops ?? {});
}

export async function halfOpenOf(gateway: TsgwGateway): Promise<number> {
  return Number((await statusOf(gateway))['half-open']);
}

/** What grew from one reading to the next, and by how much. */
export function growth(before: Counts, after: Counts): Counts {
  const grown = Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)]);
  return Object.fromEntries(grown.filter(([, count]) => count !== 0));
}

export function sum(all: Counts): number {
  return Object.values(all).reduce((total, count) => total + count, 0);
}

/** The row of `tsgw sad` for the one SA of a direction. */
export async function sadRow(gateway: TsgwGateway, direction: 'in' | 'out'): Promise<Counts> {
  const { stdout } = await gateway.cli(['sad', '--json']);
  const rows: unknown = JSON.parse(stdout);
  assert.ok(Array.isArray(rows));
  const found = rows.filter((row: unknown) => Object(row).direction === direction);
  assert.equal(found.length, 1, `SAs ${direction}`);
  return counts(found[0]);
}

/** Resident memory of a process, in octets. */
export function residentOctets({ pid }: { readonly pid?: number | undefined }): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return Number(kilobytes) * 1024;
}

/** Every key in the key log, as lower-case hex. */
export function loggedKeys(keyLog: string): readonly string[] {
  return ['ikev2_decryption_table', 'esp_sa'].flatMap((table) => {
    const text = readFileSync(join(keyLog, table), 'utf8').toLowerCase();
    // SPIs have 16 digits at most and may be logged.
    return text.match(/[0-9a-f]{32,}/g) ?? [];
  });
}

async function statusOf(gateway: TsgwGateway): Promise<Readonly<Record<string, unknown>>> {
  const { status, stdout, stderr } = await gateway.cli(['status', '--json']);
  assert.equal(status, 0, `tsgw status: ${stdout}${stderr}`);
  return Object(JSON.parse(stdout));
}

function counts(value: unknown): Counts {
  return Object.fromEntries(Object.entries(Object(value)).map(([name, n]) => [name, Number(n)]));
}

const script = 'test/support/abuse.py';
