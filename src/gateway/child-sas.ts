/**
 * The Child SAs as installed: what of them stands in the packet loop, the routes, the counters, the
 * key log and the SPD that is listed, and what the packet loop reported of each.
 */
import type { Event, Level } from '../events/event.ts';
import type { Host } from '../io/host.ts';
import type { EspKeyLine, KeyLog } from '../io/key-log.ts';
import type { InstalledChildSa, PacketLoopReport } from '../io/packet-loop-protocol.ts';
import type { ChildSa, OutboundUse } from '../ipsec/child-sa.ts';
import { ASSUMED_OUTER_MTU, type MeasuredMtu } from '../ipsec/path-mtu.ts';
import type { PolicyList } from '../ipsec/policy-list.ts';
import { formatSpi } from '../ipsec/spi.ts';
import { ANY_PORTS, formatProtocolAndPorts } from '../ipsec/traffic-selector.ts';
import { type Endpoint, formatAddress, type IpAddress } from '../wire/address.ts';
import { OPAQUE } from '../wire/flow.ts';
import type { Instant } from '../wire/instant.ts';
import type { ChildRows, CounterRows } from './counter-rows.ts';
import { installedChildSa, wipeKeys } from './installed-child-sa.ts';

/** The outer addresses of an SA. */
export interface OuterEnds {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly udpEncapsulation: boolean;
}

/** What the Child SAs are installed into. */
export interface ChildSaParts {
  readonly rows: CounterRows;
  /** Follows the packet loop's, for listings. */
  readonly spd: PolicyList;
  readonly keyLog: KeyLog | undefined;
  host(): Pick<Host, 'install' | 'resume' | 'remove' | 'setOutbound' | 'move' | 'setPathMtu'>;
  now(): Instant;
  emit(event: Event): void;
  /** Hears of each Child SA before the packet loop has it. */
  installing?(childSa: ChildSa): void;
}

/** What the path to the peer of a Child SA is believed to carry. */
export interface KnownPath {
  readonly outerMtu: number;
  /** A router said so, or a send was refused; otherwise it is assumed. */
  readonly learned: boolean;
  readonly since: Instant;
}

/** The strictest limit of its traffic that a Child SA came to. */
export type ReachedLimit = 'none' | 'soft' | 'hard';

/** A Child SA as it is now. */
interface Installed {
  readonly childSa: ChildSa;
  readonly at: Instant;
  readonly innerMtu: number;
  readonly path: KnownPath;
  readonly limit: ReachedLimit;
}

/** Paths whose measurement is remembered. */
const MAX_MEASURED_PATHS = 1024;

function pathOf({ local, remote }: Pick<OuterEnds, 'local' | 'remote'>): string {
  return `${formatAddress(local.address)} ${formatAddress(remote.address)}`;
}

export class ChildSas {
  readonly #parts: ChildSaParts;
  readonly #installed = new Map<number, Installed>();
  /** By path, what measurements found; those made last come last. */
  readonly #measured = new Map<string, MeasuredMtu>();

  constructor(parts: ChildSaParts) {
    this.#parts = parts;
  }

