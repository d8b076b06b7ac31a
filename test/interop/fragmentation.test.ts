/**
 * IKE messages in fragments between us and strongSwan or libreswan (RFC 7383): many selectors or
 * proposals make IKE_AUTH large, a capture shows in how many datagrams of which size it went.
 */
import assert from 'node:assert/strict';
import { Capture, type Dissected, dissect } from '../../lab/capture.ts';
import { Libreswan } from '../../lab/libreswan.ts';
import type { PairSettings } from '../../lab/swanctl-conf.ts';
import {
  type Family,
  type GatewayNode,
  nft,
  outerAddress,
  protectedNet,
} from '../../lab/topology.ts';
import { useIkePeerLab } from '../support/ike-peer-lab.ts';
import { impatient, type Lab, onlyTsgw, type Role, roles, useLab } from '../support/lab.ts';

/** Echo requests and so many ports: selectors of 40 octets, in the request and in the response. */
function manySelectors(count: number): PairSettings {
  const net = protectedNet('g1', 'ipv6');
  const ports = Array.from({ length: count }, (_, index) => `${net}[tcp/${40_000 + 2 * index}]`);
  const selectors = [...ports, `${net}[58]`].join(',');
  return { inner: 'ipv6', g1: { localTs: selectors }, g2: { remoteTs: selectors } };
}

/** About 1,800 octets each way. */
const LARGE = manySelectors(40);

function largeWith(node: GatewayNode, fragmentation: string): PairSettings {
  return { ...LARGE, [node]: { ...LARGE[node], connection: { fragmentation } } };
}

const SMALL_FRAGMENTS = { ...impatient, fragmentSize: 576 };

/** Fragments of one message as they passed, by whom they came from. */
interface Flight {
  readonly source: string;
  readonly messageId: string;
  readonly total: number;
  readonly numbers: readonly number[];
  readonly largestPacket: number;
}

async function fragmentsIn(file: string, family: Family = 'ipv4'): Promise<readonly Flight[]> {
  const [source, length] = family === 'ipv4' ? ['ip.src', 'ip.len'] : ['ipv6.src', 'ipv6.plen'];
  const header = family === 'ipv4' ? 0 : 40;
  const number = 'isakmp.frag.number';
  const total = 'isakmp.frag.total';
  const packets = await dissect(file, {
    fields: [source, length, 'isakmp.messageid', number, total],
    filter: number,
  });
  const value = (packet: Dissected, field: string): string => packet.get(field)?.[0] ?? '';
  const flights: { source: string; messageId: string; total: number; packets: Dissected[] }[] = [];
  for (const packet of packets) {
    const [from = '', messageId = '', all] = [source, 'isakmp.messageid', total].map((field) =>
      value(packet, field),
    );
    const key = { source: from, messageId, total: Number(all) };
    const known = flights.find(
      (one) => one.source === from && one.messageId === messageId && one.total === key.total,
    );
    if (known) known.packets.push(packet);
    else flights.push({ ...key, packets: [packet] });
  }
  return flights.map(({ packets: all, ...key }) => ({
    ...key,
    numbers: all.map((packet) => Number(value(packet, number))),
    largestPacket: Math.max(...all.map((packet) => Number(value(packet, length)))) + header,
  }));
}

/** Brings a tunnel up, and answers the fragments of IKE_AUTH: those of the request first. */
async function upInFragments(lab: Lab, role: Role, pair: PairSettings): Promise<readonly Flight[]> {
  const capture = await Capture.start(lab.topology.network, 'g1');
  await lab.up(role, pair);
  const flights = await fragmentsIn(await capture.stop(), pair.outer);
  const first = lab.address(lab.initiator(role), pair.outer);
  return flights.toSorted((one) => (one.source === first ? -1 : 1));
}

function consecutive(total: number): readonly number[] {
  return Array.from({ length: total }, (_, index) => index + 1);
}

/** A request and a response, each whole. */
function assertWhole(flights: readonly Flight[], least: number, largestPacket: number): void {
  assert.equal(flights.length, 2, 'a request and a response in fragments');
  assertAll(flights, least, largestPacket);
}

