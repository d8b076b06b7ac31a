/**
 * Every IKE SA of this engine: found by SPI, by first message, by peer; half-open ones counted.
 */
import type { RandomBytes } from '../crypto/random.ts';
import type { Identity } from '../ipsec/identity.ts';
import { equalIdentities } from '../ipsec/identity.ts';
import { type Endpoint, equalEndpoints, formatAddress, formatEndpoint } from '../wire/address.ts';
import type { IkeSa } from './ike-sa.ts';
import { type IkeSpi, ikeSpi, NO_IKE_SPI } from './message/message.ts';
import type { Turn } from './turn.ts';

/** What the first request of an IKE SA is known by. */
export interface Initiation {
  readonly spiI: IkeSpi;
  readonly remote: Endpoint;
}

export class SaRegistry {
  readonly #random: RandomBytes;
  readonly #byOwnSpi = new Map<IkeSpi, IkeSa>();
  /** Our SPIs of IKE SAs that go on elsewhere, and what first requests of them are known by. */
  readonly #reserved = new Map<IkeSpi, string | undefined>();
  readonly #reservedInitiations = new Set<string>();
  /** Responder's IKE SAs by the initiator's SPI and address: repeated IKE_SA_INIT requests. */
  readonly #byInitiation = new Map<string, IkeSa>();
  readonly #halfOpenByAddress = new Map<string, Set<IkeSa>>();
  readonly #halfOpen = new Set<IkeSa>();
  /** Those whose peer is known, by its identity. */
  readonly #byPeer = new PeerIndex();

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  get size(): number {
    return this.#byOwnSpi.size;
  }

  get halfOpen(): number {
    return this.#halfOpen.size;
  }

  all(): IterableIterator<IkeSa> {
    return this.#byOwnSpi.values();
  }

  find(fits: (sa: IkeSa) => boolean): IkeSa | undefined {
    for (const sa of this.all()) if (fits(sa)) return sa;
    return undefined;
  }

  bySpi(ownSpi: IkeSpi): IkeSa | undefined {
    return this.#byOwnSpi.get(ownSpi);
  }

  /** IKE SAs of a connection that are not closed. */
  ofConnection(name: string): readonly IkeSa[] {
    return this.#filter((sa) => sa.connection.name === name && sa.state.name !== 'Closed');
  }

  byInitiation(spiI: IkeSpi, remote: Endpoint): IkeSa | undefined {
    return this.#byInitiation.get(initiationKey(spiI, remote));
  }

  halfOpenFrom(remote: Endpoint): number {
    return this.#halfOpenByAddress.get(formatAddress(remote.address))?.size ?? 0;
  }

  /** Established IKE SAs between the same two identities. */
  between(localId: Identity, remoteId: Identity): readonly IkeSa[] {
    return this.#byPeer
      .of(remoteId)
      .filter(
        ({ state }) =>
          state.name === 'Established' &&
          equalIdentities(state.peer.remoteId, remoteId) &&
          equalIdentities(state.peer.localId, localId),
      );
  }

  /** IKE SAs with this one's peer where it is now, this one included, that are not closed. */
  alongside(sa: IkeSa): readonly IkeSa[] {
    if (!('peer' in sa.state)) return [sa];
    return this.#byPeer
      .of(sa.state.peer.remoteId)
      .filter((one) => 'peer' in one.state && equalEndpoints(one.remote, sa.remote));
  }

