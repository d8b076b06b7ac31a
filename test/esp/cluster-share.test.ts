import assert from 'node:assert/strict';
import { gcm } from '@noble/ciphers/aes.js';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { ENCRYPTION_ALGORITHMS } from '../../src/crypto/algorithms.ts';
import { EncryptionId, IntegrityId } from '../../src/crypto/transform.ts';
import type { ClusterParameters } from '../../src/esp/cluster-share.ts';
import { espSuite } from '../../src/esp/esp-suite.ts';
import { SaCounter, WorkerCounter } from '../../src/events/shared-counters.ts';
import { MOST_SEALED } from '../../src/ipsec/iv-partition.ts';
import { instant } from '../../src/wire/instant.ts';
import { concatOctets, toHex } from '../../src/wire/octets.ts';
import {
  type ChildSaOptions,
  childSa,
  clusterParameters,
  EspGateway,
  mirrored,
  testKeys,
  UDP,
} from '../support/esp-gateway.ts';
import { udpPacket } from '../support/inner-packets.ts';
import { segmentsOf, superPacket } from '../support/super-packets.ts';

const FOUR = ['10.1.0.10', '10.2.0.10'] as const;
const PACKET = udpPacket(...FOUR, 100);

function packets(count: number): readonly Uint8Array[] {
  return Array.from({ length: count }, () => PACKET);
}

function clustered(options: Partial<ClusterParameters> = {}): ClusterParameters {
  return {
    ...clusterParameters,
    reserved: { high: 0, low: 256 },
    ...options,
  };
}

function ivsOf(gateway: EspGateway): readonly string[] {
  return gateway.sent.map(({ octets }) => toHex(octets.subarray(8, 16)));
}

function numbersOf(gateway: EspGateway): readonly number[] {
  return gateway.sent.map(({ octets }) => new DataView(octets.slice().buffer).getUint32(4));
}

/** `a` in a cluster, `b` a peer that knows nothing of it. */
function pair(cluster: Partial<ClusterParameters> = {}, options: ChildSaOptions = {}) {
  const parameters = childSa(options);
  const a = new EspGateway();
  const b = new EspGateway();
  const [aToB, bToA] = [testKeys(parameters, 1), testKeys(parameters, 2)];
  const saA = a.install({ ...parameters, cluster: clustered(cluster) }, bToA, aToB);
  b.install(mirrored(parameters), aToB, bToA);
  return { a, b, saA, keys: aToB };
}

