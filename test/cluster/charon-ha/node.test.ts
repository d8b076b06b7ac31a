/**
 * A node of a strongSwan HA cluster: the life of an IKE SA as charon told it, who serves what, and what a
 * stranger could send.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { HaVersion } from '../../../src/cluster/charon-ha/attribute.ts';
import { readChildAdd } from '../../../src/cluster/charon-ha/child-add.ts';
import { readIkeAdd } from '../../../src/cluster/charon-ha/ike-add.ts';
import { readIkeUpdate } from '../../../src/cluster/charon-ha/ike-update.ts';
import {
  decodeHaMessage,
  encodeHaMessage,
  HaMessageType,
  haMessage,
  haMessageTypeName,
} from '../../../src/cluster/charon-ha/message.ts';
import { haOutboundFloor } from '../../../src/cluster/charon-ha/mirrored-ike-sa.ts';
import type { CharonHaNode, HaAction, HaInput } from '../../../src/cluster/charon-ha/node.ts';
import { formatAddress } from '../../../src/wire/address.ts';
import { instant } from '../../../src/wire/instant.ts';
import { fromHex, toHex } from '../../../src/wire/octets.ts';
import { type HaFrame, readHaRecording, understood } from '../../support/ha-frames.ts';
import { HaPair, haNode } from '../../support/ha-nodes.ts';

const recording = readHaRecording();
const told = recording.frames.filter(({ from }) => from === '10.77.0.1');
/** Its number of CHILD_ADD messages until then: the frames of the first tunnel alone. */
const firstTunnel = told.slice(0, 1 + told.findIndex(({ octets }) => octets[1] === 6));
const listener = { local: '10.77.0.2', remote: '10.77.0.1' } as const;
const at = instant(5000);

