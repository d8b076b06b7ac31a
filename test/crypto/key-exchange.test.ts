import { strict as assert } from 'node:assert';
import { createHash, getDiffieHellman } from 'node:crypto';
import { brainpoolP256r1, brainpoolP384r1, brainpoolP512r1 } from '@noble/curves/misc.js';
import { p256, p384, p521 } from '@noble/curves/nist.js';
import fc from 'fast-check';
import { KEY_EXCHANGE_ALGORITHMS } from '../../src/crypto/algorithms.ts';
import type { CryptoProvider } from '../../src/crypto/crypto-provider.ts';
import { drawBelow, keyExchangeMethod, padLeft } from '../../src/crypto/key-exchange.ts';
import { modpPrime } from '../../src/crypto/noble/modp-prime.ts';
import { nobleCrypto } from '../../src/crypto/noble/noble-crypto.ts';
import type { RandomBytes } from '../../src/crypto/random.ts';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { KeyExchangeId } from '../../src/crypto/transform.ts';
import { concatOctets, equalOctets, fromHex, toHex } from '../../src/wire/octets.ts';

/** Groups with the names node:crypto has for them. */
const MODP: readonly (readonly [number, string])[] = [
  [KeyExchangeId.MODP_1024, 'modp2'],
  [KeyExchangeId.MODP_1536, 'modp5'],
  [KeyExchangeId.MODP_2048, 'modp14'],
  [KeyExchangeId.MODP_3072, 'modp15'],
  [KeyExchangeId.MODP_4096, 'modp16'],
  [KeyExchangeId.MODP_6144, 'modp17'],
  [KeyExchangeId.MODP_8192, 'modp18'],
];

/** Groups with the curves of @noble where it has them. */
const ECP: readonly (readonly [number, typeof p256 | undefined])[] = [
  [KeyExchangeId.ECP_256, p256],
  [KeyExchangeId.ECP_384, p384],
  [KeyExchangeId.ECP_521, p521],
  [KeyExchangeId.BRAINPOOL_P224R1, undefined],
  [KeyExchangeId.BRAINPOOL_P256R1, brainpoolP256r1],
  [KeyExchangeId.BRAINPOOL_P384R1, brainpoolP384r1],
  [KeyExchangeId.BRAINPOOL_P512R1, brainpoolP512r1],
];

/** Repeatable octets: the hashes of a seed and a counter. */
function seeded(seed: number): RandomBytes {
  let counter = 0;
  return (length) => {
    let octets = new Uint8Array(0);
    while (octets.length < length) {
      const block = createHash('sha256').update(`${seed} ${counter++}`).digest();
      octets = new Uint8Array(concatOctets(octets, block));
    }
    return octets.slice(0, length);
  };
}

function method(id: number, provider: Pick<CryptoProvider, 'keyExchangeMethod'> = node) {
  const found = provider.keyExchangeMethod(id);
  assert(found !== undefined);
  return found;
}
const node = { keyExchangeMethod };

describe('Key exchange (RFC 7296 §3.4)', () => {
  for (const { id, name, publicLength, sharedLength } of KEY_EXCHANGE_ALGORITHMS) {
    it(`${name}: both sides agree, as they do with the reference`, () => {
      fc.assert(
        fc.property(fc.nat(), fc.nat(), (seedI, seedR) => {
          const initiator = method(id).generate(seeded(seedI));
          const responder = method(id).generate(seeded(seedR));
          const reference = method(id, nobleCrypto).generate(seeded(seedR));
          const shared = initiator.shared(responder.publicData)?.reveal();
          assert.equal(initiator.publicData.length, publicLength);
          assert.equal(shared?.length, sharedLength);
          assert.deepEqual(responder.publicData, reference.publicData);
          assert.deepEqual(responder.shared(initiator.publicData)?.reveal(), shared);
          assert.deepEqual(reference.shared(initiator.publicData)?.reveal(), shared);
        }),
        { numRuns: publicLength > 512 ? 1 : MODP.some(([modp]) => modp === id) ? 3 : 10 },
      );
    });

    it(`${name}: the same randomness gives the same pair`, () => {
      const [one, two, other] = [1, 1, 2].map((seed) => method(id).generate(seeded(seed)));
      assert.deepEqual(one?.publicData, two?.publicData);
      assert.notDeepEqual(one?.publicData, other?.publicData);
    });

    it(`${name}: goes on elsewhere with what it was made of`, () => {
      const pair = keyExchangeMethod(id)?.generate(seeded(1));
      const peer = method(id).generate(seeded(2));
      assert(pair);
      const restored = keyExchangeMethod(id)?.restore(new SecretBytes(pair.drawn.reveal().slice()));
      assert.deepEqual(restored?.publicData, pair.publicData);
      assert.deepEqual(
        restored?.shared(peer.publicData)?.reveal(),
        pair.shared(peer.publicData)?.reveal(),
      );
      const drawn = pair.drawn.reveal();
      for (const other of [
        drawn.slice(1),
        concatOctets(drawn, Uint8Array.of(1)),
        drawn.slice(0, 0),
      ])
        assert.equal(keyExchangeMethod(id)?.restore(new SecretBytes(other)), undefined);
    });

    it(`${name}: a value of another length is refused`, () => {
      for (const provider of [node, nobleCrypto]) {
        const pair = method(id, provider).generate(seeded(1));
        const peer = method(id).generate(seeded(2)).publicData;
        const lengths = [0, 1, publicLength / 2, publicLength - 1];
        for (const length of lengths) assert.equal(pair.shared(peer.slice(0, length)), undefined);
        assert.equal(pair.shared(concatOctets(Uint8Array.of(0), peer)), undefined);
        assert.equal(pair.shared(concatOctets(peer, Uint8Array.of(0))), undefined);
      }
    });
  }

  it('does not know the methods we refuse', () => {
    const refused = [KeyExchangeId.NONE, KeyExchangeId.MODP_768, 22, 23, 24, 25, 26, 33, 1035];
    for (const id of refused) {
      assert.equal(keyExchangeMethod(id), undefined);
      assert.equal(nobleCrypto.keyExchangeMethod(id), undefined);
    }
  });
});

