/**
 * Ends that move (RFC 4555, RFC 7296 §2.23): another address of one's own, another family, another
 * NAT mapping. The SAs stay what they are.
 */
import assert from 'node:assert/strict';
import { sleep, until } from '../../lab/command.ts';
import type { Gateway } from '../../lab/gateway.ts';
import { PacketStream } from '../../lab/packet-stream.ts';
import type { PairSettings } from '../../lab/swanctl-conf.ts';
import { type GatewayNode, hostAddress, natAddress, nft } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { impatient, type Lab, type Tunnel, useLab } from '../support/lab.ts';
import { agreed, settled } from '../support/tunnel-life.ts';

const home: Readonly<Record<GatewayNode, string>> = { g1: '192.0.2.1', g2: '192.0.2.2' };
const away: Readonly<Record<GatewayNode, string>> = { g1: '192.0.2.11', g2: '192.0.2.22' };

const settings = { ...impatient, deleteRekeyedDelaySeconds: 1 };

const mobike: PairSettings = {
  connection: { mobike: 'yes', dpd_delay: '1s', local_addrs: '%any' },
  g1: { remoteAddress: '192.0.2.2, 192.0.2.22, 2001:db8:f::2' },
  g2: { remoteAddress: '192.0.2.1, 192.0.2.11, 2001:db8:f::1' },
};

describe('An initiator that moves (RFC 4555)', () => {
  const lab = useLab({ subjectSettings: settings, peerSettings: settings });
  before(async () => {
    // Else a second address of a network goes with its first.
    const setting = 'net.ipv4.conf.all.promote_secondaries=1';
    for (const node of ['g1', 'g2']) {
      await lab.topology.network.exec(node, ['sysctl', '-qw', setting]);
    }
  });
  afterEach(async () => {
    await lab.clear();
    for (const node of ['g1', 'g2'] as const) {
      await lab.topology.network.ip(node, ['address flush dev wan scope global']);
      await lab.topology.network.ip(node, [
        `address add ${home[node]}/24 dev wan`,
        `address add 2001:db8:f::${node === 'g1' ? 1 : 2}/64 dev wan nodad`,
      ]);
    }
  });

  for (const { who, role } of [
    { who: 'subject', role: 'initiator' },
    { who: 'peer', role: 'responder' },
  ] as const) {
    it(`the ${who} to another address, and ESP with it`, async () => {
      // While the kernel promotes the other address there is no way from it, and charon takes IPv6.
      if (who === 'peer') await withoutIpv6(lab);
      const before = await lab.up(role, mobike);
      const mover = lab[who];
      await shortLoss(lab, () =>
        lab.topology.network.ip(mover.node, [
          `address add ${away[mover.node]}/24 dev wan`,
          `address del ${home[mover.node]}/24 dev wan`,
        ]),
      );
      await moved(lab, mover, away[mover.node]);
      await unchanged(lab, before);
      await lab.carries();
    });

    it(`the ${who} from IPv4 to IPv6, and ESP with it`, async () => {
      const before = await lab.up(role, mobike);
      const mover = lab[who];
      await shortLoss(lab, () =>
        lab.topology.network.ip(mover.node, [`address del ${home[mover.node]}/24 dev wan`]),
      );
      await moved(lab, mover, mover.node === 'g1' ? '2001:db8:f::1' : '2001:db8:f::2');
      await unchanged(lab, before);
      await lab.carries();
    });
  }
});

describe('A NAT mapping that changes while nothing is sent (RFC 7296 §2.23)', () => {
  const probing = { dpd_delay: '1s' };

  describe('on our side', () => {
    const lab = useLab({ nat: true, subjectSettings: settings, peerSettings: settings });
    afterEach(() => lab.clear());

    for (const mobike of ['no', 'yes']) {
      it(`is noticed by our next probe, and the peer follows, mobike = ${mobike}`, async () => {
        await lab.up('initiator', {
          connection: { mobike },
          g1: { connection: probing },
          g2: { remoteAddress: '%any' },
        });
        await lab.carries();
        const first = (await lab.tunnel()).peer;
        const next = await rebind(lab, first.remoteHost);
        await follows(lab.peer, next);
        await reachable(lab);
      });
    }
  });

  describe("on the peer's side", () => {
    const lab = useLab({
      nat: true,
      subjectAt: 'g2',
      subjectSettings: settings,
      peerSettings: settings,
    });
    afterEach(() => lab.clear());

    it("is noticed by the peer's next probe, and we follow", async () => {
      await lab.up('responder', {
        g1: { connection: probing },
        g2: { remoteAddress: '%any' },
      });
      await lab.carries();
      const first = (await lab.tunnel()).subject;
      const next = await rebind(lab, first.remoteHost);
      await follows(lab.subject, next);
      await reachable(lab);
    });
  });
});