describe('A node beside charon, as it was recorded', () => {
  it('knows the IKE SA, its ends and its Child SA once the client is up', () => {
    const node = haNode(listener);
    const kinds = give(node, firstTunnel);
    assert.deepEqual(
      kinds.filter((kind) => kind.includes('installed')),
      ['ike-sa-installed', 'child-sa-installed'],
    );
    const [ikeSa, ...others] = node.ikeSas;
    assert.ok(ikeSa && others.length === 0);
    assert.equal(ikeSa.state, 'passive');
    assert.equal(ikeSa.connection, 'rw');
    assert.equal(new TextDecoder().decode(ikeSa.remoteId?.data), 'client.lab');
    assert.equal(formatAddress(ikeSa.remote.address), '192.168.77.100');
    // IKE_SA_INIT and IKE_AUTH of the client have passed.
    assert.deepEqual([ikeSa.nextRequest, ikeSa.expectedRequest], [0, 2]);
    assert.equal(toHex(ikeSa.keys.skD.reveal()), recording.keys.skD?.[0]);
    const [child] = ikeSa.children;
    assert.equal(
      toHex(child?.keysIn.encryption.reveal() ?? assert.fail()),
      recording.keys.espI?.[0],
    );
  });

  it('follows every rekeying to the end', () => {
    const node = haNode(listener);
    const seen: string[] = [];
    for (const frame of told) {
      const kinds = give(node, [frame]);
      const { ikeSas } = node;
      seen.push(...kinds.filter((kind) => kind === 'ike-sa-replaced' || kind === 'ike-sa-removed'));
      const [ikeSa] = ikeSas;
      if (ikeSa !== undefined && ikeSa.state === 'passive') {
        assert.deepEqual(ikeSa.remoteVips.length <= 1, true);
      }
      assert.ok(ikeSas.length <= 1, 'a replaced IKE SA is gone');
    }
    assert.deepEqual(seen, ['ike-sa-replaced', 'ike-sa-replaced', 'ike-sa-removed']);
    assert.deepEqual(node.ikeSas, []);
  });

  it('hands what the replaced IKE SA had to the new one', () => {
    const node = haNode(listener);
    const second = told.findIndex(
      ({ octets }, index) => octets[1] === 1 && index > firstTunnel.length,
    );
    give(node, told.slice(0, second));
    const [before] = node.ikeSas;
    assert.ok(before);
    give(node, told.slice(second, second + 3));
    const [ikeSa] = node.ikeSas;
    assert.ok(ikeSa);
    assert.notEqual(ikeSa.id.responderSpi, before.id.responderSpi);
    assert.equal(ikeSa.state, 'passive');
    assert.deepEqual(ikeSa.children, before.children);
    assert.equal(ikeSa.children.length, 1);
    assert.deepEqual(ikeSa.remoteVips.map(formatAddress), ['10.3.0.1']);
    assert.deepEqual([ikeSa.nextRequest, ikeSa.expectedRequest], [0, 0]);
    assert.equal(toHex(ikeSa.keys.skD.reveal()), recording.keys.skD?.[1]);
  });

  it('goes on where charon was when its heartbeat stays away', () => {
    const node = haNode(listener);
    node.handle({ kind: 'start' }, at);
    give(node, firstTunnel);
    const deadline = node.nextDeadline();
    assert.equal(deadline, at + 1000);
    node.handle({ kind: 'time' }, instant(at + 2000));
    const lost = node.handle({ kind: 'time' }, instant(at + 2100));
    assert.deepEqual(kindsOf(lost), ['other-lost', 'activate', 'TAKE 1', 'TAKE 2']);
    assert.equal(node.ikeSas[0]?.state, 'active');
    // And gives it back.
    assert.deepEqual(kindsOf(node.handle(datagram(9, 1), at)), ['deactivate']);
    assert.equal(node.ikeSas[0]?.state, 'passive');
  });

  it('believes nobody lost after it stood still itself: what was said meanwhile is read first', () => {
    const node = haNode(listener);
    node.handle({ kind: 'start' }, at);
    node.handle({ kind: 'time' }, instant(at + 2000));
    const woken = node.handle({ kind: 'time' }, instant(at + 60_000));
    assert.deepEqual(kindsOf(woken), []);
    assert.deepEqual(node.active, []);
    for (let passed = 1000; passed < 2100; passed += 1000) {
      node.handle({ kind: 'time' }, instant(at + 60_000 + passed));
    }
    const lost = node.handle({ kind: 'time' }, instant(at + 62_100));
    assert.deepEqual(kindsOf(lost), ['other-lost', 'TAKE 1', 'TAKE 2']);
  });

  it('goes on with what it heard of late, once the heartbeat shows that nobody else does', () => {
    const node = haNode(listener);
    node.handle({ kind: 'start' }, at);
    node.handle({ kind: 'time' }, instant(at + 2000));
    node.handle({ kind: 'time' }, instant(at + 2100));
    const aboutSas = firstTunnel.filter(({ octets: [, type = 0] }) => type <= 7);
    give(node, aboutSas);
    assert.equal(node.ikeSas[0]?.state, 'passive');
    const nobody = encodeHaMessage(haMessage(3, HaMessageType.STATUS, []));
    const actions = node.handle({ kind: 'datagram', octets: nobody }, instant(at + 2200));
    assert.deepEqual(kindsOf(actions), ['other-back', 'activate']);
    assert.equal(node.ikeSas[0]?.state, 'active');
  });

  it('waits for a connection that comes later', () => {
    const known: string[] = [];
    const node = haNode(listener, known);
    const kinds = give(node, firstTunnel);
    assert.ok(kinds.includes('unknown-connection'));
    assert.equal(node.ikeSas[0]?.state, 'connecting');
    assert.deepEqual(node.handle({ kind: 'configured' }, at), []);
    known.push('rw', 'rw/net');
    const [installed] = node.handle({ kind: 'configured' }, at);
    assert.ok(installed?.kind === 'ike-sa-installed');
    assert.equal(installed.ikeSa.children.length, 1);
    assert.equal(installed.ikeSa.state, 'passive');
  });

  it('refuses a child that is not configured, and keeps the IKE SA', () => {
    const node = haNode(listener, ['rw']);
    assert.ok(give(node, firstTunnel).includes('unknown-child'));
    assert.deepEqual(node.ikeSas[0]?.children, []);
  });

  it('keeps no more than it is allowed to', () => {
    const node = haNode(listener, ['rw', 'rw/net'], { ikeSas: 0, children: 10 });
    const kinds = give(node, firstTunnel);
    assert.ok(kinds.includes('too-many') && kinds.includes('unknown-ike-sa'));
    const narrow = haNode(listener, ['rw', 'rw/net'], { ikeSas: 1, children: 0 });
    assert.ok(give(narrow, firstTunnel).includes('too-many'));
  });
});

