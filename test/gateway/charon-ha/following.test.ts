/**
 * Our IKE engine follows what a charon told of an IKE SA: PASSIVE with its Child SAs, over every rekeying,
 * until it ends or goes on here.
 */
import assert from 'node:assert/strict';
import { HaExtension } from '../../../src/cluster/charon-ha/attribute.ts';
import { decodeHaMessage, encodeHaMessage } from '../../../src/cluster/charon-ha/message.ts';
import type { CharonHaNode } from '../../../src/cluster/charon-ha/node.ts';
import { loadConfig } from '../../../src/config/config.ts';
import { EncryptionId, TransformType } from '../../../src/crypto/transform.ts';
import { CharonHaFollowing } from '../../../src/gateway/charon-ha/following.ts';
import { snapshotOfMirrored } from '../../../src/gateway/charon-ha/snapshot.ts';
import type { Action } from '../../../src/ike/action.ts';
import { decodeBundle, encodeBundle } from '../../../src/ike/snapshot-codec.ts';
import { formatAddress, formatEndpoint } from '../../../src/wire/address.ts';
import { type Instant, instant } from '../../../src/wire/instant.ts';
import { type HaFrame, readHaRecording } from '../../support/ha-frames.ts';
import { haNode } from '../../support/ha-nodes.ts';
import { Side } from '../../support/pair.ts';

const CONF = `connections { rw { version = 2
  local_addrs = 192.168.77.5
  proposals = aes128-sha256-x25519
  local { auth = psk
    id = gateway.lab }
  remote { auth = psk
    id = client.lab }
  children { net { local_ts = 10.2.0.0/24
      esp_proposals = aes128gcm16-x25519
      life_time = 1h
      replay_window = 256 } } } }`;

const told = readHaRecording().frames.filter(({ from }) => from === '10.77.0.1');
const aboutSas = told.filter(({ octets: [, type = 0] }) => type <= 7);
const childAdds = aboutSas.flatMap(({ octets }, index) => (octets[1] === 6 ? [index] : []));
const begin = instant(5000);

class Follower {
  readonly node: CharonHaNode = haNode({ local: '10.77.0.2', remote: '10.77.0.1' });
  readonly side = new Side('b', 1, {}, { sid: 0x8001, skewMs: 0 });
  readonly #following = new CharonHaFollowing((name) => this.side.pad.connection(name));

  constructor() {
    const { connections } = loadConfig(CONF, 'swanctl.conf', () => []);
    for (const connection of connections) this.side.pad.load(connection);
    this.node.handle({ kind: 'start' }, begin);
  }

  give(frames: readonly HaFrame[], now = begin): readonly Action[] {
    return frames.flatMap(({ octets }) => this.handle({ kind: 'datagram', octets }, now));
  }

