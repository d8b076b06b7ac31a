/**
 * The gateway as a node of a charon HA pair: turns of the IKE engine as charon hears of them, Child SAs that
 * go on here or there, and peers that are charon's.
 *
 * IVs are of a sender id that no life of this node had before. charon's are under a random mask that it tells
 * nobody: what both seal with one key of an IKE SA with an AEAD meets with a chance of one in 2^64 for
 * each pair of messages, as between two charons. Under a key of ESP that charon had nothing is sealed here.
 */
import { samplingOf } from '../../cluster/segment-filter.ts';
import type { ClusterConfig, HaSettings } from '../../config/cluster-config.ts';
import { EdgeDigest } from '../../events/edge-digest.ts';
import type { Level } from '../../events/event.ts';
import type { SharedCounters } from '../../events/shared-counters.ts';
import type { Action, Input } from '../../ike/action.ts';
import type { IkeEndpoint } from '../../ike/endpoint.ts';
import { now } from '../../io/clock.ts';
import type { ClusterReport } from '../../io/cluster-protocol.ts';
import { NodeState } from '../../io/node-state.ts';
import type { PacketLoopsCluster } from '../../io/packet-loops-cluster.ts';
import { type Connection, wantsStart } from '../../ipsec/connection.ts';
import { IvPartition } from '../../ipsec/iv-partition.ts';
import { formatAddress, type IpAddress } from '../../wire/address.ts';
import type { ChildSas } from '../child-sas.ts';
import { ClusteredChildSas } from '../cluster/clustered-child-sas.ts';
import type { ClusterMode } from '../cluster-mode.ts';
import type { CounterRows } from '../counter-rows.ts';
import { CharonHaPartner } from './partner.ts';

export interface CharonHaModeParts {
  readonly config: ClusterConfig;
  readonly ha: HaSettings;
  readonly counters: Pick<SharedCounters, 'sas'>;
  readonly rows: CounterRows;
  readonly childSas: () => Pick<ChildSas, 'install' | 'setOutbound'>;
  readonly packetLoops: () => PacketLoopsCluster | undefined;
  readonly connection: (name: string) => Connection | undefined;
  /** What the IKE engine wants done, in order. */
  readonly perform: (actions: readonly Action[]) => void;
  readonly say: (level: Level, what: string) => void;
}

type Initiate = Extract<Input, { readonly kind: 'initiate' }>;

/** What was sent last is on its way then. */
const LAST_WORDS_MS = 20;
/** Of charon's Child SAs every so many-th packet is verified, where both nodes get all packets. */
const EVERY = 64;
const SENDERS = 0x1_0000;

export class CharonHaMode implements ClusterMode {
  readonly environment: ClusterMode['environment'];
  readonly lease = undefined;
  readonly childSas: ClusteredChildSas;
  readonly partner: CharonHaPartner;
  readonly #parts: CharonHaModeParts;
  /** What a configuration wants up and is charon's to begin, by connection and child. */
  readonly #postponed = new Map<string, Initiate>();
  #engine: IkeEndpoint | undefined;

  /** Counts a start of this node. Throws `NodeStateError`. */
  constructor(parts: CharonHaModeParts) {
    const { config, ha, counters, rows, childSas, packetLoops } = parts;
    this.#parts = parts;
    this.partner = new CharonHaPartner(ha, {
      follow: (input) => this.handle(input),
      connection: parts.connection,
      childSaIds: (spi) => {
        const sa = this.#engine?.ikeSas().find(({ ownSpi }) => ownSpi === spi);
        return sa?.childrenUp.map(({ childSa }) => childSa.id) ?? [];
      },
      moved: () => this.#startPostponed(),
      say: parts.say,
    });
    const sid = NodeState.begin(config.state).boot % SENDERS;
    const { keying: keyingWatch } = this.partner;
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

  get sharedAddresses(): readonly IpAddress[] {
    const wan = this.#parts.config.addresses.filter(({ side }) => side === 'wan');
    return wan.flatMap(({ addresses }) => addresses);
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
      this.#postpone(input);
      return;
    }
    const actions = this.#engine.handle(input, now());
    const changes = this.#engine.takeChanges(now());
    if (changes) this.partner.changed(changes);
    this.#parts.perform(actions);
  }

  hear(report: ClusterReport): void {
    if (report.kind === 'given' || report.kind === 'taken') this.childSas.hear(report);
  }

  /** What is charon's to begin waits until it is not (`#postpone`). */
  get serves(): boolean {
    return true;
  }

  begins(): boolean {
    return true;
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
    this.partner.close();
  }

  /** Who begins with a peer of charon's ends what charon has with it. */
  #postpone(input: Initiate): void {
    const { connection, child, remote, request } = input;
    const policy = this.#parts.connection(connection)?.children.find(({ name }) => name === child);
    if (policy && wantsStart(policy.startAction)) {
      this.#postponed.set(`${connection} ${policy.name}`, input);
    }
    const peer = formatAddress(remote.address);
    const what = `${peer} is of a segment that charon serves; to take it, write to the FIFO`;
    this.#parts.perform([{ kind: 'complete', request, outcome: { kind: 'failed', what } }]);
  }

  #startPostponed(): void {
    for (const [key, { connection, child, remote }] of this.#postponed) {
      if (!this.partner.serves(remote.address)) continue;
      this.#postponed.delete(key);
      const sas = this.#engine?.ikeSas().filter((sa) => sa.connection.name === connection) ?? [];
      const isUp = sas.some((sa) => sa.childrenUp.some(({ childSa }) => childSa.name === child));
      if (isUp || child === undefined) continue;
      this.#parts.perform([{ kind: 'reinitiate', connection, child }]);
    }
  }
}

/** IKE_SA_INIT of somebody who has no SPI of ours (RFC 7296 §3.1). */
function isFirstRequest(octets: Uint8Array): boolean {
  return octets.length >= IKE_HEADER_OCTETS && octets.subarray(8, 16).every((octet) => octet === 0);
}

const IKE_HEADER_OCTETS = 28;
