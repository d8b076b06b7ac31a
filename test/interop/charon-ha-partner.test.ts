/**
 * tsgw as the other half of a charon HA pair: it derives the keys charon has, takes over where charon
 * ended, and charon goes on with what it is told.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { loggedOctets } from '../../lab/charon.ts';
import { CharonHaCluster, moveTo } from '../../lab/charon-ha.ts';
import { until } from '../../lab/command.ts';
import { requirePrerequisites } from '../../lab/prerequisites.ts';
import { readChildAdd } from '../../src/cluster/charon-ha/child-add.ts';
import { readIkeAdd } from '../../src/cluster/charon-ha/ike-add.ts';
import { readIkeUpdate } from '../../src/cluster/charon-ha/ike-update.ts';
import { HaMessageType } from '../../src/cluster/charon-ha/message.ts';
import type { MirroredIkeSa } from '../../src/cluster/charon-ha/mirrored-ike-sa.ts';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { formatSpi, spi } from '../../src/ipsec/spi.ts';
import { formatAddress } from '../../src/wire/address.ts';
import { instant } from '../../src/wire/instant.ts';
import { toHex } from '../../src/wire/octets.ts';
import { readHaRecording, understood } from '../support/ha-frames.ts';
import { HaPartner } from '../support/ha-partner.ts';

const settings = { segmentCount: 1, log: { ike: 4, chd: 4, cfg: 2 } };

describe('The other half of a charon HA pair', () => {
  let cluster: CharonHaCluster;
  let partner: HaPartner;
  const begin = async (resync: boolean) => {
    const own = { segmentCount: settings.segmentCount, resync };
    partner = await HaPartner.start(cluster.network, 'b', own);
  };

  before(requirePrerequisites);
  beforeEach(async () => {
    cluster = await CharonHaCluster.build(settings);
    await cluster.start(['a']);
  });
  afterEach(function ended() {
    if (this.currentTest?.state === 'failed') {
      console.log(cluster.nodes.a.log().split('\n').slice(-80).join('\n'));
      console.log(partner.done.map(({ kind }) => kind).join(' '));
    }
    partner?.stop();
    cluster?.destroy();
  });

  it('has the keys charon has, over every rekeying, and takes over when charon dies', async () => {
    const { client, nodes } = cluster;
    await begin(false);
    const address = await cluster.connect();
    await sameKeys(cluster, partner, 1, 1);
    await client.swanctl.must(['--rekey', '--child', 'net']);
    await sameKeys(cluster, partner, 1, 2);
    await nodes.a.swanctl.must(['--rekey', '--child', 'net']);
    await sameKeys(cluster, partner, 1, 3);
    await oneChild(cluster);
    await nodes.a.swanctl.must(['--rekey', '--ike', 'rw']);
    const ikeSa = await sameKeys(cluster, partner, 2, 3);
    assert.deepEqual(ikeSa.remoteVips.map(formatAddress), [address]);
    assert.equal(ikeSa.state, 'passive');
    const [listed] = await nodes.a.swanctl.sas();
    assert.equal(listed?.raw['responder-spi'], ikeSa.id.responderSpi);
    assert.deepEqual(
      ikeSa.children.map(({ spiIn }) => formatSpi(spiIn)),
      listed.children.map(({ raw }) => raw['spi-in']),
    );
    await nodes.a.kill();
    await until('the heartbeat to be missed', () => partner.node.active.length === 1 || undefined);
    const [activated] = partner.done.filter(({ kind }) => kind === 'activate');
    assert.ok(activated?.kind === 'activate');
    assert.equal(activated.ikeSas[0]?.id.responderSpi, ikeSa.id.responderSpi);
    assert.equal(activated.ikeSas[0].state, 'active');
  });

  it('goes on with charon’s IKE SA: our engine answers the client, and the client answers it', async () => {
    const { client, network, nodes } = cluster;
    await begin(false);
    await cluster.connect();
    await until('the engine to follow', () => partner.side.passive.size === 1 || undefined);
    const [listed] = partner.side.engine.passiveSas(instant(performance.now()));
    assert.equal(listed?.connection.name, 'rw');
    await nodes.a.kill();
    await until('the heartbeat to be missed', () => partner.side.established === 1 || undefined);
    await moveTo(network, 'b');
    await partner.serve();
    const [before] = partner.side.children.values();
    await client.swanctl.must(['--rekey', '--child', 'net']);
    const spi = await until('the client to have another Child SA', async () => {
      const [sa] = await client.swanctl.sas();
      const installed = sa?.children.filter(({ state }) => state === 'INSTALLED') ?? [];
      const out = installed.map(({ raw }) => raw['spi-out']);
      return out.find((each) => each !== formatSpi(before?.spiIn ?? 0));
    });
    assert.ok([...partner.side.children.values()].some(({ spiIn }) => formatSpi(spiIn) === spi));
    // Our own requests go on behind charon's, too.
    partner.ike({ kind: 'terminate', request: 1, selector: {}, force: false });
    await until('the client to be told goodbye', async () =>
      (await client.swanctl.sas()).length === 0 ? true : undefined,
    );
    assert.equal(partner.side.established, 0);
  });

  it('gives the client back to a charon that returns, with the Child SAs made meanwhile', async () => {
    const { client, network, nodes } = cluster;
    await begin(false);
    await cluster.connect();
    await until('the engine to follow', () => partner.side.passive.size === 1 || undefined);
    await nodes.a.kill();
    await until('the heartbeat to be missed', () => partner.side.established === 1 || undefined);
    await moveTo(network, 'b');
    await partner.serve();
    await client.swanctl.must(['--rekey', '--ike', 'gateway']);
    await until('the IKE SA to be replaced', () => oneSa(partner) || undefined);
    await cluster.startNode('a');
    const listed = await until('charon to know the client again', async () => {
      const [sa] = await nodes.a.swanctl.sas();
      return sa?.state === 'PASSIVE' && sa.children.length > 0 ? sa : undefined;
    });
    const spis = () =>
      partner.node.ikeSas.flatMap(({ children }) => children.map((one) => one.spiIn));
    assert.ok(spis().map(formatSpi).includes(String(listed.children[0]?.raw['spi-in'])));
    await partner.withdraw();
    partner.input({ kind: 'command', command: { kind: 'drop', segment: 1 } });
    await moveTo(network, 'a');
    await until('charon to go on', async () => {
      const [sa] = await nodes.a.swanctl.sas();
      return sa?.state === 'ESTABLISHED' || undefined;
    });
    const before = nodes.a.log().length;
    await client.swanctl.must(['--rekey', '--child', 'net']);
    await until(
      'charon to answer the client',
      () => /CHILD_SA net\{\d+\} established/.test(nodes.a.log().slice(before)) || undefined,
    );
  });

  it('hears of all that charon serves when it comes late, and of Child SAs that replace what was', async () => {
    await cluster.connect();
    await begin(true);
    // Both Child SAs: the one the client made, and the one charon made when it was asked.
    const ikeSa = await sameKeys(cluster, partner, 1, 2);
    assert.equal(ikeSa.children.length, 1);
    assert.equal(ikeSa.remoteVips.length, 1);
    const [listed] = await cluster.nodes.a.swanctl.sas();
    assert.equal(listed?.state, 'ESTABLISHED');
    assert.ok(
      listed.children.some(({ raw }) => raw['spi-in'] === formatSpi(ikeSa.children[0]?.spiIn ?? 0)),
    );
  });

  it('tells charon of an IKE SA, which charon keeps ready and goes on with', async () => {
    const { nodes } = cluster;
    await begin(false);
    partner.input({ kind: 'command', command: { kind: 'take', segment: 1 } });
    await until('charon to give the segment up', () => !cluster.active('a').length || undefined);
    const made = invented();
    for (const input of made.inputs) partner.input(input);
    const listed = await until('charon to know the IKE SA', async () => {
      const [sa] = await nodes.a.swanctl.sas();
      return sa?.children.length === 1 ? sa : undefined;
    });
    assert.equal(listed.state, 'PASSIVE');
    assert.equal(listed.raw['responder-spi'], made.id.responderSpi);
    assert.equal(listed.raw['remote-id'], 'client.lab');
    assert.deepEqual(listed.raw['remote-vips'], ['10.3.0.1']);
    assert.equal(listed.children[0]?.raw['spi-in'], formatSpi(made.spiIn));
    assert.equal(listed.children[0].raw['spi-out'], formatSpi(made.spiOut));
    const [own] = partner.node.ikeSas;
    assert.ok(own);
    keysAreLogged(own, nodes.a.log());
    partner.input({ kind: 'command', command: { kind: 'drop', segment: 1 } });
    await until('charon to go on with it', async () => {
      const [sa] = await nodes.a.swanctl.sas();
      return sa?.state === 'ESTABLISHED' || undefined;
    });
    assert.equal(partner.node.ikeSas[0]?.state, 'passive');
    // charon is asked again, and answers with what it was told itself.
    partner.input({ kind: 'command', command: { kind: 'take', segment: 1 } });
    await until('charon to give it back', async () => {
      const [sa] = await nodes.a.swanctl.sas();
      return sa?.state === 'PASSIVE' || undefined;
    });
    partner.input({ kind: 'ike-closed', id: made.id });
    await until('charon to forget it', async () =>
      (await nodes.a.swanctl.sas()).length === 0 ? true : undefined,
    );
  });
});

/** Waits until both have so many IKE SAs and Child SAs behind them; the last keys must be the same. */
async function sameKeys(
  { nodes }: CharonHaCluster,
  { node }: HaPartner,
  ikeSas: number,
  children: number,
): Promise<MirroredIkeSa> {
  const ikeSa = await until(`keys of ${ikeSas} IKE SAs and ${children} Child SAs`, () => {
    const log = nodes.a.log();
    const [skD, espKeys] = ['Sk_d secret', 'encryption initiator key'].map(
      (name) => loggedOctets(log, name).length,
    );
    const [first] = node.ikeSas;
    const newest = first?.children.at(-1)?.keysIn.encryption.reveal();
    const last = ['initiator', 'responder'].map((end) =>
      loggedOctets(log, `encryption ${end} key`).at(-1),
    );
    const told = newest && last.includes(toHex(newest));
    return skD === ikeSas && espKeys === children && told && first?.state === 'passive'
      ? first
      : undefined;
  });
  keysAreLogged(ikeSa, nodes.a.log());
  return ikeSa;
}

