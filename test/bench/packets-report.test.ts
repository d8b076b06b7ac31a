import assert from 'node:assert/strict';
import {
  type PacketsSample,
  type PacketsTerms,
  packetsKey,
  packetsReport,
  packetsTable,
} from '../../bench/packets-report.ts';
import { Collected } from '../../bench/turns.ts';

const terms: PacketsTerms = {
  ...{ rounds: 1, seconds: 1, sizes: [64, 1400], offloads: 'wire', family: 'ipv4' },
  ...{ cipher: 'aes128gcm16', cases: ['plain', 'tsgw', 'strongswan'], absent: [] },
};

function sample(arrived: number, keptRate: number): PacketsSample {
  return { offered: 600_000, arrived, keptRate, cpuMicroseconds: 2 };
}

function reportOf(own: PacketsSample, strongSwan = sample(40_000, 50_000)) {
  const samples = new Collected<PacketsSample>();
  for (const octets of terms.sizes) {
    samples.add(packetsKey(octets, 'plain'), sample(500_000, 400_000));
    samples.add(packetsKey(octets, 'tsgw'), own);
    samples.add(packetsKey(octets, 'strongswan'), strongSwan);
  }
  return packetsReport(terms, samples);
}

function kept(own: PacketsSample): readonly (boolean | undefined)[] {
  return reportOf(own).verdicts.map((verdict) => verdict.kept);
}

describe('The report of packets', () => {
  it('keeps its limits: 5 times and 0.4 of what arrives, 2 times what is hardly lost', () => {
    assert.deepEqual(kept(sample(200_000, 100_000)), [true, true, true]);
    assert.deepEqual(kept(sample(199_000, 100_000)), [false, false, true]);
    assert.deepEqual(kept(sample(200_000, 99_000)), [true, true, false]);
  });

  it('has nothing to judge where no rate of strongSwan lost little enough', () => {
    const { verdicts } = reportOf(sample(200_000, 100_000), sample(40_000, 0));
    assert.deepEqual(
      verdicts.map((verdict) => verdict.kept),
      [true, true, undefined],
    );
  });

  it('is a table for each size, in thousands', () => {
    const lines = packetsTable(reportOf(sample(200_000, 100_000))).split('\n');
    assert.equal(lines.filter((line) => line.startsWith('1400 octets ')).length, 1);
    const rows = lines.filter((line) => line.startsWith('tsgw  '));
    assert.equal(rows.length, 2);
    assert.match(rows[0] ?? '', /600 \[.* 200 \[.* 0\.40 \[.* 5\.00 \[.* 100 \[.* 2\.00 \[/);
    const [plain = ''] = lines.filter((line) => line.startsWith('plain routing'));
    assert.match(plain, / -$/);
  });
});
