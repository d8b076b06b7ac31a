/**
 * The Encrypted payload (RFC 7296 §3.14, RFC 5282, RFC 7634) and its fragments (RFC 7383).
 */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { encryptionAlgorithm, integrityAlgorithm } from '../../src/crypto/algorithms.ts';
import { computeIcv } from '../../src/crypto/integrity.ts';
import { seal } from '../../src/crypto/message-cipher.ts';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { EncryptionId, IntegrityId, TransformType } from '../../src/crypto/transform.ts';
import { decodeMessage, decodePayloads, encodeMessage } from '../../src/ike/message/codec.ts';
import { type Payload, PayloadType } from '../../src/ike/message/message.ts';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import {
  fragmentAgain,
  MessageKey,
  openFragment,
  openMessage,
  sealDatagrams,
  sealMessage,
} from '../../src/ike/protection.ts';
import { IvPartition } from '../../src/ipsec/iv-partition.ts';
import type { Transform } from '../../src/ipsec/proposal.ts';
import { concatOctets, fromHex, MalformedError, toHex } from '../../src/wire/octets.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { readVectorFiles } from '../vectors/vector-file.ts';
import { header, payloadOfKind } from './message/arbitrary-payload.ts';

const NO_OCTETS = new Uint8Array();
/** An IV one can see, instead of a random one. */
const sevens = (length: number) => new Uint8Array(length).fill(7);

function counting(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index);
}

function messageKey(encrId: number, keyLength: number, integId?: number): MessageKey {
  const encr = encryptionAlgorithm(encrId);
  assert.ok(encr);
  const integ = integId === undefined ? undefined : integrityAlgorithm(integId);
  const transform: Transform = { type: TransformType.ENCR, id: encrId, keyLength };
  return new MessageKey(
    transform,
    integId === undefined ? undefined : { type: TransformType.INTEG, id: integId },
    new SecretBytes(counting(keyLength / 8 + encr.saltLength)),
    new SecretBytes(counting(integ?.keyLength ?? 0)),
  );
}

const KEYS: ReadonlyMap<string, () => MessageKey> = new Map([
  ['AES_CBC_128 with HMAC_SHA1_96', () => messageKey(12, 128, IntegrityId.AUTH_HMAC_SHA1_96)],
  ['AES_CBC_192 with HMAC_SHA2_256_128', () => messageKey(12, 192, 12)],
  ['AES_CBC_256 with HMAC_SHA2_384_192', () => messageKey(12, 256, 13)],
  ['AES_CBC_256 with HMAC_SHA2_512_256', () => messageKey(12, 256, 14)],
  ['AES_GCM_16_128', () => messageKey(EncryptionId.AES_GCM_16, 128)],
  ['AES_GCM_16_256', () => messageKey(EncryptionId.AES_GCM_16, 256)],
  ['AES_GCM_8_192', () => messageKey(EncryptionId.AES_GCM_8, 192)],
  ['AES_CCM_16_128', () => messageKey(EncryptionId.AES_CCM_16, 128)],
  ['AES_CCM_12_256', () => messageKey(EncryptionId.AES_CCM_12, 256)],
  ['CHACHA20_POLY1305', () => messageKey(EncryptionId.CHACHA20_POLY1305, 256)],
  ['AES_CTR_128 with AES_XCBC_96', () => messageKey(13, 128, IntegrityId.AUTH_AES_XCBC_96)],
  ['CAMELLIA_CBC_256 with AES_CMAC_96', () => messageKey(23, 256, IntegrityId.AUTH_AES_CMAC_96)],
  ['3DES with HMAC_SHA1_96', () => messageKey(3, 192, IntegrityId.AUTH_HMAC_SHA1_96)],
]);

const innerPayloads: fc.Arbitrary<readonly Payload[]> = fc.array(
  fc.oneof<fc.Arbitrary<Payload>[]>(payloadOfKind.NOTIFY, payloadOfKind.ID, payloadOfKind.TS),
  { maxLength: 4 },
);

const manyPayloads = fc.array(
  fc.oneof<fc.Arbitrary<Payload>[]>(payloadOfKind.NOTIFY, payloadOfKind.ID, payloadOfKind.TS),
  { minLength: 1, maxLength: 40 },
);

