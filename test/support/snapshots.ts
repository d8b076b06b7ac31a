/** Snapshots of IKE SAs in every state, taken from pairs of gateways and made up where those are rare. */
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import type {
  ChildSnapshot,
  IkeSaSnapshot,
  PurposeSnapshot,
  SnapshotBundle,
} from '../../src/ike/snapshot.ts';
import type { Connection } from '../../src/ipsec/connection.ts';
import { spi } from '../../src/ipsec/spi.ts';
import { AES_GCM_256, connection, ikeProposal, PRF_SHA2_256, X25519 } from './connections.ts';
import { endpoint, type Pair, type Side } from './pair.ts';
import { deleteChild, rekey } from './rekeying.ts';
import { initiate, sites, terminate } from './sites.ts';

export const GCM: Connection = connection({
  proposals: [ikeProposal(AES_GCM_256, PRF_SHA2_256, X25519)],
});

const NODES = { a: { sid: 1, skewMs: 0 }, b: { sid: 2, skewMs: 0 } };

/** A pair of which both sides have other nodes that follow. */
export function followedPair(one: Connection = GCM): Pair {
  return sites(one, undefined, { nodes: NODES });
}

export function snapshotsOf(pair: Pair, side: Side): SnapshotBundle {
  return side.engine.snapshots(pair.clock(side));
}

/** One of an IKE SA that is up, with one Child SA. */
export function plainSnapshot(): IkeSaSnapshot {
  const pair = followedPair();
  initiate(pair);
  pair.run(1000);
  const [one] = snapshotsOf(pair, pair.a).snapshots;
  if (!one) throw new Error('nothing came up');
  return one;
}

export function sampleBundles(): readonly (readonly [string, SnapshotBundle])[] {
  const samples: [string, SnapshotBundle][] = [];
  const take = (title: string, pair: Pair): void => {
    for (const side of [pair.a, pair.b]) {
      const bundle = snapshotsOf(pair, side);
      if (bundle.snapshots.length > 0) samples.push([`${title}, ${side.name}`, bundle]);
    }
  };
  const pair = followedPair();
  initiate(pair);
  take('the first request', pair);
  // Each step of the wire, until it is quiet.
  for (let at = 1; pair.a.established === 0; at++) {
    pair.run(pair.now + 1);
    take(`establishing, step ${at}`, pair);
  }
  pair.run(pair.now + 10);
  take('up', pair);
  const deeds: readonly [string, (pair: Pair) => void][] = [
    ['both rekey the Child SA', (one) => both(one, (side, at) => rekey(one, side, 'child', at))],
    ['both rekey the IKE SA', (one) => both(one, (side, at) => rekey(one, side, 'ike', at))],
    ['one rekeys the Child SA', (one) => rekey(one, one.a, 'child', 2)],
    ['a Delete of the Child SA', (one) => deleteChild(one, one.a, 2)],
    ['a Delete of the IKE SA', (one) => terminate(one, one.a, 2)],
  ];
  for (const [title, deed] of deeds) {
    const other = followedPair();
    initiate(other);
    other.run(1000);
    deed(other);
    for (let at = 0; at < 6; at++) {
      take(`${title}, step ${at}`, other);
      other.run(other.now + 1);
    }
  }
  samples.push(['what is rare', { snapshots: [rareSnapshot()], gone: [goneOne()] }]);
  return samples;
}

function both(pair: Pair, deed: (side: Side, request: number) => void): void {
  for (const [index, side] of [pair.a, pair.b].entries()) deed(side, index + 2);
}

function goneOne() {
  const { spiI } = plainSnapshot();
  return { spi: spiI, epoch: 2 ** 40, order: 77 };
}

