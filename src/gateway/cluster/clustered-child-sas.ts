/**
 * The Child SAs of this node as members of a cluster: installed to follow another node, taken over, given up,
 * and how far the numbers of each may have gone (RFC 4303 §3.3.3).
 *
 * Every node has the Child SAs of all nodes in its packet loop; those that are not its own neither send nor deliver.
 */
import type { Segment, Sid } from '../../cluster/ballot.ts';
import type { EdgeDigest, Edges } from '../../events/edge-digest.ts';
import type { ChildSequences } from '../../ike/snapshot.ts';
import type { ClusterReport } from '../../io/cluster-protocol.ts';
import type { InstalledChildSa } from '../../io/packet-loop-protocol.ts';
import type { PacketLoopsCluster } from '../../io/packet-loops-cluster.ts';
import type { ChildSa, OutboundUse } from '../../ipsec/child-sa.ts';
import type { Sampling, TakeOverWindow } from '../../ipsec/replay-sampling.ts';
import { laterNumber, numberAfter, type SequenceHalves } from '../../ipsec/sequence-number.ts';
import { LEAST_BATCH } from '../../ipsec/sequence-reservation.ts';
import type { Spi } from '../../ipsec/spi.ts';
import type { CounterRows } from '../counter-rows.ts';

/** How a Child SA is installed that several nodes may carry. */
type ClusterParameters = NonNullable<InstalledChildSa['cluster']>;
type SaRole = ClusterParameters['role'];

export interface ClusteredChildSasParts {
  readonly sid: Sid;
  /** Of Child SAs of other nodes, packets that come by. */
  readonly sampling: Sampling;
  /** What a crash may deliver twice. */
  readonly window: 'bounded' | 'strict';
  readonly segmentOf: (spiIn: Spi) => Segment;
  /** No other node is there to acknowledge numbers. */
  readonly isSolo: () => boolean;
  readonly digest: EdgeDigest;
  readonly rows: Pick<CounterRows, 'of' | 'inbound' | 'outbound' | 'reserved'>;
  /** Answers whether the packet loop will report it. */
  readonly install: (childSa: ChildSa, cluster: ClusterParameters) => boolean;
  readonly setOutbound: (childSaId: number, outbound: OutboundUse) => void;
  readonly packetLoops: () => PacketLoopsCluster | undefined;
  /** Child SAs came or went, of this node or of others; unset = nobody asks. */
  readonly changed?: () => void;
}

interface Member {
  readonly childSa: ChildSa;
  role: SaRole;
  /** As it came here; undefined where nobody knew. */
  known: ChildSequences | undefined;
  /** What was granted since. */
  granted: SequenceHalves;
  /** It goes on without that others acknowledge its numbers. */
  solo: boolean;
  /** Where it stood still, while a hand-over is under way. */
  stopped: Extract<ClusterReport, { readonly kind: 'given' }> | undefined;
}

interface Freeze {
  readonly waiting: Set<number>;
  readonly frozen: () => void;
}

export class ClusteredChildSas {
  readonly #parts: ClusteredChildSasParts;
  readonly #members = new Map<number, Member>();
  readonly #ids = new Map<Spi, number>();
  readonly #freezes = new Set<Freeze>();
  /** Given up, and the packet loop has not said that it knows. */
  readonly #giving = new Set<number>();
  /** Segments that were handed over, so that their edges are exact. */
  readonly #handedOver = new Set<Segment>();
  /** So many packets may at most have been accepted twice by the last take-over of each Child SA, in all. */
  #exposure = 0;

  constructor(parts: ClusteredChildSasParts) {
    this.#parts = parts;
  }

  /** The packet loop may still send for what this node gave up. */
  get isGiving(): boolean {
    return this.#giving.size > 0;
  }

  get exposure(): number {
    return this.#exposure;
  }

