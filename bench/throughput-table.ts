/**
 * The report of `throughput` as people read it.
 */
import { absentLines, aligned, spreadCell } from './table.ts';
import type { CostSpread, ThroughputReport, ThroughputRow } from './throughput-report.ts';
import { verdictLines } from './verdict.ts';

export function throughputTable(report: ThroughputReport): string {
  const { question, rounds, sideRounds, seconds, family, cipher, tables, absent } = report;
  return [
    `${question}: ${family}, ${cipher}; median [least-most] of interleaved rounds of ${seconds} s,`,
    `${rounds} of ${report.streams[0]} TCP each way, ${sideRounds} of the rest`,
    ...tables.flatMap(({ mode, streams, rows }) => [
      '',
      ...aligned([
        [
          `${mode}, ${streams} TCP`,
          ...['h1 -> h2 Mbit/s', 'h2 -> h1 Mbit/s', 'both at once', 'to plain', 'to strongSwan'],
          ...['seal us/packet', 'open us/packet'],
        ],
        ...rows.map(cells),
      ]),
    ]),
    ...absentLines(absent),
    '',
    'CPU of the gateway that seals the data, and of the one that opens it, all threads, for each TCP',
    'segment of data that the sending host counts: of a super-packet, every MSS. User + system, and',
    `context switches, ${tables[0]?.mode}, ${tables[0]?.streams} TCP:`,
    ...(tables[0]?.rows ?? []).flatMap(split),
    '',
    ...verdictLines(report.verdicts),
  ].join('\n');
}

function cells(row: ThroughputRow): readonly string[] {
  return [
    row.title,
    spreadCell(row.mbitPerSecondThere, 0),
    spreadCell(row.mbitPerSecondBack, 0),
    spreadCell(row.mbitPerSecondBothWays, 0),
    spreadCell(row.ratioToPlain, 3),
    spreadCell(row.ratioToStrongSwan, 2),
    spreadCell(row.sealing?.microseconds, 2),
    spreadCell(row.opening?.microseconds, 2),
  ];
}

function split({ title, sealing, opening }: ThroughputRow): readonly string[] {
  if (sealing === undefined || opening === undefined) return [];
  return [`  ${title}: seals ${parts(sealing)}; opens ${parts(opening)}`];
}

function parts(cost: CostSpread): string {
  const user = cost.userMicroseconds.median.toFixed(2);
  const system = cost.systemMicroseconds.median.toFixed(2);
  return `${user} + ${system} us, ${cost.contextSwitches.median.toFixed(2)} switches`;
}
