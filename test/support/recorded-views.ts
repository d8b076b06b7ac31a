/**
 * Recordings of strongSwan's vici answers, read back into the views that would have given them.
 */
import { readFileSync } from 'node:fs';
import type {
  AuthView,
  ChildPolicyView,
  ChildSaView,
  ConnectionView,
  IkeSaView,
  PoolView,
} from '../../src/vici/control.ts';
import { octetsToText, type ViciSection } from '../../src/vici/message.ts';

/** A message as the recordings write it: keys in order. */
export interface Tree {
  readonly [name: string]: string | readonly string[] | Tree;
}

export interface RecordedCommand {
  /** Which of the two daemons answered. */
  readonly at?: string;
  readonly command: string;
  readonly what?: string;
  readonly request: Tree;
  readonly events: readonly RecordedEvent[];
  readonly response: Tree | null;
}

export interface RecordedEvent {
  readonly at?: string;
  readonly name: string;
  readonly message: Tree;
}

export function recordedCommands(): readonly RecordedCommand[] {
  return read<{ commands: readonly RecordedCommand[] }>('charon-5.9.8-vici-commands.json').commands;
}

export function recordedEvents(): readonly RecordedEvent[] {
  return read<{ events: readonly RecordedEvent[] }>('charon-5.9.8-vici-events.json').events;
}

/** Two daemons whose SAs are rekeyed, moved and redirected, with pools and policies. */
export function recordedRekeying(): {
  readonly commands: readonly RecordedCommand[];
  readonly events: readonly RecordedEvent[];
} {
  return read('charon-5.9.8-vici-rekeying.json');
}

/** What swanctl printed, by its arguments. */
export function recordedOutputs(): Readonly<Record<string, string>> {
  return read<{ outputs: Readonly<Record<string, string>> }>('swanctl-5.9.8-output.json').outputs;
}

/** One recording by its command, and what it was made for where the command was made more often. */
export function recordedCommand(command: string, what?: string): RecordedCommand {
  const found = recordedCommands().find((one) => one.command === command && one.what === what);
  if (found === undefined) throw new Error(`no recording of ${command} ${what ?? ''}`);
  return found;
}

/** A message of ours in the form of the recordings. */
export function treeOf(section: ViciSection): Tree {
  return Object.fromEntries(
    [...section].map(([name, value]) => [
      name,
      value.kind === 'value'
        ? octetsToText(value.octets)
        : value.kind === 'list'
          ? value.items.map(octetsToText)
          : treeOf(value.section),
    ]),
  );
}

/** A tree as text, where the order of keys counts: `assert.deepEqual` passes over it. */
export function ordered(tree: Tree): string {
  return JSON.stringify(tree, null, 1);
}

export function ikeSaView(message: Tree): IkeSaView {
  const [connection = ''] = Object.keys(message);
  const sa = within(message, connection);
  return {
    connection,
    uniqueId: number(sa, 'uniqueid') ?? 0,
    localPort: number(sa, 'local-port') ?? 0,
    remotePort: number(sa, 'remote-port') ?? 0,
    state: text(sa, 'state') ?? '',
    localHost: text(sa, 'local-host') ?? '',
    localId: text(sa, 'local-id') ?? '',
    remoteHost: text(sa, 'remote-host') ?? '',
    remoteId: text(sa, 'remote-id') ?? '',
    initiator: sa.initiator === 'yes',
    initiatorSpi: text(sa, 'initiator-spi') ?? '',
    responderSpi: text(sa, 'responder-spi') ?? '',
    natLocal: sa['nat-local'] === 'yes',
    natRemote: sa['nat-remote'] === 'yes',
    natFake: sa['nat-fake'] === 'yes',
    ...maybe(text(sa, 'encr-alg'), (encrAlg) => ({ encrAlg })),
    ...maybe(number(sa, 'encr-keysize'), (encrKeySize) => ({ encrKeySize })),
    ...maybe(text(sa, 'integ-alg'), (integAlg) => ({ integAlg })),
    ...maybe(text(sa, 'prf-alg'), (prfAlg) => ({ prfAlg })),
    ...maybe(text(sa, 'dh-group'), (dhGroup) => ({ dhGroup })),
    ...maybe(number(sa, 'established'), (establishedSeconds) => ({ establishedSeconds })),
    ...maybe(number(sa, 'rekey-time'), (rekeySeconds) => ({ rekeySeconds })),
    ...maybe(number(sa, 'reauth-time'), (reauthSeconds) => ({ reauthSeconds })),
    localVips: list(sa, 'local-vips'),
    remoteVips: list(sa, 'remote-vips'),
    tasksQueued: list(sa, 'tasks-queued'),
    tasksActive: list(sa, 'tasks-active'),
    tasksPassive: list(sa, 'tasks-passive'),
    children: sections(sa, 'child-sas').map(([, child]) => childSaView(child)),
  };
}

