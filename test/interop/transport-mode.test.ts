/**
 * Transport mode and BEET between two tsgw, host to host: strongSwan's userspace ESP has neither and
 * only negotiates. tshark judges the packets, the kernel the checksums.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Capture, type Dissected, dissect } from '../../lab/capture.ts';
import { end, launch, until } from '../../lab/command.ts';
import { readLog } from '../../lab/gateway.ts';
import type { PairSettings } from '../../lab/swanctl-conf.ts';
import { type Family, type GatewayNode, natAddress, setOffloads } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { type Lab, onlyTsgw, type Role, subjectKind, useLab } from '../support/lab.ts';

const HOSTS = { localTs: 'dynamic', remoteTs: 'dynamic' };
const TRANSPORT: PairSettings = { ...HOSTS, child: { mode: 'transport' } };
const OCTETS = 2_000_000;

/** A TCP stream from one gateway to an address of the other; both digest it. */
async function transfer(lab: Lab, from: GatewayNode, to: string, at = to): Promise<void> {
  const { network } = lab.topology;
  const script = join(process.cwd(), 'build/test/support/tcp-transfer.js');
  const other = from === 'g1' ? 'g2' : 'g1';
  const logFile = join(network.directory, `transfer-${Date.now()}.log`);
  const server = launch([...network.at(other), 'node', script, 'serve', at], { logFile });
  try {
    await until('the server to listen', () => readLog(logFile).includes('listening') || undefined);
    const sent = await network.exec(from, ['node', script, 'send', to, String(OCTETS)]);
    const arrived = await until('the digest', () => readLog(logFile).split('\n')[1] || undefined);
    assert.equal(arrived, sent.stdout.trim());
    assert.match(arrived, new RegExp(`"octets":${OCTETS}`));
  } finally {
    await end(server, 'SIGTERM');
  }
}

function modes({
  subjectChild,
  peerChild,
}: Awaited<ReturnType<Lab['tunnel']>>): readonly unknown[] {
  return [subjectChild.raw.mode, peerChild.raw.mode];
}

/** What tshark saw of ESP, each with a good ICV and without a second IP header. */
async function seen(lab: Lab, capture: Capture, family: Family): Promise<readonly Dissected[]> {
  const packets = await dissect(await capture.stop(), {
    fields: ['esp.icv_good', 'esp.protocol', 'udp.dstport', 'tcp.checksum.status', 'icmp.type'],
    filter: 'esp',
    keyLog: lab.tsgw.keyLog,
  });
  assert.ok(packets.length >= 20, `${packets.length} ESP packets captured`);
  const ping = family === 'ipv4' ? '0x01' : '0x3a';
  for (const packet of packets) {
    assert.deepEqual(packet.get('esp.icv_good'), ['1'], 'an ICV was not found good');
    assert.ok(
      [ping, '0x06'].includes(packet.get('esp.protocol')?.[0] ?? ''),
      `${packet.get('esp.protocol')}`,
    );
  }
  return packets;
}

