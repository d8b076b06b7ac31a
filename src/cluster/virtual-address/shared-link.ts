/**
 * The shared addresses of one link as this node serves them: which requests it answers, what it announces, and
 * whether all members hear what is sent to them.
 *
 * `active-active`: all nodes serve all addresses and give the same answers, with a hardware address that is a
 * group's. `active-passive`: each address has one master at a time and a virtual hardware address; a node speaks only for
 * those it is told to serve. `forward`: the network brings the packets, and nothing is said.
 *
 * A node serves until an instant that its coordinator moves on while it may; behind it the link is silent, whatever was
 * queued meanwhile: a process that was stopped wakes with old intentions.
 */
import type { RandomBytes } from '../../crypto/random.ts';
import { equalAddresses, formatAddress, type IpAddress } from '../../wire/address.ts';
import { after, earliest, type Instant } from '../../wire/instant.ts';
import { equalOctets, MalformedError } from '../../wire/octets.ts';
import { decodeArp } from './arp.ts';
import {
  decodeFrame,
  type EthernetFrame,
  EtherType,
  encodeFrame,
  groupHardwareAddress,
  type HardwareAddress,
  isGroup,
  solicitedNodeGroup,
} from './ethernet.ts';
import { decodeProbe, encodeProbe } from './flooding-probe.ts';
import { type FloodingAction, FloodingTest } from './flooding-test.ts';
import { generalQueries, type OwnLinkAddresses, routerPresence } from './multicast-router.ts';
import { decodeNeighbourMessage } from './neighbour-discovery.ts';
import { announce, answerArp, answerSolicitation, type SharedAddress } from './shared-address.ts';

export type LinkMode = 'active-active' | 'active-passive' | 'forward';

export interface LinkSettings {
  readonly mode: LinkMode;
  /** This node's number. */
  readonly node: number;
  /** Of the device. */
  readonly hardwareAddress: HardwareAddress;
  readonly own: OwnLinkAddresses;
  readonly shared: readonly SharedAddress[];
}

export type LinkInput =
  /** The first one: the device is there. */
  | { readonly kind: 'start' }
  /** What the device received: ARP, IPv4 and IPv6, others are passed over. */
  | { readonly kind: 'frame'; readonly octets: Uint8Array }
  /** From now until then this node serves these addresses and no others. */
  | { readonly kind: 'serve'; readonly addresses: readonly IpAddress[]; readonly until: Instant }
  /** Say again where the served addresses are: a split has healed, a switch was replaced. */
  | { readonly kind: 'announce' }
  /** Find out whether the other members hear us (`active-active`). */
  | { readonly kind: 'test-flooding'; readonly members: readonly number[] }
  /** From the bus: another node asks us to listen, or says what it heard. */
  | { readonly kind: 'probe-asked'; readonly node: number; readonly nonce: Uint8Array }
  | {
      readonly kind: 'probe-reported';
      readonly node: number;
      readonly nonce: Uint8Array;
      readonly heard: boolean;
    }
  | { readonly kind: 'timer' };

export type LinkAction =
  | { readonly kind: 'send'; readonly frame: Uint8Array }
  /** The device is to take, or no longer to take, frames to this hardware address. */
  | { readonly kind: 'listen'; readonly hardwareAddress: HardwareAddress; readonly on: boolean }
  | Extract<FloodingAction, { kind: 'ask-probe' | 'report-probe' | 'flooding-tested' }>
  /** Somebody else says the address is at another hardware address. */
  | {
      readonly kind: 'conflict';
      readonly address: IpAddress;
      readonly hardwareAddress: HardwareAddress;
    };

/** What came of frames. */
export interface LinkCounts {
  answered: number;
  announced: number;
  malformed: number;
}

/** RFC 5227 §3 has an announcement repeated; switches forget what says nothing for 300 s. */
export const ANNOUNCE_AGAIN_MILLISECONDS = 1_000;
export const REFRESH_MILLISECONDS = 60_000;
export const CONFLICT_MILLISECONDS = 10_000;

/** One address while it is served. */
interface Service {
  readonly shared: SharedAddress;
  /** When it is announced next, and whether that is to be soon after the first time. */
  next: Instant | undefined;
  announcedOnce: boolean;
  /** No conflict is reported before. */
  conflictFrom: Instant;
}

export class SharedLink {
  readonly counts: LinkCounts = { answered: 0, announced: 0, malformed: 0 };
  readonly #settings: LinkSettings;
  readonly #flooding: FloodingTest;
  readonly #served = new Map<string, Service>();
  #until: Instant | undefined;

