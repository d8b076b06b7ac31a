/**
 * tsgw as the other half of a charon HA pair, as processes: either goes on where the other ended, and the
 * client notices nothing but a Child SA that is replaced.
 */
import assert from 'node:assert/strict';
import { Capture, dissect } from '../../lab/capture.ts';
import { CharonHaCluster, haAddresses, moveTo } from '../../lab/charon-ha.ts';
import { TsgwHaNode } from '../../lab/charon-ha-tsgw.ts';
import { until } from '../../lab/command.ts';
import { requirePrerequisites } from '../../lab/prerequisites.ts';
import type { IkeSaState } from '../../lab/swanctl.ts';

const asked = /resyncing HA segment/;
const settings = { heartbeatDelay: 300, heartbeatTimeout: 1200 };

describe('A charon and a tsgw that are one HA pair', () => {
  let cluster: CharonHaCluster;
  let tsgw: TsgwHaNode;

  before(async () => {
    requirePrerequisites();
    cluster = await CharonHaCluster.build(settings);
    tsgw = new TsgwHaNode(cluster.network, 'b');
    await Promise.all([cluster.start(['a']), tsgw.start(settings)]);
    // charon replaces every Child SA then.
    await until(
      'tsgw to have asked for everything',
      () => asked.test(cluster.nodes.a.log()) || undefined,
    );
  });
  afterEach(function ended() {
    if (this.currentTest?.state !== 'failed') return;
    console.log(cluster.nodes.a.log().split('\n').slice(-60).join('\n'));
    console.log(tsgw.log());
  });
  after(async () => {
    await tsgw?.kill();
    cluster?.destroy();
  });

  it('go on where charon died, and charon follows when it returns', async () => {
    const { client, network, nodes } = cluster;
    await cluster.connect();
    // Each end replaces each, so that the keys of the last are made of all before.
    await client.swanctl.must(['--rekey', '--ike', 'gateway']);
    await nodes.a.swanctl.must(['--rekey', '--ike', 'rw']);
    await one(client, 'ESTABLISHED');
    await client.swanctl.must(['--rekey', '--child', 'net']);
    await one(client, 'ESTABLISHED');
    await nodes.a.swanctl.must(['--rekey', '--child', 'net']);
    const before = await one(client, 'ESTABLISHED');
    const passive = await same(tsgw, 'PASSIVE');
    assert.deepEqual(spisOf(passive), spisOf(before));
    assert.deepEqual(passive.raw['remote-vips'], before.raw['local-vips']);
    await carries();

    const capture = await Capture.start(network, 'b');
    await nodes.a.kill();
    await moveTo(network, 'b');
    const active = await one(tsgw, 'ESTABLISHED');
    assert.deepEqual(spisOf(active), spisOf(before));
    await otherChild(before);
    await carries();
    await sentNothingUnder(before, await capture.stop());

    await rejoins();
    await same(nodes.a, 'PASSIVE');
  });

  it('move a segment on command', async () => {
    const { network, nodes } = cluster;
    await tsgw.writeFifo('-1');
    await moveTo(network, 'a');
    await same(nodes.a, 'ESTABLISHED');
    await same(tsgw, 'PASSIVE');
    await carries();
    const { stdout } = await tsgw.cli(['cluster', 'take', '0']);
    assert.match(stdout, /segments 0 are served here/);
    await moveTo(network, 'b');
    await one(tsgw, 'ESTABLISHED');
    await same(nodes.a, 'PASSIVE');
    await carries();
    const status = JSON.parse((await tsgw.cli(['cluster', 'status', '--json'])).stdout);
    assert.deepEqual(status['ike-sas'], { active: 1, passive: 0, unsynced: 0, solo: 0 });
    const [self, charon] = status.members;
    assert.deepEqual([self.owned, charon.name, charon.state], [1, '10.77.0.1', 'up']);
  });

  it('have charon go on where tsgw stood still, and tsgw follow when it wakes', async () => {
    const { client, network, nodes } = cluster;
    await client.swanctl.must(['--terminate', '--ike', 'gateway']);
    assert.equal(await cluster.connect(), '10.3.0.1');
    assert.match(await tsgw.swanctl.must(['--list-pools', '--leases']), /10\.3\.0\.1 +online/);
    await same(nodes.a, 'PASSIVE');
    await carries();

    tsgw.signal('SIGSTOP');
    await one(nodes.a, 'ESTABLISHED');
    await moveTo(network, 'a');
    await nodes.a.swanctl.must(['--rekey', '--child', 'net']);
    tsgw.signal('SIGCONT');
    await same(tsgw, 'PASSIVE');
    assert.deepEqual(cluster.active('a'), [1]);
    await carries();
  });

  it('hand over when they end, and take leave of the client where nobody is left', async () => {
    const { client, network, nodes } = cluster;
    const before = await one(client, 'ESTABLISHED');
    const silences = () => tsgw.log().match(/cluster-node-down/g)?.length ?? 0;
    const heard = silences();
    await tsgw.kill();
    await tsgw.start(settings);
    await same(tsgw, 'PASSIVE');
    await nodes.a.stop();
    await moveTo(network, 'b');
    await one(tsgw, 'ESTABLISHED');
    await otherChild(before);
    assert.deepEqual(spisOf(await same(tsgw, 'ESTABLISHED')), spisOf(before));
    await carries();
    await until('charon to be missed', () => silences() > heard || undefined);
    await tsgw.stop();
    assert.deepEqual(await client.swanctl.sas(), []);
  });

  /** A node with one IKE SA in that state, and one Child SA of it. */
  async function one({ swanctl }: Pick<TsgwHaNode, 'swanctl'>, state: string): Promise<IkeSaState> {
    return until(`one IKE SA ${state}`, async () => {
      const [sa, ...more] = await swanctl.sas();
      const [child, ...others] = sa?.children ?? [];
      const alone = more.length === 0 && others.length === 0 && child?.state === 'INSTALLED';
      return sa?.state === state && alone ? sa : undefined;
    });
  }

  /** A node in that state about what the client has, and nothing else. */
  async function same(node: Pick<TsgwHaNode, 'swanctl'>, state: string): Promise<IkeSaState> {
    return until('one node and the client to have the same', async () => {
      const [sa, own] = await Promise.all([one(node, state), one(cluster.client, 'ESTABLISHED')]);
      const [child, ours] = [sa, own].map(({ children }) => children[0]?.raw);
      return child?.['spi-out'] === ours?.['spi-in'] ? sa : undefined;
    });
  }

  const spisOf = ({ raw }: IkeSaState) => [raw['initiator-spi'], raw['responder-spi']];

  /** charon asks once, a second after its start, and makes nothing of what it has no connection for. */
  async function rejoins(): Promise<void> {
    const { a } = cluster.nodes;
    const since = a.log().length;
    await cluster.startNode('a');
    const [asked, added] = await until('charon to ask for everything', () => {
      const log = a.log().slice(since);
      const lines = ['requesting HA resynchronization', 'added vici connection'];
      const at = lines.map((line) => log.indexOf(line));
      return at.includes(-1) ? undefined : at;
    });
    if ((asked ?? 0) < (added ?? 0)) await tsgw.writeFifo('*1');
  }

  async function otherChild(before: IkeSaState): Promise<void> {
    await until('another Child SA', async () => {
      const sa = await one(cluster.client, 'ESTABLISHED');
      return sa.children[0]?.raw['spi-in'] !== before.children[0]?.raw['spi-in'] || undefined;
    });
  }

  /** charon may have used any nonce of these keys: what leaves is of others. */
  async function sentNothingUnder(before: IkeSaState, file: string): Promise<void> {
    const filter = `esp && ip.src == ${haAddresses.wan}`;
    const packets = await dissect(file, { fields: ['esp.spi'], filter });
    const spis = packets.map((packet) => String(packet.get('esp.spi')?.[0]).replace('0x', ''));
    assert.ok(spis.length >= 3);
    assert.ok(!spis.includes(String(before.children[0]?.raw['spi-in'])));
  }

  async function carries(): Promise<void> {
    const { stdout } = await cluster.network.exec(
      'client',
      ['ping', '-n', '-c', '3', '-i', '0.1', '-W', '5', haAddresses.host],
      { mayFail: true },
    );
    assert.match(stdout, /3 received/);
  }
});
