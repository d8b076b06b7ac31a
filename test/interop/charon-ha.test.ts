/**
 * What two charons with the `ha` plugin tell each other while a client connects, rekeys and goes:
 * every octet of it is understood.
 */
import assert from 'node:assert/strict';
import { Capture } from '../../lab/capture.ts';
import { CharonHaCluster, haAddresses } from '../../lab/charon-ha.ts';
import { until } from '../../lab/command.ts';
import { requirePrerequisites } from '../../lab/prerequisites.ts';
import { attributeOfCode } from '../../src/cluster/charon-ha/attribute.ts';
import { haMessageTypeName } from '../../src/cluster/charon-ha/message.ts';
import { haSegment, haSpiSegment } from '../../src/cluster/charon-ha/segment-hash.ts';
import { parseAddress } from '../../src/wire/address.ts';
import { framesOfCapture, type HaFrame, understood } from '../support/ha-frames.ts';

const settings = { segmentCount: 4, log: { cfg: 2 } };

describe('Messages of a strongSwan HA cluster (charon 5.9.8)', () => {
  let cluster: CharonHaCluster;
  let frames: readonly HaFrame[] = [];

  before(async () => {
    requirePrerequisites();
    cluster = await CharonHaCluster.build(settings);
    const capture = await Capture.start(cluster.network, 'a', 'sync');
    await cluster.start();
    await live(cluster);
    frames = framesOfCapture(await capture.stop());
  });
  after(() => cluster?.destroy());

  it('are decoded and encode back octet by octet', () => {
    assert.ok(frames.length > 20, `${frames.length} frames`);
    for (const frame of frames) assert.equal(understood(frame).version, 3);
  });

  it('are of every type that IKEv2 needs', () => {
    const types = new Set(frames.map((frame) => haMessageTypeName(understood(frame).type)));
    assert.deepEqual([...types].sort(), [
      ...['CHILD_ADD', 'CHILD_DELETE', 'IKE_ADD', 'IKE_DELETE', 'IKE_MID_INITIATOR'],
      ...['IKE_MID_RESPONDER', 'IKE_UPDATE', 'RESYNC', 'SEGMENT_DROP', 'SEGMENT_TAKE', 'STATUS'],
    ]);
  });

  it('name the attributes the table has', () => {
    const seen = new Set(
      frames.flatMap((frame) => understood(frame).attributes.map(({ name }) => name)),
    );
    const wanted = [
      ...['IKE_ID', 'IKE_REKEY_ID', 'OLD_SKD', 'ALG_OLD_PRF', 'ALG_KE', 'SECRET', 'NONCE_I'],
      ...['LOCAL_ID', 'REMOTE_ADDR', 'CONFIG_NAME', 'CONDITIONS', 'EXTENSIONS', 'REMOTE_VIP'],
      ...[
        'INITIATOR',
        'INBOUND_SPI',
        'IPSEC_MODE',
        'LOCAL_TS',
        'REMOTE_TS',
        'MID',
        'SEGMENT',
        'ESN',
      ],
    ] as const;
    for (const name of wanted) assert.ok(seen.has(name), name);
    assert.equal(attributeOfCode(3, 36)?.name, 'IKE_VERSION');
  });

  it('carry SPIs as charon lists them, and its log puts them into our segments', () => {
    const log = cluster.nodes.a.log();
    const segments = [...log.matchAll(/handling HA CHILD_SA .*segment in: (\d+)\*?, out: (\d+)/g)];
    const spis = frames
      .map(understood)
      .filter(({ type }) => haMessageTypeName(type) === 'CHILD_ADD')
      .map(({ attributes }) => ({
        inbound: Number(attributes.find(({ name }) => name === 'INBOUND_SPI')?.value),
        outbound: Number(attributes.find(({ name }) => name === 'OUTBOUND_SPI')?.value),
      }));
    assert.ok(spis.length >= 3, `${spis.length} Child SAs`);
    assert.equal(segments.length, spis.length);
    const own = parseAddress(haAddresses.wan);
    const peer = parseAddress(haAddresses.client);
    assert.ok(own && peer);
    const segmenting = { variant: 'lookup3-4.1', count: settings.segmentCount } as const;
    for (const [index, { inbound, outbound }] of spis.entries()) {
      assert.equal(haSpiSegment(segmenting, own, inbound), Number(segments[index]?.[1]));
      assert.equal(haSpiSegment(segmenting, peer, outbound), Number(segments[index]?.[2]));
      const listed = inbound.toString(16).padStart(8, '0');
      assert.ok(log.includes(`SPIs ${listed}_i`), `charon says ${listed}`);
    }
    assert.equal(haSegment(segmenting, peer), 2);
  });
});

/** A client comes, replaces what it has, and goes; meanwhile the nodes move a segment. */
async function live({ nodes, client }: CharonHaCluster): Promise<void> {
  const said = (who: 'a' | 'b', what: RegExp) =>
    until(`${who} to say ${what}`, () => what.test(nodes[who].log()) || undefined);
  await client.swanctl.must(['--initiate', '--child', 'net']);
  await said('b', /installed HA CHILD_SA/);
  await nodes.a.swanctl.must(['--rekey', '--child', 'net']);
  await said('b', /HA IKE_MID_INITIATOR/);
  await client.swanctl.must(['--rekey', '--child', 'net']);
  // While Child SAs are replaced an IKE SA may not be.
  await until('the client to have one Child SA', async () => {
    const [sa] = await client.swanctl.sas();
    return sa?.children.length === 1 || undefined;
  });
  await said('b', /received HA CHILD_DELETE/);
  await client.swanctl.must(['--rekey', '--ike', 'gateway']);
  await said('b', /received HA IKE_DELETE/);
  await nodes.a.writeFifo('charon.ha', '-3');
  await said('b', /remote node drops segment 3/);
  await client.swanctl.must(['--terminate', '--ike', 'gateway']);
  await until('the node to forget the client', async () =>
    (await nodes.b.swanctl.sas()).length === 0 ? true : undefined,
  );
}