  constructor(settings: LinkSettings, random: RandomBytes) {
    this.#settings = settings;
    const { mode, own, shared, node } = settings;
    const source = { 4: own.ipv4, 6: own.linkLocal };
    const tested = ([4, 6] as const).flatMap((family) => {
      const one = shared.find(({ address }) => address.family === family);
      return mode === 'active-active' && one && source[family] ? [one.address] : [];
    });
    this.#flooding = new FloodingTest(node, tested, random);
  }

  handle(input: LinkInput, now: Instant): readonly LinkAction[] {
    if (this.#settings.mode === 'forward') return this.#silent(input);
    const actions = this.#take(input, now);
    return [...actions, ...this.#due(now)];
  }

  nextDeadline(): Instant | undefined {
    const announcements = [...this.#served.values()].map(({ next }) => next);
    return earliest(this.#flooding.nextDeadline(), ...announcements);
  }

  #take(input: LinkInput, now: Instant): readonly LinkAction[] {
    switch (input.kind) {
      case 'start':
        return this.#alwaysHeard().flatMap((shared) => listening(shared, true));
      case 'frame':
        return this.#frame(input.octets, now);
      case 'serve':
        return this.#serve(input.addresses, input.until, now);
      case 'announce':
        for (const service of this.#served.values()) announceAnew(service, now);
        return [];
      case 'test-flooding':
        return this.#carryOut(this.#flooding.begin(input.members, now));
      case 'probe-asked':
        return this.#carryOut(this.#flooding.asked(input.node, input.nonce, now));
      case 'probe-reported':
        return this.#carryOut(this.#flooding.reported(input.node, input.nonce, input.heard, now));
      case 'timer':
        return [];
    }
  }

  /** Where all nodes hear all frames they do so before they serve: the switch is tested first. */
  #alwaysHeard(): readonly SharedAddress[] {
    return this.#settings.mode === 'active-active' ? this.#settings.shared : [];
  }

  /** There is no hardware address that could fail to be flooded. */
  #silent(input: LinkInput): readonly LinkAction[] {
    return input.kind === 'test-flooding' ? [{ kind: 'flooding-tested', deaf: [], rounds: 0 }] : [];
  }

  #serve(addresses: readonly IpAddress[], until: Instant, now: Instant): readonly LinkAction[] {
    // What was not served for a while may have been another's: all are told anew.
    const lapsed = !this.#mayServe(now);
    this.#until = until;
    const actions: LinkAction[] = [];
    for (const shared of this.#settings.shared) {
      const text = formatAddress(shared.address);
      const wanted = addresses.some((one) => equalAddresses(one, shared.address));
      const service = this.#served.get(text);
      if (wanted && service === undefined) {
        this.#served.set(text, { shared, next: now, announcedOnce: false, conflictFrom: now });
        actions.push(...this.#listenWhileServed(shared, true));
      } else if (wanted && service !== undefined && lapsed) {
        announceAnew(service, now);
      } else if (!wanted && service !== undefined) {
        this.#served.delete(text);
        actions.push(...this.#listenWhileServed(shared, false));
      }
    }
    return actions;
  }

  #listenWhileServed(shared: SharedAddress, on: boolean): readonly LinkAction[] {
    return this.#alwaysHeard().includes(shared) ? [] : listening(shared, on);
  }

  #mayServe(now: Instant): boolean {
    return this.#until !== undefined && now <= this.#until;
  }

  #due(now: Instant): readonly LinkAction[] {
    const actions: LinkAction[] = [];
    for (const service of this.#served.values()) {
      if (service.next === undefined || service.next > now) continue;
      if (!this.#mayServe(now)) {
        service.next = undefined;
        continue;
      }
      const frames = announce(service.shared, this.#settings.hardwareAddress);
      actions.push(...frames.map((frame) => ({ kind: 'send', frame }) as const));
      this.counts.announced++;
      service.next = this.#announceNext(service, now);
    }
    return [...actions, ...this.#carryOut(this.#flooding.due(now))];
  }

  /** Once more after a second; then, where switches learned a hardware address of ours, now and then. */
  #announceNext(service: Service, now: Instant): Instant | undefined {
    if (!service.announcedOnce) {
      service.announcedOnce = true;
      return after(now, ANNOUNCE_AGAIN_MILLISECONDS);
    }
    return isGroup(service.shared.hardwareAddress) ? undefined : after(now, REFRESH_MILLISECONDS);
  }

  #frame(octets: Uint8Array, now: Instant): readonly LinkAction[] {
    try {
      const frame = decodeFrame(octets);
      if (equalOctets(frame.source, this.#settings.hardwareAddress)) return [];
      const probed = this.#carryOut(this.#probeOf(frame));
      if (!this.#mayServe(now)) return probed;
      if (frame.type === EtherType.ARP) return this.#arp(frame, now);
      return [...probed, ...this.#neighbour(frame, now)];
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.counts.malformed++;
      return [];
    }
  }

  #arp({ payload }: EthernetFrame, now: Instant): readonly LinkAction[] {
    const packet = decodeArp(payload);
    const service = this.#served.get(formatAddress(packet.sender));
    if (service !== undefined) return this.#claimed(service, packet.senderHardware, now);
    const asked = this.#served.get(formatAddress(packet.target));
    const frame = asked && answerArp(asked.shared, packet, this.#settings.hardwareAddress);
    return this.#answer(frame);
  }

  #neighbour({ type, source, payload }: EthernetFrame, now: Instant): readonly LinkAction[] {
    if (type !== EtherType.IPV6) return [];
    const message = decodeNeighbourMessage(payload);
    const service = message && this.#served.get(formatAddress(message.target));
    if (message === undefined || service === undefined) return [];
    if (message.kind === 'advertisement') {
      return this.#claimed(service, message.hardwareAddress ?? source, now);
    }
    const real = this.#settings.hardwareAddress;
    return this.#answer(answerSolicitation(service.shared, message, source, real));
  }

  #answer(frame: Uint8Array | undefined): readonly LinkAction[] {
    if (frame === undefined) return [];
    this.counts.answered++;
    return [{ kind: 'send', frame }];
  }

  /** Other nodes say the same as we; anything else is said at most every ten seconds. */
  #claimed(
    service: Service,
    hardwareAddress: HardwareAddress,
    now: Instant,
  ): readonly LinkAction[] {
    const { address, hardwareAddress: ours } = service.shared;
    if (equalOctets(hardwareAddress, ours) || now < service.conflictFrom) return [];
    service.conflictFrom = after(now, CONFLICT_MILLISECONDS);
    return [{ kind: 'conflict', address, hardwareAddress }];
  }

  #probeOf({ type, payload }: EthernetFrame): readonly FloodingAction[] {
    if (type !== EtherType.IPV4 && type !== EtherType.IPV6) return [];
    const probe = decodeProbe(payload);
    return probe === undefined ? [] : this.#flooding.heard(probe);
  }