describe('sealing messages', () => {
  for (const [name, makeKey] of KEYS) {
    it(`${name}: what is sealed opens to the same payloads`, () => {
      fc.assert(
        fc.property(header, innerPayloads, (head, payloads) => {
          const octets = sealMessage(head, payloads, makeKey(), sevens);
          assert.deepEqual(openMessage(octets, makeKey()), payloads);
          const outer = decodeMessage(octets);
          assert.deepEqual(outer.header, head);
          assert.deepEqual(
            outer.payloads.map(({ kind }) => kind),
            ['SK'],
          );
        }),
        { numRuns: 60 },
      );
    });

    it(`${name}: no octet may change, and none be missing`, () => {
      const octets = sealMessage(HEADER, [DELETE], makeKey(), sevens);
      for (let at = 0; at < octets.length; at++) {
        const changed = octets.slice();
        changed[at] = (changed[at] ?? 0) ^ 0x80;
        assert.equal(openOrMalformed(changed, makeKey()), undefined, `octet ${at}`);
      }
      for (let length = 0; length < octets.length; length++) {
        const cut = withLengths(octets.slice(0, length));
        assert.equal(openOrMalformed(cut, makeKey()), undefined, `${length} octets`);
      }
    });
  }

  it('gives every message under an AEAD key or in counter mode an IV of its own', () => {
    const keys = [
      messageKey(EncryptionId.AES_GCM_16, 128),
      messageKey(EncryptionId.AES_CTR, 128, 12),
    ];
    for (const key of keys) {
      const ivs = Array.from({ length: 50 }, () =>
        toHex(sealMessage(HEADER, [], key, sevens).subarray(32, 40)),
      );
      assert.equal(new Set(ivs).size, 50);
      assert.equal(ivs[0], '0000000000000001');
    }
  });

  it('takes the IV for CBC from the random source', () => {
    const octets = sealMessage(HEADER, [], messageKey(12, 128, 12), sevens);
    assert.equal(toHex(octets.subarray(32, 48)), '07'.repeat(16));
  });

  it('pads CBC to whole blocks, and an AEAD not at all', () => {
    // Header 28, SK header 4, IV 16, payload 8 with padding 16, ICV 16.
    assert.equal(sealMessage(HEADER, [DELETE], messageKey(12, 128, 12), sevens).length, 80);
    // A payload of 15 octets and its pad length fill a block exactly.
    const vendor: Payload = { kind: 'VENDOR', vendorId: new Uint8Array(11) };
    assert.equal(sealMessage(HEADER, [vendor], messageKey(12, 128, 12), sevens).length, 80);
    // Counter mode needs none either (RFC 5930 §2.2).
    assert.equal(sealMessage(HEADER, [DELETE], messageKey(13, 128, 12), sevens).length, 65);
    // Header 28, SK header 4, IV 8, payload 8, pad length 1, tag 16.
    assert.equal(sealMessage(HEADER, [DELETE], messageKey(20, 128), sevens).length, 65);
  });

  it('opens the example of RFC 7634 appendix B', () => {
    const vector = readVectorFiles()
      .flatMap(({ cases }) => cases)
      .find(({ name }) => name === 'Appendix B: IKEv2');
    assert.ok(vector);
    const part = (name: string) => fromHex(String(vector[name]));
    const octets = concatOctets(part('aad'), part('iv'), part('ciphertext'));
    const key = new MessageKey(
      { type: TransformType.ENCR, id: EncryptionId.CHACHA20_POLY1305 },
      undefined,
      new SecretBytes(part('key')),
      new SecretBytes(NO_OCTETS),
    );
    assert.deepEqual(openMessage(octets, key), [
      {
        kind: 'NOTIFY',
        protocol: 0,
        spi: NO_OCTETS,
        type: NotifyType.SET_WINDOW_SIZE,
        data: fromHex('0000000a'),
      },
    ]);
  });

  it('needs an integrity algorithm where the cipher is no AEAD', () => {
    assert.throws(() => messageKey(EncryptionId.AES_CBC, 128), /integrity algorithm undefined/);
    assert.throws(() => messageKey(EncryptionId.AES_CBC, 128, 9999), /integrity algorithm 9999/);
  });
});