/** Everything that has a value only now and then. */
function rareSnapshot(): IkeSaSnapshot {
  const plain = plainSnapshot();
  const { spiI, spiR, path, window, children } = plain;
  const [four, six] = ['10.3.0.7', '2001:db8::7'].map((text) => endpoint(text).address);
  const [net] = children;
  if (!four || !six || !net) throw new Error('no samples');
  const wish = {
    policy: 'net',
    replaces: net.childSa.spiIn,
    trigger: { local: net.childSa.localTs[0]!, remote: net.childSa.remoteTs[0]! },
    method: 31,
    otherPfs: true,
    singlePair: true,
    postponements: 3,
  };
  const waiting: readonly PurposeSnapshot[] = [
    { kind: 'update-addresses', told: path },
    { kind: 'tell-addresses' },
    { kind: 'check-routability', cookie: Uint8Array.of(1, 2, 3) },
    { kind: 'redirect', gateway: 'other.example.org' },
    { kind: 'liveness' },
    { kind: 'probe-path' },
    { kind: 'delete-ike-sa' },
    { kind: 'delete-child-sa', spiIn: spi(4711) },
    { kind: 'withdraw-child-sa', spiIn: spi(0xfffffffe) },
    { kind: 'create-child', wish, attempt: undefined },
    { kind: 'rekey-ike-sa', method: 19, attempt: undefined },
  ];
  const states: readonly ChildSnapshot['state'][] = [
    { name: 'Deleting', reason: 'its life ended', replaced: true },
    { name: 'Redundant', until: 5000 },
    { name: 'Draining', until: -5 },
  ];
  const more = states.map((state, index): ChildSnapshot => {
    const id = { spiIn: spi(5000 + index), spiOut: spi(6000 + index) };
    const integ = { type: 3, id: 12 };
    const integrity = new SecretBytes(new Uint8Array(32).fill(index + 1));
    const keysIn = { ...net.childSa.keysIn, integrity };
    const peerAddresses = { local: four, remote: six };
    const limits = { softOctets: 1, hardOctets: 2 ** 40, softPackets: 3, hardPackets: 4 };
    const childSa = {
      ...net.childSa,
      ...id,
      integ,
      ke: { type: 4, id: 31 },
      keysIn,
      peerAddresses,
    };
    return {
      ...net,
      childSa: { ...childSa, limits, local: endpoint('192.0.2.9', 4500), mode: 'beet', esn: true },
      state,
      held: index > 0,
      sequences: {
        outboundReserved: { high: 1, low: 0xffffffff },
        inboundEdge: { high: 0, low: 17 },
        ...{ octetsIn: 2 ** 45, packetsIn: 9, octetsOut: 0, packetsOut: 1 },
      },
    };
  });
  return {
    ...plain,
    epoch: 2 ** 33,
    order: 2 ** 34,
    window: { ...window, waiting },
    children: [...children, ...more],
    wishes: [{ ...wish, trigger: undefined, method: undefined }],
    postponed: [{ at: 12_345, wish }],
    links: {
      heir: spiI,
      reauthenticates: spiR,
      rivalOf: spiI,
      outlives: spiR,
      lineage: [spiI, spiR],
    },
    authMessageId: 1,
    requestDigest: 'c2VlIHRoZSBkaWdlc3Q=',
    mobike: true,
    peerAddresses: [four, six],
    addressesTold: '10.3.0.7 2001:db8::7',
    mappingSeen: new Uint8Array(20).fill(8),
    probed: 2,
    redirectedFrom: '192.0.2.200',
    announced: [16_406, 16_430],
    packetOctets: 576,
    retireAt: -3,
    rekeyAt: 0,
    reauthenticateAt: 2 ** 40,
    expireAt: 1,
    authenticationExpiresAt: undefined,
    virtual: {
      addresses: [four, six],
      nameServers: [four],
      attributes: [{ type: 25, value: Uint8Array.of(108, 97, 98) }],
    },
    remoteVips: [six],
    replaced: true,
    highestSync: 2 ** 32 - 1,
    doubted: true,
    highestAsked: 77,
  };
}
