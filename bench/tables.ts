/**
 * Reports of the questions as people read them: one table each, and what the figures are.
 */
import type { AeadReport } from './aead.ts';
import type { FloodReport } from './flood.ts';
import type { HandshakesReport } from './handshakes.ts';
import type { RekeyReport } from './rekey.ts';
import { formatSpread } from './statistics.ts';
import type { CaseReport, ThroughputReport } from './throughput.ts';

export function throughputTable(report: ThroughputReport): string {
  const { question, rounds, seconds, offloads, cases } = report;
  const rows = [
    ['', 'h1 -> h2 Mbit/s', 'h2 -> h1 Mbit/s', 'to plain', 'to strongSwan', 'CPU us/packet'],
    ...cases.map(row),
  ];
  return [
    `${question}; median [least-most] of ${rounds} interleaved rounds of ${seconds} s, offloads ${offloads}`,
    '',
    ...aligned(rows),
    '',
    'CPU: both gateway processes, all threads, for each packet that crossed the tunnel; of it',
    ...cases.flatMap(split),
  ].join('\n');
}

function row(each: CaseReport): string[] {
  return [
    each.name,
    formatSpread(each.mbitPerSecondThere, 0),
    formatSpread(each.mbitPerSecondBack, 0),
    formatSpread(each.ratioToPlain, 3),
    formatSpread(each.ratioToStrongSwan, 2),
    each.cpu === undefined ? '-' : formatSpread(each.cpu.microsecondsPerPacket, 2),
  ];
}

function split({ name, cpu }: CaseReport): readonly string[] {
  if (cpu === undefined) return [];
  const user = cpu.userMicrosecondsPerPacket.median.toFixed(2);
  const system = cpu.systemMicrosecondsPerPacket.median.toFixed(2);
  const switches = cpu.contextSwitchesPerPacket.median.toFixed(2);
  return [
    `  ${name}: ${user} us own code, ${system} us in the kernel, ${switches} context switches`,
  ];
}

export function rekeyTable({ question, rekeys, perSecond, window, cases }: RekeyReport): string {
  const ways = cases.flatMap(({ name, there, back }) => [
    [name, 'there', there] as const,
    ['', 'back', back] as const,
  ]);
  return [
    `${question}: ${rekeys} rekeyings, ${perSecond} packets a second each way`,
    '',
    ...aligned([
      ['', '', 'sent', 'lost', 'out of order', 'late by at most', `beyond the window of ${window}`],
      ...ways.map(([name, way, { sent, lost, reordered, deepest, late }]) => [
        name,
        way,
        ...[sent, lost, reordered, deepest, late].map(String),
      ]),
    ]),
    '',
    ...cases.map(
      ({ name, childSasReplaced, ikeSasReplaced, noRoom }) =>
        `${name}: ${childSasReplaced} Child SAs and ${ikeSasReplaced} IKE SAs replaced` +
        (noRoom > 0 ? `; ${noRoom} packets had no room in this machine` : ''),
    ),
  ].join('\n');
}

export function floodTable({ question, perSecond, seconds, cases }: FloodReport): string {
  return [
    `${question}: ${perSecond} a second for ${seconds} s`,
    '',
    ...aligned([
      ['', 'spoofed', 'served', 'sent again', 'slowest ms', 'CPU us a spoofed one', 'memory MiB'],
      ...cases.map((each) => [
        each.name,
        String(each.spoofed),
        `${each.served} of ${each.clients}`,
        String(each.repeats),
        each.slowestMilliseconds.toFixed(0),
        each.cpuMicrosecondsPerRequest.toFixed(1),
        `+${(each.grownOctets / 2 ** 20).toFixed(1)}`,
      ]),
    ]),
  ].join('\n');
}

export function handshakesTable(report: HandshakesReport): string {
  const { question, rounds, handshakes, groups, standing, verdicts } = report;
  return [
    `${question}; median [least-most] of ${rounds} interleaved rounds of ${handshakes}`,
    '',
    ...aligned([
      ['', 'tsgw /s', 'tsgw CPU ms', 'strongSwan /s', 'strongSwan CPU ms', 'CPU to strongSwan'],
      ...groups.map(({ group, tsgw, strongSwan, cpuRatio }) => [
        group,
        formatSpread(tsgw.perSecond, 0),
        formatSpread(tsgw.cpuMilliseconds, 3),
        formatSpread(strongSwan.perSecond, 0),
        formatSpread(strongSwan.cpuMilliseconds, 3),
        formatSpread(cpuRatio, 2),
      ]),
    ]),
    '',
    ...aligned([
      ['SAs up', 'tsgw /s', 'to hardly any', 'CPU ms', 'octets a pair'],
      ...standing.map(({ pairs, perSecond, rateRatio, cpuMilliseconds, octetsPerPair }) => [
        String(pairs),
        formatSpread(perSecond, 0),
        formatSpread(rateRatio, 2),
        formatSpread(cpuMilliseconds, 3),
        octetsPerPair === undefined ? '-' : String(octetsPerPair),
      ]),
    ]),
    '',
    ...verdicts.map(
      ({ limit, measured, kept }) => `${kept ? 'kept  ' : 'MISSED'}  ${limit}: ${measured}`,
    ),
    '',
    'CPU: the responder process, all threads. The rate is what one initiator and the responder reach',
    'together on this machine; the initiator is the same for both.',
  ].join('\n');
}

export function aeadTable({ question, rounds, batch, cases }: AeadReport): string {
  return [
    `${question}; median [least-most] of ${rounds} interleaved rounds, batches of ${batch}`,
    '',
    ...aligned([
      ['', 'octets', '', 'seal', 'open'],
      ...cases.map(({ cipher, bodyOctets, library, sealNanoseconds, openNanoseconds }) => [
        cipher,
        String(bodyOctets),
        library,
        formatSpread(sealNanoseconds, 0),
        formatSpread(openNanoseconds, 0),
      ]),
    ]),
  ].join('\n');
}

function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  return rows.map((cells) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