describe('sealing in fragments (RFC 7383 §2.5)', () => {
  const random = sevens;

  for (const [name, makeKey] of KEYS) {
    it(`${name}: fragments of any size open to what was sealed, and none is too long`, () => {
      fc.assert(
        fc.property(header, manyPayloads, fc.integer({ min: 120, max: 700 }), (head, all, most) => {
          const datagrams = sealDatagrams({ header: head, payloads: all }, makeKey(), random, most);
          const whole = sealMessage(head, all, makeKey(), random);
          assert.equal(datagrams.length === 1, whole.length <= most);
          assert.ok(datagrams.every(({ length }) => length <= most));
          assert.deepEqual(reassembled(datagrams, makeKey()), all);
        }),
        { numRuns: 40 },
      );
    });

    it(`${name}: no octet of a fragment may change, and none be missing`, () => {
      const payloads = Array.from({ length: 12 }, () => DELETE);
      const [first] = sealDatagrams({ header: HEADER, payloads }, makeKey(), random, 130);
      assert.ok(first);
      assert.ok(openFragment(first, makeKey()));
      for (let at = 0; at < first.length; at++) {
        const changed = first.slice();
        changed[at] = (changed[at] ?? 0) ^ 0x80;
        assert.equal(fragmentOrMalformed(changed, makeKey()), undefined, `octet ${at}`);
      }
      for (let length = 0; length < first.length; length++) {
        const cut = withLengths(first.slice(0, length));
        assert.equal(fragmentOrMalformed(cut, makeKey()), undefined, `${length} octets`);
      }
    });

    it(`${name}: what was sent is sealed again in smaller fragments`, () => {
      fc.assert(
        fc.property(manyPayloads, fc.integer({ min: 200, max: 2000 }), (all, most) => {
          const key = makeKey();
          const sent = sealDatagrams({ header: HEADER, payloads: all }, key, random, most);
          const smaller = fragmentAgain(sent, key, random, 130);
          assert.ok(smaller.length > sent.length || sent.length === 1);
          assert.ok(smaller.every(({ length }) => length <= 130));
          assert.deepEqual(reassembled(smaller, makeKey()), all);
        }),
        { numRuns: 20 },
      );
    });
  }

  it('fills every fragment but the last, and numbers them from one', () => {
    const vendor: Payload = { kind: 'VENDOR', vendorId: counting(296) };
    const key = messageKey(EncryptionId.AES_GCM_16, 128);
    const datagrams = sealDatagrams({ header: HEADER, payloads: [vendor] }, key, random, 161);
    // Header 28, SKF header 8, IV 8, 100 octets of the 300, pad length 1, tag 16.
    assert.deepEqual(
      datagrams.map(({ length }) => length),
      [161, 161, 161],
    );
    const outer = datagrams.map((octets) => decodeMessage(octets));
    for (const { header: one } of outer) assert.deepEqual(one, HEADER);
    assert.deepEqual(
      outer.map(({ payloads: [payload] }) =>
        payload?.kind === 'SKF'
          ? [payload.firstPayload, payload.fragmentNumber, payload.totalFragments]
          : [],
      ),
      [
        [PayloadType.VENDOR, 1, 3],
        [PayloadType.NONE, 2, 3],
        [PayloadType.NONE, 3, 3],
      ],
    );
  });

  it('leaves whole what just fits', () => {
    const vendor: Payload = { kind: 'VENDOR', vendorId: counting(300) };
    for (const makeKey of KEYS.values()) {
      const whole = sealMessage(HEADER, [vendor], makeKey(), random);
      const sealed = (most: number): readonly Uint8Array[] =>
        sealDatagrams({ header: HEADER, payloads: [vendor] }, makeKey(), random, most);
      assert.deepEqual(sealed(whole.length), [whole]);
      assert.equal(sealed(whole.length - 1).length, 2);
    }
  });

  it('fills whole blocks of CBC', () => {
    const vendor: Payload = { kind: 'VENDOR', vendorId: counting(296) };
    const datagrams = sealDatagrams(
      { header: HEADER, payloads: [vendor] },
      messageKey(12, 128, 12),
      random,
      199,
    );
    // Header 28, SKF header 8, IV 16, 127 octets and the pad length in 128, ICV 16: 196.
    assert.deepEqual(
      datagrams.map(({ length }) => length),
      [196, 196, 116],
    );
  });

  it('gives every fragment an IV of its own', () => {
    const vendor: Payload = { kind: 'VENDOR', vendorId: counting(2000) };
    const key = messageKey(EncryptionId.AES_GCM_16, 128);
    const datagrams = sealDatagrams({ header: HEADER, payloads: [vendor] }, key, random, 128);
    const ivs = datagrams.map((octets) => toHex(octets.subarray(36, 44)));
    assert.equal(new Set(ivs).size, datagrams.length);
  });

  it('covers the fragment numbers by the ICV', () => {
    const vendor: Payload = { kind: 'VENDOR', vendorId: counting(300) };
    const key = messageKey(EncryptionId.AES_GCM_16, 128);
    const [first] = sealDatagrams({ header: HEADER, payloads: [vendor] }, key, random, 161);
    assert.ok(first);
    const renumbered = first.slice();
    renumbered[33] = 2;
    assert.equal(openFragment(renumbered, key), undefined);
  });

  it('fits a message larger than one datagram can be', () => {
    const payloads: readonly Payload[] = [
      { kind: 'VENDOR', vendorId: new Uint8Array(60_000) },
      { kind: 'VENDOR', vendorId: new Uint8Array(60_000) },
    ];
    const key = messageKey(EncryptionId.AES_GCM_16, 128);
    const datagrams = sealDatagrams({ header: HEADER, payloads }, key, random, 1232);
    assert.deepEqual(reassembled(datagrams, key), payloads);
  });

  it('is our own mistake where a fragment would hold nothing', () => {
    const key = messageKey(EncryptionId.AES_GCM_16, 128);
    const message = { header: HEADER, payloads: [DELETE] };
    assert.throws(() => sealDatagrams(message, key, random, 61), /61 octets hold nothing/);
  });

  it('makes more fragments out of fragments, however little smaller they shall be', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 30 }), (by, extra) => {
        const key = messageKey(EncryptionId.AES_GCM_16, 128);
        const vendor: Payload = { kind: 'VENDOR', vendorId: counting(2000 + extra) };
        const sent = sealDatagrams({ header: HEADER, payloads: [vendor] }, key, random, 400);
        const again = fragmentAgain(sent, key, random, 400 - by);
        // RFC 7383 §2.6: with as many as before, a receiver would mix the two.
        assert.ok(again.length > sent.length, `${sent.length} and then ${again.length}`);
        assert.deepEqual(reassembled(again, key), [vendor]);
      }),
    );
  });

  it('does not fragment again what it cannot open', () => {
    const key = messageKey(EncryptionId.AES_GCM_16, 128);
    const whole = sealMessage(HEADER, [DELETE], key, random);
    whole[40] = (whole[40] ?? 0) ^ 1;
    assert.throws(() => fragmentAgain([whole], key, random, 100), /not sealed with this key/);
    assert.deepEqual(fragmentAgain([], key, random, 100), []);
  });

  it('keeps SK and SKF apart', () => {
    const key = messageKey(EncryptionId.AES_GCM_16, 128);
    const whole = sealMessage(HEADER, [DELETE], key, random);
    assert.equal(openFragment(whole, key), undefined);
    const [fragment] = fragmentAgain([whole], key, random, 500);
    assert.ok(fragment);
    assert.equal(openMessage(fragment, key), undefined);
    assert.ok(openFragment(fragment, key));
  });
});

