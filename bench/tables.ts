/**
 * Reports of the questions about IKE and about ciphers as people read them: one table each, and what the figures are.
 */
import type { AeadReport } from './aead.ts';
import type { FloodReport } from './flood.ts';
import type { HandshakesReport } from './handshakes.ts';
import type { RekeyReport } from './rekey.ts';
import { formatSpread } from './statistics.ts';
import { aligned } from './table.ts';
import { verdictLines } from './verdict.ts';

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
    ...verdictLines(verdicts),
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