describe('IVs of an SA that several nodes of a cluster carry (RFC 6054 §2)', () => {
  it('are the sender and what it sealed, whatever the sequence number is, for each cipher but CBC', () => {
    const counting = ENCRYPTION_ALGORITHMS.filter(({ mode }) => mode !== 'cbc' && mode !== 'null');
    assert.equal(counting.length, 10);
    for (const { id, name, aead, variableKey } of counting) {
      const encr = variableKey ? { id, keyLength: 128 } : { id };
      const integ = { integ: { id: IntegrityId.AUTH_HMAC_SHA2_256_128 } };
      const { a, b } = pair(
        { used: { high: 0, low: 40 } },
        { encr, ...(!aead && integ), esn: true },
      );
      a.fromTun(PACKET, PACKET);
      assert.deepEqual(ivsOf(a), ['abcd000000000001', 'abcd000000000002'], name);
      assert.deepEqual(numbersOf(a), [41, 42], name);
      b.fromSocket(UDP, ...a.sent);
      assert.deepEqual(b.delivered, [PACKET, PACKET], name);
    }
  });

  it('are random with CBC all the same', () => {
    const integ = { id: IntegrityId.AUTH_HMAC_SHA2_256_128 };
    const { a, b } = pair({}, { encr: { id: EncryptionId.AES_CBC, keyLength: 128 }, integ });
    a.fromTun(PACKET, PACKET);
    assert.ok(ivsOf(a).every((iv) => !iv.startsWith('abcd0000')));
    b.fromSocket(UDP, ...a.sent);
    assert.equal(b.delivered.length, 2);
  });

  it('are the nonces another implementation opens with', () => {
    for (const [encr, open] of [
      [{ id: EncryptionId.AES_GCM_16, keyLength: 256 }, gcm],
      [{ id: EncryptionId.CHACHA20_POLY1305 }, chacha20poly1305],
    ] as const) {
      const { a, keys } = pair({ sid: 0x0203 }, { encr });
      a.fromTun(PACKET);
      const [octets = new Uint8Array(0)] = a.sent.map((sent) => sent.octets);
      const saltAt = keys.encryption.length - 4;
      const iv = Uint8Array.of(2, 3, 0, 0, 0, 0, 0, 1);
      const nonce = concatOctets(keys.encryption.subarray(saltAt), iv);
      const cipher = open(keys.encryption.subarray(0, saltAt), nonce, octets.slice(0, 8));
      assert.deepEqual(cipher.decrypt(octets.slice(16)).slice(0, PACKET.length), PACKET);
    }
  });

  it('go on for each segment of a super-packet', () => {
    const payload = new Uint8Array(6500);
    const stream = { family: 4, protocol: 'tcp', segment: 700, payload } as const;
    const a = new EspGateway({ offload: { udp: true } });
    const keys = testKeys(childSa(), 1);
    a.install({ ...childSa(), cluster: clustered() }, keys, keys);
    a.fromDevice(superPacket(stream));
    const count = segmentsOf(stream).length;
    assert.equal(count, 10);
    assert.equal(new Set(ivsOf(a)).size, count);
    assert.equal(ivsOf(a).at(-1), 'abcd00000000000a');
  });

  it('begin behind all that this node sealed when an SA comes back to it', () => {
    const { a, saA, keys } = pair();
    a.fromTun(...packets(10));
    const before = new Set(ivsOf(a));
    a.engine.remove(saA.parameters.id);
    a.sent.splice(0);
    a.install({ ...saA.parameters }, keys, keys);
    a.fromTun(...packets(10));
    assert.equal(a.sent.length, 10);
    assert.ok(ivsOf(a).every((iv) => iv.startsWith('abcd') && !before.has(iv)));
  });

  it('begin behind all that a worker sealed that is gone, too', () => {
    const { a, saA } = pair();
    a.fromTun(...packets(300));
    const before = new Set(ivsOf(a));
    const next = new EspGateway();
    next.counters.sas.set(a.counters.sas);
    next.counters.work.set(a.counters.work);
    const keys = testKeys(saA.parameters, 1);
    const contexts = { ...{ suite: saA.suite, esn: false }, ...keys };
    next.engine.install(
      { ...saA.parameters, cluster: clustered({ reserved: { high: 0, low: 600 } }) },
      {
        contextIn: next.sealer.context(contexts, false),
        contextOut: next.sealer.context(contexts, true),
        path: 1,
      },
      next.now,
      true,
    );
    next.fromTun(...packets(100));
    assert.equal(next.sent.length, 100);
    assert.ok(ivsOf(next).every((iv) => iv.startsWith('abcd') && !before.has(iv)));
    assert.equal(numbersOf(next)[0], (numbersOf(a).at(-1) ?? 0) + 1);
  });

  it('end after 2^48 of them, and the SA with them', () => {
    const a = new EspGateway();
    a.counters.work[WorkerCounter.IV_TOP] = MOST_SEALED - 3;
    const keys = testKeys(childSa(), 1);
    a.install({ ...childSa(), cluster: clustered() }, keys, keys);
    a.fromTun(...packets(5));
    assert.deepEqual(ivsOf(a), ['abcdfffffffffffd', 'abcdfffffffffffe', 'abcdffffffffffff']);
    assert.deepEqual(a.drops(), { 'sequence-exhausted': 2 });
    assert.deepEqual(a.reports, ['hard limit 1']);
  });

  it('are not to be had where they are not sent (RFC 8750)', () => {
    for (const id of [29, 30, 31]) {
      assert.throws(() => espSuite({ encr: { id, keyLength: 128 } }, true), /nodes could divide/);
    }
    assert.equal(espSuite(childSa()).partitionedIv, false);
  });
});