describe('opening what a peer with the key sealed wrongly', () => {
  const key = messageKey(EncryptionId.AES_CBC, 128, IntegrityId.AUTH_HMAC_SHA2_256_128);

  /** A message with this plaintext inside SK, sealed by hand. */
  function sealedBy(plaintext: Uint8Array, firstPayload: number, spoil = 0): Uint8Array {
    const iv = sevens(16);
    const secret = key.encryption.reveal();
    const body = seal({ algorithm: key.encr, key: secret, iv, aad: NO_OCTETS, plaintext });
    const sealed = concatOctets(iv, body, new Uint8Array(spoil), new Uint8Array(16));
    const payloads: readonly Payload[] = [{ kind: 'SK', firstPayload, sealed }];
    const octets = encodeMessage({ header: HEADER, payloads });
    assert.ok(key.integ);
    const covered = octets.subarray(0, octets.length - 16);
    octets.set(computeIcv(key.integ, key.integrity.reveal(), covered), covered.length);
    return octets;
  }

  function assertMalformed(octets: Uint8Array, what: RegExp): void {
    assert.throws(
      () => openMessage(octets, key),
      (error) => error instanceof MalformedError && what.test(error.message),
    );
  }

  it('padding may be as long as the sender likes, and hold anything', () => {
    const plaintext = concatOctets(
      fromHex('00000006aabb'),
      new Uint8Array(41).fill(9),
      Uint8Array.of(41),
    );
    assert.deepEqual(openMessage(sealedBy(plaintext, PayloadType.VENDOR), key), [
      { kind: 'VENDOR', vendorId: fromHex('aabb') },
    ]);
  });

  it('more padding than there are octets is malformed', () => {
    assertMalformed(sealedBy(sevens(16).fill(16, 15), 0), /16 octets of padding in 16/);
    assert.deepEqual(openMessage(sealedBy(sevens(16).fill(15, 15), 0), key), []);
  });

  it('a ciphertext of no or of broken blocks is malformed', () => {
    assertMalformed(sealedBy(NO_OCTETS, 0), /padding/);
    assertMalformed(sealedBy(sevens(16), 0, 1), /not whole blocks/);
  });

  it('payloads that do not fill what is inside are malformed', () => {
    assertMalformed(sealedBy(new Uint8Array(16), 0), /15 octets left over/);
  });
});