  handle(input: Parameters<CharonHaNode['handle']>[0], now: Instant): readonly Action[] {
    return this.node
      .handle(input, now)
      .flatMap((action) => this.#following.inputs(action, now))
      .flatMap((one) => this.side.engine.handle(one, now));
  }
}

describe('An IKE engine that follows a charon', () => {
  it('has its IKE SA PASSIVE, with the Child SA as it was agreed on', () => {
    const follower = new Follower();
    const actions = follower.give(aboutSas.slice(0, 1 + (childAdds[0] ?? 0)));
    const [listed, ...others] = follower.side.engine.passiveSas(begin);
    assert.ok(listed && others.length === 0);
    assert.equal(follower.side.engine.ikeSas().length, 0);
    assert.equal(formatEndpoint(listed.local), '192.168.77.5[4500]');
    assert.equal(formatEndpoint(listed.remote), '192.168.77.100[4500]');
    const installed = actions.filter(({ kind }) => kind === 'install-passive-child-sa');
    const [child] = installed;
    assert.ok(child?.kind === 'install-passive-child-sa' && installed.length === 1);
    assert.equal(child.childSa.udpEncapsulation, true);
    assert.equal(child.childSa.replayWindow, 256);
    assert.equal(child.childSa.esn, false);
    assert.equal(child.childSa.encr.id, 20);
    assert.equal(
      actions.some(({ kind }) => kind === 'send'),
      false,
    );
  });

  it('follows every rekeying, and forgets what charon deletes', () => {
    const follower = new Follower();
    let passive = 0;
    for (const frame of aboutSas) {
      follower.give([frame]);
      passive = Math.max(passive, follower.side.engine.passive);
      assert.ok(follower.side.engine.passive <= 1 + 1);
    }
    assert.equal(passive, 1);
    assert.equal(follower.side.engine.passive, 0);
    assert.equal(follower.side.engine.inboundSpis, 0);
  });

  it('keeps the Child SA over a rekeying of the IKE SA', () => {
    const follower = new Follower();
    const second = aboutSas.findIndex(({ octets }, index) => octets[1] === 1 && index > 0);
    follower.give(aboutSas.slice(0, second));
    const [before] = follower.side.engine.passiveSas(begin);
    const actions = follower.give(aboutSas.slice(second, second + 3));
    const [after] = follower.side.engine.passiveSas(begin);
    assert.notEqual(after?.ownSpi, before?.ownSpi);
    const spis = (sa: typeof before) =>
      [...(sa?.children.values() ?? [])].map((one) => one.childSa.spiIn);
    assert.deepEqual(spis(after), spis(before));
    assert.deepEqual(after?.remoteVips.map(formatAddress), ['10.3.0.1']);
    assert.deepEqual(
      actions.map(({ kind }) => kind),
      [],
    );
  });

  it('goes on with it when charon is lost, and sends nothing under charon’s keys', () => {
    const follower = new Follower();
    follower.give(aboutSas.slice(0, 1 + (childAdds[0] ?? 0)));
    const later = instant(begin + 2100);
    follower.handle({ kind: 'time' }, instant(begin + 2000));
    const actions = follower.handle({ kind: 'time' }, later);
    assert.equal(follower.side.engine.passive, 0);
    const [sa] = follower.side.engine.ikeSas();
    assert.equal(sa?.state.name, 'Established');
    assert.deepEqual([sa.window.nextId, sa.window.expectedId], [0, 2]);
    const [activated] = actions.filter(({ kind }) => kind === 'activate-child-sa');
    assert.ok(activated?.kind === 'activate-child-sa');
    assert.equal(activated.sequences, undefined);
    assert.equal(activated.childSa.outbound, 'never');
    // It receives meanwhile, and is replaced as soon as it is its turn.
    const { spiIn } = activated.childSa;
    const renewed = follower.side.engine.handle(
      { kind: 'replace-child-sas', spisIn: [spiIn] },
      later,
    );
    assert.ok(renewed.some(({ kind }) => kind === 'send'));
    assert.equal(sa.inFlight?.kind, 'create-child');
    const [child] = sa.children.values();
    assert.equal(child?.expireAt, begin + 3_600_000);
    // And back: with what happened here in its snapshot.
    const back = { kind: 'datagram', octets: Uint8Array.of(3, 9, 34, 0, 1) } as const;
    const second = { kind: 'datagram', octets: Uint8Array.of(3, 9, 34, 0, 2) } as const;
    follower.handle(back, later);
    follower.handle(second, later);
    assert.equal(follower.side.engine.passive, 1);
    assert.equal(follower.side.engine.ikeSas().length, 0);
    // What charon says of it from then on is newer than what was here.
    follower.give(aboutSas.slice(1 + (childAdds[0] ?? 0), 1 + (childAdds[1] ?? 0)), later);
    const [passive] = follower.side.engine.passiveSas(later);
    assert.equal(passive?.children.size, 2);
  });

  it('asks a peer that can say so where it stands, after a charon that fell silent only', () => {
    const synced = (message: HaFrame): HaFrame => {
      const decoded = decodeHaMessage(message.octets);
      const attributes = decoded.attributes.map((one) =>
        one.shape === 'u32' && one.name === 'EXTENSIONS'
          ? { ...one, value: one.value | HaExtension.MESSAGE_ID_SYNC }
          : one,
      );
      return { ...message, octets: encodeHaMessage({ ...decoded, attributes }) };
    };
    const frames = aboutSas.slice(0, 1 + (childAdds[0] ?? 0));
    for (const [extended, silent, asks] of [
      [true, true, true],
      [false, true, false],
      [true, false, false],
    ] as const) {
      const follower = new Follower();
      follower.give(extended ? frames.map(synced) : frames);
      follower.handle({ kind: 'time' }, instant(begin + 2000));
      if (silent) follower.handle({ kind: 'time' }, instant(begin + 2100));
      else {
        for (const segment of [1, 2]) {
          const command = { kind: 'take', segment } as const;
          follower.handle({ kind: 'command', command }, instant(begin + 2000));
        }
      }
      const [sa] = follower.side.engine.ikeSas();
      assert.equal(sa?.state.name, 'Established');
      assert.equal(sa.sync !== undefined, asks);
    }
  });

  it('keeps nothing of a connection that is not here', () => {
    const follower = new Follower();
    follower.side.pad.unload('rw');
    follower.give(aboutSas);
    assert.equal(follower.side.engine.passive, 0);
  });
});

describe('The snapshot of what charon told', () => {
  const follower = new Follower();
  follower.give(aboutSas.slice(0, 1 + (childAdds[0] ?? 0)));
  const [ikeSa] = follower.node.ikeSas;
  const connection = follower.side.pad.connection('rw');

  it('is one that other nodes of ours can read', () => {
    assert.ok(ikeSa && connection);
    const order = { epoch: 0, order: 1 };
    const snapshot = snapshotOfMirrored(ikeSa, connection, order, instant(begin + 10_000));
    assert.ok(snapshot);
    const [decoded] = decodeBundle(encodeBundle({ snapshots: [snapshot], gone: [] })).snapshots;
    assert.equal(decoded?.created, -10_000);
    assert.equal(decoded.children[0]?.expireAt, 3_590_000);
    assert.deepEqual(decoded.window.expectedId, 2);
    assert.equal(decoded.originalInitiator, false);
  });

  it('goes on behind every number that can have been sent where IVs are random', () => {
    assert.ok(ikeSa && connection);
    const order = { epoch: 0, order: 1 };
    const cbc = { type: TransformType.ENCR, id: EncryptionId.AES_CBC, keyLength: 128 } as const;
    const children = ikeSa.children.map((one) => ({
      ...one,
      proposal: { ...one.proposal, encr: cbc },
    }));
    const snapshot = (of: typeof ikeSa) =>
      snapshotOfMirrored(of, connection, order, instant(begin + 3000))?.children[0]?.sequences;
    assert.equal(snapshot({ ...ikeSa, children })?.outboundReserved.low, 0x1_0000 + 3_000_000);
    assert.equal(snapshot(ikeSa), undefined);
  });

  it('is not made before all is known', () => {
    assert.ok(ikeSa && connection);
    const order = { epoch: 0, order: 1 };
    const { localId: _, ...nameless } = ikeSa;
    assert.equal(snapshotOfMirrored(nameless, connection, order, begin), undefined);
    const early = { ...ikeSa, state: 'connecting' } as const;
    assert.equal(snapshotOfMirrored(early, connection, order, begin), undefined);
  });
});
