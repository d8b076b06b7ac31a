import assert from 'node:assert/strict';
import { installedChildSa } from '../../src/gateway/installed-child-sa.ts';
import { keptParameters } from '../../src/io/kept-parameters.ts';
import { childSa } from '../support/child-sas.ts';

describe('What the packet loop keeps of a Child SA', () => {
  const told = structuredClone(installedChildSa(childSa(), { rowIn: 0, rowOut: 1 }));
  const kept = keptParameters(told);

  it('is all of it but the keys', () => {
    const { encryptionKeyIn, encryptionKeyOut, integrityKeyIn, integrityKeyOut, ...rest } = told;
    assert.deepEqual(kept, rest);
  });

  it('is not in the memory the message came in', () => {
    const addresses = [
      kept.local.address,
      kept.remote.address,
      ...[...kept.localTs, ...kept.remoteTs].flatMap(({ range }) => [range.first, range.last]),
    ];
    for (const { octets } of addresses) {
      assert.notEqual(octets.buffer, told.local.address.octets.buffer);
    }
    told.remote.address.octets.fill(0);
    assert.notDeepEqual(kept.remote, told.remote);
  });
});