describe('Transport mode between two tsgw (RFC 4303 §3.1.1)', () => {
  onlyTsgw();
  const lab = useLab({ peer: subjectKind });
  afterEach(() => lab.clear());

  for (const [outer, encap] of [
    ['ipv4', 'no'],
    ['ipv6', 'yes'],
  ] as const) {
    it(`carries ${outer} ${encap === 'yes' ? 'in UDP' : 'as IP protocol 50'}`, async () => {
      // Every datagram as a wire carries it: links that pass super-packets show them uncut.
      await setOffloads(lab.topology, 'off');
      const capture = await Capture.start(lab.topology.network, 'g1');
      const tunnel = await lab.up('initiator', { ...TRANSPORT, outer, connection: { encap } });
      assert.deepEqual(modes(tunnel), ['TRANSPORT', 'TRANSPORT']);
      const [g1, g2] = [lab.address(lab.subject, outer), lab.address(lab.peer, outer)];
      const answer = await ping(lab.topology, { from: 'g1', to: g2, count: 10 });
      assert.equal(answer.lossPercent, 0);
      await transfer(lab, 'g1', g2);
      const packets = await seen(lab, capture, outer);
      const ports = packets.map((packet) => packet.get('udp.dstport')?.[0]);
      assert.deepEqual([...new Set(ports)], [encap === 'yes' ? '4500' : undefined]);
      await setOffloads(lab.topology, 'on');
      await transfer(lab, 'g2', g1);
    });
  }

  it('takes packets up to what fits, and what the host cut as a whole (RFC 4303 §3.3.4)', async () => {
    await lab.up('initiator', { ...TRANSPORT, connection: { encap: 'yes' } });
    const to = lab.address(lab.peer);
    // 1500 less IP 20, UDP 8, ESP 8 and 8, ICV 16 leave 1440; less the trailer 1438 and the header.
    const fits = { from: 'g1', to, dontFragment: true, count: 1 } as const;
    assert.equal((await ping(lab.topology, { ...fits, size: 1430 })).lossPercent, 0);
    assert.equal((await ping(lab.topology, { ...fits, size: 1431, waitSeconds: 0.5 })).received, 0);
    const before = await lab.tunnel();
    for (const size of [3000, 60_000]) {
      const cut = await ping(lab.topology, { from: 'g1', to, size, count: 2 });
      assert.equal(cut.lossPercent, 0, `${size} octets`);
    }
    const after = await lab.tunnel();
    assert.equal(after.subjectChild.packetsOut - before.subjectChild.packetsOut, 4);
  });

  it('comes up for the traffic that asks for it, and stays over a rekey', async () => {
    const child = { mode: 'transport', start_action: 'trap' };
    await lab.load({ ...HOSTS, child });
    const to = lab.address(lab.peer);
    const answer = await ping(lab.topology, { from: 'g1', to, count: 3, intervalSeconds: 0.3 });
    assert.equal(answer.lossPercent, 0, 'the packets that asked were held and sent');
    assert.deepEqual(modes(await lab.tunnel()), ['TRANSPORT', 'TRANSPORT']);
    const [before] = (await lab.subject.swanctl.sas())[0]?.children ?? [];
    await lab.subject.swanctl.call(['--rekey', '--child', 'net']);
    const replaced = await until('one Child SA at both ends', async () => {
      const now = await lab.tunnel().catch(() => undefined);
      return now && now.subjectChild.raw.uniqueid !== before?.raw.uniqueid ? now : undefined;
    });
    assert.deepEqual(modes(replaced), ['TRANSPORT', 'TRANSPORT']);
    assert.equal((await ping(lab.topology, { from: 'g1', to })).lossPercent, 0);
  });

  it('warns of strict reverse path filtering, and carries as it says (ip-sysctl)', async () => {
    const { network } = lab.topology;
    const filter = (mode: number) =>
      network.exec('g1', ['sysctl', '-qw', `net.ipv4.conf.wan.rp_filter=${mode}`]);
    await filter(1);
    try {
      await lab.up('initiator', TRANSPORT);
      const to = lab.address(lab.peer);
      assert.equal(
        (await ping(lab.topology, { from: 'g1', to, count: 1, waitSeconds: 0.5 })).received,
        0,
      );
      assert.match(
        lab.subject.log(),
        /filtering is strict: write net\.ipv4\.conf\.wan\.rp_filter = 2/,
      );
      await filter(2);
      assert.equal((await ping(lab.topology, { from: 'g1', to })).lossPercent, 0);
    } finally {
      await filter(0);
    }
  });

  it('is a tunnel where the peer wants one, and carries all the same', async () => {
    const g2 = { child: { mode: 'tunnel' } };
    assert.deepEqual(modes(await lab.up('initiator', { ...TRANSPORT, g2 })), ['TUNNEL', 'TUNNEL']);
    const to = lab.address(lab.peer);
    assert.equal((await ping(lab.topology, { from: 'g1', to })).lossPercent, 0);
    await transfer(lab, 'g1', to);
  });

  it('has fixed inner addresses in BEET', async () => {
    const { network } = lab.topology;
    const inner = { g1: '10.9.0.1', g2: '10.9.0.2' } as const;
    for (const node of ['g1', 'g2'] as const) {
      await network.ip(node, [`address add ${inner[node]}/32 dev lo`]);
    }
    const ends = { localTs: `${inner.g1}/32`, remoteTs: `${inner.g2}/32` };
    const g2 = { localTs: ends.remoteTs, remoteTs: ends.localTs };
    await setOffloads(lab.topology, 'off');
    const capture = await Capture.start(network, 'g1');
    const tunnel = await lab.up('initiator', { ...ends, g2, child: { mode: 'beet' } });
    assert.deepEqual(modes(tunnel), ['BEET', 'BEET']);
    const answer = await ping(lab.topology, { from: 'g1', to: inner.g2, count: 10 });
    assert.equal(answer.lossPercent, 0);
    await transfer(lab, 'g1', inner.g2);
    await seen(lab, capture, 'ipv4');
    // Options of IPv4 travel in the pseudo-header: the way back is recorded by both ends.
    const { stdout } = await network.exec('g1', [
      'ping',
      '-n',
      '-R',
      '-c',
      '2',
      '-i',
      '0.1',
      inner.g2,
    ]);
    assert.match(stdout, /2 received/);
    assert.match(stdout, /RR: .*10\.9\.0\.1\s+10\.9\.0\.2/);
  });
});

