import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EspKeyLine, type IkeKeyLine, KeyLog } from '../../src/io/key-log.ts';
import { endpoint } from '../support/pair.ts';

const IKE: IkeKeyLine = {
  spiI: 'd337a0ccf1b1cee2',
  spiR: 'f4bc129688e456f8',
  encr: 12,
  encrKeyLength: 128,
  integ: 12,
  skEi: Uint8Array.of(1, 2),
  skEr: Uint8Array.of(3, 4),
  skAi: Uint8Array.of(5, 6),
  skAr: Uint8Array.of(7, 8),
};

const ESP: EspKeyLine = {
  source: endpoint('192.0.2.1').address,
  destination: endpoint('192.0.2.2').address,
  spi: 0xb6583d96,
  encr: 12,
  integ: 12,
  encryptionKey: Uint8Array.of(0xaa, 0x01),
  integrityKey: Uint8Array.of(0xbb, 0x02),
};

const CHACHA20_POLY1305 = 28;

describe('The key log', () => {
  let parent: string;
  let directory: string;
  let log: KeyLog;

  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'tsgw-keys-'));
    directory = join(parent, 'deep', 'keys');
    log = new KeyLog(directory);
  });
  afterEach(() => rmSync(parent, { recursive: true }));

  function lines(table: string): readonly string[] {
    return readFileSync(join(directory, table), 'utf8').split('\n');
  }

  function mode(...path: readonly string[]): string {
    return (statSync(join(directory, ...path)).mode & 0o777).toString(8);
  }

  it('is readable by its owner alone', () => {
    log.ike(IKE);
    log.esp(ESP);
    assert.deepEqual(
      [mode(), mode('ikev2_decryption_table'), mode('esp_sa')],
      ['700', '600', '600'],
    );
  });

  it('closes a table that was open to others', () => {
    writeFileSync(join(directory, 'esp_sa'), '', { mode: 0o644 });
    log.esp(ESP);
    assert.equal(mode('esp_sa'), '600');
  });

  it("has a line of Wireshark's IKEv2 table for each IKE SA", () => {
    assert.equal(log.ike(IKE), undefined);
    const aead = { ...IKE, encr: 20, encrKeyLength: 256, integ: undefined };
    assert.equal(log.ike({ ...aead, skAi: new Uint8Array(), skAr: new Uint8Array() }), undefined);
    assert.equal(log.ike({ ...IKE, encr: 13, integ: 5 }), undefined);
    assert.deepEqual(lines('ikev2_decryption_table'), [
      'd337a0ccf1b1cee2,f4bc129688e456f8,0102,0304,"AES-CBC-128 [RFC3602]",0506,0708,"HMAC_SHA2_256_128 [RFC4868]"',
      'd337a0ccf1b1cee2,f4bc129688e456f8,0102,0304,"AES-GCM-256 with 16 octet ICV [RFC5282]",,,"NONE [RFC4306]"',
      // The key of an ICV that is stepped over would make the whole table an error.
      'd337a0ccf1b1cee2,f4bc129688e456f8,0102,0304,"AES-CTR-128 [RFC5930]",,,"ANY 96-bits of Authentication [No Checking]"',
      '',
    ]);
  });

  it("has a line of Wireshark's ESP table for each direction of a Child SA", () => {
    assert.equal(log.esp(ESP), undefined);
    const aead = { ...ESP, encr: 20, integ: undefined, integrityKey: new Uint8Array() };
    const source = endpoint('2001:db8::1').address;
    const destination = endpoint('2001:db8::2').address;
    assert.equal(log.esp({ ...aead, spi: 0x100, source, destination }), undefined);
    assert.deepEqual(lines('esp_sa'), [
      '"IPv4","192.0.2.1","192.0.2.2","0xb6583d96","AES-CBC [RFC3602]","0xaa01","HMAC-SHA-256-128 [RFC4868]","0xbb02"',
      '"IPv6","2001:db8::1","2001:db8::2","0x00000100","AES-GCM with 16 octet ICV [RFC4106]","0xaa01","NULL",""',
      '',
    ]);
  });

  it('has no line Wireshark could not read, and says so', () => {
    const unknown = 'Wireshark does not know the algorithms';
    assert.equal(log.ike({ ...IKE, encr: CHACHA20_POLY1305 }), unknown);
    assert.equal(log.esp({ ...ESP, encr: CHACHA20_POLY1305 }), unknown);
    assert.throws(() => lines('ikev2_decryption_table'), /ENOENT/);
    assert.throws(() => lines('esp_sa'), /ENOENT/);
  });

  it('says why nothing can be written; a gateway does not end for it', () => {
    rmSync(directory, { recursive: true });
    assert.match(log.ike(IKE) ?? '', /ENOENT.*ikev2_decryption_table/);
    assert.match(log.esp(ESP) ?? '', /ENOENT.*esp_sa/);
  });
});
