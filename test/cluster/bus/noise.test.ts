/** The handshake against the vectors of other implementations, and against what is not a key holder. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AES_GCM,
  NoiseInitiator,
  NoiseResponder,
  noiseCipherKey,
} from '../../../src/cluster/bus/noise.ts';
import { open, seal } from '../../../src/crypto/message-cipher.ts';
import { SecretBytes } from '../../../src/crypto/secret-bytes.ts';
import { fromHex, toHex } from '../../../src/wire/octets.ts';
import { seededRandom } from '../../support/seeded-random.ts';

interface NoiseVector {
  readonly prologue: string;
  readonly psk: string;
  readonly initiatorEphemeral: string;
  readonly responderEphemeral: string;
  readonly messages: readonly { readonly payload: string; readonly ciphertext: string }[];
}

const vector: NoiseVector = JSON.parse(
  readFileSync(join(process.cwd(), 'vectors/noise/nnpsk0-25519-aesgcm-sha256.json'), 'utf8'),
);

function ends(overrides: { readonly psk?: string; readonly prologue?: string } = {}) {
  const settings = (ephemeral: string, psk: string, prologue: string) => ({
    psk: new SecretBytes(fromHex(psk)),
    prologue: fromHex(prologue),
    random: () => fromHex(ephemeral),
  });
  return {
    initiator: new NoiseInitiator(settings(vector.initiatorEphemeral, vector.psk, vector.prologue)),
    responder: new NoiseResponder(
      settings(
        vector.responderEphemeral,
        overrides.psk ?? vector.psk,
        overrides.prologue ?? vector.prologue,
      ),
    ),
  };
}

describe('Noise_NNpsk0_25519_AESGCM_SHA256', () => {
  it('writes and reads the messages of the vectors, and the keys open what follows', () => {
    const { initiator, responder } = ends();
    const [first, second, ...later] = vector.messages;
    assert(first && second);
    const initiation = initiator.write(fromHex(first.payload));
    assert.equal(toHex(initiation), first.ciphertext);
    assert.equal(toHex(responder.read(initiation) ?? new Uint8Array(0)), first.payload);
    const answer = responder.write(fromHex(second.payload));
    assert(answer);
    assert.equal(toHex(answer.message), second.ciphertext);
    const read = initiator.read(answer.message);
    assert(read);
    assert.equal(toHex(read.payload), second.payload);
    for (const [number, { payload, ciphertext }] of later.entries()) {
      // The initiator sends the first, then both in turn, each with a counter of its own.
      const [from, to] = number % 2 === 0 ? [read.keys, answer.keys] : [answer.keys, read.keys];
      const iv = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, number >> 1);
      const aad = new Uint8Array(0);
      const cipher = { algorithm: AES_GCM, iv, aad };
      const key = noiseCipherKey(from.send);
      assert.equal(toHex(seal({ ...cipher, key, plaintext: fromHex(payload) })), ciphertext);
      const opened = open({
        ...cipher,
        key: noiseCipherKey(to.receive),
        ciphertext: fromHex(ciphertext),
      });
      assert.equal(toHex(opened ?? aad), payload);
    }
  });

  it('opens nothing under another key or another prologue', () => {
    const initiation = ends().initiator.write(new Uint8Array(3));
    assert.ok(ends().responder.read(initiation));
    assert.equal(ends({ psk: '11'.repeat(32) }).responder.read(initiation), undefined);
    assert.equal(ends({ prologue: '00' }).responder.read(initiation), undefined);
  });

  it('notices one changed bit anywhere in either message', () => {
    const initiation = ends().initiator.write(Uint8Array.of(1, 2, 3));
    for (let bit = 0; bit < initiation.length * 8; bit++) {
      assert.equal(ends().responder.read(flipped(initiation, bit)), undefined, `bit ${bit}`);
    }
    const { initiator, responder } = ends();
    responder.read(initiator.write(Uint8Array.of(1, 2, 3)));
    const answer = responder.write(Uint8Array.of(4, 5, 6))?.message;
    assert(answer);
    for (let bit = 0; bit < answer.length * 8; bit++) {
      assert.equal(initiator.read(flipped(answer, bit)), undefined, `bit ${bit}`);
    }
    // Forged answers have not spoiled the wait for the genuine one.
    assert.deepEqual(initiator.read(answer)?.payload, Uint8Array.of(4, 5, 6));
  });

  it('refuses a public value that gives no shared secret', () => {
    const psk = new SecretBytes(fromHex(vector.psk));
    const settings = { psk, prologue: new Uint8Array(0), random: seededRandom(1) };
    const initiator = new NoiseInitiator(settings);
    initiator.write(new Uint8Array(0));
    assert.equal(initiator.read(new Uint8Array(48)), undefined);
  });
});

function flipped(octets: Uint8Array, bit: number): Uint8Array {
  const copy = octets.slice();
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}