describe('Transport mode through a NAT (RFC 7296 §2.23.1, RFC 3948 §3.1.2)', () => {
  onlyTsgw();
  const lab = useLab({ peer: subjectKind, nat: true });
  afterEach(() => lab.clear());

  it('carries streams both ways, whose checksums are of other addresses', async () => {
    const pair = { ...TRANSPORT, g2: { remoteAddress: '%any' } };
    // Who ends what the tunnel listing compares sees other addresses than the other does.
    await lab.load(pair);
    const { status, stdout, stderr } = await lab.initiate('initiator');
    assert.equal(status, 0, `${stdout}${stderr}`);
    const [one] = await lab.subject.swanctl.sas();
    const [other] = await lab.peer.swanctl.sas();
    assert.deepEqual(
      [one, other].map((sa) => sa?.children[0]?.raw.mode),
      ['TRANSPORT', 'TRANSPORT'],
    );
    assert.deepEqual(one?.children[0]?.localTs, ['198.51.100.1/32']);
    assert.deepEqual(other?.children[0]?.remoteTs, [`${natAddress}/32`]);
    const to = lab.address(lab.peer);
    assert.equal((await ping(lab.topology, { from: 'g1', to })).lossPercent, 0);
    for (const offloads of ['off', 'on'] as const) {
      await setOffloads(lab.topology, offloads);
      await transfer(lab, 'g1', to);
      await transfer(lab, 'g2', natAddress, lab.address(lab.subject));
    }
    const { stdout: counters } = await lab.topology.network.exec('g2', [
      'nstat',
      '-az',
      'TcpInCsumErrors',
    ]);
    assert.match(counters, /TcpInCsumErrors +0 /);
  });
});

describe('strongSwan, whose userspace ESP has tunnels only', () => {
  onlyTsgw();
  const lab = useLab();
  afterEach(() => lab.clear());

  const roles: readonly Role[] = ['initiator', 'responder'];
  for (const [mode, notify] of [
    ['transport', 'N(USE_TRANSP)'],
    ['beet', 'N(BEET_MODE)'],
  ] as const) {
    for (const role of roles) {
      it(`agrees on ${mode} mode and cannot have it, with us as ${role}`, async () => {
        const before = lab.peer.log().length;
        await lab.load({ ...HOSTS, child: { mode } });
        const { status } = await lab.initiate(role);
        assert.notEqual(status, 0);
        const said = lab.peer.log().slice(before);
        const kind = role === 'initiator' ? 'request' : 'response';
        const parsed = said.split('\n').find((line) => line.includes(`parsed IKE_AUTH ${kind}`));
        assert.ok(parsed?.includes(notify), parsed);
        // It comes to this only for a mode that both want; else it would make a tunnel.
        assert.match(said, /IPsec SA: unsupported mode/);
        assert.doesNotMatch(said, /peer implementation unknown/);
      });
    }
  }
});
