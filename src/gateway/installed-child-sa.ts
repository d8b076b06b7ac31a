/**
 * A Child SA as the packet loop takes it: bare keys, numbers and addresses that can be cloned.
 */
import type { InstalledChildSa } from '../io/packet-loop-protocol.ts';
import type { ChildSa } from '../ipsec/child-sa.ts';
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
    esn: childSa.esn,
    encryptionKeyIn: octets.copy(keysIn.encryption.reveal()),
    integrityKeyIn: octets.copy(keysIn.integrity.reveal()),
    encryptionKeyOut: octets.copy(keysOut.encryption.reveal()),
    integrityKeyOut: octets.copy(keysOut.integrity.reveal()),
    local: octets.endpoint(childSa.local),
    remote: octets.endpoint(childSa.remote),
    udpEncapsulation: childSa.udpEncapsulation,
    localTs: childSa.localTs.map((selector) => octets.selector(selector)),
    remoteTs: childSa.remoteTs.map((selector) => octets.selector(selector)),
    replayWindow: childSa.replayWindow,
    copyDf: childSa.copyDf,
    copyEcn: childSa.copyEcn,
    copyDscp: childSa.copyDscp,
    priority: childSa.priority,
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

  copy(octets: Uint8Array): Uint8Array {
    if (this.#used + octets.length > this.#room.length) {
      this.#room = new Uint8Array(Math.max(PIECE_OCTETS, octets.length));
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += octets.length;
    this.#room.set(octets, start);
    return this.#room.subarray(start, this.#used);
  }

  address({ family, octets }: IpAddress): IpAddress {
    return { family, octets: this.copy(octets) };
  }

  endpoint({ address, port }: Endpoint): Endpoint {
    return { address: this.address(address), port };
  }

  selector({ range, ...rest }: TrafficSelector): TrafficSelector {
    const first = this.address(range.first);
    return { range: { first, last: this.address(range.last) }, ...rest };
  }
}

/** Keys and addresses of most Child SAs. */
const PIECE_OCTETS = 128;