describe('Two nodes', () => {
  it('agree on who serves what nobody served: odd segments at the greater address', () => {
    const pair = new HaPair();
    pair.start('a', 'b');
    assert.deepEqual([pair.nodes.a.active, pair.nodes.b.active], [[2], [1]]);
    pair.pass(5000);
    assert.deepEqual([pair.nodes.a.active, pair.nodes.b.active], [[2], [1]]);
    assert.deepEqual(pair.took('a'), []);
  });

  it('move a segment on command', () => {
    const pair = new HaPair();
    pair.start('a', 'b');
    pair.input('a', { kind: 'command', command: { kind: 'take', segment: 1 } });
    assert.deepEqual([pair.nodes.a.active, pair.nodes.b.active], [[1, 2], []]);
    pair.input('a', { kind: 'command', command: { kind: 'drop', segment: 2 } });
    assert.deepEqual([pair.nodes.a.active, pair.nodes.b.active], [[1], [2]]);
    pair.pass(10_000);
    assert.deepEqual([pair.nodes.a.active, pair.nodes.b.active], [[1], [2]]);
    const [refused] = pair.input('a', { kind: 'command', command: { kind: 'take', segment: 3 } });
    assert.deepEqual(refused, { kind: 'refused', reason: 'unknown-segment' });
  });

  it('believe no heartbeat that was under way when a segment moved', () => {
    const node = haNode({ segmentCount: 1 });
    node.handle({ kind: 'start' }, at);
    const heartbeat = encodeHaMessage(haMessage(3, HaMessageType.STATUS, []));
    node.handle({ kind: 'command', command: { kind: 'drop', segment: 1 } }, at);
    // By the rule an odd segment that nobody serves is dropped by the smaller address: said once more.
    assert.deepEqual(node.handle({ kind: 'datagram', octets: heartbeat }, instant(at + 999)), []);
    const later = node.handle({ kind: 'datagram', octets: heartbeat }, instant(at + 1000));
    assert.deepEqual(kindsOf(later), ['DROP 1']);
  });

  it('have one that takes all when the other falls silent, once', () => {
    const pair = new HaPair();
    pair.start('a', 'b');
    pair.pass(3500);
    pair.stopped.add('b');
    pair.took('a');
    // It was heard last at 3000.
    pair.pass(1599);
    assert.deepEqual(pair.nodes.a.active, [2]);
    pair.pass(1);
    assert.deepEqual(pair.nodes.a.active, [1, 2]);
    assert.deepEqual(pair.took('a'), ['other-lost']);
    pair.pass(60_000);
    assert.deepEqual(pair.took('a'), []);
  });

  it('resolve a split by the rule, without a word about the past', () => {
    const pair = new HaPair();
    pair.start('a', 'b');
    pair.pass(2000);
    pair.cut = true;
    pair.pass(5000);
    assert.deepEqual(
      [pair.nodes.a.active, pair.nodes.b.active],
      [
        [1, 2],
        [1, 2],
      ],
    );
    pair.cut = false;
    pair.took('a');
    pair.pass(2000);
    assert.deepEqual([pair.nodes.a.active, pair.nodes.b.active], [[2], [1]]);
    assert.ok(pair.took('a').includes('other-back'));
    pair.pass(5000);
    assert.deepEqual([pair.nodes.a.active, pair.nodes.b.active], [[2], [1]]);
  });

  it('hand over everything at a shutdown, or take leave where nobody is left', () => {
    const pair = new HaPair();
    pair.start('a', 'b');
    pair.pass(1500);
    pair.input('a', { kind: 'shutdown' });
    assert.deepEqual([pair.nodes.a.active, pair.nodes.b.active], [[], [1, 2]]);
    pair.stopped.add('a');
    pair.pass(5000);
    pair.took('b');
    pair.input('b', { kind: 'shutdown' });
    assert.deepEqual(pair.took('b'), ['close-ike-sas']);
  });

  it('hand over everything where nobody watches who is there', () => {
    const pair = new HaPair({ monitor: false });
    pair.start('a', 'b');
    pair.input('a', { kind: 'command', command: { kind: 'take', segment: 1 } });
    pair.input('a', { kind: 'shutdown' });
    assert.deepEqual([pair.nodes.a.active, pair.nodes.b.active], [[], [1, 2]]);
  });

  it('share segments evenly where they were told to', () => {
    const pair = new HaPair({ segmentCount: 8, autobalanceSeconds: 5 });
    pair.start('a', 'b');
    for (const segment of [1, 3, 5, 7]) {
      pair.input('a', { kind: 'command', command: { kind: 'take', segment } });
    }
    assert.equal(pair.nodes.b.active.length, 0);
    pair.pass(5000);
    assert.equal(pair.nodes.b.active.length, 1);
    pair.pass(60_000);
    assert.equal(pair.nodes.b.active.length, 4);
    assert.equal(pair.nodes.a.active.length, 4);
  });

  for (const version of [3, 4, 5] as const) {
    it(`mirror an IKE SA, take it over and tell it back (version ${version})`, () => {
      const pair = new HaPair({}, [version, version]);
      pair.start('a', 'b');
      pair.pass(1500);
      serve(pair, version);
      const [theirs] = pair.nodes.b.ikeSas;
      const [ours] = pair.nodes.a.ikeSas;
      assert.ok(theirs && ours);
      assert.deepEqual([ours.state, theirs.state], ['active', 'passive']);
      assert.deepEqual(withoutState(theirs), withoutState(ours));
      assert.deepEqual(pair.took('b'), [
        ...['ike-sa-updated', 'ike-sa-updated', 'ike-sa-installed', 'child-sa-installed'],
        'ike-sa-updated',
      ]);
      pair.stopped.add('a');
      pair.pass(2500);
      assert.deepEqual(pair.took('b'), ['other-lost', 'activate']);
      assert.equal(pair.nodes.b.ikeSas[0]?.state, 'active');
    });
  }

  it('tell a node that comes back of everything, and have its Child SAs replaced', () => {
    const pair = new HaPair();
    pair.stopped.add('b');
    pair.start('a');
    pair.pass(3000);
    serve(pair, 3);
    pair.stopped.delete('b');
    pair.start('b');
    pair.pass(1100);
    const [theirs] = pair.nodes.b.ikeSas;
    assert.equal(theirs?.state, 'passive');
    assert.deepEqual([theirs.nextRequest, theirs.expectedRequest], [0, 2]);
    assert.equal(theirs.remoteVips.length, 1);
    assert.equal(pair.took('a').filter((kind) => kind === 'rekey-children').length, 1);
    // Asked for all it has, the mirror tells nothing: the IKE SA is not its own.
    const before = pair.sent.b;
    pair.input('b', { kind: 'command', command: { kind: 'resync', segment: 1 } });
    pair.input('b', { kind: 'command', command: { kind: 'resync', segment: 2 } });
    assert.equal(pair.sent.b, before);
  });

  it('tell of many IKE SAs a few at a time', () => {
    const pair = new HaPair();
    pair.stopped.add('b');
    pair.start('a');
    pair.pass(3000);
    for (let number = 0; number < 80; number++) serve(pair, 3, number);
    pair.stopped.delete('b');
    pair.start('b');
    pair.pass(1000);
    assert.equal(pair.nodes.b.ikeSas.length, 32);
    pair.pass(10);
    assert.equal(pair.nodes.b.ikeSas.length, 64);
    pair.pass(10);
    assert.equal(pair.nodes.b.ikeSas.length, 80);
    assert.ok(pair.nodes.b.ikeSas.every(({ state }) => state === 'passive'));
  });

  it('let nobody speak of an IKE SA but the one that serves it', () => {
    const pair = new HaPair();
    pair.start('a', 'b');
    pair.pass(1500);
    serve(pair, 3);
    const [served] = pair.nodes.a.ikeSas;
    pair.cut = true;
    const third = told.findLastIndex(({ octets }) => octets[1] === HaMessageType.IKE_ADD);
    for (const { octets } of told.slice(0, third)) {
      const type = octets[1] ?? assert.fail();
      if (type > HaMessageType.CHILD_DELETE) continue;
      const actions = pair.input('a', { kind: 'datagram', octets });
      assert.equal(actions[0]?.kind, 'refused', haMessageTypeName(type));
    }
    assert.deepEqual(pair.nodes.a.ikeSas, [served]);
  });
});

