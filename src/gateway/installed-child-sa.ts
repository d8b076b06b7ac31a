/**
 * A Child SA as the packet loop takes it: bare keys, numbers and addresses that can be cloned.
 */
import type { InstalledChildSa } from '../io/packet-loop-protocol.ts';
import type { ChildSa } from '../ipsec/child-sa.ts';
import type { ChildRows } from './counter-rows.ts';

export function installedChildSa(childSa: ChildSa, rows: ChildRows): InstalledChildSa {
  const { encr, integ, keysIn, keysOut } = childSa;
  return {
    id: childSa.id,
    spiIn: childSa.spiIn,
    spiOut: childSa.spiOut,
    encr: { id: encr.id, ...(encr.keyLength !== undefined && { keyLength: encr.keyLength }) },
    ...(integ && { integ: { id: integ.id } }),
    esn: childSa.esn,
    encryptionKeyIn: keysIn.encryption.reveal(),
    integrityKeyIn: keysIn.integrity.reveal(),
    encryptionKeyOut: keysOut.encryption.reveal(),
    integrityKeyOut: keysOut.integrity.reveal(),
    local: childSa.local,
    remote: childSa.remote,
    udpEncapsulation: childSa.udpEncapsulation,
    localTs: childSa.localTs,
    remoteTs: childSa.remoteTs,
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
