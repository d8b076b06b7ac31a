/**
 * A Child SA as the packet loop takes it: bare keys, numbers and addresses that can be cloned.
 */
import type { SecretBytes } from '../crypto/secret-bytes.ts';
import type { InstalledChildSa } from '../io/packet-loop-protocol.ts';
import type { AddressPair, ChildSa } from '../ipsec/child-sa.ts';
import type { TrafficSelector } from '../ipsec/traffic-selector.ts';
import type { Endpoint, IpAddress } from '../wire/address.ts';
import type { ChildRows } from './counter-rows.ts';

export function installedChildSa(childSa: ChildSa, rows: ChildRows): InstalledChildSa {
  const { encr, integ, keysIn, keysOut } = childSa;
  const octets = new SharedOctets();
  return {
    id: childSa.id,
    spiIn: childSa.spiIn,
    spiOut: childSa.spiOut,
    encr: { id: encr.id, ...(encr.keyLength !== undefined && { keyLength: encr.keyLength }) },
    ...(integ && { integ: { id: integ.id } }),
    mode: childSa.mode,
    ...(childSa.peerAddresses && { peerAddresses: octets.pair(childSa.peerAddresses) }),
    esn: childSa.esn,
    encryptionKeyIn: octets.secret(keysIn.encryption),
    integrityKeyIn: octets.secret(keysIn.integrity),
    encryptionKeyOut: octets.secret(keysOut.encryption),
    integrityKeyOut: octets.secret(keysOut.integrity),
    local: octets.endpoint(childSa.local),
    remote: octets.endpoint(childSa.remote),
    udpEncapsulation: childSa.udpEncapsulation,
    localTs: childSa.localTs.map((selector) => octets.selector(selector)),
    remoteTs: childSa.remoteTs.map((selector) => octets.selector(selector)),
    replayWindow: childSa.replayWindow,
    copyDf: childSa.copyDf,
    copyEcn: childSa.copyEcn,
    copyDscp: childSa.copyDscp,
    // In transport mode the packet is between the two ends, and so is every error about it.
    icmpErrors: childSa.icmpErrors && childSa.mode === 'tunnel',
    priority: childSa.priority,
    nonFirstFragments: childSa.nonFirstFragments,
    tfcPadding: childSa.tfcPadding,
    dummyPackets: childSa.dummyPackets,
    limits: childSa.limits,
    outbound: childSa.outbound,
    ...rows,
  };
}

/** Overwrites its copies of the keys, once they are on their way. */
export function wipeKeys(installed: InstalledChildSa): void {
  installed.encryptionKeyIn.fill(0);
  installed.integrityKeyIn.fill(0);
  installed.encryptionKeyOut.fill(0);
  installed.integrityKeyOut.fill(0);
}

/**
 * Copies of octets in few pieces of memory: cloning, and the memory that stays, cost by the piece,
 * not by the octet. The originals stay as they are.
 */
class SharedOctets {
  #room = new Uint8Array(PIECE_OCTETS);
  #used = 0;

  secret(secret: SecretBytes): Uint8Array {
    const room = this.#take(secret.length);
    secret.copyInto(room, 0);
    return room;
  }

  address({ family, octets }: IpAddress): IpAddress {
    const room = this.#take(octets.length);
    room.set(octets);
    return { family, octets: room };
  }

  pair({ local, remote }: AddressPair): AddressPair {
    return { local: this.address(local), remote: this.address(remote) };
  }

  endpoint({ address, port }: Endpoint): Endpoint {
    return { address: this.address(address), port };
  }

  selector({ range, ...rest }: TrafficSelector): TrafficSelector {
    const first = this.address(range.first);
    return { range: { first, last: this.address(range.last) }, ...rest };
  }

  #take(length: number): Uint8Array {
    if (this.#used + length > this.#room.length) {
      this.#room = new Uint8Array(Math.max(PIECE_OCTETS, length));
      this.#used = 0;
    }
    this.#used += length;
    return this.#room.subarray(this.#used - length, this.#used);
  }
}

/** Keys and addresses of most Child SAs. */
const PIECE_OCTETS = 128;