  all(): readonly ChildSa[] {
    return [...this.#installed.values()].map(({ childSa }) => childSa);
  }

  /** With the addresses it has now. */
  find(id: number): ChildSa | undefined {
    return this.#installed.get(id)?.childSa;
  }

  installedAt(id: number): Instant | undefined {
    return this.#installed.get(id)?.at;
  }

  /** Octets of the largest inner packet; 0 before the packet loop has the SA. */
  innerMtu(id: number): number {
    return this.#installed.get(id)?.innerMtu ?? 0;
  }

  path(id: number): KnownPath | undefined {
    return this.#installed.get(id)?.path;
  }

  reachedLimit(id: number): ReachedLimit {
    return this.#installed.get(id)?.limit ?? 'none';
  }

  /** Answers whether the packet loop will report it. `cluster`: where several nodes may carry it. */
  install(childSa: ChildSa, cluster?: InstalledChildSa['cluster']): boolean {
    const { rows, host, now } = this.#parts;
    const taken = rows.take(childSa.id);
    if (!taken) {
      this.#say('error', `no counter rows left: child SA ${childSa.id} carries nothing`);
      return false;
    }
    const at = now();
    const measured = this.#measured.get(pathOf(childSa));
    const outerMtu = measured?.octets ?? ASSUMED_OUTER_MTU;
    const path = { outerMtu, learned: measured !== undefined, since: at };
    this.#installed.set(childSa.id, { childSa, at, innerMtu: 0, path, limit: 'none' });
    if (childSa.outbound === 'now') this.#list(childSa);
    this.#parts.installing?.(childSa);
    const installed = this.#forPacketLoop(childSa, taken);
    host().install(cluster ? { ...installed, cluster } : installed, childSa);
    wipeKeys(installed);
    this.#logKeys(childSa);
    return true;
  }

  /** Those that `concerns` go on in a packet loop that does not have them yet. */
  resume(concerns: (spiIn: number) => boolean): void {
    const { rows, host } = this.#parts;
    for (const { childSa } of this.#installed.values()) {
      const taken = rows.of(childSa.id);
      if (!taken || !concerns(childSa.spiIn)) continue;
      // In a cluster the packet loops know what it is to this node.
      const installed = this.#forPacketLoop(childSa, taken);
      host().resume(installed, childSa);
      wipeKeys(installed);
    }
  }

  remove(childSa: ChildSa): void {
    this.withdraw(childSa);
    for (const { encryption, integrity } of [childSa.keysIn, childSa.keysOut]) {
      encryption.wipe();
      integrity.wipe();
    }
  }

  /** It goes on at another node: its keys stay with the IKE SA, which may come back. */
  withdraw({ id }: ChildSa): void {
    // One of another node may never have been here.
    if (!this.#installed.delete(id)) return;
    this.#parts.spd.remove(id);
    this.#parts.host().remove(id);
  }

  setOutbound(id: number, outbound: OutboundUse): void {
    this.#useOutbound(id, outbound);
    this.#parts.host().setOutbound(id, outbound);
  }

  move(id: number, { local, remote, udpEncapsulation }: OuterEnds): void {
    const ends = { local, remote, udpEncapsulation };
    this.#change(id, (one) => ({ ...one, childSa: { ...one.childSa, ...ends } }));
    this.#parts.host().move(id, ends);
    const measured = this.#measured.get(pathOf(ends));
    if (measured) this.#parts.host().setPathMtu(id, measured);
  }

  /** What the path of these SAs was found to carry; others of that path, and those to come, have it too. */
  measured(ids: readonly number[], mtu: MeasuredMtu): void {
    for (const path of new Set(ids.flatMap((id) => this.find(id) ?? []).map(pathOf))) {
      this.#measured.delete(path);
      this.#measured.set(path, mtu);
      for (const { childSa } of this.#installed.values()) {
        if (pathOf(childSa) === path) this.#parts.host().setPathMtu(childSa.id, mtu);
      }
    }
    for (const path of this.#measured.keys()) {
      if (this.#measured.size <= MAX_MEASURED_PATHS) break;
      this.#measured.delete(path);
    }
  }

  #forPacketLoop(childSa: ChildSa, rows: ChildRows): InstalledChildSa {
    const measured = this.#measured.get(pathOf(childSa));
    return { ...installedChildSa(childSa, rows), ...(measured && { measured }) };
  }

  /** What the packet loop says of an SA; reports of other things pass by. */
  hear(report: PacketLoopReport): void {
    switch (report.kind) {
      case 'removed':
        this.#parts.rows.give(report.id);
        break;
      case 'outbound-activated':
        this.#useOutbound(report.id, 'now');
        break;
      case 'installed':
        this.#change(report.id, (one) => ({ ...one, innerMtu: report.innerMtu }));
        break;
      case 'moved':
        this.#learn(report.id, report.innerMtu, ASSUMED_OUTER_MTU);
        break;
      case 'path-mtu-changed':
        this.#learn(report.id, report.innerMtu, report.outerMtu);
        this.#tellPathMtu(report.id, report.outerMtu);
        break;
      case 'policy-mismatch':
        this.#tellMismatch(report);
        break;
      case 'traffic-limit':
        this.#change(report.id, (one) => ({ ...one, limit: report.limit }));
        break;
      default:
    }
  }

  /** What was learned and is too old to count is assumed again. */
  #learn(id: number, innerMtu: number, outerMtu: number): void {
    const learned = outerMtu !== ASSUMED_OUTER_MTU;
    const path = { outerMtu, learned, since: this.#parts.now() };
    this.#change(id, (one) => ({ ...one, innerMtu, path }));
  }

  #change(id: number, change: (one: Installed) => Installed): void {
    const one = this.#installed.get(id);
    if (one) this.#installed.set(id, change(one));
  }

  #useOutbound(id: number, outbound: OutboundUse): void {
    const before = this.find(id);
    if (!before || before.outbound === outbound) return;
    const childSa = { ...before, outbound };
    this.#change(id, (one) => ({ ...one, childSa }));
    if (outbound === 'now') this.#list(childSa);
    else this.#parts.spd.remove(id);
  }

