/**
 * Address pools of two tsgw that are one gateway, and strongSwan clients at several places: nobody's address changes or
 * is given to another, whichever node gave it and whichever is left.
 */
import assert from 'node:assert/strict';
import { type ClusterNodeName, clusterAddresses } from '../../lab/cluster-network.ts';
import { until } from '../../lab/command.ts';
import { requirePrerequisites } from '../../lab/prerequisites.ts';
import { ESP_PROPOSALS, IKE_PROPOSALS, identities, sharedSecret } from '../../lab/roadwarrior.ts';
import { TsgwCluster } from '../../lab/tsgw-cluster.ts';

const PLACES = 8;

describe('Address pools of a cluster of two tsgw', function () {
  this.timeout(60_000);
  let cluster: TsgwCluster;
  /** By place, the address that the client there has. */
  const had = new Map<number, string>();

  before(async () => {
    requirePrerequisites();
    cluster = await TsgwCluster.build({ mode: 'active-active' });
    await cluster.start();
    const { network, client } = cluster;
    const more = Array.from({ length: PLACES }, (_, index) => place(index));
    await network.ip(
      'client',
      more.map((address) => `address add ${address}/24 dev wan`),
    );
    await client.swanctl.load(clients());
  });
  afterEach(function tell() {
    if (this.currentTest?.state === 'failed') console.log(cluster.said());
  });
  after(async () => {
    await cluster?.destroy();
  });

  it('give each client another one, and every node knows of all', async () => {
    for (const index of [0, 1, 2, 3]) await connect(index);
    for (const name of cluster.names) {
      await until(`${name} to know of them`, async () => (await leased(name)) === 4 || undefined);
    }
  });

  it('leave each client its own when a node dies, and others get one of the one that is left', async () => {
    await cluster.node('a').kill();
    for (const index of [4, 5]) await connect(index);
    assert.deepEqual(await present(), had);
    assert.equal(await leased('b'), 6);
  });

  it('are the same when it comes back', async () => {
    await cluster.startNode('a');
    await until('a to know of them', async () => (await leased('a')) === 6 || undefined);
    for (const index of [6, 7]) await connect(index);
    assert.deepEqual(await present(), had);
    await until('a to know of all', async () => (await leased('a')) === 8 || undefined);
  });

  it('give a client that comes again what it had', async () => {
    await cluster.client.swanctl.must(['--terminate', '--ike', 'client3']);
    const before = had.get(3);
    had.delete(3);
    await connect(3);
    assert.equal(had.get(3), before);
  });

  it('remember who had what when all nodes start anew', async () => {
    const who = (lines: readonly string[]) =>
      lines.map((line) => line.replace(/ (on|off)line /, ' '));
    const before = who(await leases('b'));
    await Promise.all(cluster.names.map((name) => cluster.node(name).stop()));
    await Promise.all(cluster.names.map((name) => cluster.startNode(name)));
    assert.equal(before.length, PLACES);
    for (const name of cluster.names) {
      const isSame = async () => who(await leases(name)).join() === before.join() || undefined;
      await until(`${name} to remember them`, isSame);
    }
  });

  /** It has an address that nobody else has. */
  async function connect(index: number): Promise<void> {
    const { swanctl } = cluster.client;
    const up = async () => {
      const { status } = await swanctl.call(['--initiate', '--child', `net${index}`]);
      return status === 0 || undefined;
    };
    await until(`client ${index} to connect`, up, 20_000, 500);
    const address = (await present()).get(index);
    assert.ok(address, `client ${index} has no address`);
    assert.ok(![...had.values()].includes(address), `${address} is another client's`);
    had.set(index, address);
  }

  /** The address of each client that is up. */
  async function present(): Promise<ReadonlyMap<number, string>> {
    const sas = await cluster.client.swanctl.sas();
    const pairs = sas.flatMap(({ children }) =>
      children.map(({ name, localTs }) => {
        const [own = ''] = localTs;
        return [Number(name.slice('net'.length)), own.split('/')[0] ?? own] as const;
      }),
    );
    return new Map(pairs.toSorted(([one], [other]) => one - other));
  }

  /** Of clients that are there, as a node knows them. */
  async function leased(name: ClusterNodeName): Promise<number> {
    return (await leases(name)).filter((line) => line.includes('online')).length;
  }

  /** `10.3.0.1 online 'client.lab'` of each lease that a node knows of. */
  async function leases(name: ClusterNodeName): Promise<readonly string[]> {
    const said = await cluster.node(name).swanctl.must(['--list-pools', '--leases']);
    return said
      .split('\n')
      .filter((line) => line.includes("'"))
      .map((line) => line.trim().split(/\s+/).join(' '));
  }
});

function place(index: number): string {
  return `198.51.100.${20 + index}`;
}

function clients(): string {
  const each = Array.from(
    { length: PLACES },
    (_, index) => `  client${index} {
    version = 2
    mobike = no
    local_addrs = ${place(index)}
    remote_addrs = ${clusterAddresses.gateway.ipv4}
    proposals = ${IKE_PROPOSALS}
    vips = 0.0.0.0
    local {
      auth = psk
      id = ${identities.client}
    }
    remote {
      auth = psk
      id = ${identities.gateway}
    }
    children {
      net${index} {
        remote_ts = ${clusterAddresses.lanNet}
        esp_proposals = ${ESP_PROPOSALS}
      }
    }
  }
`,
  );
  return `connections {\n${each.join('')}}\n${sharedSecret}`;
}
