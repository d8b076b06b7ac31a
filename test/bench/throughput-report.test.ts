import assert from 'node:assert/strict';
import type { CaseName } from '../../bench/cases.ts';
import {
  type Measured,
  type PacketCost,
  type Sample,
  sampleKey,
  throughputReport,
} from '../../bench/throughput-report.ts';
import { throughputTable } from '../../bench/throughput-table.ts';
import { Collected } from '../../bench/turns.ts';
import type { Offloads } from '../../lab/topology.ts';

const terms: Measured = {
  ...{ rounds: 1, sideRounds: 1, seconds: 1, modes: ['off', 'wire', 'on'], streams: [1] },
  ...{ cases: ['plain', 'tsgw', 'strongswan'], family: 'ipv4', cipher: 'aes128gcm16' },
  absent: [{ name: 'tsgw-ipsec-mb', title: 'tsgw, aead = ipsec-mb', reason: 'no library\nat all' }],
};

/** tsgw with these rates to a strongSwan of 100 Mbit/s each way and plain routing of 1000. */
function samplesOf(rates: Readonly<Record<Offloads, number>>, microseconds: number) {
  const samples = new Collected<Sample>();
  const add = (
    mode: Offloads,
    name: CaseName,
    rate: number,
    costs: readonly PacketCost[],
  ): void => {
    const [sealing, opening] = costs;
    const sample = { there: rate, back: rate };
    const sampled = sealing && opening ? { ...sample, sealing, opening } : sample;
    samples.add(sampleKey({ mode, streams: 1, bothWays: false, name }), sampled);
  };
  for (const mode of terms.modes) {
    add(mode, 'plain', 1000, []);
    add(mode, 'tsgw', rates[mode], [cost(1), cost(microseconds)]);
    add(mode, 'strongswan', 100, [cost(10), cost(10)]);
  }
  return samples;
}

function cost(microseconds: number): PacketCost {
  return {
    ...{ userMicroseconds: microseconds / 4, systemMicroseconds: (microseconds * 3) / 4 },
    contextSwitches: 0,
  };
}

function kept(rates: Readonly<Record<Offloads, number>>, microseconds: number) {
  const { verdicts } = throughputReport(terms, samplesOf(rates, microseconds));
  return verdicts.map((verdict) => verdict.kept);
}

describe('The report of throughput', () => {
  it('keeps its limits where every mode is fast enough and a packet cheap enough', () => {
    assert.deepEqual(kept({ on: 800, wire: 500, off: 300 }, 1.5), [
      ...[true, undefined, true, true, true],
    ]);
  });

  it('misses each of them by itself', () => {
    assert.deepEqual(kept({ on: 790, wire: 500, off: 300 }, 1.5)[0], false);
    assert.deepEqual(kept({ on: 800, wire: 490, off: 300 }, 1.5)[2], false);
    assert.deepEqual(kept({ on: 800, wire: 500, off: 290 }, 1.5)[3], false);
    // The dearer gateway counts.
    assert.deepEqual(kept({ on: 800, wire: 500, off: 300 }, 1.6)[4], false);
  });

  it('judges what OpenSSL does by the case that asks for it, where there is one', () => {
    const samples = samplesOf({ on: 900, wire: 500, off: 300 }, 1);
    const evp = { mode: 'on', streams: 1, bothWays: false, name: 'tsgw-evp' } as const;
    samples.add(sampleKey(evp), { there: 700, back: 700 });
    const { verdicts } = throughputReport(
      { ...terms, cases: [...terms.cases, 'tsgw-evp'] },
      samples,
    );
    assert.deepEqual([verdicts[0]?.measured, verdicts[0]?.kept], ['7.00', false]);
  });

  it('has nothing to judge without strongSwan', () => {
    const samples = samplesOf({ on: 800, wire: 500, off: 300 }, 1);
    const alone = throughputReport({ ...terms, cases: ['tsgw'] }, samples);
    assert.ok(alone.tables.every(({ rows }) => rows.length === 1));
    const empty = throughputReport(terms, new Collected<Sample>());
    assert.ok(empty.verdicts.every((verdict) => verdict.kept === undefined));
  });

  it('compares round by round', () => {
    const samples = new Collected<Sample>();
    const add = (name: CaseName, rate: number): void => {
      const key = sampleKey({ mode: 'off', streams: 1, bothWays: false, name });
      samples.add(key, { there: rate, back: rate });
    };
    for (const speed of [1, 10]) {
      add('tsgw', 30 * speed);
      add('strongswan', 10 * speed);
    }
    const { tables } = throughputReport({ ...terms, modes: ['off'] }, samples);
    const own = tables[0]?.rows.find(({ name }) => name === 'tsgw');
    assert.deepEqual(own?.ratioToStrongSwan, { median: 3, least: 3, most: 3 });
    assert.equal(own?.ratioToPlain, undefined);
  });

  it('is printed with a line for what could not be measured', () => {
    const report = throughputReport(terms, samplesOf({ on: 800, wire: 500, off: 300 }, 1.5));
    const lines = throughputTable(report).split('\n');
    assert.ok(lines.includes('tsgw, aead = ipsec-mb: not available: no library'));
    const [row = ''] = lines.filter((line) => line.startsWith('tsgw  '));
    assert.match(row, /300 \[300-300\] .* 0\.300 \[.*\] +3\.00 \[.*\] +1\.00 \[.*\] +1\.50 \[/);
    assert.ok(
      lines.includes(
        '  tsgw: seals 0.25 + 0.75 us, 0.00 switches; opens 0.38 + 1.13 us, 0.00 switches',
      ),
    );
  });
});