function assertAll(flights: readonly Flight[], least: number, largestPacket: number): void {
  for (const flight of flights) {
    assert.ok(flight.total >= least, `${flight.total} fragments, at least ${least} expected`);
    // A busy machine may have had to repeat them.
    assert.deepEqual([...new Set(flight.numbers)], consecutive(flight.total), 'all, in order');
    assert.ok(flight.largestPacket <= largestPacket, `a packet of ${flight.largestPacket} octets`);
  }
}

/** Loses what arrives in packets larger than `octets`, IP fragments with it; 0 ends it. */
async function narrow({ topology }: Lab, octets: number): Promise<void> {
  const lines = ['table inet narrow', 'delete table inet narrow'];
  if (octets > 0) {
    lines.push(
      'table inet narrow { chain arriving {',
      'type filter hook prerouting priority -500;',
      `iifname "wan" meta l4proto udp meta length > ${octets} counter drop;`,
      'iifname "wan" ip frag-off & 0x3fff != 0 counter drop;',
      '}',
      '}',
    );
  }
  for (const node of ['g1', 'g2']) await nft(topology.network, node, lines);
}

describe('IKE fragmentation with strongSwan (RFC 7383)', () => {
  const lab = useLab({ subjectSettings: SMALL_FRAGMENTS, peerSettings: SMALL_FRAGMENTS });
  afterEach(async () => {
    await lab.carries({ inner: 'ipv6' });
    await lab.clear();
  });

  for (const role of roles) {
    it(`IKE_AUTH goes in fragments both ways as ${role}`, async () => {
      const flights = await upInFragments(lab, role, LARGE);
      assertWhole(flights, 3, 576);
      const log = lab.peer.log();
      assert.match(log, /generating IKE_AUTH \w+ 1 \[ EF\(1\/\d\) \]/);
      assert.match(log, /received fragment #\d of \d, reassembled fragmented IKE message/);
    });

    for (const proposals of ['aes128gcm16-prfsha256-x25519', 'chacha20poly1305-prfsha512-x25519']) {
      it(`seals each fragment with ${proposals} as ${role}`, async () => {
        assertWhole(await upInFragments(lab, role, { ...LARGE, proposals }), 3, 576);
      });
    }

    it(`in more than 16 fragments each way as ${role}`, async () => {
      assertWhole(await upInFragments(lab, role, manySelectors(220)), 17, 576);
    });

    it(`in fragments over IPv6 as ${role}`, async () => {
      assertWhole(await upInFragments(lab, role, { ...LARGE, outer: 'ipv6' }), 3, 576);
    });

    it(`with fragmentation = force at the peer as ${role}: only what is too large`, async () => {
      const flights = await upInFragments(lab, role, largeWith(lab.peerNode, 'force'));
      assertWhole(flights, 3, 576);
    });

    it(`with fragmentation = force at ours as ${role}: only what is too large`, async () => {
      const flights = await upInFragments(lab, role, largeWith(lab.subjectNode, 'force'));
      assertWhole(flights, 3, 576);
    });

    it(`takes fragments and sends none with fragmentation = accept as ${role}`, async () => {
      const flights = await upInFragments(lab, role, largeWith(lab.subjectNode, 'accept'));
      const [only, ...others] = flights;
      assert.equal(others.length, 0);
      assert.equal(only?.source, lab.address(lab.peer));
    });

    it(`sends and gets none with fragmentation = no as ${role}`, async () => {
      assert.deepEqual(await upInFragments(lab, role, largeWith(lab.subjectNode, 'no')), []);
    });

    it(`sends and gets none where the peer has fragmentation = no as ${role}`, async () => {
      assert.deepEqual(await upInFragments(lab, role, largeWith(lab.peerNode, 'no')), []);
    });
  }
});

describe('IKE fragmentation with libreswan (RFC 7383)', () => {
  const lab = useIkePeerLab((topology) => new Libreswan(topology, 'g2'), {
    settings: SMALL_FRAGMENTS,
  });
  /** Its hashes have other names, and each proposal is there with and without ESN. */
  const ciphers = ['aes128', 'aes192', 'aes256'];
  const ours = ciphers.flatMap((cipher) =>
    ['sha1', 'sha256', 'sha384', 'sha512'].flatMap((hash) => [
      `${cipher}-${hash}-noesn`,
      `${cipher}-${hash}-esn`,
    ]),
  );
  const theirs = ciphers.flatMap((cipher) =>
    ['sha1', 'sha2_256', 'sha2_512'].map((hash) => `${cipher}-${hash}`),
  );

  for (const role of roles) {
    it(`the request of IKE_AUTH goes in fragments as ${role}`, async () => {
      const capture = await Capture.start(lab.topology.network, 'g1');
      await lab.up(role, {
        subject: { espProposals: ours.join(',') },
        peer: { esp: theirs.join(','), further: ['fragmentation=yes'] },
      });
      const [request, ...others] = await fragmentsIn(await capture.stop());
      assert.ok(request && others.length === 0, 'the response is small');
      const node = role === 'initiator' ? 'g1' : 'g2';
      assert.equal(request.source, outerAddress(lab.topology, node, 'ipv4'));
      assertAll([request], 2, 576);
    });
  }
});

describe('A path that loses large packets (RFC 7383 §2.5.2)', () => {
  onlyTsgw();
  const lab = useLab({ peerSettings: SMALL_FRAGMENTS });
  beforeEach(() => narrow(lab, 600));
  afterEach(async () => {
    await narrow(lab, 0);
    await lab.clear();
  });

  it('is passed by smaller fragments after three transmissions as initiator', async () => {
    const capture = await Capture.start(lab.topology.network, 'g1');
    await lab.up('initiator', LARGE);
    const flights = await fragmentsIn(await capture.stop());
    const ours = flights.filter(({ source }) => source === lab.address(lab.subject));
    const [large, small, ...others] = ours;
    assert.ok(large && small && others.length === 0, `${ours.length} sizes of fragments`);
    assert.ok(large.largestPacket > 1200 && large.largestPacket <= 1280);
    assert.deepEqual(large.numbers, [1, 2, 1, 2, 1, 2], 'three transmissions');
    assert.ok(small.total > large.total);
    assert.ok(small.largestPacket <= 576);
    await lab.carries({ inner: 'ipv6' });
  });

  it('is passed at once as responder to a peer whose fragments are small', async () => {
    assertWhole(await upInFragments(lab, 'responder', LARGE), 3, 576);
    await lab.carries({ inner: 'ipv6' });
  });
});

describe('Fragments between two of us (RFC 7383)', () => {
  onlyTsgw();
  const lab = useLab({ peer: 'tsgw' });
  afterEach(async () => {
    await narrow(lab, 0);
    await lab.clear();
  });

  it('go both ways', async () => {
    assertWhole(await upInFragments(lab, 'initiator', manySelectors(75)), 3, 1280);
  });

  it('get smaller where the path loses large packets', async () => {
    await narrow(lab, 600);
    const flights = await upInFragments(lab, 'initiator', manySelectors(75));
    assert.ok(flights.some(({ largestPacket }) => largestPacket > 600));
    const response = flights.filter(({ source }) => source === lab.address(lab.peer));
    assertAll(response, 6, 576);
  });

  it('are lost and repeated, and the tunnel comes up', async () => {
    const firstTwo = [
      'table inet narrow { chain arriving {',
      'type filter hook prerouting priority -500;',
      'iifname "wan" udp length > 400 numgen inc mod 1000 < 2 counter drop;',
      '}',
      '}',
    ];
    for (const node of ['g1', 'g2']) await nft(lab.topology.network, node, firstTwo);
    const flights = await upInFragments(lab, 'initiator', manySelectors(75));
    assert.ok(
      flights.every(({ numbers, total }) => numbers.length > total),
      'all were repeated',
    );
  });
});