  #list({ id, localTs, remoteTs, priority }: ChildSa): void {
    this.#parts.spd.insert({ id, action: 'protect', sa: id, localTs, remoteTs, priority });
  }

  #tellPathMtu(id: number, mtu: number): void {
    const childSa = this.find(id);
    if (!childSa) return;
    const peer = formatAddress(childSa.remote.address);
    this.#parts.emit({ kind: 'path-mtu', peer, mtu });
  }

  #tellMismatch({ id, packet, suppressed }: Mismatch): void {
    const childSa = this.find(id);
    if (!childSa) return;
    this.#parts.emit({
      kind: 'policy-mismatch',
      connection: childSa.connection,
      peer: formatAddress(childSa.remote.address),
      child: childSa.name,
      childSa: id,
      spiIn: formatSpi(childSa.spiIn),
      source: packetEnd(packet.source, packet.protocol, packet.sourcePort),
      destination: packetEnd(packet.destination, packet.protocol, packet.destinationPort),
      suppressed,
    });
  }

  #logKeys(childSa: ChildSa): void {
    const { keyLog } = this.#parts;
    if (!keyLog) return;
    const [why] = espKeyLines(childSa).flatMap((line) => keyLog.esp(line) ?? []);
    if (why !== undefined) {
      this.#say('error', `no keys of child SA ${childSa.id} in the key log: ${why}`);
    }
  }

  #say(level: Level, what: string): void {
    this.#parts.emit({ kind: 'daemon', level, what });
  }
}

type Mismatch = Extract<PacketLoopReport, { readonly kind: 'policy-mismatch' }>;

/** `10.3.0.1[tcp/443]`, as selectors are written. */
function packetEnd(address: IpAddress, protocol: number, port: number): string {
  const ports = port === OPAQUE ? ANY_PORTS : { startPort: port, endPort: port };
  const shown = protocol === OPAQUE ? 0 : protocol;
  return formatAddress(address) + formatProtocolAndPorts({ protocol: shown, ...ports });
}

/** The keys of both directions, bare; inbound first. */
export function espKeyLines(childSa: ChildSa): readonly EspKeyLine[] {
  const { local, remote, encr, integ } = childSa;
  const common = { encr: encr.id, integ: integ?.id };
  return [
    {
      ...common,
      source: remote.address,
      destination: local.address,
      spi: childSa.spiIn,
      encryptionKey: childSa.keysIn.encryption.reveal(),
      integrityKey: childSa.keysIn.integrity.reveal(),
    },
    {
      ...common,
      source: local.address,
      destination: remote.address,
      spi: childSa.spiOut,
      encryptionKey: childSa.keysOut.encryption.reveal(),
      integrityKey: childSa.keysOut.integrity.reveal(),
    },
  ];
}
