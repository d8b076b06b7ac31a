/**
 * Everything a node does for the addresses that its cluster shares: they are on `lo`; the links are told where they are by
 * whoever serves them; the kernel's packet filter gives the node the packets of its segments and no others.
 *
 * What a node serves follows from the segments it has and ends with its lease. An address is given up before another is
 * announced, and announcements leave at once: the filter, which takes a program of its own, comes after them.
 */
import type { Segment } from '../../cluster/ballot.ts';
import type { Delivery } from '../../cluster/bus/channel.ts';
import type { BusMessage } from '../../cluster/bus/message.ts';
import type { NodeId } from '../../cluster/node-id.ts';
import type { PinnedRange } from '../../cluster/pinned-ranges.ts';
import type { OwnSampling } from '../../cluster/segment-filter.ts';
import { formatHardwareAddress } from '../../cluster/virtual-address/ethernet.ts';
import type { ClusterConfig } from '../../config/cluster-config.ts';
import type { RandomBytes } from '../../crypto/random.ts';
import type { Trouble } from '../../events/cluster-event.ts';
import { type LinkState, LinkWatch } from '../../io/link-watch.ts';
import { LocalAddresses } from '../../io/local-addresses.ts';
import type { FilterCount, Nft } from '../../io/nft.ts';
import type { NftSets } from '../../io/nft-sets.ts';
import type { Rtnetlink } from '../../io/rtnetlink.ts';
import { formatAddress } from '../../wire/address.ts';
import { type Instant, instant } from '../../wire/instant.ts';
import type { LinkWord } from '../link-port.ts';
import { type PlannedAddress, plannedAddresses, servedAddresses } from './address-plan.ts';
import { addressStatus, type SharedAddressStatus } from './address-status.ts';
import { FloodingPort } from './flooding-port.ts';
import type { FloodingResult } from './flooding-watch.ts';
import { SegmentGate } from './segment-gate.ts';
import { SharedLinkEnd } from './shared-link-end.ts';

export interface SharedAddressesParts {
  readonly config: ClusterConfig;
  /** Where IKE is heard without and with the marker of RFC 3948. */
  readonly ports: { readonly ike: number; readonly natT: number };
  readonly rtnetlink: Rtnetlink;
  readonly nft: Pick<Nft, 'apply' | 'counters'>;
  readonly sets: Pick<NftSets, 'replace' | 'change'>;
  readonly random: RandomBytes;
  readonly now: () => Instant;
  /** To another node. */
  readonly tell: (to: NodeId, message: BusMessage, delivery: Delivery) => void;
  readonly say: (level: 'error' | 'notice' | 'debug', what: string) => void;
  /** Undefined for a segment that nobody has. */
  readonly ownerOf: (segment: Segment) => NodeId | undefined;
  /** Which sides' packets come to this node: a device went down, or does not bring what others send to all nodes. */
  readonly legs?: (legs: AddressLegs) => void;
}

export interface AddressLegs {
  readonly wan: boolean;
  readonly lan: boolean;
}

export class SharedAddresses {
  readonly #parts: SharedAddressesParts;
  readonly #planned: readonly PlannedAddress[];
  readonly #gate: SegmentGate;
  readonly #flooding: FloodingPort;
  readonly #local: LocalAddresses;
  #links: readonly SharedLinkEnd[] = [];
  #watch: LinkWatch | undefined;
  #own: ReadonlySet<Segment> = new Set();
  #until: Instant = instant(Number.NEGATIVE_INFINITY);
  #served: readonly PlannedAddress[] = [];
  /** Frames to their hardware addresses come in. */
  #admitted: readonly PlannedAddress[] = [];
  #members: ReadonlySet<NodeId> = new Set();
  #legs: AddressLegs = { wan: true, lan: true };

  /** Serves nothing yet. Rejects with what the machine refuses, and leaves nothing behind then. */
  static async open(parts: SharedAddressesParts): Promise<SharedAddresses> {
    const opened = new SharedAddresses(parts);
    try {
      await opened.#begin();
      return opened;
    } catch (error) {
      await opened.close({ keepAddresses: false });
      throw error;
    }
  }

