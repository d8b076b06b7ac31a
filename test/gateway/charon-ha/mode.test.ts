/** A gateway as a node of a charon HA pair: which peers are its own, and by whose IVs it seals. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../../src/config/config.ts';
import type { ClusterEvent } from '../../../src/events/cluster-event.ts';
import { createSharedCounters } from '../../../src/events/shared-counters.ts';
import { CharonHaMode } from '../../../src/gateway/charon-ha/mode.ts';
import { CounterRows } from '../../../src/gateway/counter-rows.ts';
import type { Action } from '../../../src/ike/action.ts';
import { IkeEndpoint } from '../../../src/ike/endpoint.ts';
import { DEFAULT_IKE_SETTINGS } from '../../../src/ike/settings.ts';
import type { InstalledChildSa } from '../../../src/io/packet-loop-protocol.ts';
import { Pad } from '../../../src/ipsec/pad.ts';
import { formatAddress, ipAddress } from '../../../src/wire/address.ts';
import { instant } from '../../../src/wire/instant.ts';
import { childSa } from '../../support/child-sas.ts';
import { connection } from '../../support/connections.ts';
import { Side } from '../../support/pair.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const at = (host: number) => ipAddress(Uint8Array.of(127, 0, 0, host));
const OURS = { address: ipAddress(Uint8Array.of(192, 0, 2, 1)), port: 500 };
const PEER = { address: ipAddress(Uint8Array.of(192, 0, 2, 2)), port: 500 };

describe('A node of a charon HA pair', () => {
  let directory: string;
  let mode: CharonHaMode;
  const pad = new Pad();
  const performed: Action[] = [];
  const events: ClusterEvent[] = [];
  const installed: InstalledChildSa['cluster'][] = [];
  let took = (): void => {};

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsgw-ha-'));
    pad.load(connection());
  });
  afterEach(() => {
    mode.close();
    rmSync(directory, { recursive: true });
    for (const list of [performed, installed, events]) list.length = 0;
  });

  async function made(more = ''): Promise<void> {
    const free = createSocket('udp4').bind(0, '127.0.0.2');
    await once(free, 'listening');
    const { port } = free.address();
    free.close();
    await once(free, 'close');
    const text = `cluster { state = ${join(directory, 'state.json')}
      fifo = ${join(directory, 'fifo')}
      ${more}
      ha { local = 10.77.0.2
        remote = 10.77.0.1
        heartbeat_delay = 20
        heartbeat_timeout = 60 } }`;
    const { cluster: config } = loadConfig(text, 'tsgw.conf', () => []);
    assert.ok(config?.ha);
    const counters = createSharedCounters();
    mode = new CharonHaMode({
      config,
      ha: { ...config.ha, local: { address: at(2), port }, remote: { address: at(1), port } },
      counters,
      rows: new CounterRows(counters),
      childSas: () => ({
        install: (_, cluster) => {
          installed.push(cluster);
          return true;
        },
        setOutbound: () => {},
      }),
      packetLoops: () => undefined,
      pad,
      perform: (actions) => performed.push(...actions),
      took: () => took(),
      emit: (event) => events.push(event),
    });
    const engine = new IkeEndpoint({
      random: seededRandom(1),
      pad,
      pools: mode.pools,
      settings: DEFAULT_IKE_SETTINGS,
      traffic: { lastInbound: () => undefined, lastOutbound: () => undefined },
      keyLog: false,
      ...mode.environment,
    });
    mode.join(engine);
  }

  /** IKE_SA_INIT of a client. */
  function firstRequest(): Uint8Array {
    const client = new Side('client', 2, {});
    client.pad.load(connection());
    const ask = { kind: 'initiate', request: 1, connection: 'peer', child: 'net' } as const;
    const actions = client.engine.handle({ ...ask, local: PEER, remote: OURS }, instant(1));
    const [sent] = actions.filter(({ kind }) => kind === 'send');
    return sent?.kind === 'send' ? sent.octets : assert.fail('nothing sent');
  }

  it('answers no first request of a peer that is charon’s, and begins nothing with it', async () => {
    await made();
    const octets = firstRequest();
    const first = { kind: 'datagram', local: OURS, remote: PEER, octets } as const;
    const ends = { local: OURS, remote: PEER };
    const wish = {
      kind: 'initiate',
      request: 7,
      connection: 'peer',
      child: 'net',
      ...ends,
    } as const;
    mode.handle(first);
    assert.equal(performed.length, 0);
    assert.equal(mode.serves, false);
    mode.handle(wish);
    const [complete] = performed.splice(0);
    assert.ok(complete?.kind === 'complete' && complete.request === 7);
    assert.deepEqual(complete.outcome, {
      kind: 'failed',
      what: '192.0.2.2 is of a segment that charon serves',
    });
    const taken = new Promise<void>((resolve) => {
      took = resolve;
    });
    await mode.start();
    await taken;
    assert.equal(mode.serves, true);
    mode.handle(first);
    assert.ok(performed.some(({ kind }) => kind === 'send'));
    performed.length = 0;
    mode.handle(wish);
    assert.ok(performed.some(({ kind }) => kind === 'send'));
  });

  it('is listed, and does what charon knows of an operator’s orders', async () => {
    await made();
    const { operations } = mode;
    const [self, charon] = operations.status().members;
    assert.deepEqual([self?.name, self?.state, self?.owned], ['127.0.0.2', 'self', 0]);
    assert.deepEqual([charon?.name, charon?.nodeId, charon?.state], ['127.0.0.1', 1, 'unheard']);
    const taken = await operations.order({ kind: 'take', segments: [0] });
    assert.deepEqual(taken, { kind: 'done', what: 'segments 0 are served here', milliseconds: 0 });
    assert.equal(operations.status().owned, 1);
    assert.deepEqual(operations.segments(), [
      { segment: 0, owner: '127.0.0.2', here: true, epoch: 0, ikeSas: 0, childSas: 0 },
    ]);
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['cluster-order', 'cluster-segments-taken'],
    );
    for (const [order, what] of [
      [{ kind: 'drain' }, 'charon is not there to have segments'],
      [{ kind: 'rotate-key' }, 'rotate-key: nothing that charon knows'],
    ] as const) {
      assert.deepEqual(await operations.order(order), { kind: 'failed', what });
    }
    const rekeyed = await operations.order({ kind: 'rekey', segments: [0] });
    assert.ok(rekeyed.kind === 'done' && rekeyed.what === '0 Child SAs get new keys');
  });

  it('seals under an id that no life of it had before', async () => {
    const senders = [];
    for (let life = 0; life < 3; life++) {
      await made();
      senders.push(mode.environment.ivs?.sender);
      mode.close();
    }
    assert.deepEqual(senders, [1, 2, 3]);
  });

  it('looks at charon’s packets where both nodes get all, and seals under its own id in any case', async () => {
    for (const [words, every] of [
      ['mode = active-active', 64],
      ['mode = active-active\n replay { sampling = 8 }', 8],
      ['', 0],
    ] as const) {
      await made(words);
      mode.childSas.follow(childSa(), undefined);
      const [passive] = installed.splice(0);
      assert.equal(passive?.role, 'passive');
      assert.equal(passive.sampling.every, every);
      mode.childSas.install(childSa());
      const [active] = installed.splice(0);
      assert.equal(active?.role, 'active');
      assert.equal(active.solo, true);
      assert.equal(active.sid, mode.environment.ivs?.sender);
      mode.close();
    }
  });

  it('tells peers of no address of its own', async () => {
    const own = { kind: 'address', address: OURS.address } as const;
    pad.load(connection({ localAddresses: [own, { kind: 'any' }] }));
    pad.load(connection({ name: 'other', localAddresses: [own] }));
    await made();
    assert.deepEqual(mode.sharedAddresses.map(formatAddress), ['192.0.2.1']);
    mode.close();
    await made('addresses { wan { addrs = 192.0.2.77\n device = wan } }');
    assert.deepEqual(mode.sharedAddresses.map(formatAddress), ['192.0.2.77']);
  });
});
