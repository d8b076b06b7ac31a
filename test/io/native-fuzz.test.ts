/**
 * Whatever the words of a batch say, the native layer changes nothing outside the packets they name:
 * fixed seeds, guards around all memory it is given, and a thread that changes words meanwhile.
 * The same tests run under AddressSanitizer, which sees what is only read.
 */
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { EncryptionId, IntegrityId } from '../../src/crypto/transform.ts';
import { ORIGIN_OCTETS, Origin, STATUS_BAD_ICV, WORDS, Word } from '../../src/esp/batch.ts';
import { type EspTransforms, espSuite } from '../../src/esp/esp-suite.ts';
import { hasSuite } from '../../src/io/back-ends.ts';
import { contextOptions } from '../../src/io/esp-contexts.ts';
import { native } from '../../src/io/native.ts';
import { backEnds } from '../support/back-ends.ts';
import { childSa, testKeys } from '../support/esp-gateway.ts';
import { describeNative } from '../support/native-addon.ts';
import { portOf } from '../support/native-ends.ts';
import { seededNumbers } from '../support/seeded-random.ts';

const SEEDS = Array.from({ length: 60 }, (_, seed) => seed + 1);
const ROWS = 96;
const ARENA = 40_000;
const GUARD = 4096;
const GUARD_OCTET = 0xa5;
const EINVAL = -22;

describeNative('Memory that hostile descriptors name', () => {
  it('changes in the packets of the rows alone, and words only where they are answers', () => {
    const subject = new Subject();
    const done = new Map<string, number>();
    for (const seed of SEEDS) {
      const next = seededNumbers(seed);
      for (const call of subject.calls) {
        subject.fill(next);
        if (call.name === 'open') subject.sealForOpen();
        const rows = subject.check(call, next, `seed ${seed}`);
        done.set(call.name, (done.get(call.name) ?? 0) + rows);
      }
    }
    subject.close();
    // Nothing is shown by rows that were all refused; without a raw socket these send none.
    const refused = ['sendTo 4', 'sendTo 6', 'sendFrames'];
    for (const [name, rows] of done) assert.ok(rows > 500 || refused.includes(name), name);
  });

  it('changes so also with words that another thread writes at the same time', async () => {
    const subject = new Subject();
    const next = seededNumbers(1);
    subject.fill(next);
    const scribbler = new Worker(SCRIBBLER, {
      eval: true,
      workerData: { words: subject.words, values: subject.plausible(next, 4096) },
    });
    await new Promise((resolve) => scribbler.once('message', resolve));
    for (let round = 0; round < 400; round++) {
      for (const { perform } of subject.calls) perform(0, ROWS);
      subject.checkGuards(`round ${round}`);
    }
    await scribbler.terminate();
    subject.close();
  });

  it('is written to the device only with so many pieces as one write takes, and forward', () => {
    const subject = new Subject(1100);
    for (const [pieces, status] of [
      [1, 0],
      [64, 0],
      [1024, 0],
      [1025, EINVAL],
      [1100, EINVAL],
    ] as const) {
      subject.chain(pieces);
      const written = subject.addon.writeTun(subject.sink, subject.number, 0, pieces, 0);
      assert.deepEqual([subject.word(0, Word.STATUS), written], [status, status === 0 ? 1 : 0]);
    }
    for (const next of [-1, 1100, 0x7fffffff, -0x80000000]) {
      subject.chain(2);
      subject.words[Word.NEXT] = next;
      assert.equal(subject.addon.writeTun(subject.sink, subject.number, 0, 2, 0), 0);
      assert.equal(subject.word(0, Word.STATUS), EINVAL, `${next}`);
    }
    subject.close();
  });
});

const { AES_GCM_16, AES_CCM_8, AES_CTR, AES_CBC, NULL, CHACHA20_POLY1305 } = EncryptionId;
const { AUTH_HMAC_SHA2_256_128, AUTH_HMAC_SHA1_96, AUTH_AES_CMAC_96 } = IntegrityId;

