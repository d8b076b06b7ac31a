import assert from 'node:assert/strict';
import { espSuite } from '../../src/esp/esp-suite.ts';
import { installedChildSa, wipeKeys } from '../../src/gateway/installed-child-sa.ts';
import { childSa, key } from '../support/child-sas.ts';
import { AES_CBC_256, SHA2_256 } from '../support/connections.ts';

const ROWS = { rowIn: 2, rowOut: 3 };

describe('A Child SA for the packet loop', () => {
  it('survives the way to another thread', () => {
    const installed = installedChildSa(childSa(), ROWS);
    assert.deepEqual(structuredClone(installed), installed);
  });

  it('has bare keys, each of its own direction', () => {
    const cbc = childSa({
      encr: AES_CBC_256,
      integ: SHA2_256,
      keysIn: { encryption: key(32, 1), integrity: key(32, 2) },
      keysOut: { encryption: key(32, 3), integrity: key(32, 4) },
    });
    const installed = installedChildSa(cbc, ROWS);
    assert.deepEqual(installed.encryptionKeyIn, key(32, 1).reveal());
    assert.deepEqual(installed.integrityKeyIn, key(32, 2).reveal());
    assert.deepEqual(installed.encryptionKeyOut, key(32, 3).reveal());
    assert.deepEqual(installed.integrityKeyOut, key(32, 4).reveal());
  });

  it('has copies, which are wiped without the originals and the addresses', () => {
    const original = childSa({
      keysIn: { encryption: key(36, 1), integrity: key(0, 0) },
      keysOut: { encryption: key(36, 2), integrity: key(0, 0) },
    });
    const installed = installedChildSa(original, ROWS);
    wipeKeys(installed);
    assert.deepEqual(installed.encryptionKeyIn, new Uint8Array(36));
    assert.deepEqual(installed.encryptionKeyOut, new Uint8Array(36));
    assert.deepEqual(original.keysIn.encryption.reveal(), key(36, 1).reveal());
    assert.deepEqual(installed.local, original.local);
    assert.deepEqual(installed.remoteTs, original.remoteTs);
  });

  it('has room for as many octets as there are', () => {
    const many = childSa({
      encr: AES_CBC_256,
      integ: SHA2_256,
      keysIn: { encryption: key(32, 1), integrity: key(200, 2) },
      keysOut: { encryption: key(32, 3), integrity: key(64, 4) },
    });
    const installed = structuredClone(installedChildSa(many, ROWS));
    assert.deepEqual(installed.integrityKeyIn, key(200, 2).reveal());
    assert.deepEqual(installed.integrityKeyOut, key(64, 4).reveal());
    assert.deepEqual(installed.encryptionKeyOut, key(32, 3).reveal());
    assert.deepEqual(installed.remote, many.remote);
  });

  it('names algorithms the packet engine has', () => {
    const aead = installedChildSa(childSa(), ROWS);
    assert.deepEqual(aead.encr, { id: 20, keyLength: 256 });
    assert.equal('integ' in aead, false);
    assert.equal(espSuite(aead).cipher, 'aes-256-gcm');
    const cbc = installedChildSa(childSa({ encr: AES_CBC_256, integ: SHA2_256 }), ROWS);
    assert.deepEqual(cbc.integ, { id: 12 });
    assert.equal(espSuite(cbc).mac, 'hmac-sha256');
  });

  it('leaves the key length of an algorithm that has one only', () => {
    const installed = installedChildSa(childSa({ encr: { type: 1, id: 28 } }), ROWS);
    assert.deepEqual(installed.encr, { id: 28 });
  });

  it('has ICMP errors of others in tunnel mode only, where the packet has addresses of its own', () => {
    const of = (mode: 'tunnel' | 'transport', icmpErrors: boolean) =>
      installedChildSa(childSa({ mode, icmpErrors }), ROWS).icmpErrors;
    assert.deepEqual(
      [of('tunnel', true), of('transport', true), of('tunnel', false)],
      [true, false, false],
    );
  });

  it('keeps SPIs, ends, selectors, options and its counter rows', () => {
    const original = childSa({ esn: true, replayWindow: 64, priority: 9, copyDscp: 'yes' });
    const installed = installedChildSa(original, ROWS);
    const {
      encr,
      integ,
      keysIn,
      keysOut,
      name,
      connection,
      reqid,
      mode,
      limits,
      outbound,
      ...kept
    } = original;
    for (const [field, value] of Object.entries({ ...kept, ...ROWS })) {
      assert.deepEqual(new Map(Object.entries(installed)).get(field), value, field);
    }
  });
});
