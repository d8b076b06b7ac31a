/**
 * What this machine lets in of packets to shared addresses, as its node's segments come and go: the kernel's packet
 * filter, for clusters whose packets come to every node or to a virtual hardware address.
 *
 * What a node takes is let in at once. What it handed over is let in until the successor has it: that one's data
 * plane is given those packets (`handed-over.ts`).
 */
import type { Segment } from '../../cluster/ballot.ts';
import type { NodeId } from '../../cluster/node-id.ts';
import { NO_PINS, type PinnedRange, type Pins, pinsOf } from '../../cluster/pinned-ranges.ts';
import { noRuleset, type OwnSampling } from '../../cluster/segment-filter.ts';
import { TABLE } from '../../cluster/segment-sets.ts';
import type { ClusterConfig } from '../../config/cluster-config.ts';
import type { FilterCount, Nft } from '../../io/nft.ts';
import type { NftSets } from '../../io/nft-sets.ts';
import { equalAddresses } from '../../wire/address.ts';
import type { Instant } from '../../wire/instant.ts';
import { type PlannedAddress, servedAddresses } from './address-plan.ts';
import { filterSets, filterText } from './filter-text.ts';
import { HandedOver } from './handed-over.ts';
import { NodeFilter } from './node-filter.ts';
import { PinnedHosts } from './pinned-hosts.ts';

export interface SegmentGateParts {
  readonly config: ClusterConfig;
  readonly ports: { readonly ike: number; readonly natT: number };
  readonly planned: readonly PlannedAddress[];
  readonly nft: Pick<Nft, 'apply' | 'counters'>;
  readonly sets: Pick<NftSets, 'replace' | 'change'>;
  readonly now: () => Instant;
  readonly say: (level: 'error' | 'notice' | 'debug', what: string) => void;
  /** Undefined for a segment that nobody has. */
  readonly ownerOf: (segment: Segment) => NodeId | undefined;
  /** Frames to the hardware addresses of these are to come in, whoever is their master. */
  readonly admitted: (planned: readonly PlannedAddress[]) => void;
}

/** Ranges come one by one as SAs do; listing them may take a twentieth of the time. */
const PAUSE_MILLISECONDS = 50;
const SHARE = 20;
const WHAT = 'packet filter of the cluster';

export class SegmentGate {
  readonly #parts: SegmentGateParts;
  readonly #filter: NodeFilter;
  readonly #handedOver: HandedOver;
  /** Where packets come to one node by themselves nothing is to be left out. */
  readonly #isNeeded: boolean;
  #own: ReadonlySet<Segment> = new Set();
  readonly #hosts = new PinnedHosts();
  #list: () => readonly PinnedRange[] = () => [];
  #pins: Pins = NO_PINS;
  #samplings: readonly OwnSampling[] = [];
  #pause: NodeJS.Timeout | undefined;
  #listing = 0;
  #lookTimer: NodeJS.Timeout | undefined;

  constructor(parts: SegmentGateParts) {
    const { config, planned, nft, sets, say, ownerOf } = parts;
    this.#parts = parts;
    this.#filter = new NodeFilter({ nft, sets, say });
    this.#handedOver = new HandedOver(ownerOf);
    this.#isNeeded = config.mode !== 'forward' && planned.length > 0;
  }

  /** Why the kernel has not what it should have; empty where it has. */
  get complaint(): string {
    return this.#filter.complaint;
  }

  /** Lets in nothing of any segment. Rejects with what nft refuses. */
  async begin(): Promise<void> {
    const { nft, say } = this.#parts;
    if (this.#isNeeded) {
      await this.#filter.begin(this.#text(true));
      return;
    }
    // What another mode left would drop what is ours now; without nft nothing did.
    await nft
      .apply('packet filter of another mode', noRuleset('netdev'))
      .catch((error: unknown) => say('debug', String(error)));
  }

  /** From now on the node has these segments; of those it had it handed some over. */
  own(segments: ReadonlySet<Segment>, handedOver: ReadonlySet<Segment>): void {
    this.#own = segments;
    this.#handedOver.remove(segments);
    this.#handedOver.add(handedOver, this.#parts.now());
    this.#setNow();
    this.#look();
  }