describe('opening what is not sealed', () => {
  it('answers nothing', () => {
    const key = messageKey(EncryptionId.AES_GCM_16, 128);
    const octets = encodeMessage({ header: HEADER, payloads: [DELETE] });
    assert.equal(openMessage(octets, key), undefined);
    const payloads: readonly Payload[] = [{ kind: 'SK', firstPayload: 0, sealed: sevens(23) }];
    assert.equal(openMessage(encodeMessage({ header: HEADER, payloads }), key), undefined);
  });
});

const HEADER = decodeMessage(
  fromHex('0102030405060708 1112131415161718 00 20 25 08 00000002 0000001c'),
).header;

const DELETE: Payload = { kind: 'DELETE', protocol: 1, spiSize: 0, spis: [] };

/** The payloads of a message in these datagrams, by the plain way: open, sort, join. */
function reassembled(datagrams: readonly Uint8Array[], key: MessageKey): readonly Payload[] {
  const [only] = datagrams;
  if (only && decodeMessage(only).payloads[0]?.kind === 'SK') return openMessage(only, key) ?? [];
  const fragments = datagrams.map((octets) => {
    const fragment = openFragment(octets, key);
    assert.ok(fragment);
    return fragment;
  });
  const content = concatOctets(...fragments.map((fragment) => fragment.content));
  return decodePayloads(fragments[0]?.firstPayload ?? 0, content);
}

function fragmentOrMalformed(octets: Uint8Array, key: MessageKey): unknown {
  try {
    return openFragment(octets, key);
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

function openOrMalformed(octets: Uint8Array, key: MessageKey): readonly Payload[] | undefined {
  try {
    return openMessage(octets, key);
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** The lengths of header and SK set to what is there. */
function withLengths(octets: Uint8Array): Uint8Array {
  const view = new DataView(octets.buffer);
  if (octets.length >= 28) view.setUint32(24, octets.length);
  if (octets.length >= 32) view.setUint16(30, octets.length - 28);
  return octets;
}

describe('IVs of several nodes under one key (RFC 6054 §2)', () => {
  const key = (partition: IvPartition | undefined, messages = 0) =>
    new MessageKey(
      { type: TransformType.ENCR, id: 20, keyLength: 256 },
      undefined,
      new SecretBytes(new Uint8Array(36)),
      new SecretBytes(new Uint8Array()),
      { messages, partition },
    );
  const random = seededRandom(1);

  it('begin with the number of the node and then count, over all keys of it', () => {
    const partition = new IvPartition(0xabcd);
    const [one, other] = [key(partition), key(partition)];
    const drawn = [one, other, one].map((each) => toHex(each.nextIv(random)));
    assert.deepEqual(drawn, ['abcd000000000001', 'abcd000000000002', 'abcd000000000003']);
  });

  it('of two nodes are never the same', () => {
    const nodes = [1, 2].map((sid) => key(new IvPartition(sid)));
    const drawn = nodes.flatMap((each) =>
      Array.from({ length: 100 }, () => toHex(each.nextIv(random))),
    );
    assert.equal(new Set(drawn).size, 200);
  });

  it('go on behind those that were used where one node follows another without a number', () => {
    const first = key(undefined);
    for (let count = 0; count < 5; count++) first.nextIv(random);
    assert.equal(first.messages, 5);
    assert.equal(toHex(key(undefined, first.messages).nextIv(random)), '0000000000000006');
  });

  it('have numbers of 16 bits', () => {
    for (const sid of [-1, 0x10000, 1.5, Number.NaN]) {
      assert.throws(() => new IvPartition(sid), RangeError);
    }
  });

  it('are not made of sequence numbers: implicit ones cannot be negotiated (RFC 8750)', () => {
    for (const id of [29, 30, 31]) assert.equal(encryptionAlgorithm(id), undefined);
  });
});
