/**
 * The gateway as a node of a charon HA pair: turns of the IKE engine as charon hears of them, Child SAs that
 * go on here or there, and peers that are charon's.
 *
 * IVs are of a sender id that no life of this node had before. charon's are under a random mask that it tells
 * nobody: what both seal with one key of an IKE SA with an AEAD meets with a chance of one in 2^64 for
 * each pair of messages, as between two charons. Under a key of ESP that charon had nothing is sealed here.
 */
import { HaPools } from '../../cluster/charon-ha/pools.ts';
import { samplingOf } from '../../cluster/segment-filter.ts';
import type { ClusterConfig, HaSettings } from '../../config/cluster-config.ts';
import type { ClusterEvent } from '../../events/cluster-event.ts';
import { EdgeDigest } from '../../events/edge-digest.ts';
import type { SharedCounters } from '../../events/shared-counters.ts';
import type { Action, Input } from '../../ike/action.ts';
import type { IkeEndpoint } from '../../ike/endpoint.ts';
import { now } from '../../io/clock.ts';
import type { ClusterReport } from '../../io/cluster-protocol.ts';
import { NodeState } from '../../io/node-state.ts';
import type { PacketLoopsCluster } from '../../io/packet-loops-cluster.ts';
import { randomBytes } from '../../io/random.ts';
import { AddressPools } from '../../ipsec/address-pools.ts';
import { IvPartition } from '../../ipsec/iv-partition.ts';
import type { Pad } from '../../ipsec/pad.ts';
import type { Spi } from '../../ipsec/spi.ts';
import { formatAddress, type IpAddress } from '../../wire/address.ts';
import type { ChildSas } from '../child-sas.ts';
import { ChildRenewal } from '../cluster/child-renewal.ts';
import { ClusteredChildSas } from '../cluster/clustered-child-sas.ts';
import type { ClusterMode } from '../cluster-mode.ts';
import type { CounterRows } from '../counter-rows.ts';
import { CharonHaOperations } from './operations.ts';
import { CharonHaPartner } from './partner.ts';

export interface CharonHaModeParts {
  readonly config: ClusterConfig;
  readonly ha: HaSettings;
  readonly counters: Pick<SharedCounters, 'sas'>;
  readonly rows: CounterRows;
  readonly childSas: () => Pick<ChildSas, 'install' | 'setOutbound'>;
  readonly packetLoops: () => PacketLoopsCluster | undefined;
  readonly pad: Pick<Pad, 'connection' | 'connections'>;
  /** What the IKE engine wants done, in order. */
  readonly perform: (actions: readonly Action[]) => void;
  /** Other segments than before are served here. */
  readonly took: () => void;
  readonly emit: (event: ClusterEvent) => void;
}

/** What was sent last is on its way then. */
const LAST_WORDS_MS = 20;
/** Of charon's Child SAs every so many-th packet is verified, where both nodes get all packets. */
const EVERY = 64;
const SENDERS = 0x1_0000;

export class CharonHaMode implements ClusterMode {
  readonly environment: ClusterMode['environment'];
  readonly pools: HaPools;
  readonly lease = undefined;
  readonly childSas: ClusteredChildSas;
  readonly partner: CharonHaPartner;
  readonly operations: CharonHaOperations;
  readonly #parts: CharonHaModeParts;
  readonly #renewal: ChildRenewal;
  #engine: IkeEndpoint | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** Counts a start of this node. Throws `NodeStateError`. */
  constructor(parts: CharonHaModeParts) {
    const { config, ha, counters, rows, childSas, packetLoops } = parts;
    this.#parts = parts;
    this.partner = new CharonHaPartner(ha, {
      follow: (input) => this.#follow(input),
      connection: (name) => parts.pad.connection(name),
      moved: () => parts.took(),
      emit: parts.emit,
    });
    const { rekeysPerSecond: perSecond } = config.sync;
    this.#renewal = new ChildRenewal({ random: randomBytes, perSecond });
    this.pools = new HaPools(ha, new AddressPools(), () => this.partner.segments);
    const sid = NodeState.begin(config.state).boot % SENDERS;
    const { keying: keyingWatch } = this.partner;
    this.operations = new CharonHaOperations({
      ...{ config, ha, sid, now, emit: parts.emit, partner: this.partner },
      engine: () => this.#engine,
      renew: (spisIn) => this.#renew(spisIn),
    });
    this.environment = { replicated: true, ivs: new IvPartition(sid), keyingWatch };
    const every = config.mode === 'active-active' ? config.replay.sampling || EVERY : 0;
    this.childSas = new ClusteredChildSas({
      sid,
      sampling: samplingOf(1, every),
      window: config.replay.takeover,
      // charon neither freezes nor hands over with a last state.
      segmentOf: () => 0,
      // Nor does it acknowledge numbers.
      isSolo: () => true,
      digest: new EdgeDigest(counters),
      rows,
      install: (childSa, cluster) => childSas().install(childSa, cluster),
      setOutbound: (id, outbound) => childSas().setOutbound(id, outbound),
      packetLoops,
    });
  }

