/**
 * No field of an IKE SA is forgotten: each one is in the snapshot, comes from what is, or is left behind for
 * a reason that stands here.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { isNewer, ownSpiOf } from '../../src/ike/snapshot.ts';
import { decodeBundle, encodeBundle } from '../../src/ike/snapshot-codec.ts';
import { toHex } from '../../src/wire/octets.ts';
import { loadSecret } from '../support/connections.ts';
import { Pair, Side } from '../support/pair.ts';
import { GCM, plainSnapshot, sampleBundles } from '../support/snapshots.ts';

/** `kept`: in the snapshot. Otherwise why not. */
type Decision = 'kept' | `derived: ${string}` | `left: ${string}`;
type Decisions = Readonly<Record<string, Decision>>;

const OPERATORS = 'left: operators asked another process';

const IKE_SA: Decisions = {
  id: 'left: each process counts its own',
  initiator: 'kept',
  originalInitiator: 'kept',
  spiI: 'kept',
  spiR: 'kept',
  created: 'kept',
  requestDigest: 'kept',
  window: 'kept',
  children: 'kept',
  initiation: 'kept',
  tries: 'kept',
  heir: 'kept',
  retireAt: 'kept',
  reauthenticates: 'kept',
  wishes: 'kept',
  postponed: 'kept',
  connection: 'kept',
  local: 'kept',
  remote: 'kept',
  authMessageId: 'kept',
  lastHeard: 'kept',
  lastKeepalive: 'kept',
  mobility: 'kept',
  redirectedFrom: 'kept',
  announced: 'kept',
  pathSize: 'kept',
  rekeyAt: 'kept',
  reauthenticateAt: 'kept',
  expireAt: 'kept',
  authenticationExpiresAt: 'kept',
  rivalOf: 'kept',
  outlives: 'kept',
  virtual: 'kept',
  remoteVips: 'kept',
  replaced: 'kept',
  sync: 'left: who takes over asks anew',
  heldRequest: 'left: the peer asks who takes over again, and what it asked for is decided there',
  doubt: 'kept',
  highestAsked: 'kept',
  highestSync: 'kept',
  '#state': 'kept',
  '#requests': OPERATORS,
  '#lineage': 'kept',
};

const HELD_CHILD: Decisions = {
  policy: 'derived: of the connection, by its name',
  installed: 'kept',
  expireAt: 'kept',
  childSa: 'kept',
  rekeyAt: 'kept',
  outbound: 'kept',
  '#state': 'kept',
};

const CHILD_SA: Decisions = {
  id: 'left: each process counts its own',
  connection: 'derived: of the IKE SA',
  name: 'kept',
  reqid: 'derived: configured, or counted by each process',
  mode: 'kept',
  spiIn: 'kept',
  spiOut: 'kept',
  encr: 'kept',
  integ: 'kept',
  ke: 'kept',
  esn: 'kept',
  keysIn: 'kept',
  keysOut: 'kept',
  local: 'kept',
  remote: 'kept',
  udpEncapsulation: 'kept',
  localTs: 'kept',
  remoteTs: 'kept',
  peerAddresses: 'kept',
  replayWindow: 'kept',
  copyDf: 'kept',
  copyEcn: 'kept',
  copyDscp: 'kept',
  icmpErrors: 'kept',
  priority: 'kept',
  nonFirstFragments: 'kept',
  tfcPadding: 'kept',
  dummyPackets: 'kept',
  limits: 'kept',
  outbound: 'derived: as the HeldChild has it',
};

const MESSAGE_WINDOW: Decisions = {
  '#nextId': 'kept',
  '#expectedId': 'kept',
  '#inFlight': 'kept',
  '#waiting': 'kept',
  '#answered': 'kept',
};

const REQUEST_IN_FLIGHT: Decisions = {
  purpose: 'kept',
  header: 'derived: of the datagram',
  payloads: 'left: they are told when they are composed',
  retransmission: 'kept',
  datagrams: 'kept',
};

