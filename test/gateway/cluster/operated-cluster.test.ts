/** A node put together for its operator: its FIFO, its SAs by segment, and keys for those of some. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../../lab/command.ts';
import { BusCounters } from '../../../src/cluster/bus/bus-counters.ts';
import { segmentOfSpi } from '../../../src/cluster/segment-hash.ts';
import type { ClusterConfig } from '../../../src/config/cluster-config.ts';
import type { ClusterEvent } from '../../../src/events/cluster-event.ts';
import { OperatedCluster } from '../../../src/gateway/cluster/operated-cluster.ts';
import { spi } from '../../../src/ipsec/spi.ts';
import { load } from '../../config/reading.ts';
import { childSa } from '../../support/child-sas.ts';
import { ClusterWorld, HASH } from '../../support/clustered-nodes.ts';

describe('A node of a cluster for its operator', () => {
  let directory: string;
  let operated: OperatedCluster | undefined;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsgw-operated-'));
  });
  afterEach(() => {
    operated?.close();
    rmSync(directory, { recursive: true });
  });

  function config(fifo: string): ClusterConfig {
    const { cluster } = load(`cluster {
      self = n1
      secret = 0x${'5a'.repeat(32)}
      segments = 8
      fifo = ${fifo}
      nodes {
        n1 { addrs = 10.77.0.1 }
        n2 { addrs = 10.77.0.2 }
      }
    }`);
    assert.ok(cluster);
    return cluster;
  }

  function open(fifo: string) {
    const world = new ClusterWorld(1, 2);
    world.start();
    world.run(1500);
    const clustered = world.node(1);
    const events: ClusterEvent[] = [];
    const rekeyed: number[] = [];
    /** The Child SA that its peer does not replace. */
    const refusing = { id: 0 };
    const all = [1, 2, 3, 4].map((id) => childSa({ id, spiIn: spi(0x1000 + id) }));
    operated = new OperatedCluster({
      config: config(fifo),
      node: clustered.node,
      hash: HASH,
      engine: { ikeSas: () => [], passiveSpis: () => [] },
      childSas: { all: () => all, active: all, solo: 3, exposure: 63 },
      counters: new BusCounters(),
      rows: { sampled: (id) => id },
      give: (input) => world.give(clustered, input),
      emit: (event) => events.push(event),
      now: () => world.clock(clustered),
      rekey: async (id) => {
        rekeyed.push(id);
        return id === refusing.id
          ? { kind: 'failed', what: 'no answer' }
          : { kind: 'done', matches: 1, terminated: 0 };
      },
      readKeys: () => 1,
    });
    return { world, events, rekeyed, refusing, all, operated };
  }

  it('hears scripts', async () => {
    const fifo = join(directory, 'tsgw.ha');
    const { operated, events } = open(fifo);
    await operated.open();
    execFileSync('sh', ['-c', `echo '+2' > ${fifo}`]);
    const order = await until('the order', async () =>
      events.find(({ kind }) => kind === 'cluster-order'),
    );
    assert.deepEqual(order, { kind: 'cluster-order', order: 'take', by: 'fifo', segments: '1' });
  });

  it('goes on without a FIFO that cannot be made, and says so', async () => {
    const { operated } = open(join(directory, 'no', 'where'));
    await operated.open();
    const { troubles } = operated.operations.status();
    assert.equal(troubles.length, 1);
    assert.match(troubles[0] ?? '', /^fifo: .*mkfifo/s);
  });

  it('counts SAs by segment, and what is at risk', () => {
    const { operated, all } = open(join(directory, 'tsgw.ha'));
    const { operations } = operated;
    const rows = operations.segments();
    for (const { segment, childSas } of rows) {
      const here = all.filter(({ spiIn }) => segmentOfSpi(spiIn, HASH) === segment);
      assert.equal(childSas, here.length);
    }
    const { ikeSas, metrics } = operations.status();
    assert.deepEqual(ikeSas, { active: 0, passive: 0, unsynced: 0, solo: 3 });
    assert.deepEqual([metrics.exposure, metrics.samples], [63, 1 + 2 + 3 + 4]);
  });

  it('gives new keys to Child SAs of its own segments, and counts those that got them', async () => {
    const { operated, rekeyed, refusing, all, world } = open(join(directory, 'tsgw.ha'));
    const { coordinator } = world.node(1).node;
    const segments = [0, 1, 2, 3, 4, 5, 6, 7];
    const expected = all.filter(({ spiIn }) => coordinator.owns(segmentOfSpi(spiIn, HASH)));
    refusing.id = expected[0]?.id ?? 0;
    const outcome = await operated.operations.order({ kind: 'rekey', segments });
    assert.deepEqual(
      rekeyed,
      expected.map(({ id }) => id),
    );
    assert.match(outcome.what, new RegExp(`^${expected.length - 1} Child SAs rekeyed`));
  });
});
