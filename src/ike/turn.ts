/**
 * One turn of the engine: an input is handled at one instant and leaves actions behind.
 *
 * The environment is everything the engine may ask of the outside: randomness, the PAD, and when
 * traffic last passed. It holds no clock.
 */
import type { RandomBytes } from '../crypto/random.ts';
import type { Event } from '../events/event.ts';
import type { LeasePools } from '../ipsec/address-pools.ts';
import type { IvPartition } from '../ipsec/iv-partition.ts';
import type { Pad } from '../ipsec/pad.ts';
import type { Spi } from '../ipsec/spi.ts';
import type { IpAddress } from '../wire/address.ts';
import type { Instant } from '../wire/instant.ts';
import type { Action, Outcome } from './action.ts';
import type { KeyingWatch } from './keying-watch.ts';
import type { IkeSpi } from './message/message.ts';
import { RedirectHistory } from './redirect-history.ts';
import type { SaNumbers } from './sa-numbers.ts';
import type { IkeSettings } from './settings.ts';
import type { ChildSequences } from './snapshot.ts';
import type { SpiSource } from './spi-source.ts';

/** When the packet loop last saw a packet of a Child SA. */
export interface TrafficClock {
  lastInbound(childSaId: number): Instant | undefined;
  lastOutbound(childSaId: number): Instant | undefined;
}

export interface IkeEnvironment {
  readonly random: RandomBytes;
  readonly pad: Pad;
  /** Virtual addresses for clients. */
  readonly pools: LeasePools;
  readonly settings: IkeSettings;
  readonly traffic: TrafficClock;
  /** The address of ours that a packet to the destination would carry; unset = nobody knows. */
  readonly sourceFor?: (destination: IpAddress) => IpAddress | undefined;
  /** Hand out keys of IKE SAs for decryption by Wireshark. Never on unless asked for. */
  readonly keyLog: boolean;
  /** IVs of a part of their own for keys that other nodes may get; unset = nobody gets them. */
  readonly ivs?: IvPartition;
  /**
   * Other nodes follow every change of an IKE SA (`IkeEndpoint.takeChanges`), and what is sent says
   * which IKE SA it depends on. Unset = there are none.
   */
  readonly replicated?: boolean;
  /** Who chooses SPIs of ours; unset = chance. */
  readonly spis?: SpiSource;
  /** Told of what keys are made of; unset = nobody is. */
  readonly keyingWatch?: KeyingWatch;
  /** The epoch in which this node has the IKE SA with this SPI of ours. */
  readonly epochOf?: (spi: IkeSpi) => number;
  /** How far the packet loop has counted a Child SA, for its snapshot. */
  readonly sequences?: (childSaId: number) => ChildSequences | undefined;
  /** The same of a PASSIVE one by its inbound SPI, where other nodes said more since its snapshot (`then`). */
  readonly heardSequences?: (
    spiIn: Spi,
    then: ChildSequences | undefined,
  ) => ChildSequences | undefined;
}

export class Turn {
  readonly now: Instant;
  readonly environment: IkeEnvironment;
  readonly numbers: SaNumbers;
  readonly actions: Action[] = [];
  /** IKE SAs that changed, and with them their deadlines, by their own SPI. */
  readonly touched = new Set<IkeSpi>();
  /** Those whose deadlines alone may have changed. */
  readonly reviewed = new Set<IkeSpi>();
  /** Addresses of the machine that peers may reach us by. */
  ownAddresses: readonly IpAddress[] = [];
  redirects = new RedirectHistory();

  constructor(environment: IkeEnvironment, numbers: SaNumbers, now: Instant) {
    this.environment = environment;
    this.numbers = numbers;
    this.now = now;
  }

  push(action: Action): void {
    this.actions.push(action);
  }

  emit(event: Event): void {
    this.actions.push({ kind: 'emit', event });
  }

  /** Ends operators' requests with one outcome. */
  complete(requests: Set<number>, outcome: Outcome): void {
    for (const request of requests) this.push({ kind: 'complete', request, outcome });
    requests.clear();
  }
}