  /** Unless they are written down, what connections have: a node's own addresses are no peer's business. */
  get sharedAddresses(): readonly IpAddress[] {
    const { config, pad } = this.#parts;
    const wan = config.addresses.filter(({ side }) => side === 'wan');
    if (wan.length > 0) return wan.flatMap(({ addresses }) => addresses);
    const matches = pad.connections().flatMap(({ localAddresses }) => localAddresses);
    const local = matches.flatMap((match) => (match.kind === 'address' ? [match.address] : []));
    return [...new Map(local.map((address) => [formatAddress(address), address])).values()];
  }

  get serves(): boolean {
    return this.partner.segments.length > 0;
  }

  /** Whose a peer is, its address says: `handle` begins nothing with one of charon's. */
  begins(): boolean {
    return this.serves;
  }

  join(engine: IkeEndpoint): void {
    this.#engine = engine;
  }

  async start(): Promise<void> {
    await this.partner.open(this.#parts.config.fifo);
  }

  handle(input: Input): void {
    if (!this.#engine) return;
    if (input.kind === 'datagram' && isFirstRequest(input.octets)) {
      // The SPI of an IKE SA says whose it is; who has none yet is charon's by the address.
      if (!this.partner.serves(input.remote.address)) return;
    }
    if (input.kind === 'initiate' && !this.partner.serves(input.remote.address)) {
      // Who begins with a peer of charon's ends what charon has with it.
      const { request, remote } = input;
      const what = `${formatAddress(remote.address)} is of a segment that charon serves`;
      this.#parts.perform([{ kind: 'complete', request, outcome: { kind: 'failed', what } }]);
      return;
    }
    const actions = this.#engine.handle(input, now());
    const changes = this.#engine.takeChanges(now());
    if (changes) this.partner.changed(changes);
    this.#parts.perform(actions);
    for (const action of actions) this.#note(action);
    this.#scheduleRenewal();
  }

  hear(report: ClusterReport): void {
    if (report.kind === 'given' || report.kind === 'taken') this.childSas.hear(report);
  }

  configured(): void {
    this.partner.configured();
  }

  async leave(): Promise<boolean> {
    const goesOn = this.partner.handOver();
    await new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS));
    return goesOn;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.partner.close();
  }

  /** What charon says. */
  #follow(input: Input): void {
    if (input.kind === 'replace-child-sas') this.#renew(input.spisIn);
    else this.handle(input);
  }

  /** As soon as the rate allows it. */
  #renew(spisIn: Iterable<Spi>): void {
    this.#renewal.markFirst(spisIn, 'order', now());
    this.#scheduleRenewal();
  }

  /** Those that may send nothing come first; half the numbers of others may be gone, so that they follow soon. */
  #note(action: Action): void {
    this.#renewal.note(action, now());
    if (action.kind !== 'activate-child-sa' || !action.sequences) return;
    this.#renewal.mark([action.childSa.spiIn], 'gap', now());
  }

  #scheduleRenewal(): void {
    clearTimeout(this.#timer);
    const deadline = this.#renewal.nextDeadline();
    if (deadline === undefined) return;
    const wait = Math.ceil(Math.max(0, deadline - now()));
    this.#timer = setTimeout(() => {
      this.handle({ kind: 'replace-child-sas', spisIn: this.#renewal.take(now()) });
    }, wait);
  }
}

/** IKE_SA_INIT of somebody who has no SPI of ours (RFC 7296 §3.1). */
function isFirstRequest(octets: Uint8Array): boolean {
  return octets.length >= IKE_HEADER_OCTETS && octets.subarray(8, 16).every((octet) => octet === 0);
}

const IKE_HEADER_OCTETS = 28;