const RETRANSMISSION: Decisions = {
  '#settings': 'derived: configured',
  '#early': 'kept',
  '#attempts': 'kept',
  '#earlyAttempts': 'derived: only waits to come are kept',
  '#nextAt': 'derived: it goes out again at once',
};

const DECISIONS: readonly (readonly [string, string, Decisions])[] = [
  ['ike-sa.ts', 'class IkeSa', IKE_SA],
  [
    'mobility.ts',
    'class Mobility',
    {
      ...{ agreed: 'kept', peerAddresses: 'kept', addressesTold: 'kept' },
      ...{ mappingSeen: 'kept', probed: 'kept' },
    },
  ],
  ['held-child.ts', 'class HeldChild', HELD_CHILD],
  ['../ipsec/child-sa.ts', 'interface ChildSa', CHILD_SA],
  ['message-window.ts', 'class MessageWindow', MESSAGE_WINDOW],
  ['message-window.ts', 'interface RequestInFlight', REQUEST_IN_FLIGHT],
  [
    'message-window.ts',
    'class SentResponse',
    { messageId: 'kept', repeats: 'kept', '#kept': 'kept' },
  ],
  ['retransmission.ts', 'class Retransmission', RETRANSMISSION],
  [
    'protection.ts',
    'class MessageKey',
    {
      encr: 'derived: of the proposal',
      integ: 'derived: of the proposal',
      encryption: 'kept',
      integrity: 'kept',
      '#partition': 'derived: each node has its own',
      '#messages': 'kept',
    },
  ],
  [
    'fragmentation.ts',
    'class PathSize',
    {
      '#settings': 'derived: configured',
      '#path': 'derived: the path in use',
      '#packetOctets': 'kept',
    },
  ],
  [
    'ike-sa-state.ts',
    'interface InitAttempt',
    { nonce: 'kept', keyExchange: 'kept', method: 'kept', cookie: 'kept', restarts: 'kept' },
  ],
  [
    'ike-sa-state.ts',
    'interface Secured',
    {
      suite: 'derived: of the proposal in it',
      keys: 'kept',
      sealing: 'derived: of the keys',
      opening: 'derived: of the keys',
      nat: 'kept',
      udpEncapsulation: 'kept',
    },
  ],
  [
    'ike-sa-state.ts',
    'interface Handshake',
    { nonceI: 'kept', nonceR: 'kept', requestOctets: 'kept', responseOctets: 'kept' },
  ],
  [
    'ike-sa-state.ts',
    'interface Authenticated',
    { localId: 'kept', remoteId: 'kept', since: 'kept' },
  ],
  [
    'keys.ts',
    'interface IkeKeys',
    {
      ...{ skD: 'kept', skAi: 'kept', skAr: 'kept', skEi: 'kept', skEr: 'kept' },
      ...{ skPi: 'kept', skPr: 'kept' },
    },
  ],
  [
    'child-wish.ts',
    'interface ChildWish',
    {
      ...{ policy: 'kept', replaces: 'kept', trigger: 'kept', method: 'kept' },
      ...{ otherPfs: 'kept', singlePair: 'kept', postponements: 'kept' },
      requests: OPERATORS,
    },
  ],
  [
    'child-wish.ts',
    'interface ChildAttempt',
    {
      ...{ wish: 'kept', spiIn: 'kept', nonce: 'kept', asked: 'kept', keyExchange: 'kept' },
      ...{ method: 'kept', rival: 'kept', revoked: 'kept' },
    },
  ],
  [
    'ike-sa.ts',
    'interface IkeRekeyAttempt',
    {
      ...{ spi: 'kept', nonce: 'kept', proposals: 'kept', keyExchange: 'kept' },
      ...{ method: 'kept', rival: 'kept' },
    },
  ],
];