describe('What a node is sent', () => {
  const refusals: readonly (readonly [string, string])[] = [
    ['', 'malformed'],
    ['03', 'malformed'],
    ['02 0a', 'malformed'],
    ['04 0a', 'other-version'],
    ['03 0d', 'unknown-type'],
    ['03 00', 'unknown-type'],
    ['03 0c', 'unsupported'],
    ['03 0a 22 0003', 'unknown-segment'],
    ['03 09 22 0000', 'unknown-segment'],
    ['03 01', 'malformed'],
    ['03 05 01 02 0102030405060708 1112131415161718 01', 'unknown-ike-sa'],
  ];
  for (const [hex, reason] of refusals) {
    it(`is refused as ${reason}: ${hex || 'nothing'}`, () => {
      const node = haNode(listener);
      const actions = node.handle({ kind: 'datagram', octets: fromHex(hex) }, at);
      assert.deepEqual(actions, [{ kind: 'refused', reason }]);
    });
  }

  it('of IKEv1, of several key exchanges or of unknown algorithms is refused by name', () => {
    const add = firstTunnel.map(understood).find(({ type }) => type === HaMessageType.IKE_ADD);
    assert.ok(add);
    const changed = (name: string, value: number) =>
      encodeHaMessage({
        ...add,
        attributes: add.attributes.map((attribute) =>
          attribute.shape === 'u16' && attribute.name === name
            ? { ...attribute, value }
            : attribute,
        ),
      });
    const refusal = (node: CharonHaNode, octets: Uint8Array) => {
      const [action] = node.handle({ kind: 'datagram', octets }, at);
      return action?.kind === 'refused' ? action.reason : action?.kind;
    };
    assert.equal(refusal(haNode(listener), changed('ALG_PRF', 99)), 'unknown-algorithm');
    const first = encodeHaMessage({
      ...add,
      attributes: add.attributes.map((attribute) =>
        attribute.shape === 'ike-sa-id'
          ? { ...attribute, value: { ...attribute.value, ikeVersion: 1 } }
          : attribute,
      ),
    });
    assert.equal(refusal(haNode(listener), first), 'unsupported');
    const several = encodeHaMessage({
      ...add,
      version: 5,
      attributes: [...add.attributes, { shape: 'u16-list', name: 'ADD_KES', value: [36] }],
    });
    assert.equal(refusal(haNode({ ...listener, version: 5 }), several), 'unsupported');
  });

  it('never throws, whatever it is', () => {
    const node = haNode(listener);
    node.handle({ kind: 'start' }, at);
    give(node, firstTunnel);
    const pieces = fc.record({
      frame: fc.nat(told.length - 1),
      at: fc.nat(400),
      value: fc.nat(255),
      length: fc.nat(400),
    });
    const kinds = new Set<string>();
    fc.assert(
      fc.property(pieces, (piece) => {
        const octets = (told[piece.frame]?.octets ?? assert.fail()).slice(0, piece.length + 1);
        octets[piece.at % octets.length] = piece.value;
        for (const action of node.handle({ kind: 'datagram', octets }, at))
          kinds.add(named(action));
        assert.ok(node.ikeSas.length <= 100);
      }),
      { numRuns: 3000 },
    );
    assert.ok(
      kinds.has('malformed') && kinds.has('unknown-ike-sa') && kinds.size > 6,
      [...kinds].join(),
    );
  });
});

