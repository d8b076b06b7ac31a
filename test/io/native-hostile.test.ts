import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import fc from 'fast-check';
import { EncryptionId, IntegrityId } from '../../src/crypto/transform.ts';
import { type Batch, createBatch, STATUS_BAD_ICV, WORDS, Word } from '../../src/esp/batch.ts';
import { type EspTransforms, espSuite } from '../../src/esp/esp-suite.ts';
import { hasSuite } from '../../src/io/back-ends.ts';
import { contextOptions } from '../../src/io/esp-contexts.ts';
import {
  type BackEndName,
  type Native,
  type NativeContextOptions,
  native,
} from '../../src/io/native.ts';
import { backEnds } from '../support/back-ends.ts';
import { childSa, testKeys } from '../support/esp-gateway.ts';
import { describeNative } from '../support/native-addon.ts';

const ROWS = 8;
const edges = [0, 1, -1, 7, 8, 16, 24, 40, 1400, 9408, 0x7fffffff, -0x80000000, ROWS * 9408];

/** Numbers an attacker or a mistake would write into a descriptor. */
const hostileWord = fc.oneof(
  fc.constantFrom(...edges),
  fc.integer({ min: -0x80000000, max: 0x7fffffff }),
);

describeNative('Hostile descriptors', () => {
  it('cost a status and never reach outside the arena', () => {
    const subject = new Subject();
    fc.assert(
      fc.property(
        fc.array(hostileWord, { minLength: WORDS, maxLength: WORDS * ROWS }),
        fc.boolean(),
        (words, alike) => {
          subject.fill(words);
          if (alike) subject.fillAlike();
          subject.callAll();
          subject.checkRows();
        },
      ),
      { numRuns: 600 },
    );
    subject.close();
  });

  it('are refused exactly where the packet would pass the end of the arena', () => {
    const subject = new Subject();
    const size = subject.batch.arena.length;
    const ways = WAYS.slice(0, 2).flatMap((way) => backEnds.map((name) => [way, name] as const));
    const seals = ways.map(([way, name]) => subject.addon.context(zeroKeyed(way, name, true)));
    for (const [offset, length, status] of [
      [size - 64, 64, 0],
      [size - 64, 65, -22],
      [size - 63, 64, -22],
      [size, 0, -22],
      [size + 1, 0, -22],
      [-1, 64, -22],
      [0, -1, -22],
      [0x7fffffff, 0x7fffffff, -22],
    ] as const) {
      for (const context of seals) {
        subject.fill([offset, length, context]);
        subject.batch.words[Word.SOURCE_LENGTH] = 0;
        subject.batch.words[Word.CONTEXT] = context;
        subject.addon.seal(subject.number, 0, 1);
        assert.equal(subject.batch.words[Word.STATUS], status, `${offset}+${length}`);
      }
    }
    for (const context of seals) subject.addon.freeContext(context);
    subject.close();
  });

  it('are refused where what is copied, or its checksum, would leave the packet', () => {
    const subject = new Subject();
    const size = subject.batch.arena.length;
    // Octets 1000 to 1199 are the packet; 100 octets from 5000 on go to 1016.
    const sound = { source: 5000, length: 100, to: 1016, from: 1020, at: 1030 };
    for (const [change, status] of [
      [{}, 0],
      [{ source: size - 100 }, 0],
      [{ source: size - 99 }, -22],
      [{ source: -1 }, -22],
      [{ length: -1 }, -22],
      [{ length: 0x7fffffff }, -22],
      [{ to: 999 }, -22],
      [{ to: 1100 }, 0],
      [{ to: 1101 }, -22],
      [{ to: -1 }, -22],
      [{ to: size }, -22],
      [{ from: -1, at: -1 }, 0],
      [{ from: 999 }, -22],
      [{ from: 1116 }, 0],
      [{ from: 1117 }, -22],
      [{ from: size }, -22],
      [{ at: 999 }, -22],
      [{ at: 1198 }, 0],
      [{ at: 1199 }, -22],
      [{ at: size - 1 }, -22],
    ] as const) {
      const { source, length, to, from, at } = { ...sound, ...change };
      subject.fill([1000, 200, subject.contexts[0] ?? -1]);
      const { words } = subject.batch;
      words[Word.SOURCE] = source;
      words[Word.SOURCE_LENGTH] = length;
      words[Word.COPY_TO] = to;
      words[Word.SUM_FROM] = from;
      words[Word.SUM_AT] = at;
      subject.addon.seal(subject.number, 0, 1);
      assert.equal(words[Word.STATUS], status, JSON.stringify(change));
    }
    subject.close();
  });

  it('are refused when they name rows the batch does not have', () => {
    const subject = new Subject();
    for (const [first, count] of [
      [0, ROWS + 1],
      [ROWS, 1],
      [ROWS + 1, 0],
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [Number.NaN, 1],
      [2 ** 32, 1],
    ] as const) {
      assert.throws(() => subject.addon.seal(subject.number, first, count), RangeError);
      assert.throws(() => subject.addon.send(subject.number, first, count), RangeError);
      assert.throws(() => subject.addon.receive(0, subject.number, first, count), RangeError);
    }
    assert.throws(() => subject.addon.seal(subject.number + 1, 0, 1), RangeError);
    subject.close();
    assert.throws(() => subject.addon.seal(subject.number, 0, 1), RangeError);
  });
});