describe('MODP groups (RFC 3526)', () => {
  it('pads a public value that is shorter than the modulus', () => {
    const { generate, publicLength } = method(KeyExchangeId.MODP_2048);
    const peer = generate(seeded(0));
    let short = 0;
    for (let seed = 1; seed <= 4000 && short < 2; seed++) {
      const pair = generate(seeded(seed));
      assert.equal(pair.publicData.length, publicLength);
      if (pair.publicData[0] !== 0) continue;
      short += 1;
      const shared = pair.shared(peer.publicData)?.reveal();
      assert.deepEqual(peer.shared(pair.publicData)?.reveal(), shared);
    }
    assert.equal(short, 2, 'no seed gave a short public value');
  });

  it('pads a shared secret that is shorter than the modulus', () => {
    const { generate, sharedLength } = method(KeyExchangeId.MODP_2048);
    const pair = generate((length) => padLeft(Uint8Array.of(1), length));
    const peer = padLeft(Uint8Array.of(7), sharedLength);
    assert.deepEqual(pair.shared(peer)?.reveal(), peer);
  });

  it('keeps pairs of one group apart, however their uses are mixed', () => {
    const { generate } = method(KeyExchangeId.MODP_2048);
    const [one, two, peer] = [generate(seeded(1)), generate(seeded(2)), generate(seeded(3))];
    const shared = (pair: typeof one, other: typeof one) => pair.shared(other.publicData)?.reveal();
    assert.deepEqual(shared(one, peer), shared(peer, one));
    assert.deepEqual(shared(two, peer), shared(peer, two));
    assert.notDeepEqual(shared(one, peer), shared(two, peer));
    assert.deepEqual(shared(one, two), shared(two, one));
  });

  it('refuses 0, 1, p-1, p and beyond, and takes 2 and p-2 (RFC 6989 §2.1)', () => {
    for (const [id] of MODP) {
      for (const provider of [node, nobleCrypto]) {
        const { generate, publicLength } = method(id, provider);
        const pair = generate(seeded(id));
        const prime = modpPrime(8 * publicLength);
        const taken = (value: bigint) =>
          pair.shared(fromHex(value.toString(16).padStart(2 * publicLength, '0'))) !== undefined;
        const beyond = 2n ** BigInt(8 * publicLength) - 1n;
        for (const value of [0n, 1n, prime - 1n, prime, prime + 1n, beyond]) {
          assert.equal(taken(value), false);
        }
        for (const value of [2n, prime - 2n]) assert.equal(taken(value), true);
      }
    }
  });

  it('has the primes that the digits of pi give', () => {
    for (const [id, name] of MODP) {
      const prime = BigInt(`0x${getDiffieHellman(name).getPrime('hex')}`);
      assert.equal(modpPrime(8 * method(id).publicLength), prime, name);
    }
  });
});