  /** Child SAs that are here, by what this node is to them. */
  get counts(): Readonly<Record<SaRole, number>> {
    const all = [...this.#members.values()];
    const active = all.filter(({ role }) => role === 'active').length;
    return { active, passive: all.length - active };
  }

  find(spiIn: Spi): ChildSa | undefined {
    const id = this.#ids.get(spiIn);
    return id === undefined ? undefined : this.#members.get(id)?.childSa;
  }

  /** What this node is to the Child SA; undefined where it has heard of none. */
  role(spiIn: Spi): SaRole | undefined {
    const id = this.#ids.get(spiIn);
    return id === undefined ? undefined : this.#members.get(id)?.role;
  }

  /** The Child SA with this number here. */
  byId(childSaId: number): ChildSa | undefined {
    return this.#members.get(childSaId)?.childSa;
  }

  /** Those of this node. */
  get active(): readonly ChildSa[] {
    const all = [...this.#members.values()];
    return all.filter(({ role }) => role === 'active').map(({ childSa }) => childSa);
  }

  /** How many of them send numbers that no other node knows of. */
  get solo(): number {
    return [...this.#members.values()].filter(sendsAlone).length;
  }

  all(): readonly ChildSa[] {
    return [...this.#members.values()].map(({ childSa }) => childSa);
  }

  /** A new one of this node. Answers whether the packet loop will report it. */
  install(childSa: ChildSa): boolean {
    const parameters = this.#parameters('active', NEW);
    const isInstalled = this.#parts.install(childSa, parameters);
    this.#add(childSa, 'active', NEW);
    return isInstalled;
  }

  /** One that another node has. */
  follow(childSa: ChildSa, sequences: ChildSequences | undefined): void {
    this.#parts.install(childSa, this.#parameters('passive', sequences ?? NEW));
    this.#add(childSa, 'passive', sequences);
  }

  /** It goes on here, behind these numbers; without any it sends nothing, as `childSa` says. */
  activate(childSa: ChildSa, sequences: ChildSequences | undefined): void {
    if (!this.#members.has(childSa.id)) this.follow(childSa, sequences);
    const member = this.#members.get(childSa.id);
    if (!member) return;
    const { packetLoops, setOutbound, segmentOf, window } = this.#parts;
    setOutbound(childSa.id, childSa.outbound);
    member.known = sequences;
    const isExact = this.#handedOver.has(segmentOf(childSa.spiIn));
    if (isExact && sequences) packetLoops()?.followEdges(edgeOf(childSa.spiIn, sequences));
    this.#take(childSa.id, member, isExact ? 'bounded' : window, sequences);
  }

  /** It goes on at another node. */
  deactivate({ id, spiIn }: ChildSa): void {
    this.#parts.digest.remove(spiIn);
    const member = this.#members.get(id);
    if (!member) return;
    // What stands still for a hand-over was given already.
    const loops = this.#parts.packetLoops();
    const isInstalled = this.#parts.rows.of(id) !== undefined;
    if (loops && isInstalled && member.role === 'active' && !member.stopped) {
      this.#giving.add(id);
      loops.give(id);
    }
    member.role = 'passive';
    member.stopped = undefined;
  }

  forget({ id, spiIn }: ChildSa): void {
    this.#parts.digest.remove(spiIn);
    this.#giving.delete(id);
    this.#members.delete(id);
    this.#ids.delete(spiIn);
    for (const freeze of this.#freezes) this.#stopped(freeze, id);
    this.#parts.changed?.();
  }

  grant(spiIn: Spi, upTo: SequenceHalves): void {
    const id = this.#ids.get(spiIn);
    const member = id === undefined ? undefined : this.#members.get(id);
    if (id === undefined || !member) return;
    member.granted = laterNumber(member.granted, upTo);
    member.solo = false;
    this.#parts.packetLoops()?.grant(id, upTo);
  }

  goAlone(spiIn: Spi): void {
    const id = this.#ids.get(spiIn);
    const member = id === undefined ? undefined : this.#members.get(id);
    if (id === undefined || !member) return;
    member.solo = true;
    this.#parts.packetLoops()?.goAlone(id);
  }

  /** How far a Child SA of this node has counted, or may have, for its snapshot. */
  sequences(childSaId: number): ChildSequences | undefined {
    const { rows } = this.#parts;
    const member = this.#members.get(childSaId);
    // Not installed yet: nothing is sent before the packet loop has it, and then behind these.
    if (!member) return NEW;
    if (!member.known || !rows.of(childSaId)) return member.known;
    const [inbound, outbound] = [rows.inbound(childSaId), rows.outbound(childSaId)];
    return {
      outboundReserved: this.#mayBeUsed(member),
      inboundEdge: member.stopped?.edge ?? halves(inbound.sequence),
      packetsIn: inbound.packets,
      octetsIn: inbound.octets,
      packetsOut: outbound.packets,
      octetsOut: outbound.octets,
    };
  }

  /** One that is solo uses numbers that nobody acknowledged, and goes on while this is on its way. */
  #mayBeUsed(member: Member): SequenceHalves {
    const { rows } = this.#parts;
    const { id } = member.childSa;
    const reserved = laterNumber(reservedOf(member), halves(rows.reserved(id)));
    const used = member.stopped?.used ?? halves(rows.outbound(id).sequence);
    const ahead = sendsAlone(member) && !member.stopped ? SOLO_BATCH : 0;
    return laterNumber(reserved, numberAfter(used, ahead));
  }

  /** Whether this segment comes with its last state (it was handed over), or as far as it is known. */
  taking(segment: Segment, isHandedOver: boolean): void {
    if (isHandedOver) this.#handedOver.add(segment);
    else this.#handedOver.delete(segment);
  }

  /** Nothing leaves or is taken in by Child SAs of these segments; `frozen` is called when that is so. */
  freeze(segments: ReadonlySet<Segment>, frozen: () => void): void {
    const waiting = new Set<number>();
    for (const [id, { childSa, role }] of this.#members) {
      if (role !== 'active' || !segments.has(this.#parts.segmentOf(childSa.spiIn))) continue;
      waiting.add(id);
      this.#parts.packetLoops()?.give(id);
    }
    if (waiting.size === 0) frozen();
    else this.#freezes.add({ waiting, frozen });
  }

  /** A hand-over does not happen: what stands still goes on. */
  thaw(segments: ReadonlySet<Segment>): void {
    for (const freeze of this.#freezes) {
      const ids = [...freeze.waiting];
      const isOver = ids.some((id) => this.#isIn(id, segments));
      if (isOver) this.#freezes.delete(freeze);
    }
    for (const [id, member] of this.#members) {
      if (member.role !== 'active' || !this.#isIn(id, segments)) continue;
      member.stopped = undefined;
      this.#take(id, member, 'unchanged', undefined);
    }
  }

  hear(report: Extract<ClusterReport, { readonly kind: 'given' | 'taken' }>): void {
    const member = this.#members.get(report.id);
    if (report.kind === 'taken') {
      this.#exposure += report.exposure;
      return;
    }
    this.#giving.delete(report.id);
    const isFreezing = [...this.#freezes].some(({ waiting }) => waiting.has(report.id));
    if (member && isFreezing) member.stopped = report;
    for (const freeze of [...this.#freezes]) this.#stopped(freeze, report.id);
  }

  #stopped(freeze: Freeze, id: number): void {
    if (!freeze.waiting.delete(id) || freeze.waiting.size > 0) return;
    this.#freezes.delete(freeze);
    freeze.frozen();
  }

  /** Where the windows of this node's Child SAs are; `all` = also those that did not move. */
  edges(all = false): Edges {
    return this.#parts.digest.read(all);
  }

  #isIn(id: number, segments: ReadonlySet<Segment>): boolean {
    const spiIn = this.#members.get(id)?.childSa.spiIn;
    return spiIn !== undefined && segments.has(this.#parts.segmentOf(spiIn));
  }

  #take(
    id: number,
    member: Member,
    window: TakeOverWindow,
    carried: ChildSequences | undefined,
  ): void {
    const { sid, isSolo, packetLoops, digest, rows } = this.#parts;
    const { childSa } = member;
    const reserved = reservedOf(member);
    this.#giving.delete(id);
    member.role = 'active';
    member.solo = isSolo();
    member.stopped = undefined;
    const how = { sid, used: reserved, reserved, solo: member.solo, window };
    packetLoops()?.take(id, { ...how, ...(carried && { carried }) });
    const row = rows.of(id)?.rowIn;
    if (row !== undefined) digest.add(childSa.spiIn, row);
  }

  #add(childSa: ChildSa, role: SaRole, known: ChildSequences | undefined): void {
    const { digest, rows, isSolo } = this.#parts;
    const solo = role === 'active' && isSolo();
    const member = { childSa, role, known, granted: NOTHING, solo, stopped: undefined };
    this.#members.set(childSa.id, member);
    this.#ids.set(childSa.spiIn, childSa.id);
    const row = rows.of(childSa.id)?.rowIn;
    if (role === 'active' && row !== undefined) digest.add(childSa.spiIn, row);
    this.#parts.changed?.();
  }

  #parameters(role: SaRole, then: ChildSequences): ClusterParameters {
    const { sid, sampling, isSolo } = this.#parts;
    const { outboundReserved: reserved, inboundEdge: edge } = then;
    // Those of a new one are in the snapshot that says there is one: whoever has its keys knows them.
    const used = then === NEW && role === 'active' ? NOTHING : reserved;
    const share = { role, sid, used, reserved, edge, sampling, foreign: 'hand-on' } as const;
    return { ...share, solo: role === 'active' && isSolo(), carried: then };
  }
}

function sendsAlone({ role, solo }: Member): boolean {
  return role === 'active' && solo;
}

/** More than an SA that nobody acknowledges uses until somebody who is there again does. */
const SOLO_BATCH = 1 << 14;

const NOTHING: SequenceHalves = { high: 0, low: 0 };

/** Of a Child SA that has carried nothing. */
const NEW: ChildSequences = {
  outboundReserved: { high: 0, low: LEAST_BATCH },
  inboundEdge: NOTHING,
  packetsIn: 0,
  octetsIn: 0,
  packetsOut: 0,
  octetsOut: 0,
};

/** Numbers up to this one are known elsewhere, or may have been used. */
function reservedOf({ known, granted }: Member): SequenceHalves {
  return laterNumber(known?.outboundReserved ?? NOTHING, granted);
}

function halves(number: number): SequenceHalves {
  return { high: Math.floor(number / HALF), low: number % HALF };
}

function edgeOf(spiIn: Spi, { inboundEdge: { high, low } }: ChildSequences): Edges {
  return Uint32Array.of(spiIn, high, low);
}

const HALF = 0x1_0000_0000;