/** Names of the fields that a class or an interface declares. */
function fieldsOf(file: string, declaration: string): readonly string[] {
  const source = readFileSync(join(process.cwd(), 'src/ike', file), 'utf8');
  const start = source.search(new RegExp(`^export ${declaration}\\b`, 'm'));
  assert.ok(start >= 0, `${file} has no ${declaration}`);
  const body = source.slice(source.indexOf('{\n', start), source.indexOf('\n}\n', start));
  const field = /^ {2}(?:readonly )?(#?\w+)\??(?::| = |;)/gm;
  return [...body.matchAll(field)].map(([, name = '']) => name);
}

describe('What a snapshot has of an IKE SA', () => {
  for (const [file, declaration, decisions] of DECISIONS) {
    it(`decides on each field of ${declaration}`, () => {
      const fields = fieldsOf(file, declaration);
      assert.ok(fields.length >= 3, `${declaration}: ${fields.join(' ')}`);
      assert.deepEqual([...fields].sort(), Object.keys(decisions).sort());
    });
  }

  it('decides on each field that an IKE SA really has', () => {
    const pair = new Pair();
    pair.a.pad.load(GCM);
    loadSecret(pair.a.pad, 'secret');
    const address = { family: 4, octets: Uint8Array.of(192, 0, 2, 1) } as const;
    const end = { address, port: 500 };
    const to = { kind: 'initiate', request: 1, connection: 'peer', child: 'net' } as const;
    pair.handle(pair.a, { ...to, local: end, remote: end });
    const [sa] = pair.a.engine.ikeSas();
    assert.ok(sa);
    for (const name of Object.keys(sa)) assert.ok(name in IKE_SA, `IkeSa.${name}`);
  });
});

/** Secrets by what they are, without what a take-over changes. */
function compared(value: unknown, name = ''): unknown {
  if (value instanceof SecretBytes) return toHex(value.reveal());
  if (value instanceof Uint8Array) return toHex(value);
  if (Array.isArray(value)) {
    const all = value.map((one) => compared(one));
    return name === 'lineage' ? all.sort() : all;
  }
  // Who takes over has not heard of the peer, and what it counts is its own.
  if (['lastHeard', 'order', 'sealed'].includes(name)) return 'as it may be';
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(entries.map(([key, one]) => [key, compared(one, key)]));
}

describe('An IKE SA that goes on from its snapshot', () => {
  for (const [title, bundle] of sampleBundles().filter(([one]) => !one.includes('rare'))) {
    it(`is what it was: ${title}`, () => {
      const other = new Side('other', 99, {}, { sid: 3, skewMs: 0 });
      other.pad.load(GCM);
      loadSecret(other.pad, 'secret');
      const pair = new Pair();
      pair.skip(1e6);
      const decoded = decodeBundle(encodeBundle(bundle));
      const now = pair.clock(other);
      other.engine.handle({ kind: 'install-snapshots', bundle: decoded }, now);
      assert.equal(other.engine.passive, bundle.snapshots.length);
      const spis = bundle.snapshots.map(ownSpiOf);
      other.engine.handle({ kind: 'activate', spis }, now);
      assert.equal(other.engine.passive, 0);
      const again = other.engine.snapshots(now).snapshots;
      assert.equal(again.length, bundle.snapshots.length);
      for (const one of bundle.snapshots) {
        const found = again.find((restored) => ownSpiOf(restored) === ownSpiOf(one));
        assert.ok(found && isNewer(found, one));
        assert.deepEqual(compared(found), compared(one));
      }
    });
  }

  it('has no SK_p once both peers have proved who they are', () => {
    const { state } = plainSnapshot();
    assert.ok(state.name === 'Established' && state.secured.skPi === undefined);
  });

  it('is newer in a later epoch, whatever was counted before', () => {
    assert.ok(isNewer({ epoch: 2, order: 1 }, { epoch: 1, order: 9 }));
    assert.ok(isNewer({ epoch: 1, order: 2 }, { epoch: 1, order: 1 }));
    assert.ok(!isNewer({ epoch: 1, order: 1 }, { epoch: 1, order: 1 }));
    assert.ok(!isNewer({ epoch: 1, order: 9 }, { epoch: 2, order: 1 }));
  });
});
