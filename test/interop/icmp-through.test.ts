/**
 * ICMP errors of routers whose addresses no selector has (RFC 4301 §6.2), and packets that an SA is not
 * for. Behind g1 stands a router, h1, before a net that is all the SA is for.
 */
import assert from 'node:assert/strict';
import { Capture, dissect } from '../../lab/capture.ts';
import type { PairSettings } from '../../lab/swanctl-conf.ts';
import type { Family } from '../../lab/topology.ts';
import { hostAddress } from '../../lab/topology.ts';
import { type Lab, onlyTsgw, subjectKind, useLab } from '../support/lab.ts';

const NET: Readonly<Record<Family, string>> = {
  ipv4: '10.1.7.0/24',
  ipv6: '2001:db8:1:7::/64',
};
const BEHIND: Readonly<Record<Family, string>> = { ipv4: '10.1.7.7', ipv6: '2001:db8:1:7::7' };

/** Only the net behind the router goes through the tunnel. */
function pairOf(inner: Family): PairSettings {
  return { inner, g1: { localTs: NET[inner] }, g2: { remoteTs: NET[inner] } };
}

async function placeRouter({ topology: { network } }: Lab, family: Family): Promise<void> {
  const forwarding = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'];
  await network.exec('h1', ['sysctl', '-qw', ...forwarding]);
  await network.ip('g1', [`route replace ${NET[family]} via ${hostAddress('h1', family)} dev lan`]);
}

/** What h2 hears of a packet to behind the router whose hops end after so many. */
async function heard({ topology: { network } }: Lab, family: Family, hops: number) {
  const argv = ['ping', '-n', '-c', '1', '-W', '1', '-t', `${hops}`, BEHIND[family]];
  const { stdout } = await network.exec('h2', argv, { mayFail: true });
  return /^From (\S+).*(Time to live exceeded|Hop limit)/m.exec(stdout)?.[1];
}

describe('An ICMP error of a router outside the selectors (RFC 4301 §6.2)', () => {
  onlyTsgw();

  describe('to strongSwan', () => {
    const lab = useLab();
    afterEach(() => lab.clear());

    it('goes through the SA of the packet it is about, as tshark reads it', async () => {
      await placeRouter(lab, 'ipv4');
      const { keyLog } = lab.tsgw;
      const capture = await Capture.start(lab.topology.network, 'g1');
      const { subjectChild } = await lab.up('initiator', pairOf('ipv4'));
      // strongSwan's libipsec has no such rule and discards it.
      await heard(lab, 'ipv4', 3);
      const packets = await dissect(await capture.stop(), {
        fields: ['esp.spi', 'icmp.type', 'ip.src', 'ip.dst'],
        filter: 'icmp.type == 11',
        keyLog,
      });
      assert.deepEqual(
        packets.map((packet) => Object.fromEntries(packet)),
        [
          {
            'esp.spi': [`0x${subjectChild.raw['spi-out']}`],
            'icmp.type': ['11', '8'],
            'ip.src': ['192.0.2.1', '10.1.0.10', '10.2.0.10'],
            'ip.dst': ['192.0.2.2', '10.2.0.10', '10.1.7.7'],
          },
        ],
      );
    });
  });

  describe('between two tsgw', () => {
    const lab = useLab({ peer: subjectKind });
    afterEach(() => lab.clear());

    for (const family of ['ipv4', 'ipv6'] as const) {
      it(`shows the router on the way, ${family}`, async () => {
        await placeRouter(lab, family);
        await lab.up('initiator', pairOf(family));
        assert.equal(await heard(lab, family, 3), hostAddress('h1', family));
      });
    }

    it('hides it where a child says icmp = no', async () => {
      await placeRouter(lab, 'ipv4');
      const { g1, ...pair } = pairOf('ipv4');
      await lab.up('initiator', { ...pair, g1: { ...g1, child: { icmp: 'no' } } });
      const dropped = async (): Promise<number> =>
        JSON.parse((await lab.tsgw.cli(['status', '--json'])).stdout).drops['no-policy'] ?? 0;
      const before = await dropped();
      assert.equal(await heard(lab, 'ipv4', 3), undefined);
      assert.ok((await dropped()) > before);
    });

    it('is discarded by who says icmp = no, and logged with its SA', async () => {
      await placeRouter(lab, 'ipv4');
      const { g2, ...pair } = pairOf('ipv4');
      const { peerChild } = await lab.up('initiator', {
        ...pair,
        g2: { ...g2, child: { icmp: 'no' } },
      });
      assert.equal(await heard(lab, 'ipv4', 3), undefined);
      const [line = ''] = /error policy-mismatch .*$/m.exec(lab.peer.log()) ?? [];
      assert.equal(
        line.replace(/child-sa=\d+/, 'child-sa=N'),
        'error policy-mismatch connection=peer peer=192.0.2.1 child=net child-sa=N ' +
          `spi-in=${peerChild.raw['spi-in']} source=10.1.0.10[icmp/11] ` +
          'destination=10.2.0.10[icmp/11] suppressed=0',
      );
    });
  });
});