  /** Something happened in the cluster: perhaps a successor has what was handed over. */
  turned(): void {
    if (this.#lookTimer !== undefined) this.#look();
  }

  /** What is pinned is different now: it is listed a little later, once for all that changed until then. */
  pinned(list: () => readonly PinnedRange[]): void {
    this.#list = list;
    const { config, planned } = this.#parts;
    const isUsed = config.mode === 'active-active' && planned.some(({ side }) => side === 'lan');
    if (!isUsed) return;
    const wait = Math.max(PAUSE_MILLISECONDS, this.#listing * SHARE);
    this.#pause ??= setTimeout(() => this.#pin(), wait);
  }

  sampled(samplings: readonly OwnSampling[]): void {
    this.#samplings = samplings;
    this.renew();
  }

  /** A device is another one now: chains of the old one are gone with it. */
  renew(): void {
    this.#filter.mistrust();
    if (this.#isNeeded) this.#filter.want(this.#text);
  }

  async counters(): Promise<ReadonlyMap<string, FilterCount>> {
    return this.#isNeeded ? this.#parts.nft.counters('netdev', TABLE) : new Map();
  }

  settled(): Promise<void> {
    return this.#filter.settled();
  }

  /** Without it an address that stays would be answered for by this machine, too: then it lets in nothing. */
  async close({ keeps }: { readonly keeps: boolean }): Promise<void> {
    clearTimeout(this.#pause);
    clearTimeout(this.#lookTimer);
    await this.#filter.close();
    if (!this.#isNeeded) return;
    const { nft, say } = this.#parts;
    this.#handedOver.remove(this.#handedOver.wan);
    this.#own = new Set();
    await nft
      .apply(WHAT, keeps ? this.#text(false) : noRuleset('netdev'))
      .catch((error: unknown) => say('error', String(error)));
  }

  #setNow(): void {
    const { config, planned } = this.#parts;
    const ownership = this.#ownership();
    this.#parts.admitted(servedAddresses(config.mode, planned, ownership.own));
    if (this.#isNeeded) this.#filter.wantNow(filterSets(ownership), this.#text);
  }

  #look(): void {
    clearTimeout(this.#lookTimer);
    this.#lookTimer = undefined;
    const { now } = this.#parts;
    if (this.#handedOver.look(now())) this.#setNow();
    const next = this.#handedOver.nextDeadline();
    if (next === undefined) return;
    this.#lookTimer = setTimeout(() => this.#look(), Math.max(0, Math.ceil(next - now())));
  }

  /** Ranges are seldom others; single addresses come and go. */
  #pin(): void {
    this.#pause = undefined;
    const began = this.#parts.now();
    const pins = pinsOf(this.#list());
    const isSame = sameRanges(pins.ranges, this.#pins.ranges);
    this.#pins = pins;
    if (isSame) this.#filter.wantChanged(this.#hosts.changesTo(pins.hosts), this.#text);
    else this.#filter.want(this.#text);
    this.#listing = this.#parts.now() - began;
  }

  #ownership() {
    const { config, planned } = this.#parts;
    const own = new Set([...this.#own, ...this.#handedOver.wan]);
    const ownLan = new Set([...this.#own, ...this.#handedOver.lan]);
    const isOfMasters = config.mode === 'active-passive';
    const mastered = isOfMasters ? servedAddresses(config.mode, planned, own) : [];
    return { own, ownLan, mastered };
  }

  readonly #text = (whole: boolean): string => {
    const { config, ports, planned } = this.#parts;
    this.#hosts.filled(this.#pins.hosts);
    return filterText({
      ...{ config, ports, whole, planned },
      ...this.#ownership(),
      pins: this.#pins,
      samplings: this.#samplings,
    });
  };
}

function sameRanges(some: readonly PinnedRange[], others: readonly PinnedRange[]): boolean {
  return (
    some.length === others.length &&
    some.every(({ range, segment }, index) => {
      const other = others[index];
      return (
        other?.segment === segment &&
        equalAddresses(other.range.first, range.first) &&
        equalAddresses(other.range.last, range.last)
      );
    })
  );
}