describeNative('Arguments of a wrong kind', () => {
  it('throw and do nothing', () => {
    const takesNothing = ['netlink', 'backEnds', 'eventFd', 'goFirst'];
    const values = [undefined, null, 'x', {}, [], -5, 2 ** 40, new Float64Array(2), () => {}];
    for (const [name, member] of Object.entries(native())) {
      if (typeof member !== 'function' || takesNothing.includes(name)) continue;
      assert.throws(() => Reflect.apply(member, undefined, []), Error, name);
      for (const value of values) {
        assert.throws(
          () => Reflect.apply(member, undefined, [value, value, value, value]),
          Error,
          `${name} of ${String(value)}`,
        );
      }
    }
  });

  it('throw where a number is out of range, or names what is gone', () => {
    const addon = native();
    const batch = createBatch(2);
    const number = addon.batch(batch.arena, batch.words, batch.origins);
    const udp = addon.udpSocket({ family: 4, port: 0, address: Uint8Array.of(127, 0, 0, 1) });
    const event = addon.eventFd();
    const octets = new Uint8Array(32);
    const refused: readonly (readonly [keyof Native, ...(readonly unknown[])])[] = [
      ...[0, -1, 65, 2 ** 31].map((shares) => ['shareBySpi', udp, shares] as const),
      ...[0, 65].map((shares) => ['keepBySpi', udp, 4, 0, shares] as const),
      ...[-1, 64].map((share) => ['keepBySpi', udp, 4, share, 2] as const),
      ...[3, 7].map((family) => ['keepBySpi', udp, family, 0, 2] as const),
      ...[3, 7].map((family) => ['sendTo', udp, family, number, 0, 1] as const),
      ...[-1, 1, 9, 11].map((header) => ['readTun', udp, number, 0, 1, header, 1] as const),
      ...[-1, 1, 9, 11].map((header) => ['writeTun', udp, number, 0, 1, header] as const),
      ['readTun', udp, number, 0, 1, 0, -1],
      ['writeTun', udp, number, 1, 2, 0],
      ['sendTo', udp, 4, number, 3, 1],
      ...(['freeBatch', 'freeContext', 'freePath', 'unwatch'] as const).flatMap((name) =>
        [-1, 77, 0x7fffffff].map((handle) => [name, handle] as const),
      ),
      ...[-1, 1_000_000].flatMap((fd) => [
        ['close', fd] as const,
        ['signal', fd] as const,
        ['takeSignals', fd] as const,
        ['netlinkRequest', fd, octets] as const,
        ['netlinkDrain', fd] as const,
        ['watch', fd, () => assert.fail('called')] as const,
      ]),
      ...[-1, 0, 2 ** 31].map((interfaceIndex) => {
        return ['packetSocket', { interfaceIndex, etherType: 0x806 }] as const;
      }),
      ...[0, 0x5ff, 0x1_0000].map((etherType) => {
        return ['packetSocket', { interfaceIndex: 1, etherType }] as const;
      }),
      ...[0, 7, 9, 65 * 8].map((length) => {
        const filter = new Uint8Array(length);
        return ['packetSocket', { interfaceIndex: 1, etherType: 0x806, filter }] as const;
      }),
      ...[5, 7].map((length) => {
        return ['packetMembership', udp, 1, new Uint8Array(length), true] as const;
      }),
      ['packetMembership', udp, 0, octets.subarray(0, 6), true],
      ['packetMembership', udp, 1, octets.subarray(0, 6), true],
      ['sendFrames', udp, number, 1, 2],
      ['netlinkRequest', udp, octets],
      ['netlinkRequest', udp, octets.subarray(0, 3)],
      ['checksum', octets, 0, 33, 0],
      ['checksum', octets, 33, 0, 0],
      ['checksum', octets, 1, -1, 0],
      ['checksum', octets, 0, 1, 2 ** 32],
    ];
    for (const [name, ...values] of refused) {
      const call = () => Reflect.apply(Object(addon[name]), undefined, values);
      const refusal = { code: /^(ERR_OUT_OF_RANGE|E[A-Z]+)$/ };
      assert.throws(call, refusal, `${name} of ${values.map(String).join(', ')}`);
    }
    for (const fd of [udp, event]) addon.close(fd);
    addon.freeBatch(number);
    assert.throws(() => addon.freeBatch(number), RangeError);
  });

  it('are refused as the memory of a batch', () => {
    const { arena, words, origins } = createBatch(2);
    const wrong: readonly (readonly unknown[])[] = [
      [new Uint8Array(100), words, origins],
      [arena, new Int32Array(24), origins],
      [arena, words, new Uint8Array(96)],
      [words, words, origins],
      [arena, arena, origins],
      [arena, words, origins.subarray(0, 95)],
    ];
    for (const memory of wrong) {
      assert.throws(() => Reflect.apply(native().batch, undefined, memory), /TypeError|RangeError/);
    }
  });

  it('name the system call and the errno of a descriptor that is not open', () => {
    const addon = native();
    const batch = createBatch(1);
    const number = addon.batch(batch.arena, batch.words, batch.origins);
    batch.words[Word.LENGTH] = 10;
    const expected = { code: 'EBADF', syscall: 'recvmmsg' };
    assert.throws(() => addon.receive(1_000_000, number, 0, 1), expected);
    addon.freeBatch(number);
  });
});