describe('Outbound numbers that another node acknowledged ahead', () => {
  it('are all that is sent; what comes before more are there waits', () => {
    const { a, b, saA } = pair();
    a.fromTun(...packets(300));
    assert.equal(a.sent.length, 256);
    assert.deepEqual(a.drops(), {});
    assert.deepEqual(a.reports, ['wanted 1 0 64756'], 'once, for what half a second takes');
    assert.equal(a.counter(1, SaCounter.SHARED), 256);
    a.engine.grantSequence(saA, { high: 0, low: 512 }, a.now);
    assert.equal(a.sent.length, 300);
    a.fromTun(...packets(10));
    assert.equal(a.sent.length, 310);
    assert.equal(a.counter(1, SaCounter.SHARED), 512);
    b.fromSocket(UDP, ...a.sent);
    assert.equal(b.delivered.length, 310);
    assert.deepEqual([a.drops(), b.drops()], [{}, {}]);
  });

  it('are waited for in order and within bounds; what is too much is dropped with its reason', () => {
    const { a, b, saA } = pair({ reserved: { high: 0, low: 3 } });
    const numbered = Array.from({ length: 100 }, (_, data) => udpPacket(...FOUR, data));
    a.fromTun(...numbered);
    assert.equal(a.sent.length, 3);
    assert.deepEqual(a.drops(), { 'sequence-unreserved': 33 });
    assert.deepEqual(a.saDrops(1), { 'sequence-unreserved': 33 });
    a.engine.grantSequence(saA, { high: 0, low: 13 }, a.now);
    assert.equal(a.sent.length, 13);
    a.fromTun(PACKET);
    a.engine.grantSequence(saA, { high: 0, low: 300 }, a.now);
    b.fromSocket(UDP, ...a.sent);
    assert.deepEqual(b.delivered, [...numbered.slice(0, 67), PACKET]);
    assert.deepEqual(a.drops(), { 'sequence-unreserved': 33 });
  });

  it('are waited for by a whole super-packet, if none of it went before', () => {
    const payload = new Uint8Array(6500);
    const stream = { family: 4, protocol: 'tcp', segment: 700, payload } as const;
    const a = new EspGateway({ offload: { udp: true } });
    const keys = testKeys(childSa(), 1);
    const few = clustered({ reserved: { high: 0, low: 14 } });
    const sa = a.install({ ...childSa(), cluster: few }, keys, keys);
    a.fromDevice(superPacket(stream), superPacket(stream), superPacket(stream));
    assert.equal(a.sent.length, 14);
    assert.deepEqual(a.drops(), { 'sequence-unreserved': 6 });
    a.engine.grantSequence(sa, { high: 0, low: 400 }, a.now);
    assert.equal(a.sent.length, 24);
  });

  it('are waited for no longer than this node has the SA', () => {
    const waiting = (): ReturnType<typeof pair> => {
      const made = pair({ reserved: { high: 0, low: 0 } });
      made.a.fromTun(...packets(5));
      assert.deepEqual(made.a.drops(), {});
      return made;
    };
    const given = waiting();
    given.a.engine.give(given.saA, given.a.now);
    assert.deepEqual(given.a.drops(), { 'outbound-passive': 5 });
    const removed = waiting();
    removed.a.engine.remove(removed.saA.parameters.id);
    assert.deepEqual(removed.a.drops(), { 'sequence-unreserved': 5 });
    const alone = waiting();
    alone.a.engine.goAlone(alone.saA, alone.a.now);
    assert.equal(alone.a.sent.length, 5);
  });

  it('are asked for at once where an SA has none', () => {
    const { a } = pair({ reserved: { high: 0, low: 0 } });
    assert.deepEqual(a.reports, ['wanted 1 0 256']);
    a.fromTun(PACKET);
    assert.equal(a.sent.length, 0);
  });

  it('are not needed while nobody is there to acknowledge', () => {
    const { a, saA } = pair();
    a.engine.goAlone(saA, a.now);
    a.fromTun(...packets(1000));
    assert.equal(a.sent.length, 1000);
    assert.deepEqual(a.drops(), {});
    a.engine.grantSequence(saA, { high: 0, low: 1100 }, a.now);
    a.fromTun(...packets(200));
    assert.equal(a.sent.length, 1100);
    assert.deepEqual(a.drops(), { 'sequence-unreserved': 36 });
  });

  it('go on behind where the node before may have come, and the peer follows into a high half', () => {
    const used = { high: 0, low: 0xffff_ff80 };
    const reserved = { high: 1, low: 0x80 };
    const { a, b } = pair({ used, reserved }, { esn: true });
    a.fromTun(...packets(256));
    assert.deepEqual(numbersOf(a).slice(126, 129), [0xffff_ffff, 0, 1]);
    b.fromSocket(UDP, ...a.sent);
    assert.equal(b.delivered.length, 256);
    assert.equal(b.counter(0, SaCounter.SEQUENCE), 2 ** 32 + 0x80);
  });

  it('are nearly used up, once, from three quarters of those without ESN on', () => {
    const used = { high: 0, low: 0xc000_0000 - 200 };
    const reserved = { high: 0, low: 0xc000_0000 - 1 };
    const { a, saA } = pair({ used, reserved });
    a.now = instant(a.now + 60_000);
    a.fromTun(...packets(150));
    assert.deepEqual(a.reports, ['wanted 1 0 3221225727']);
    a.engine.grantSequence(saA, { high: 0, low: 3_221_225_727 }, a.now);
    a.fromTun(...packets(300));
    assert.ok(a.reports.includes('soft limit 1'));
    assert.equal(a.reports.filter((one) => one === 'soft limit 1').length, 1);
  });
});