/** The keys of the IKE SA and of its newest Child SA are the last ones charon derived. */
function keysAreLogged(ikeSa: MirroredIkeSa, log: string): void {
  const names = {
    skD: 'd',
    skAi: 'ai',
    skAr: 'ar',
    skEi: 'ei',
    skEr: 'er',
    skPi: 'pi',
    skPr: 'pr',
  };
  for (const [name, short] of Object.entries(names)) {
    const key = Object.entries(ikeSa.keys).find(([each]) => each === name)?.[1];
    assert.equal(toHex(key.reveal()), loggedOctets(log, `Sk_${short} secret`).at(-1), name);
  }
  const child = ikeSa.children.at(-1);
  assert.ok(child);
  const logged = ['initiator', 'responder'].map((end) =>
    loggedOctets(log, `encryption ${end} key`).at(-1),
  );
  const ours = [child.keysIn, child.keysOut].map(({ encryption }) => toHex(encryption.reveal()));
  assert.deepEqual([...ours].sort(), [...logged].sort());
}

/** The IKE SA that came by the client's rekeying is the only one. */
function oneSa({ node, side }: HaPartner): boolean {
  const [first, ...others] = node.ikeSas;
  const [own] = side.engine.ikeSas().filter(({ state }) => state.name === 'Established');
  return (
    others.length === 0 &&
    first?.id.responderSpi !== undefined &&
    own?.spiR === first.id.responderSpi
  );
}

