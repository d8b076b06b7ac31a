/**
 * The MTU doctor over a router whose next link is narrower, with strongSwan at the other end: as a
 * black hole that loses large packets without a word, and as a router that tells.
 */
import assert from 'node:assert/strict';
import { nft } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { onlyTsgw, useLab } from '../support/lab.ts';

const MTU = 1400;
/** IPv4, UDP, SPI and sequence number, IV, trailer and ICV of AES-GCM; inner packets end a word. */
const INNER = MTU - 20 - 8 - 8 - 8 - 16 - 2;
const FULL = INNER + 100;
const ECHO_HEADERS = 28;

const gcm = { proposals: 'aes128gcm16-prfsha256-x25519' };

describe('tsgw doctor mtu (RFC 7296 §1.4, RFC 4301 §8.2)', () => {
  onlyTsgw();
  const lab = useLab({ nat: true });
  before(async () => {
    const { network } = lab.topology;
    await network.ip('nat', [`link set outside mtu ${MTU}`]);
    await network.ip('g2', [`link set wan mtu ${MTU}`]);
  });
  afterEach(() => lab.clear());

  async function silence(silent: boolean): Promise<void> {
    await nft(lab.topology.network, 'nat', [
      'table inet silence',
      'delete table inet silence',
      ...(silent
        ? [
            'table inet silence { chain out {',
            'type filter hook output priority 0;',
            'icmp type destination-unreachable drop;',
            '}',
            '}',
          ]
        : []),
    ]);
  }

  async function doctor(...argv: readonly string[]) {
    const { status, stdout, stderr } = await lab.tsgw.cli(['doctor', 'mtu', ...argv]);
    return { status, stdout, stderr };
  }

  it('says what to do first where no IKE SA is up', async () => {
    await lab.load(gcm);
    const known = await doctor('peer');
    assert.equal(known.status, 1);
    assert.match(
      known.stderr,
      /no IKE SA is up with peer: tsgw initiate net --ike peer brings one up/,
    );
    assert.match((await doctor('192.0.2.77')).stderr, /tsgw sas lists those that are up/);
  });

  it('finds a black hole to the octet, and what is clamped follows', async () => {
    await silence(true);
    await lab.up('initiator', gcm);
    const inTunnel = (inner: number, waitSeconds?: number) =>
      ping(lab.topology, {
        ...{ size: inner - ECHO_HEADERS, count: 1, dontFragment: true },
        ...(waitSeconds !== undefined && { waitSeconds }),
      });
    assert.equal((await inTunnel(FULL, 0.5)).received, 0, 'lost without a word');
    const { status, stdout, stderr } = await doctor('192.0.2.2', '--json');
    assert.equal(status, 0, stderr);
    const found = JSON.parse(stdout);
    assert.deepEqual([found['outer-mtu'], found.lost, found.before], [MTU, MTU + 1, 1500]);
    assert.ok(found.probes <= 14 && found.milliseconds < 10_000, stdout);
    assert.equal(found.children[0]['inner-mtu'], INNER);
    assert.equal(found.children[0]['mss-ipv4'], INNER - 40);
    assert.equal((await inTunnel(INNER)).received, 1);
    const { stdout: refused } = await lab.topology.network.exec(
      'h1',
      ['ping', '-n', '-c', '1', '-W', '1', '-M', 'do', '-s', `${FULL - ECHO_HEADERS}`, '10.2.0.10'],
      { mayFail: true },
    );
    assert.match(refused, new RegExp(`mtu ?= ?${INNER}`));
    const { octets } = await lab.transfer({ octets: 4_000_000 });
    assert.ok(octets > 2_000_000, `${octets} octets arrived`);
    // A Child SA that takes its place begins there.
    await lab.subject.swanctl.must(['--rekey', '--child', 'net']);
    const again = JSON.parse((await doctor('peer', '--json')).stdout);
    assert.deepEqual([again['outer-mtu'], again.before], [MTU, MTU]);
  });

  it('comes to the same where the router tells, and says so to people', async () => {
    await silence(false);
    await lab.up('initiator', { ...gcm, proposals: 'aes256-sha256-x25519' });
    const { status, stdout, stderr } = await doctor('g2.lab');
    assert.equal(status, 0, stderr);
    const [, carries = '', lost = ''] =
      /carries (\d+) octets and loses packets of (\d+)/.exec(stdout) ?? [];
    // The cipher of this IKE SA has blocks of 16 octets.
    assert.ok(Number(carries) > MTU - 16 && Number(carries) <= MTU, stdout);
    assert.ok(Number(lost) > MTU && Number(lost) <= MTU + 16, stdout);
    assert.match(stdout, /here: +gateway \{ mtu = 13\d\d \}/);
    assert.match(stdout, /the peer: +the way back was not measured/);
    const { lossPercent } = await ping(lab.topology, { count: 3 });
    assert.equal(lossPercent, 0, 'the tunnel is none the worse for it');
  });
});

describe('tsgw doctor mtu where nobody cuts and nobody tells', () => {
  onlyTsgw();
  const lab = useLab();
  before(() =>
    nft(lab.topology.network, 'g2', [
      'table inet narrow { chain arriving {',
      'type filter hook prerouting priority raw;',
      `iifname "wan" meta length > ${MTU} drop;`,
      '}',
      '}',
    ]),
  );
  afterEach(() => lab.clear());

  for (const outer of ['ipv4', 'ipv6'] as const) {
    it(`finds the limit to the octet, ${outer}`, async () => {
      await lab.up('initiator', { ...gcm, outer, connection: { fragmentation: 'no' } });
      const { status, stdout, stderr } = await lab.tsgw.cli(['doctor', 'mtu', 'peer', '--json']);
      assert.equal(status, 0, stderr);
      const found = JSON.parse(stdout);
      assert.deepEqual([found['outer-mtu'], found.lost], [MTU, MTU + 1]);
      await lab.subject.swanctl.must(['--rekey', '--ike', 'peer']);
      const inner = found.children[0]['inner-mtu'];
      const { received } = await ping(lab.topology, {
        size: inner - ECHO_HEADERS,
        count: 2,
        dontFragment: true,
      });
      assert.equal(received, 2);
    });
  }
});
