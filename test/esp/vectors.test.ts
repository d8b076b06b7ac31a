/** ESP packets of RFCs go through the inbound and the outbound path. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { ENCRYPTION_ALGORITHMS } from '../../src/crypto/algorithms.ts';
import { EncryptionId, IntegrityId } from '../../src/crypto/transform.ts';
import { DropReason } from '../../src/events/drop-reason.ts';
import { SaCounter } from '../../src/events/shared-counters.ts';
import { isReservedSpi } from '../../src/ipsec/spi.ts';
import { concatOctets, fromHex, toHex } from '../../src/wire/octets.ts';
import { childSa, EspGateway, selector, UDP } from '../support/esp-gateway.ts';
import { ReferenceSealer } from '../support/reference-sealer.ts';
import { readVectorFiles, type VectorCase } from '../vectors/vector-file.ts';

const ANY = [selector('0.0.0.0/0')];
const INTEGRITY_KEY = new Uint8Array(20).fill(0x0b);

function casesOf(file: string): readonly VectorCase[] {
  const found = readVectorFiles().find((one) => one.file === file);
  assert.ok(found, `vectors/${file} is there`);
  return found.cases;
}

function field(vector: VectorCase, name: string): Uint8Array {
  return fromHex(String(vector[name]));
}

function u32(octets: Uint8Array, at: number): number {
  return new DataView(octets.buffer, octets.byteOffset).getUint32(at);
}

/** A gateway with the SA of an AEAD vector in both directions, its window just before the packet. */
function aeadGateway(vector: VectorCase): {
  readonly gateway: EspGateway;
  readonly aad: Uint8Array;
} {
  const aad = field(vector, 'aad');
  const esn = aad.length === 12;
  const key = field(vector, 'key');
  const algorithm = ENCRYPTION_ALGORITHMS.find(({ name }) => name === vector.encryption);
  assert.ok(algorithm);
  const { id } = algorithm;
  const gateway = new EspGateway({ mssClamp: false });
  const sa = gateway.install(
    childSa({
      spiIn: u32(aad, 0),
      spiOut: u32(aad, 0),
      encr: { id, keyLength: (key.length - 4) * 8 },
      esn,
      localTs: ANY,
      remoteTs: ANY,
    }),
    { encryption: key, integrity: new Uint8Array(0) },
    { encryption: key, integrity: new Uint8Array(0) },
  );
  // The receiver of a later packet has seen the one before it, which fixes the high half.
  const low = u32(aad, aad.length - 4);
  if (esn && low > 1) sa.window.update(u32(aad, 4), low - 1);
  if (esn && low === 0) sa.window.update(u32(aad, 4) - 1, 0xffff_ffff);
  return { gateway, aad };
}

const esp = [
  ...casesOf('draft-mcgrew-gcm-test-01-esp.json'),
  ...casesOf('draft-mcgrew-gcm-test-01-gmac.json'),
  ...casesOf('rfc7634-chacha20-poly1305.json').filter(({ name }) => name === 'Appendix A: ESP'),
];