async function oneChild({ client }: CharonHaCluster): Promise<void> {
  await until('the client to have one Child SA', async () => {
    const [sa] = await client.swanctl.sas();
    return sa?.children.length === 1 || undefined;
  });
}

/** What a tsgw would tell that a client had connected to: the recorded one, with keys of its own. */
function invented() {
  const messages = readHaRecording().frames.map(understood);
  const find = (type: HaMessageType, index = 0) =>
    messages.filter((message) => message.type === type)[index] ?? assert.fail();
  const ike = readIkeAdd(find(HaMessageType.IKE_ADD));
  const [spiIn, spiOut] = [randomBytes(4), randomBytes(4)].map((octets) =>
    spi(octets.readUInt32BE() | 0x1000),
  );
  assert.ok(spiIn !== undefined && spiOut !== undefined);
  const id = {
    ...ike.id,
    initiatorSpi: toHex(randomBytes(8)),
    responderSpi: toHex(randomBytes(8)),
  };
  const nonces = { nonceI: randomBytes(32), nonceR: randomBytes(32) };
  const material = { ...ike, ...nonces, id, sharedSecret: new SecretBytes(randomBytes(32)) };
  const child = readChildAdd(find(HaMessageType.CHILD_ADD));
  const inputs = [
    { kind: 'ike-keys', material },
    { kind: 'request', id, ours: false, messageId: 1 },
    { kind: 'ike-details', details: { ...readIkeUpdate(find(HaMessageType.IKE_UPDATE)), id } },
    { kind: 'child-keys', material: { ...child, ...nonces, ikeSa: id, spiIn, spiOut } },
    { kind: 'ike-details', details: { ...readIkeUpdate(find(HaMessageType.IKE_UPDATE, 1)), id } },
  ] as const;
  return { id, spiIn, spiOut, inputs };
}