  private constructor(parts: SharedAddressesParts) {
    const { config, rtnetlink } = parts;
    this.#parts = parts;
    const planned = plannedAddresses(config);
    this.#planned = planned;
    this.#gate = new SegmentGate({ ...parts, planned, admitted: (these) => this.#admit(these) });
    const flooded = config.mode === 'active-active' ? this.#devices() : [];
    const hardware = (device: string) =>
      this.#onDevice(device).map(({ hardwareAddress }) => formatHardwareAddress(hardwareAddress));
    this.#flooding = new FloodingPort({
      ...parts,
      names: new Map(config.nodes.map(({ id, name }) => [id, name])),
      devices: flooded.map((device) => ({ device, hardwareAddresses: hardware(device) })),
      toLink: (device, input) => this.#links.find((one) => one.device === device)?.handle(input),
      changed: () => {
        this.#serve();
        this.#judgeLegs();
      },
    });
    this.#local = new LocalAddresses(rtnetlink);
  }

  /** From now on this node has these segments; of those it had it handed some over to another one. */
  own(segments: ReadonlySet<Segment>, handedOver: ReadonlySet<Segment> = new Set()): void {
    const isSame =
      segments.size === this.#own.size && [...segments].every((one) => this.#own.has(one));
    if (isSame) return;
    this.#own = new Set(segments);
    this.#serve();
    this.#gate.own(this.#own, handedOver);
  }

  /** Something happened in the cluster that `ownerOf` may know of. */
  turned(): void {
    this.#gate.turned();
  }

  /** What is served is served until then. */
  lease(until: Instant): void {
    this.#until = until;
    this.#tellLinks(this.#served);
  }

  /** Says again where the addresses are that this node serves: a split has healed. */
  announce(): void {
    for (const link of this.#links) link.handle({ kind: 'announce' });
  }

  /** Inner addresses whose SAs are in a segment that their hash does not give are others now: `list` says all of them. */
  pinned(list: () => readonly PinnedRange[]): void {
    this.#gate.pinned(list);
  }

  /** SAs that are sampled otherwise than most: all of them. */
  sampled(samplings: readonly OwnSampling[]): void {
    this.#gate.sampled(samplings);
  }

  /** The nodes that are there, this one or not among them. */
  meet(nodes: readonly NodeId[]): void {
    const { self } = this.#parts.config;
    this.#members = new Set(nodes.filter((node) => node !== self));
    this.#flooding.members(this.#members);
  }

  /** The other nodes that are there. */
  get members(): ReadonlySet<NodeId> {
    return this.#members;
  }

  /** Tests anew whether frames reach all members; settles when that is known. */
  test(): Promise<void> {
    return this.#flooding.test();
  }

  /** Of another node; false for what is not about addresses. */
  told(from: NodeId, message: BusMessage): boolean {
    return this.#flooding.told(from, message);
  }

  list(): readonly SharedAddressStatus[] {
    const { mode, self } = this.#parts.config;
    return this.#planned.map((one) => {
      const { masterSegment } = one;
      const isOurs = this.#own.has(masterSegment);
      const master = isOurs ? self : this.#parts.ownerOf(masterSegment);
      return addressStatus(mode, one, { served: this.#isServed(one), master });
    });
  }

  /** What tests showed, by device; none where no frames go to all nodes. */
  get flooding(): ReadonlyMap<string, FloodingResult> {
    return this.#flooding.results;
  }

  /** Packets by what the filter did with them; none without one. */
  counters(): Promise<ReadonlyMap<string, FilterCount>> {
    return this.#gate.counters();
  }

  /** What is wrong now. */
  get troubles(): readonly Trouble[] {
    const { complaint } = this.#gate;
    const filter: readonly Trouble[] =
      complaint === '' ? [] : [{ part: 'filter', what: complaint }];
    const deaf = [...this.flooding].flatMap(([device, { hearsNobody }]): readonly Trouble[] => {
      const what = `nothing that others send to all nodes comes in on ${device}`;
      return hearsNobody ? [{ part: 'flooding', what }] : [];
    });
    const down = this.#down().map((device): Trouble => {
      return { part: 'address', what: `device ${device} is down` };
    });
    return [...filter, ...deaf, ...down];
  }

  /** The kernel has the filter of the last `own`, or refused it. */
  settled(): Promise<void> {
    return this.#gate.settled();
  }

  /** Gives everything up. Addresses that stay are heard by nobody here until a process takes them on again. */
  async close({ keepAddresses }: { readonly keepAddresses: boolean }): Promise<void> {
    this.#flooding.close();
    this.#watch?.close();
    this.#own = new Set();
    const links = this.#links;
    this.#links = [];
    for (const link of links) link.close({ keepSettings: keepAddresses });
    if (!keepAddresses) this.#local.close();
    await this.#gate.close({ keeps: keepAddresses });
  }

  async #begin(): Promise<void> {
    const { config, rtnetlink } = this.#parts;
    if (this.#planned.length === 0) return;
    // First, so that nothing comes in that is not for this node.
    await this.#gate.begin();
    if (config.mode !== 'forward') {
      this.#links = this.#devices().map((device) => this.#openLink(device));
    }
    this.#watch = new LinkWatch({
      rtnetlink,
      devices: this.#devices(),
      changed: (state) => this.#linkChanged(state),
    });
    this.#judgeLegs();
    this.#local.have(this.#planned.map(({ address }) => address));
  }

  #openLink(device: string): SharedLinkEnd {
    const { config, rtnetlink, random, now } = this.#parts;
    return new SharedLinkEnd({
      device,
      node: config.self,
      mode: config.mode,
      planned: this.#onDevice(device),
      rtnetlink,
      random,
      now,
      told: (word) => this.#linkSays(device, word),
    });
  }

  /** What is given up is given up everywhere before anything else is announced. */
  #serve(): void {
    const { mode } = this.#parts.config;
    const before = this.#served;
    const wanted = this.#flooding.refuses ? [] : servedAddresses(mode, this.#planned, this.#own);
    this.#served = wanted;
    const kept = before.filter((one) => wanted.includes(one));
    if (kept.length < before.length) this.#tellLinks(kept);
    this.#tellLinks(wanted);
  }

  #tellLinks(served: readonly PlannedAddress[]): void {
    for (const link of this.#links) {
      const addresses = served.filter((one) => link.planned.includes(one));
      this.#attempt(`device ${link.device}`, () =>
        link.serve(
          addresses.map(({ address }) => address),
          this.#until,
        ),
      );
    }
  }

  #isServed(one: PlannedAddress): boolean {
    const { mode } = this.#parts.config;
    if (mode === 'forward') return true;
    return this.#served.includes(one) && this.#parts.now() <= this.#until;
  }

  /** Also where the node is not master any more and speaks for none of them. */
  #admit(planned: readonly PlannedAddress[]): void {
    const before = this.#admitted;
    this.#admitted = planned;
    const change = (these: readonly PlannedAddress[], on: boolean) => {
      for (const one of these) {
        const link = this.#links.find(({ device }) => device === one.device);
        this.#attempt(`device ${one.device}`, () => link?.listen(one, on));
      }
    };
    change(
      planned.filter((one) => !before.includes(one)),
      true,
    );
    change(
      before.filter((one) => !planned.includes(one)),
      false,
    );
  }

  #linkSays(device: string, word: LinkWord): void {
    if (word.kind !== 'conflict') {
      this.#flooding.linkSays(device, word);
      return;
    }
    const hardware = formatHardwareAddress(word.hardwareAddress);
    const what = `${hardware} says that it has ${formatAddress(word.address)}, which is shared`;
    this.#parts.say('error', `device ${device}: ${what}`);
  }

  /** A device that was down was asked for in vain meanwhile; one that was replaced knows nothing of us. */
  #linkChanged({ device, index, up }: LinkState): void {
    const link = this.#links.find((one) => one.device === device);
    this.#parts.say('notice', `device ${device} is ${up ? 'up' : 'down'}`);
    if (link !== undefined && index !== undefined && index !== link.interfaceIndex) {
      const admitted = this.#admitted.filter((one) => one.device === device);
      this.#attempt(`device ${device}`, () => {
        link.reopen();
        for (const one of admitted) link.listen(one, true);
      });
      this.#gate.renew();
    }
    if (up) {
      this.#tellLinks(this.#served);
      link?.handle({ kind: 'announce' });
      void this.#flooding.test();
    }
    this.#judgeLegs();
  }

  #judgeLegs(): void {
    const down = this.#down();
    const isWell = (side: 'wan' | 'lan') =>
      this.#planned
        .filter((one) => one.side === side)
        .every(({ device }) => !down.includes(device) && !this.#flooding.isDeafOn(device));
    const legs = { wan: isWell('wan'), lan: isWell('lan') };
    if (legs.wan === this.#legs.wan && legs.lan === this.#legs.lan) return;
    this.#legs = legs;
    this.#parts.legs?.(legs);
  }

  #down(): readonly string[] {
    return (this.#watch?.states ?? []).filter(({ up }) => !up).map(({ device }) => device);
  }

  #devices(): readonly string[] {
    return [...new Set(this.#planned.map(({ device }) => device))];
  }

  #onDevice(device: string): readonly PlannedAddress[] {
    return this.#planned.filter((one) => one.device === device);
  }

  /** An interface may go away between two words. */
  #attempt(what: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#parts.say('error', `${what}: ${reason}`);
    }
  }
}