describe('Two NATs at one end and one at the other (RFC 7296 §2.23)', () => {
  for (const subjectAt of ['g1', 'g2'] as const) {
    describe(`with us at the end of ${subjectAt === 'g1' ? 'two' : 'one'}`, () => {
      const lab = useLab({ nat: true, subjectAt });
      before(() => moreNats(lab));
      afterEach(() => lab.clear());

      it('carry a tunnel each way', async () => {
        const role = subjectAt === 'g1' ? 'initiator' : 'responder';
        const { subject } = await lab.up(role, {
          g2: { remoteAddress: '%any', connection: { local_addrs: '%any' } },
        });
        assert.deepEqual([subject.raw['nat-local'], subject.raw['nat-remote']], ['yes', 'yes']);
        assert.notEqual(subjectAt === 'g1' ? subject.localPort : subject.remotePort, 500);
        await lab.carries({ count: 20 });
        await reachable(lab);
        const { octets } = await lab.transfer({ octets: 2_000_000 });
        assert.ok(octets > 1_000_000);
      });
    });
  }
});

/** Both ends list the mover at its new address. */
async function moved(lab: Lab, mover: Gateway, address: string): Promise<void> {
  await until(
    `${mover.kind} to be at ${address} for both`,
    async () => {
      for (const end of [lab.subject, lab.peer]) {
        const [sa] = await end.swanctl.sas();
        if ((end === mover ? sa?.localHost : sa?.remoteHost) !== address) return undefined;
      }
      return true;
    },
    20_000,
  );
}

/** The same IKE SA with the same Child SA as before. */
async function unchanged(lab: Lab, before: Tunnel): Promise<void> {
  const after = await settled(lab);
  assert.equal(after.subject.uniqueId, before.subject.uniqueId);
  assert.equal(after.subject.raw['initiator-spi'], before.subject.raw['initiator-spi']);
}

async function withoutIpv6({ topology: { network } }: Lab): Promise<void> {
  await network.ip('g1', ['address del 2001:db8:f::1/64 dev wan']);
  await network.ip('g2', ['address del 2001:db8:f::2/64 dev wan']);
}

/** Takes an address away under a stream, which must flow again within a second. */
async function shortLoss(lab: Lab, takeAway: () => Promise<void>): Promise<void> {
  const stream = await PacketStream.start(lab.topology, { perSecond: 500 });
  await sleep(200);
  await takeAway();
  await sleep(2_000);
  const { there, back } = await stream.stop();
  for (const { lost, sent, gaps } of [there, back]) {
    assert.ok(lost < 500, `${lost} of ${sent} lost: ${gaps.join(' ')}`);
  }
}

/** The NAT box forgets its mappings with the address they had; answers the new one. */
async function rebind({ topology: { network } }: Lab, from: string): Promise<string> {
  const to = from === natAddress ? '192.0.2.253' : natAddress;
  await network.ip('nat', [
    `address del ${from}/24 dev outside`,
    `address add ${to}/24 dev outside`,
  ]);
  return to;
}

/** A gateway sends to where its peer is now. */
async function follows({ swanctl, kind }: Gateway, address: string): Promise<void> {
  await until(`${kind} to send to ${address}`, async () => {
    const [sa] = await swanctl.sas();
    return sa?.remoteHost === address || undefined;
  });
}

/** h1 behind the NAT is reached from the other side: nothing of its own opens the way first. */
async function reachable(lab: Lab): Promise<void> {
  const { topology } = lab;
  // strongSwan replaces a Child SA whose peer moves, and no longer hears the one before.
  await agreed(lab);
  const { lossPercent } = await ping(topology, { from: 'h2', to: hostAddress('h1', 'ipv4') });
  assert.equal(lossPercent, 0);
}

/** g1 maps the ports of what leaves it, before the NAT box does; g2 has another address inside. */
async function moreNats({ topology: { network } }: Lab): Promise<void> {
  await nft(network, 'g1', [
    'table ip first {',
    'chain leaving {',
    'type nat hook postrouting priority srcnat;',
    'oifname "wan" ip protocol udp masquerade to :30000-39999;',
    '}',
    '}',
  ]);
  await nft(network, 'g2', [
    'table ip last {',
    'chain arriving {',
    'type nat hook prerouting priority dstnat;',
    'iifname "wan" udp dport { 500, 4500 } dnat to 10.2.0.1;',
    '}',
    '}',
  ]);
}
