import assert from 'node:assert/strict';
import {
  type Latency,
  type LatencySample,
  latencyReport,
  latencyTable,
} from '../../bench/latency-report.ts';
import { Collected } from '../../bench/turns.ts';

const terms = {
  ...{ rounds: 1, pings: 10, requests: 10, offloads: 'wire', cipher: 'aes128gcm16', absent: [] },
  cases: ['tsgw', 'openvpn'],
} as const;

function latency(ping: number): Latency {
  return {
    ...{ ping, ping99: ping * 2, pingsLost: 1, request: ping, request99: ping * 2 },
    ...{ requestsAnswered: 9, requestsLost: 1 },
  };
}

function reportOf(idle: number, flooded: number) {
  const samples = new Collected<LatencySample>();
  samples.add('tsgw', { idle: latency(idle), flooded: latency(flooded) });
  samples.add('openvpn', { idle: latency(0.2), flooded: latency(8) });
  return latencyReport(terms, samples);
}

describe('The report of latency', () => {
  it("holds tsgw's ping to OpenVPN's, and beside a flood to 5 ms", () => {
    const kept = (idle: number, flooded: number) =>
      reportOf(idle, flooded).verdicts.map((verdict) => verdict.kept);
    assert.deepEqual(kept(0.2, 5), [true, true]);
    assert.deepEqual(kept(0.21, 5), [false, true]);
    assert.deepEqual(kept(0.2, 5.1), [true, false]);
  });

  it('misses where no ping came back at all', () => {
    assert.equal(reportOf(0.2, Number.NaN).verdicts[1]?.kept, false);
  });

  it('has nothing to judge where nobody measured', () => {
    const { verdicts } = latencyReport({ ...terms, cases: [] }, new Collected());
    assert.ok(verdicts.every((verdict) => verdict.kept === undefined));
  });

  it('is a table of the idle cases and one of those beside a flood', () => {
    const text = latencyTable(reportOf(0.2, 5));
    const [idle = '', flooded = ''] = text.split('beside a flood  ');
    assert.match(idle, /tsgw +0\.200 \[.*\] +0\.400 \[.* 1 +9 +1$/m);
    assert.match(flooded, /tsgw +5\.000 \[/);
  });
});