const SUITES: readonly EspTransforms[] = [
  { encr: { id: AES_GCM_16, keyLength: 128 } },
  { encr: { id: CHACHA20_POLY1305 } },
  { encr: { id: AES_CCM_8, keyLength: 256 } },
  { encr: { id: AES_CBC, keyLength: 128 }, integ: { id: AUTH_HMAC_SHA2_256_128 } },
  { encr: { id: AES_CTR, keyLength: 256 }, integ: { id: AUTH_HMAC_SHA1_96 } },
  { encr: { id: NULL }, integ: { id: AUTH_AES_CMAC_96 } },
];

/** Writes values into words at random until it is ended. */
const SCRIBBLER = `
  const { parentPort, workerData: { words, values } } = require('node:worker_threads');
  parentPort.postMessage('ready');
  let at = 1;
  for (let turn = 0; ; turn++) {
    at = (Math.imul(at, 1664525) + 1013904223) >>> 0;
    words[at % words.length] = values[turn % values.length];
  }`;

/** One function of the native layer, and which words are its answers. */
interface Call {
  readonly name: string;
  readonly perform: (first: number, count: number) => number;
  readonly answers: readonly number[];
  /** Octets in front of a packet that it writes, too; undefined = it writes no octets. */
  readonly front: number | undefined;
}

class Subject {
  readonly addon = native();
  readonly rows: number;
  readonly #memory = new Uint8Array(new SharedArrayBuffer(GUARD + ARENA + GUARD));
  readonly #wordMemory: Int32Array;
  readonly #originMemory: Uint8Array;
  readonly arena = this.#memory.subarray(GUARD, GUARD + ARENA);
  readonly words: Int32Array;
  readonly number: number;
  /** Swallows what is written, and gives zeros without end. */
  readonly sink = openSync('/dev/null', 'r+');
  readonly source = openSync('/dev/zero', 'r+');
  readonly calls: readonly Call[];
  readonly #contexts: readonly number[];
  readonly #paths: readonly number[];
  readonly #sockets: readonly number[];

  constructor(rows = ROWS) {
    this.rows = rows;
    this.#wordMemory = new Int32Array(new SharedArrayBuffer(4 * (rows * WORDS + 2 * GUARD)));
    this.#originMemory = new Uint8Array(new SharedArrayBuffer(rows * ORIGIN_OCTETS + 2 * GUARD));
    for (const memory of [this.#memory, this.#wordMemory, this.#originMemory]) {
      memory.fill(GUARD_OCTET);
    }
    this.words = this.#wordMemory.subarray(GUARD, GUARD + rows * WORDS);
    const origins = this.#originMemory.subarray(GUARD, GUARD + rows * ORIGIN_OCTETS);
    this.number = this.addon.batch(this.arena, this.words, origins);
    this.#contexts = backEnds.flatMap((backEnd) =>
      SUITES.map((transforms) => ({ transforms, suite: espSuite(transforms) }))
        .filter(({ suite }) => hasSuite(backEnd, suite))
        .flatMap(({ transforms, suite }) =>
          [true, false].map((seal) => {
            const keys = testKeys(childSa(transforms), 1);
            return this.addon.context(contextOptions(suite, keys, { esn: true, seal, backEnd }));
          }),
        ),
    );
    const loopback = Uint8Array.of(127, 0, 0, 1);
    const open = () =>
      this.addon.udpSocket({ family: 4, port: 0, address: loopback, merged: true });
    this.#sockets = [open(), open()];
    const [from = -1, to = -1] = this.#sockets;
    const path = { fd: from, family: 4, local: loopback, remote: loopback } as const;
    this.#paths = [portOf(to), 9].map((port) => this.addon.path({ ...path, port }));
    this.calls = this.#calls(from, to);
  }