describe('Where a counter goes on that nobody told', () => {
  it('is behind what a fast sender can have reached', () => {
    const since = instant(1000);
    assert.equal(haOutboundFloor({ since }, since), 0x1_0000);
    assert.equal(haOutboundFloor({ since }, instant(2000)), 0x1_0000 + 1_000_000);
    assert.equal(haOutboundFloor({ since }, instant(1e9)), 0x8000_0000);
    assert.equal(haOutboundFloor({ since }, instant(0)), 0x1_0000);
  });
});

function give(node: CharonHaNode, frames: readonly HaFrame[]): readonly string[] {
  return frames.flatMap(({ octets }) => node.handle({ kind: 'datagram', octets }, at).map(named));
}

function named(action: HaAction): string {
  return action.kind === 'refused' ? action.reason : action.kind;
}

function kindsOf(actions: readonly HaAction[]): readonly string[] {
  return actions.map((action) => {
    if (action.kind !== 'send') return named(action);
    const { type, attributes } = decodeHaMessage(action.octets);
    const values = attributes.map(({ value }) => String(value)).join();
    return `${haMessageTypeName(type).replace('SEGMENT_', '')} ${values}`;
  });
}

function datagram(type: HaMessageType, segment: number): HaInput {
  const octets = encodeHaMessage(
    haMessage(3, type, [{ shape: 'u16', name: 'SEGMENT', value: segment }]),
  );
  return { kind: 'datagram', octets };
}