export function connectionView(message: Tree): ConnectionView {
  const [name = ''] = Object.keys(message);
  const connection = within(message, name);
  return {
    name,
    localAddrs: list(connection, 'local_addrs'),
    remoteAddrs: list(connection, 'remote_addrs'),
    version: text(connection, 'version') ?? '',
    reauthSeconds: number(connection, 'reauth_time') ?? 0,
    rekeySeconds: number(connection, 'rekey_time') ?? 0,
    unique: text(connection, 'unique') ?? '',
    dpdDelaySeconds: number(connection, 'dpd_delay') ?? 0,
    local: authView(within(connection, 'local-1')),
    remote: authView(within(connection, 'remote-1')),
    children: sections(connection, 'children').map(([child, policy]) =>
      childPolicyView(child, policy),
    ),
  };
}

export function poolViews(message: Tree): readonly PoolView[] {
  return Object.keys(message).map((name) => {
    const pool = within(message, name);
    return {
      name,
      base: text(pool, 'base') ?? '',
      size: number(pool, 'size') ?? 0,
      online: number(pool, 'online') ?? 0,
      offline: number(pool, 'offline') ?? 0,
      leases: sections(pool, 'leases').map(([, lease]) => ({
        address: text(lease, 'address') ?? '',
        identity: text(lease, 'identity') ?? '',
        status: text(lease, 'status') === 'online' ? 'online' : 'offline',
      })),
    };
  });
}

export function childSaView(child: Tree): ChildSaView {
  return {
    name: text(child, 'name') ?? '',
    uniqueId: number(child, 'uniqueid') ?? 0,
    reqid: number(child, 'reqid') ?? 0,
    state: text(child, 'state') ?? '',
    mode: 'TUNNEL',
    udpEncapsulation: child.encap === 'yes',
    spiIn: text(child, 'spi-in') ?? '',
    spiOut: text(child, 'spi-out') ?? '',
    encrAlg: text(child, 'encr-alg') ?? '',
    ...maybe(number(child, 'encr-keysize'), (encrKeySize) => ({ encrKeySize })),
    ...maybe(text(child, 'integ-alg'), (integAlg) => ({ integAlg })),
    ...maybe(text(child, 'dh-group'), (dhGroup) => ({ dhGroup })),
    esn: child.esn === '1',
    octetsIn: number(child, 'bytes-in') ?? 0,
    packetsIn: number(child, 'packets-in') ?? 0,
    octetsOut: number(child, 'bytes-out') ?? 0,
    packetsOut: number(child, 'packets-out') ?? 0,
    droppedIn: {},
    droppedOut: {},
    installedSeconds: number(child, 'install-time') ?? 0,
    ...maybe(number(child, 'use-in'), (useInSeconds) => ({ useInSeconds })),
    ...maybe(number(child, 'use-out'), (useOutSeconds) => ({ useOutSeconds })),
    ...maybe(number(child, 'rekey-time'), (rekeySeconds) => ({ rekeySeconds })),
    ...maybe(number(child, 'life-time'), (lifeSeconds) => ({ lifeSeconds })),
    localTs: list(child, 'local-ts'),
    remoteTs: list(child, 'remote-ts'),
  };
}

function childPolicyView(name: string, policy: Tree): ChildPolicyView {
  return {
    name,
    mode: text(policy, 'mode') ?? '',
    rekeySeconds: number(policy, 'rekey_time') ?? 0,
    rekeyOctets: number(policy, 'rekey_bytes') ?? 0,
    rekeyPackets: number(policy, 'rekey_packets') ?? 0,
    dpdAction: text(policy, 'dpd_action') ?? '',
    closeAction: text(policy, 'close_action') ?? '',
    localTs: list(policy, 'local-ts'),
    remoteTs: list(policy, 'remote-ts'),
  };
}

function authView(auth: Tree): AuthView {
  return { class: text(auth, 'class') ?? '', ...maybe(text(auth, 'id'), (id) => ({ id })) };
}

function read<T>(name: string): T {
  return JSON.parse(readFileSync(`vectors/recorded/${name}`, 'utf8'));
}

function within(tree: Tree, name: string): Tree {
  const value = tree[name];
  if (value === undefined || typeof value === 'string' || isList(value)) return {};
  return value;
}

function sections(tree: Tree, name: string): readonly (readonly [string, Tree])[] {
  const inner = within(tree, name);
  return Object.keys(inner).map((key) => [key, within(inner, key)]);
}

function text(tree: Tree, name: string): string | undefined {
  const value = tree[name];
  return typeof value === 'string' ? value : undefined;
}

function number(tree: Tree, name: string): number | undefined {
  const value = text(tree, name);
  return value === undefined ? undefined : Number(value);
}

function list(tree: Tree, name: string): readonly string[] {
  const value = tree[name];
  return value !== undefined && isList(value) ? value : [];
}

function isList(value: string | readonly string[] | Tree): value is readonly string[] {
  return Array.isArray(value);
}

function maybe<V, R extends object>(value: V | undefined, make: (value: V) => R): Partial<R> {
  return value === undefined ? {} : make(value);
}