  /** Is another IKE SA between the same two identities, or about to be on our initiative? */
  hasOther(sa: IkeSa, localId: Identity, remoteId: Identity): boolean {
    if (this.between(localId, remoteId).some((one) => one !== sa)) return true;
    const coming = this.#filter(({ state, connection }) => {
      if (state.name !== 'AwaitingIkeAuthResponse') return false;
      const wanted = connection.remote.id?.identity;
      return wanted && equalIdentities(wanted, remoteId) && equalIdentities(state.localId, localId);
    });
    return coming.some((one) => one !== sa);
  }

  add(turn: Turn, sa: IkeSa): void {
    turn.touched.add(sa.ownSpi);
    this.#byOwnSpi.set(sa.ownSpi, sa);
    this.#byPeer.note(sa);
  }

  /** An IKE SA of a peer that has proved nothing yet. */
  addHalfOpen(turn: Turn, sa: IkeSa): void {
    this.add(turn, sa);
    this.#byInitiation.set(initiationKey(sa.spiI, sa.initiation.remote), sa);
    const address = formatAddress(sa.initiation.remote.address);
    const siblings = this.#halfOpenByAddress.get(address) ?? new Set();
    this.#halfOpenByAddress.set(address, siblings.add(sa));
    this.#halfOpen.add(sa);
  }

  /** An SA whose peer proved itself is found by it, and counts as half-open no more. */
  settle(sa: IkeSa): void {
    this.#byPeer.note(sa);
    if (!this.#halfOpen.delete(sa)) return;
    const address = formatAddress(sa.initiation.remote.address);
    const siblings = this.#halfOpenByAddress.get(address);
    siblings?.delete(sa);
    if (siblings?.size === 0) this.#halfOpenByAddress.delete(address);
  }

  /** One that goes on here, as far as it had come elsewhere. */
  adopt(turn: Turn, sa: IkeSa): void {
    if (sa.state.name === 'AwaitingIkeAuthRequest') {
      this.addHalfOpen(turn, sa);
      return;
    }
    this.add(turn, sa);
    if (sa.requestDigest === undefined) return;
    this.#byInitiation.set(initiationKey(sa.spiI, sa.initiation.remote), sa);
  }

  /** It is gone, and its keys. */
  remove(sa: IkeSa): void {
    this.release(sa);
    sa.forget();
  }

  /** It goes on elsewhere. */
  release(sa: IkeSa): void {
    this.#byOwnSpi.delete(sa.ownSpi);
    const initiation = initiationKey(sa.spiI, sa.initiation.remote);
    if (this.#byInitiation.get(initiation) === sa) this.#byInitiation.delete(initiation);
    this.settle(sa);
    this.#byPeer.forget(sa);
    sa.lineage.delete(sa);
  }

  /** An SPI of ours that an IKE SA has elsewhere. */
  reserve(spi: IkeSpi, initiation: Initiation | undefined): void {
    const key = initiation && initiationKey(initiation.spiI, initiation.remote);
    this.#reserved.set(spi, key);
    if (key !== undefined) this.#reservedInitiations.add(key);
  }

  isReserved(spi: IkeSpi): boolean {
    return this.#reserved.has(spi);
  }

  /** Is it the first request of an IKE SA that goes on elsewhere? */
  isReservedInitiation({ spiI, remote }: Initiation): boolean {
    return this.#reservedInitiations.has(initiationKey(spiI, remote));
  }

  unreserve(spi: IkeSpi): void {
    const key = this.#reserved.get(spi);
    this.#reserved.delete(spi);
    if (key !== undefined) this.#reservedInitiations.delete(key);
  }

  #filter(fits: (sa: IkeSa) => boolean | undefined): readonly IkeSa[] {
    const found: IkeSa[] = [];
    for (const sa of this.all()) if (fits(sa)) found.push(sa);
    return found;
  }

  /** One nobody has; by chance where `choose` knows none. */
  newIkeSpi(choose?: (isFree: (candidate: IkeSpi) => boolean) => IkeSpi | undefined): IkeSpi {
    const isFree = (candidate: IkeSpi): boolean =>
      !this.#byOwnSpi.has(candidate) && !this.#reserved.has(candidate);
    const chosen = choose?.(isFree);
    if (chosen !== undefined) return chosen;
    for (;;) {
      const candidate = ikeSpi(this.#random(8));
      if (candidate !== NO_IKE_SPI && isFree(candidate)) return candidate;
    }
  }
}

/** IKE SAs by the identity of their peer, which does not change once it is proven. */
class PeerIndex {
  readonly #keys = new Map<IkeSa, string>();
  readonly #sas = new Map<string, readonly IkeSa[]>();

  of(remoteId: Identity): readonly IkeSa[] {
    return this.#sas.get(peerKey(remoteId)) ?? [];
  }

  /** Nothing new where it is noted already, or its peer is not known yet. */
  note(sa: IkeSa): void {
    if (!('peer' in sa.state) || this.#keys.has(sa)) return;
    const key = peerKey(sa.state.peer.remoteId);
    this.#keys.set(sa, key);
    // A literal of both would have room for more, in each of thousands.
    this.#sas.set(key, (this.#sas.get(key) ?? []).concat(sa));
  }

  forget(sa: IkeSa): void {
    const key = this.#keys.get(sa);
    if (key === undefined) return;
    this.#keys.delete(sa);
    const rest = (this.#sas.get(key) ?? []).filter((one) => one !== sa);
    if (rest.length > 0) this.#sas.set(key, rest);
    else this.#sas.delete(key);
  }
}

/** Equal for equal identities, of which names are the same in any case. */
function peerKey({ type, data }: Identity): string {
  return joined(String(type), String.fromCharCode(...data).toLowerCase());
}

function initiationKey(spiI: IkeSpi, remote: Endpoint): string {
  return joined(spiI, formatEndpoint(remote));
}

/** One string; a template would keep its pieces, for each of thousands of SAs. */
function joined(...parts: readonly string[]): string {
  return parts.join(' ');
}