function withoutState<T extends { readonly state: string }>({ state: _, ...rest }: T) {
  return rest;
}

/** Node a serves the first tunnel of the recording, or one like it with other SPIs. */
function serve(pair: HaPair, version: HaVersion, number = 0): void {
  const segment = 1;
  pair.input('a', { kind: 'command', command: { kind: 'take', segment } });
  pair.input('a', { kind: 'command', command: { kind: 'take', segment: 2 } });
  const byType = (type: HaMessageType) =>
    told
      .map(understood)
      .filter((message) => message.type === type)
      .map((each) => ({ ...each, version }));
  const [add] = byType(HaMessageType.IKE_ADD);
  const [who, where] = byType(HaMessageType.IKE_UPDATE);
  const [childAdd] = byType(HaMessageType.CHILD_ADD);
  assert.ok(add && who && where && childAdd);
  const material = readIkeAdd(add);
  const id = { ...material.id, responderSpi: number.toString(16).padStart(16, '0') };
  const own = number === 0 ? material.id : id;
  pair.input('a', { kind: 'ike-keys', material: { ...material, id: own } });
  pair.input('a', { kind: 'request', id: own, ours: false, messageId: 1 });
  pair.input('a', { kind: 'ike-details', details: { ...readIkeUpdate(who), id: own } });
  pair.input('a', { kind: 'child-keys', material: { ...readChildAdd(childAdd), ikeSa: own } });
  pair.input('a', { kind: 'ike-details', details: { ...readIkeUpdate(where), id: own } });
}
