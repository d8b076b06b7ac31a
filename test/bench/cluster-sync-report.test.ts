import assert from 'node:assert/strict';
import {
  clusterSyncReport,
  clusterSyncTable,
  type LagSample,
  type PacketCosts,
  type ResyncSample,
} from '../../bench/cluster-sync-report.ts';

function lag(over: Partial<LagSample> = {}): LagSample {
  return {
    ...{ bus: 'udp', nodes: 2, perSecond: 500, asked: 100, answered: 100, seconds: 0.2 },
    milliseconds: Array.from({ length: 100 }, (_, index) => (index + 1) / 20),
    ...{ late: 0, cpuMilliseconds: 20 },
    ...over,
  };
}

function resync(over: Partial<ResyncSample> = {}): ResyncSample {
  return {
    ...{ sas: 1000, held: 1000, snapshotOctets: 914, seconds: 2.5, heldSeconds: 1.25 },
    ...{ cpuMilliseconds: 700, ownerCpuMilliseconds: 450, tail: lag({ perSecond: 100 }) },
    ...over,
  };
}

const packets: PacketCosts = {
  ...{ octets: 1436, own: 640, sampled: 768, passedOver: 180, handedOn: 4200, every: 64 },
};

function reportOf(lags: readonly LagSample[], one?: ResyncSample) {
  return clusterSyncReport(
    { sas: 1000, seconds: 1 },
    { lags, resync: one, packets, absent: ['nats: no servers'] },
  );
}

const kept = (lags: readonly LagSample[], one?: ResyncSample) =>
  reportOf(lags, one).verdicts.map((verdict) => verdict.kept);

describe('The report of cluster-sync', () => {
  it('holds the lag over UDP at each rate to 5 ms, and the resync to 3 s', () => {
    assert.deepEqual(kept([lag()], resync()), [true, true]);
    const slow = lag({ milliseconds: [...Array(98).fill(1), 5.1, 5.1] });
    assert.deepEqual(kept([slow], resync({ seconds: 3.1 })), [false, false]);
  });

  it('judges neither NATS nor what goes at most', () => {
    const slow = { milliseconds: [90], asked: 1, answered: 1 };
    const unjudged = [lag({ ...slow, perSecond: undefined }), lag({ ...slow, bus: 'nats' })];
    assert.deepEqual(kept(unjudged), [undefined]);
  });

  it('misses where requests stay unanswered, and where a node has not all that it says', () => {
    assert.deepEqual(kept([lag({ asked: 102 })], resync({ held: 999 })), [false, false]);
    assert.deepEqual(kept([lag({ asked: 101 })]), [true, undefined]);
  });

  it('computes what nodes share of the packets, and what each verifies of the others', () => {
    const perNode = reportOf([]).packets?.perNode ?? [];
    assert.deepEqual(
      perNode.map(({ nodes, nanoseconds }) => [nodes, nanoseconds]),
      [
        [1, 640],
        [2, 326],
        [3, 640 / 3 + ((2 / 3) * 768) / 64],
      ],
    );
    assert.equal(perNode[1]?.throughput, 640 / 326);
  });

  it('is a table of loads, a resync, packets and what is not there', () => {
    const nats = lag({ bus: 'nats', perSecond: undefined, watchMilliseconds: [2, 4, 6] });
    const text = clusterSyncTable(reportOf([lag(), nats], resync()));
    assert.match(text, /^udp +2 +500 +500 +2\.50 +4\.95 +5\.00 +0 +0 +200 +- +-$/m);
    assert.match(text, /^nats +2 +all +500 .* 4\.00 +6\.00$/m);
    assert.match(text, /^resync: 1000 of 1000 IKE SAs of 914 octets in 2\.50 s/m);
    assert.match(text, /^2 +326 +1\.96$/m);
    assert.match(text, /^not measured: nats: no servers$/m);
    assert.match(text, /^kept {4}udp, 2 nodes, 500\/s: lag p99 at most 5 ms: 4\.95$/m);
  });
});