describe('ECP groups (RFC 5903, RFC 6954)', () => {
  it('refuse a point that is not on the curve (RFC 6989 §2.3)', () => {
    for (const [id] of ECP) {
      for (const provider of [node, nobleCrypto]) {
        const { generate, publicLength } = method(id, provider);
        const pair = generate(seeded(1));
        const peer = generate(seeded(2)).publicData;
        const half = publicLength / 2;
        const swapped = concatOctets(peer.slice(half), peer.slice(0, half));
        const changed = Uint8Array.from(peer);
        changed[publicLength - 1]! ^= 1;
        for (const value of [swapped, changed, new Uint8Array(publicLength)]) {
          assert.equal(pair.shared(value), undefined);
        }
        assert.equal(pair.shared(new Uint8Array(publicLength).fill(0xff)), undefined);
      }
    }
  });

  it('refuse random octets, whatever they are', () => {
    const pair = method(KeyExchangeId.ECP_256).generate(seeded(1));
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), (octets) => {
        assert.equal(pair.shared(octets), undefined);
      }),
    );
  });

  it('draw again while the private value is not between 1 and the order', () => {
    for (const [id] of ECP) {
      const draws = [0xff, 0x00, 0x17];
      const random: RandomBytes = (length) => new Uint8Array(length).fill(draws.shift() ?? 0);
      const { publicData } = method(id).generate(random);
      const same = method(id).generate((length) => new Uint8Array(length).fill(0x17));
      assert.deepEqual(publicData, same.publicData);
      assert.equal(draws.length, 0);
    }
  });

  it('take the order less one as a private value, and not the order', () => {
    for (const [id, curve] of ECP) {
      if (curve === undefined) continue;
      const { generate, sharedLength } = method(id);
      const order = curve.Point.Fn.ORDER;
      const draws = [order, order - 1n, 1n];
      const { publicData } = generate((length) =>
        fromHex((draws.shift() ?? 0n).toString(16).padStart(2 * length, '0')),
      );
      assert.deepEqual(draws, [1n]);
      const base = curve.Point.BASE.toBytes(false).slice(1, 1 + sharedLength);
      assert.deepEqual(publicData.slice(0, sharedLength), base, 'minus one times the base point');
    }
  });

  it('give up on a random source that never gives a private value', () => {
    const zeros: RandomBytes = (length) => new Uint8Array(length);
    assert.throws(() => method(KeyExchangeId.ECP_256).generate(zeros), /100 draws/);
  });

  it('draw exactly the values from 1 to the order less one', () => {
    const order = Uint8Array.of(0x05, 0x03);
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const [high = 0, low = 0] = drawBelow(order, seeded(seed));
        const value = 256 * high + low;
        assert(value >= 1 && value < 0x0503, `${value}`);
      }),
      { numRuns: 300 },
    );
  });
});

describe('Curve25519 (RFC 8031, RFC 7748 §6.1)', () => {
  // The points of order 1, 2, 4 and 8, and the same plus the field's prime where that fits.
  const LOW_ORDER = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ];

  it('refuses points of low order', () => {
    for (const provider of [node, nobleCrypto]) {
      const pair = method(KeyExchangeId.CURVE_25519, provider).generate(seeded(1));
      for (const point of LOW_ORDER) assert.equal(pair.shared(fromHex(point)), undefined, point);
    }
  });

  it('ignores the top bit of a value (RFC 7748 §5)', () => {
    const { generate } = method(KeyExchangeId.CURVE_25519);
    const pair = generate(seeded(1));
    const peer = generate(seeded(2)).publicData;
    const marked = Uint8Array.from(peer);
    marked[31]! |= 0x80;
    assert(!equalOctets(peer, marked));
    assert.deepEqual(pair.shared(marked)?.reveal(), pair.shared(peer)?.reveal());
  });

  it('says its secret to nobody who prints it', () => {
    const { generate } = method(KeyExchangeId.CURVE_25519);
    const shared = generate(seeded(1)).shared(generate(seeded(2)).publicData);
    assert(shared !== undefined);
    assert.equal(`${shared}`.includes(toHex(shared.reveal())), false);
    assert.equal(`${shared}`, '<secret, 32 octets>');
  });
});

describe('Curve448 (RFC 8031, RFC 7748 §6.2)', () => {
  /** A number as the curve's 56 octets, the least significant first. */
  const littleEndian = (value: bigint): Uint8Array =>
    fromHex(value.toString(16).padStart(112, '0')).reverse();
  const prime = 2n ** 448n - 2n ** 224n - 1n;

  it('refuses points of low order', () => {
    for (const provider of [node, nobleCrypto]) {
      const pair = method(KeyExchangeId.CURVE_448, provider).generate(seeded(1));
      for (const u of [0n, 1n, prime - 1n, prime, prime + 1n]) {
        assert.equal(pair.shared(littleEndian(u)), undefined, `${u}`);
      }
    }
  });

  it('uses all bits of a value (RFC 7748 §5)', () => {
    const pair = method(KeyExchangeId.CURVE_448).generate(seeded(1));
    const peer = method(KeyExchangeId.CURVE_448).generate(seeded(2)).publicData;
    const marked = Uint8Array.from(peer);
    marked[55]! ^= 0x80;
    assert.notDeepEqual(pair.shared(marked)?.reveal(), pair.shared(peer)?.reveal());
  });
});