const { AES_GCM_16, AES_CCM_8, AES_CTR, AES_CBC, NULL, NULL_AUTH_AES_GMAC, CHACHA20_POLY1305 } =
  EncryptionId;
const { AUTH_HMAC_SHA2_256_128, AUTH_HMAC_SHA2_512_256, AUTH_AES_XCBC_96, AUTH_AES_CMAC_96 } =
  IntegrityId;

/** The first two take a body of any length. */
const WAYS: readonly EspTransforms[] = [
  { encr: { id: AES_GCM_16, keyLength: 128 } },
  { encr: { id: CHACHA20_POLY1305 } },
  { encr: { id: AES_CCM_8, keyLength: 128 } },
  { encr: { id: NULL_AUTH_AES_GMAC, keyLength: 128 } },
  { encr: { id: AES_CTR, keyLength: 128 }, integ: { id: AUTH_AES_XCBC_96 } },
  { encr: { id: AES_CBC, keyLength: 128 }, integ: { id: AUTH_HMAC_SHA2_256_128 } },
  { encr: { id: AES_CTR, keyLength: 256 }, integ: { id: AUTH_HMAC_SHA2_512_256 } },
  { encr: { id: NULL }, integ: { id: AUTH_AES_CMAC_96 } },
];

function zeroKeyed(
  transforms: EspTransforms,
  backEnd: BackEndName,
  seal: boolean,
): NativeContextOptions {
  const { encryption, integrity } = testKeys(childSa(transforms), 0);
  const keys = { encryption: encryption.fill(0), integrity: integrity.fill(0) };
  return contextOptions(espSuite(transforms), keys, { esn: true, seal, backEnd });
}