  #calls(from: number, to: number): readonly Call[] {
    const { addon, number, sink, source } = this;
    const { STATUS, LENGTH, SEGMENT, TOS, SUM } = Word;
    const call = (
      name: string,
      perform: Call['perform'],
      answers: readonly number[] = [],
      front?: number,
    ): Call => ({ name, perform, answers: [STATUS, ...answers], front });
    return [
      call('seal', (first, count) => addon.seal(number, first, count), [], 0),
      call('open', (first, count) => addon.open(number, first, count), [SUM], 0),
      call('send', (first, count) => addon.send(number, first, count)),
      call(
        'receive',
        (first, count) => addon.receive(to, number, first, count),
        [LENGTH, SEGMENT, TOS],
        0,
      ),
      call('sendTo 4', (first, count) => addon.sendTo(from, 4, number, first, count)),
      call('sendTo 6', (first, count) => addon.sendTo(from, 6, number, first, count)),
      call('sendFrames', (first, count) => addon.sendFrames(from, number, first, count)),
      ...[0, 10].flatMap((header) => [
        call(
          `readTun ${header}`,
          (first, count) => addon.readTun(source, number, first, count, header, 1 << 20),
          [LENGTH],
          header,
        ),
        call(`writeTun ${header}`, (first, count) =>
          addon.writeTun(sink, number, first, count, header),
        ),
      ]),
    ];
  }

  /** Rows of which most are sound but for a word or two. */
  fill(next: () => number): void {
    const below = (end: number) => Math.floor(next() * end);
    const one = <T>(list: readonly T[]): T | undefined => list[below(list.length)];
    // Many rows alike: some libraries take packets side by side, some messages hold many of them.
    const alike = next() < 0.4;
    const [context, path, length] = [one(this.#contexts), one(this.#paths), 8 + below(600)];
    let end = 0;
    for (let row = 0; row < this.rows; row++) {
      const at = row * WORDS;
      const own = alike ? length : below(600);
      const offset = next() < 0.7 ? end : below(ARENA);
      end = (offset + own) % (ARENA - 600);
      const sound: Readonly<Record<number, number>> = {
        [Word.OFFSET]: offset,
        [Word.LENGTH]: own,
        [Word.CONTEXT]: (alike ? context : one([...this.#contexts, -1])) ?? -1,
        [Word.PATH]: (alike ? path : one([...this.#paths, -1, -2])) ?? -1,
        [Word.DROP]: one([0, 0, 0, -3, 5]) ?? 0,
        [Word.SOURCE]: below(ARENA - 600),
        [Word.SOURCE_LENGTH]: one([0, below(own + 1)]) ?? 0,
        [Word.COPY_TO]: offset + below(20),
        [Word.SUM_FROM]: one([-1, offset]) ?? -1,
        [Word.SUM_AT]: offset + below(30),
        [Word.NEXT]: one([0, 0, 1, 1, 2, below(9)]) ?? 0,
      };
      for (let word = 0; word < WORDS; word++) {
        this.words[at + word] = sound[word] ?? below(4);
      }
      if (next() < 0.3) this.words[at + below(WORDS)] = this.#bad(next);
    }
    for (let at = 0; at < ARENA; at += 1 + below(50)) this.arena[at] = below(256);
    for (let row = 0; row < this.rows; row++) {
      const origin = GUARD + row * ORIGIN_OCTETS;
      this.#originMemory.fill(0, origin, origin + ORIGIN_OCTETS);
      this.#originMemory[origin + Origin.FAMILY] = row % 2 === 0 ? 4 : 6;
      const loopback = row % 2 === 0 ? [127, 0, 0, 1] : [...new Uint8Array(15), 1];
      this.#originMemory.set(loopback, origin + Origin.DESTINATION);
    }
  }

  /** Seals what can be sealed, and names the contexts that open it. */
  sealForOpen(): void {
    this.addon.seal(this.number, 0, this.rows);
    for (let at = 0; at < this.words.length; at += WORDS) {
      const sealer = this.#contexts.indexOf(this.words[at + Word.CONTEXT] ?? -1);
      if (sealer >= 0 && sealer % 2 === 0) {
        this.words[at + Word.CONTEXT] = this.#contexts[sealer + 1] ?? -1;
      }
    }
  }

  /** Numbers on the edge of what is there, those of other things, and any. */
  #bad(next: () => number): number {
    const below = (end: number) => Math.floor(next() * end);
    const handles = [...this.#contexts, ...this.#paths, this.number];
    const handle = handles[below(handles.length)] ?? 0;
    const values = [
      ...[0, 1, -1, -2, -3, 7, 8, 9, 10, 11, 23, 24, 39, 40, 64, 1024, 0x7fffffff, -0x80000000],
      ...[ARENA - 1, ARENA, ARENA + 1, ARENA - 10, ARENA - 24, -ARENA, this.rows, GUARD],
      ...[handle, handle + 1, handle + (1 << 20), handle - (1 << 20), below(2 ** 32) | 0],
    ];
    return values[below(values.length)] ?? 0;
  }

  plausible(next: () => number, count: number): Int32Array {
    return Int32Array.from({ length: count }, () =>
      next() < 0.5 ? this.#bad(next) : Math.floor(next() * 2000),
    );
  }

  check({ name, perform, answers, front }: Call, next: () => number, text: string): number {
    const first = Math.floor(next() * 4);
    const count = this.rows - first - Math.floor(next() * 4);
    const [arena, words] = [this.arena.slice(), this.words.slice()];
    const done = perform(first, count);
    assert.ok(done >= 0 && done <= count, `${text}: ${name} answered ${done}`);
    this.checkGuards(`${text}: ${name}`);
    const allowed = new Uint8Array(ARENA);
    for (let row = 0; row < this.rows; row++) {
      const at = row * WORDS;
      for (let word = 0; word < WORDS; word++) {
        if (this.words[at + word] === words[at + word]) continue;
        const mayChange = answers.includes(word) && row >= first && row < first + count;
        assert.ok(mayChange, `${text}: ${name} changed word ${word} of row ${row}`);
        const meant = word !== Word.STATUS || this.word(row, word) <= STATUS_BAD_ICV;
        assert.ok(meant, `${text}: ${name} answered status ${this.word(row, word)}`);
      }
      const [offset = -1, length = -1] = words.subarray(at, at + 2);
      const inside = offset >= 0 && length >= 0 && offset + length <= ARENA;
      if (inside && front !== undefined && offset >= front) {
        allowed.fill(1, offset - front, offset + length);
      }
    }
    const changed = arena.findIndex((octet, at) => allowed[at] === 0 && octet !== this.arena[at]);
    assert.equal(changed, -1, `${text}: ${name} changed octet ${changed} of no row`);
    return done;
  }

  checkGuards(text: string): void {
    for (const memory of [this.#memory, this.#wordMemory, this.#originMemory]) {
      const guards = [memory.subarray(0, GUARD), memory.subarray(memory.length - GUARD)];
      for (const guard of guards) {
        assert.ok(
          guard.every((octet) => octet === GUARD_OCTET),
          `${text}: beside the memory`,
        );
      }
    }
  }

  /** The first rows are one write. */
  chain(pieces: number): void {
    this.words.fill(0);
    for (let row = 0; row < this.rows; row++) {
      const at = row * WORDS;
      this.words[at + Word.OFFSET] = row * 20;
      this.words[at + Word.LENGTH] = 20;
      this.words[at + Word.DROP] = row === 0 ? 0 : -3;
      this.words[at + Word.NEXT] = row < pieces - 1 ? 1 : 0;
      this.words[at + Word.STATUS] = 99;
    }
  }

  word(row: number, word: number): number {
    return this.words[row * WORDS + word] ?? 0;
  }

  close(): void {
    for (const path of this.#paths) this.addon.freePath(path);
    for (const socket of this.#sockets) this.addon.close(socket);
    for (const context of this.#contexts) this.addon.freeContext(context);
    this.addon.freeBatch(this.number);
    for (const fd of [this.sink, this.source]) closeSync(fd);
  }
}