  #carryOut(actions: readonly FloodingAction[]): readonly LinkAction[] {
    return actions.flatMap((action): readonly LinkAction[] => {
      if (action.kind === 'send-probe') return this.#sendProbe(action);
      if (action.kind === 'appear-as-router') return this.#appearAsRouter(action.withQueries);
      return [action];
    });
  }

  #sendProbe({ probe }: Extract<FloodingAction, { kind: 'send-probe' }>): readonly LinkAction[] {
    const { own, shared, hardwareAddress: source } = this.#settings;
    const from = probe.to.family === 4 ? own.ipv4 : own.linkLocal;
    const to = shared.find(({ address }) => equalAddresses(address, probe.to));
    if (from === undefined || to === undefined) return [];
    const type = from.family === 4 ? EtherType.IPV4 : EtherType.IPV6;
    const destination = to.hardwareAddress;
    const payload = encodeProbe(probe, from);
    return [{ kind: 'send', frame: encodeFrame({ destination, source, type, payload }) }];
  }

  #appearAsRouter(withQueries: boolean): readonly LinkAction[] {
    const { own, hardwareAddress: source } = this.#settings;
    const packets = [...routerPresence(own), ...(withQueries ? generalQueries(own) : [])];
    return packets.map(({ group, packet: payload }) => {
      const type = group.family === 4 ? EtherType.IPV4 : EtherType.IPV6;
      const destination = groupHardwareAddress(group);
      return { kind: 'send', frame: encodeFrame({ destination, source, type, payload }) };
    });
  }
}

function announceAnew(service: Service, now: Instant): void {
  service.next = now;
  service.announcedOnce = false;
}

/** The shared hardware address, and where an IPv6 address is asked for. */
function listening(
  { address, hardwareAddress }: SharedAddress,
  on: boolean,
): readonly LinkAction[] {
  const asked = address.family === 6 ? [groupHardwareAddress(solicitedNodeGroup(address))] : [];
  return [hardwareAddress, ...asked].map((one) => ({ kind: 'listen', hardwareAddress: one, on }));
}