describe('ESP packets of draft-mcgrew-gcm-test-01 and RFC 7634 Appendix A', () => {
  for (const vector of esp) {
    const aad = field(vector, 'aad');
    if (isReservedSpi(u32(aad, 0))) {
      it(`has a reserved SPI, which no SA can have: ${vector.name}`, () => {
        assert.throws(() => aeadGateway(vector), RangeError);
      });
      continue;
    }

    it(`is opened, and judged by its next header: ${vector.name}`, () => {
      const { gateway } = aeadGateway(vector);
      const low = aad.subarray(-4);
      const octets = concatOctets(
        aad.subarray(0, 4),
        low,
        field(vector, 'iv'),
        field(vector, 'ciphertext'),
      );
      gateway.fromSocket(UDP, { octets });
      const plaintext = field(vector, 'plaintext');
      const inner = plaintext.subarray(0, plaintext.length - 2 - (plaintext.at(-2) ?? 0));
      if (plaintext.at(-1) === 4) {
        assert.deepEqual(gateway.delivered, [inner]);
        assert.deepEqual(gateway.drops(), {});
      } else {
        // The draft writes 1 (ICMP) behind whole IP packets: authentic, but nothing for a tunnel.
        assert.deepEqual(gateway.drops(), { 'bad-next-header': 1 });
      }
      const high = aad.length === 12 ? u32(aad, 4) : 0;
      assert.equal(gateway.counter(0, SaCounter.SEQUENCE), high * 2 ** 32 + u32(low, 0));
    });

    it(`is not opened with another octet anywhere: ${vector.name}`, () => {
      const { gateway } = aeadGateway(vector);
      const octets = concatOctets(aad.subarray(0, 4), aad.subarray(-4), field(vector, 'iv'));
      const changed = field(vector, 'ciphertext');
      changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 1;
      gateway.fromSocket(UDP, { octets: concatOctets(octets, changed) });
      assert.equal(gateway.dropped('bad-icv'), 1);
    });
  }

  it('is laid out by the outbound path as RFC 7634 lays it out', () => {
    const vector = esp.at(-1);
    assert.ok(vector);
    const { gateway, aad } = aeadGateway(vector);
    const plaintext = field(vector, 'plaintext');
    gateway.fromTun(plaintext.subarray(0, plaintext.length - 4));
    const packet = gateway.unsealed[0] ?? new Uint8Array(0);
    assert.equal(toHex(packet.subarray(0, 4)), toHex(aad.subarray(0, 4)));
    assert.equal(toHex(packet.subarray(16, -16)), toHex(plaintext));
  });
});

describe('ESP packets of RFC 3602', () => {
  const numbered = [
    { name: 'case 5', spi: 4321, sequence: 1, drop: 'bad-next-header' },
    { name: 'case 6', spi: 4321, sequence: 8, drop: 'bad-next-header' },
    { name: 'case 7', spi: 8765, sequence: 2, drop: undefined },
    { name: 'case 8', spi: 8765, sequence: 5, drop: undefined },
  ] as const;
  const cases = casesOf('rfc3602-aes-cbc.json');

  for (const { name, spi, sequence, drop } of numbered) {
    const vector = cases.find((one) => String(one.name).startsWith(`${name}:`));
    assert.ok(vector, name);
    const header = new Uint8Array(8);
    new DataView(header.buffer).setUint32(0, spi);
    new DataView(header.buffer).setUint32(4, sequence);
    const sealed = concatOctets(header, field(vector, 'iv'), field(vector, 'ciphertext'));
    // RFC 3602 has no ICV in its examples; ESP here never goes without.
    const icv = createHmac('sha1', INTEGRITY_KEY).update(sealed).digest().subarray(0, 12);
    const keys = { encryption: field(vector, 'key'), integrity: INTEGRITY_KEY };
    const parameters = childSa({
      spiIn: spi,
      spiOut: spi,
      encr: { id: EncryptionId.AES_CBC, keyLength: 128 },
      integ: { id: IntegrityId.AUTH_HMAC_SHA1_96 },
      localTs: ANY,
      remoteTs: ANY,
    });
    const plaintext = field(vector, 'plaintext');
    const inner = plaintext.subarray(0, plaintext.length - 2 - (plaintext.at(-2) ?? 0));

    it(`is opened: ${vector.name}`, () => {
      const gateway = new EspGateway();
      gateway.install(parameters, keys, keys);
      gateway.fromSocket(UDP, { octets: concatOctets(sealed, icv) });
      assert.deepEqual(gateway.delivered, drop === undefined ? [inner] : []);
      assert.equal(gateway.counters.drops[DropReason['bad-icv']], 0);
      if (drop !== undefined) assert.equal(gateway.dropped(drop), 1);
    });

    if (drop !== undefined) continue;
    it(`is what we send, octet by octet: ${vector.name}`, () => {
      const gateway = new EspGateway({ sealer: new ReferenceSealer(() => field(vector, 'iv')) });
      const sa = gateway.install(parameters, keys, keys);
      sa.sequence.resumeAfter(0, sequence - 1);
      gateway.fromTun(inner);
      assert.equal(toHex(gateway.sent[0]?.octets ?? header), toHex(concatOctets(sealed, icv)));
    });
  }
});
