/**
 * A hub with two spokes: what one spoke sends to the other leaves one tunnel and enters the next.
 *
 *   h2 ---- g2 ======== g1 ======== g2' ---- h2'
 *   10.2.0.10   192.0.2/24  198.51.100/24   10.3.0.10
 *                      h1 10.1.0.10
 */
import assert from 'node:assert/strict';
import { run, until } from '../../lab/command.ts';
import type { Gateway } from '../../lab/gateway.ts';
import { buildTopology, type Topology } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { gatewayOf, impatient, type Lab, useLab } from '../support/lab.ts';

const nets = { hub: '10.1.0.0/16', east: '10.2.0.0/16', west: '10.3.0.0/16' };
type Spoke = 'east' | 'west';
const outer = {
  east: { hub: '192.0.2.1', spoke: '192.0.2.2' },
  west: { hub: '198.51.100.1', spoke: '198.51.100.2' },
};

describe('A hub with two spokes', () => {
  const lab = useLab();
  /** A second site like the one at g2; its own g1 and h1 stand idle. */
  let westSite: Topology;
  let west: Gateway;

  before(async () => {
    westSite = await buildTopology();
    await joinSites(lab, westSite);
    west = gatewayOf('strongswan', westSite.network, 'g2');
    await west.start(impatient);
    await Promise.all([
      lab.subject.swanctl.load(conf([hubSide('east'), hubSide('west')])),
      lab.peer.swanctl.load(conf([spokeSide('east')])),
      west.swanctl.load(conf([spokeSide('west')])),
    ]);
  });
  after(async () => {
    await west.stop();
    westSite.network.destroy();
  });

  it('carries packets of each spoke to the other and to itself', async () => {
    // One is called by the hub, one calls it.
    await lab.subject.swanctl.must(['--initiate', '--child', 'east']);
    await west.swanctl.must(['--initiate', '--child', 'west']);
    const across = [
      await ping(lab.topology, { from: 'h2', to: '10.3.0.10', count: 20 }),
      await ping(westSite, { from: 'h2', to: '10.2.0.10', count: 20 }),
      await ping(lab.topology, { from: 'h1', to: '10.3.0.10', count: 10 }),
      await ping(lab.topology, { from: 'h1', to: '10.2.0.10', count: 10 }),
    ];
    assert.deepEqual(
      across.map(({ lossPercent }) => lossPercent),
      [0, 0, 0, 0],
    );
    // 40 between the spokes and 10 of the hub's own, in each tunnel each way.
    for (const [spoke, end] of [
      ['east', lab.peer],
      ['west', west],
    ] as const) {
      for (const { swanctl } of [lab.subject, end]) {
        await until(`50 packets each way in ${spoke}`, async () => {
          const [sa] = (await swanctl.sas()).filter(({ name }) => name === spoke);
          const [child] = sa?.children ?? [];
          return (child?.packetsIn === 50 && child.packetsOut === 50) || undefined;
        });
      }
    }
  });

  it('goes on with one spoke when the other is gone', async () => {
    const kept = ping(lab.topology, {
      from: 'h1',
      to: '10.2.0.10',
      count: 60,
      intervalSeconds: 0.01,
    });
    await west.swanctl.must(['--terminate', '--ike', 'west']);
    assert.equal((await kept).lossPercent, 0);
    assert.equal(
      (await ping(lab.topology, { from: 'h2', to: '10.3.0.10', count: 2, waitSeconds: 0.5 }))
        .received,
      0,
    );
    const names = (await lab.subject.swanctl.sas()).map(({ name }) => name);
    assert.deepEqual(names, ['east']);
  });
});

function conf(connections: readonly string[]): string {
  return `connections {\n${connections.join('\n')}\n}
secrets { ike-1 { secret = "a secret only the lab knows" } }
`;
}

function hubSide(spoke: Spoke): string {
  const other = spoke === 'east' ? 'west' : 'east';
  const { hub, spoke: remote } = outer[spoke];
  return connection(
    spoke,
    [hub, 'hub.lab', `${nets.hub}, ${nets[other]}`],
    [remote, `${spoke}.lab`, nets[spoke]],
  );
}

function spokeSide(spoke: Spoke): string {
  const other = spoke === 'east' ? 'west' : 'east';
  const { hub, spoke: local } = outer[spoke];
  return connection(
    spoke,
    [local, `${spoke}.lab`, nets[spoke]],
    [hub, 'hub.lab', `${nets.hub}, ${nets[other]}`],
  );
}

type End = readonly [address: string, id: string, selectors: string];

function connection(spoke: Spoke, local: End, remote: End): string {
  return `${spoke} {
  version = 2
  mobike = no
  local_addrs = ${local[0]}
  remote_addrs = ${remote[0]}
  proposals = aes256-sha256-x25519
  local { auth = psk
    id = ${local[1]} }
  remote { auth = psk
    id = ${remote[1]} }
  children { ${spoke} { local_ts = ${local[2]}
      remote_ts = ${remote[2]}
      esp_proposals = aes128gcm16 } }
}`;
}

/** Joins the second site to the hub by a link of its own, and gives it networks of its own. */
async function joinSites(lab: Lab, site: Topology): Promise<void> {
  const hub = lab.topology.network;
  const { network } = site;
  await network.ip('h2', ['address flush dev eth0', 'address add 10.3.0.10/16 dev eth0']);
  await network.ip('g2', ['address flush dev lan', 'address add 10.3.0.1/16 dev lan']);
  await network.ip('h2', ['route replace default via 10.3.0.1']);
  await network.ip('g2', ['address flush dev wan', 'link set wan down']);
  await run([
    ...['ip', 'link', 'add', 'name', 'west', 'netns', hub.name(lab.subjectNode)],
    ...['type', 'veth', 'peer', 'name', 'hub', 'netns', network.name('g2')],
  ]);
  await hub.ip(lab.subjectNode, [`address add ${outer.west.hub}/24 dev west`, 'link set west up']);
  await network.ip('g2', [`address add ${outer.west.spoke}/24 dev hub`, 'link set hub up']);
}
