/** The bus over three real NATS servers: TLS, credentials, sealed values, a leader that is killed. */
import assert from 'node:assert/strict';
import { connect } from '@nats-io/transport-node';
import { until } from '../../lab/command.ts';
import type { BusEvent, BusRecord } from '../../src/cluster/bus/bus.ts';
import { KeyRing } from '../../src/cluster/bus/cluster-key.ts';
import { NatsBus, type NatsBusSettings, type NatsNotice } from '../../src/io/nats-bus.ts';
import { randomBytes } from '../../src/io/random.ts';
import { NatsCluster } from '../support/nats-servers.ts';
import { clusterKey } from '../support/sealed-pair.ts';

const BUCKET = { bucket: 'tsgw', replicas: 3, storage: 'file' } as const;

describe('The bus over NATS JetStream', () => {
  let cluster: NatsCluster;
  const buses: NatsBus[] = [];

  before(async () => {
    cluster = await NatsCluster.start();
  });

  afterEach(async () => {
    await Promise.all(buses.splice(0).map((bus) => bus.close()));
  });

  after(() => cluster.stop());

  async function open(local: number, over: Partial<NatsBusSettings> = {}) {
    const events: BusEvent[] = [];
    const notices: NatsNotice[] = [];
    const settings = {
      local,
      servers: cluster.servers,
      bucket: BUCKET,
      ring: new KeyRing(clusterKey(1)),
      random: randomBytes,
      onEvent: (event: BusEvent) => events.push(event),
      onNotice: (notice: NatsNotice) => notices.push(notice),
      ...over,
    };
    const bus = await eventually(() => NatsBus.open(settings));
    buses.push(bus);
    return { bus, events, notices };
  }

  let request = 0;
  function put(bus: NatsBus, key: string, text: string | undefined, epoch = 0): number {
    const value = text === undefined ? undefined : Buffer.from(text);
    bus.handle({ kind: 'put', id: ++request, key, value, epoch });
    return request;
  }

  function set(bus: NatsBus, key: string, text: string, of: BusRecord | undefined): number {
    const value = Buffer.from(text);
    const expected = of?.revision;
    bus.handle({ kind: 'compare-and-set', id: ++request, key, value, expected });
    return request;
  }

  const fate = (events: readonly BusEvent[], id: number): string | undefined => {
    const event = events.find((one) => 'id' in one && one.id === id);
    return event?.kind === 'refused' ? `refused ${event.reason}` : event?.kind;
  };

  const text = (bus: NatsBus, key: string): string | undefined => {
    const value = bus.get(key)?.value;
    return value && Buffer.from(value).toString();
  };

  it('gives every node what one writes, and a joining node all of it', async () => {
    const [one, two] = [await open(1), await open(2)];
    two.bus.handle({ kind: 'watch', id: 5, prefix: 'sa/', from: undefined });
    const ids = Array.from({ length: 200 }, (_, n) => put(one.bus, `sa/${n}`, `value ${n}`));
    put(one.bus, 'odd key!.*>', 'with characters of its own'.replaceAll(' ', '-'));
    await when('every write is there', () => ids.every((id) => fate(one.events, id) === 'written'));
    await when('the other has them', () => two.bus.snapshot('sa/').records.length === 200);
    assert.equal(two.events.filter(({ kind }) => kind === 'changed').length, 200);
    put(one.bus, 'sa/7', undefined);
    await when('the deletion is there', () => two.bus.get('sa/7')?.value === undefined);
    const three = await open(3);
    assert.equal(three.bus.snapshot('sa/').records.length, 199);
    assert.equal(text(three.bus, 'sa/199'), 'value 199');
    assert.deepEqual(three.bus.members().filter(({ state }) => state === 'synchronised').length, 2);
    assert.ok(one.notices.some(({ kind }) => kind === 'old-server'));
  });

  it('takes tombstones away in time, and a key can be written again by anybody', async () => {
    const one = await open(1, { holdMilliseconds: 200, sweepMilliseconds: 50 });
    const two = await open(2);
    put(one.bus, 'short/life', 'x');
    const end = put(one.bus, 'short/life', undefined);
    await when('it is deleted', () => fate(one.events, end) === 'written');
    await when('the other knows', () => two.bus.get('short/life')?.value === undefined);
    const observer = await connect(cluster.login);
    const subject = '$JS.API.DIRECT.GET.KV_tsgw.$KV.tsgw.short/life';
    await until('nothing is left of it', async () => {
      const { headers } = await observer.request(subject, '');
      return headers?.code === 404 || undefined;
    });
    await observer.close();
    const again = put(two.bus, 'short/life', 'again');
    await when('it is written again', () => fate(two.events, again) === 'written');
    await when('the first knows', () => text(one.bus, 'short/life') === 'again');
  });

  it('settles one of concurrent sets, and a lower epoch overwrites nothing', async () => {
    const [one, two] = [await open(1), await open(2)];
    const first = set(one.bus, 'pool/1', 'one', undefined);
    const second = set(two.bus, 'pool/1', 'two', undefined);
    await when('both are settled', () =>
      [fate(one.events, first), fate(two.events, second)].every((one) => one !== undefined),
    );
    const fates = [fate(one.events, first), fate(two.events, second)];
    assert.deepEqual([...fates].sort(), ['conflict', 'written']);
    const winner = fates[0] === 'written' ? 'one' : 'two';
    await when('both know', () => [one, two].every(({ bus }) => text(bus, 'pool/1') === winner));
    const next = set(two.bus, 'pool/1', 'next', two.bus.get('pool/1'));
    await when('the next is settled', () => fate(two.events, next) === 'written');

    const owner = put(two.bus, 'segment/1', 'new owner', 5);
    await when('the owner is there', () => fate(two.events, owner) === 'written');
    await when('the other knows', () => text(one.bus, 'segment/1') === 'new owner');
    assert.equal(
      fate(one.events, put(one.bus, 'segment/1', 'old owner', 4)),
      'refused older-epoch',
    );
  });

  it('shows the engine no value, and takes none that it makes or moves', async () => {
    const one = await open(1);
    const secret = 'key material that no engine may see';
    const id = put(one.bus, 'secret', secret);
    put(one.bus, 'other', 'another value');
    await when('it is written', () => fate(one.events, id) === 'written');
    const stored = cluster.stored();
    assert.ok(stored.includes('secret'), 'the key itself is there');
    for (let at = 0; at + 8 <= secret.length; at += 4) {
      assert.ok(!stored.includes(secret.slice(at, at + 8)));
    }
    assert.ok(!stored.includes(Buffer.alloc(8, 1)), 'the cluster key');
    const forger = await connect(cluster.login);
    const before = one.bus.get('secret');
    const sealed = await forger.request('$JS.API.DIRECT.GET.KV_tsgw.$KV.tsgw.other', '');
    for (const forged of [sealed.data, new Uint8Array(0), new Uint8Array(99), Buffer.from('x')]) {
      await forger.request('$KV.tsgw.secret', forged);
    }
    await forger.close();
    await when(
      'all were noticed',
      () => one.notices.filter((notice) => notice.kind === 'foreign-value').length >= 4,
    );
    assert.deepEqual(one.bus.get('secret'), before);
  });

  it('refuses whoever has no credentials or no certificate of ours', async () => {
    const { servers, tls } = cluster.servers;
    assert(tls);
    await assert.rejects(connect({ servers: [...servers], tls, reconnect: false, timeout: 3000 }));
    await assert.rejects(
      connect({ servers: [...servers], tls: { ca: tls.ca }, reconnect: false, timeout: 3000 }),
    );
  });

  it('delays nobody while a leader is gone, and loses nothing', async () => {
    const [one, two] = [await open(1), await open(2)];
    const ready = put(one.bus, 'before', 'x');
    await when('it is written', () => fate(one.events, ready) === 'written');
    const leader = await leaderOf(cluster);
    await cluster.kill(leader);
    const started = performance.now();
    const ids: number[] = [];
    let longest = 0;
    for (let number = 0; number < 500; number++) {
      const from = performance.now();
      ids.push(put(one.bus, `during/${number}`, `value ${number}`));
      assert.equal(text(one.bus, `during/${number}`), `value ${number}`);
      longest = Math.max(longest, performance.now() - from);
    }
    assert.ok(longest < 50, `a put took ${longest} ms`);
    assert.ok(performance.now() - started < 1000);
    await when(
      'the engine is back',
      () => ids.every((id) => fate(one.events, id) === 'written'),
      40_000,
    );
    // A watch whose server is gone is set up anew after two signs of life were missed, five seconds each.
    await when(
      'the other has them',
      () => two.bus.snapshot('during/').records.length === 500,
      30_000,
    );
    cluster.run(leader);
  });
});

function when(what: string, is: () => boolean, timeout?: number): Promise<true> {
  return until(what, () => is() || undefined, timeout, 10);
}

/** The number of the server that leads the bucket's stream. */
async function leaderOf(cluster: NatsCluster): Promise<number> {
  const connection = await connect(cluster.login);
  try {
    const answer = await connection.request('$JS.API.STREAM.INFO.KV_tsgw', '');
    const { cluster: of } = answer.json<{ readonly cluster: { readonly leader: string } }>();
    return [0, 1, 2].findIndex((number) => cluster.nameOf(number) === of.leader);
  } finally {
    await connection.close();
  }
}

/** Servers that just started have no leader yet. */
async function eventually<Thing>(attempt: () => Promise<Thing>): Promise<Thing> {
  const end = performance.now() + 20_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