/** A batch with contexts and paths that exist, so that random words sometimes name them. */
class Subject {
  readonly addon: Native = native();
  readonly batch: Batch = createBatch(ROWS);
  readonly number = this.addon.batch(this.batch.arena, this.batch.words, this.batch.origins);
  /** Of every way to seal, with every library, in both directions; the first is AES-GCM's. */
  readonly contexts = backEnds.flatMap((backEnd) =>
    WAYS.filter((transforms) => hasSuite(backEnd, espSuite(transforms))).flatMap((transforms) =>
      [true, false].map((seal) => this.addon.context(zeroKeyed(transforms, backEnd, seal))),
    ),
  );
  #turn = 0;
  readonly #file = openSync('/dev/null', 'r+');
  readonly #udp = this.addon.udpSocket({
    family: 4,
    port: 0,
    address: Uint8Array.of(127, 0, 0, 1),
  });
  readonly #path = this.addon.path({
    fd: this.#udp,
    family: 4,
    remote: Uint8Array.of(127, 0, 0, 1),
    port: 9,
  });

  fill(words: readonly number[]): void {
    this.batch.words.fill(-1);
    this.batch.words.set(words);
    for (let row = 0; row < ROWS; row++) {
      const at = row * WORDS;
      if (row % 2 === 0) this.batch.words[at + Word.CONTEXT] = this.#anyContext();
      if (row % 3 === 0) this.batch.words[at + Word.PATH] = this.#path;
    }
  }

  /** Every row has one context, in places that overlap: some libraries take packets side by side. */
  fillAlike(): void {
    const context = this.#anyContext();
    for (let row = 0; row < ROWS; row++) {
      const at = row * WORDS;
      this.batch.words[at + Word.CONTEXT] = context;
      this.batch.words[at + Word.OFFSET] = (this.batch.words[at + Word.OFFSET] ?? 0) & 0x3f;
      this.batch.words[at + Word.LENGTH] = 1400;
    }
  }

  #anyContext(): number {
    return this.contexts[this.#turn++ % this.contexts.length] ?? -1;
  }

  callAll(): void {
    this.addon.seal(this.number, 0, ROWS);
    this.addon.open(this.number, 0, ROWS);
    this.addon.send(this.number, 0, ROWS);
    this.addon.sendFrames(this.#udp, this.number, 0, ROWS);
    this.addon.receive(this.#udp, this.number, 0, ROWS);
    this.addon.readTun(this.#file, this.number, 0, ROWS, 0, 1 << 20);
    this.addon.writeTun(this.#file, this.number, 0, ROWS, 0);
    this.addon.readTun(this.#file, this.number, 0, ROWS, 10, 4096);
    this.addon.writeTun(this.#file, this.number, 0, ROWS, 10);
  }

  /** Whatever happened, every row of a context now holds a status that means something. */
  checkRows(): void {
    for (let row = 0; row < ROWS; row++) {
      const status = this.batch.words[row * WORDS + Word.STATUS] ?? 0;
      const drop = this.batch.words[row * WORDS + Word.DROP];
      if (drop === 0) assert.ok(status <= STATUS_BAD_ICV && status > -200, `status ${status}`);
    }
  }

  close(): void {
    this.addon.freePath(this.#path);
    this.addon.close(this.#udp);
    for (const context of this.contexts) this.addon.freeContext(context);
    this.addon.freeBatch(this.number);
    closeSync(this.#file);
  }
}
