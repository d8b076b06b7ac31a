/**
 * `npm run bench -- QUESTION [options]`, `npm run bench -- list`, `npm run bench -- help`.
 *
 * Figures go to stdout, progress to stderr. Ends 0, 1 when a measurement broke, 2 on wrong usage.
 */
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { requirePrerequisites } from '../lab/prerequisites.ts';
import type { Offloads } from '../lab/topology.ts';
import { measureRekey, type RekeyReport } from './rekey.ts';
import { formatSpread } from './statistics.ts';
import { type CaseReport, measureThroughput, type ThroughputReport } from './throughput.ts';

async function main(argv: readonly string[]): Promise<number> {
  const [word = 'help', ...rest] = argv;
  if (word === 'help' || word === '--help' || word === '-h') {
    console.log(usage);
    return 0;
  }
  if (word === 'list') {
    console.log('throughput  one TCP stream each way: plain routing, tsgw, strongSwan');
    console.log('rekey       packets lost and reordered while Child SAs are rekeyed');
    return 0;
  }
  if (word === 'rekey') return rekey(rest);
  if (word !== 'throughput') {
    console.error(`no question ${word}\n\n${usage}`);
    return 2;
  }
  const options = readOptions(rest);
  if (typeof options === 'string') {
    console.error(`${options}\n\n${usage}`);
    return 2;
  }
  return throughput(options);
}

interface Options {
  readonly json: boolean;
  readonly rounds: number;
  readonly seconds: number;
  readonly offloads: Offloads;
}

function readOptions(argv: readonly string[]): Options | string {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        json: { type: 'boolean', default: false },
        rounds: { type: 'string', default: '3' },
        seconds: { type: 'string', default: '3' },
        offloads: { type: 'string', default: 'off' },
      },
    });
    const rounds = Number(values.rounds);
    const seconds = Number(values.seconds);
    const offloads = offloadsModes.find((mode) => mode === values.offloads);
    if (!Number.isInteger(rounds) || rounds < 1) return `--rounds ${values.rounds}: 1 or more`;
    if (!Number.isInteger(seconds) || seconds < 1) return `--seconds ${values.seconds}: 1 or more`;
    if (offloads === undefined) return `--offloads ${values.offloads}: ${offloadsModes.join(', ')}`;
    return { json: values.json, rounds, seconds, offloads };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function rekey(argv: readonly string[]): Promise<number> {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        json: { type: 'boolean', default: false },
        rekeys: { type: 'string', default: '100' },
        rate: { type: 'string', default: '1000' },
      },
    });
    const [rekeys, perSecond] = [Number(values.rekeys), Number(values.rate)];
    if (!Number.isInteger(rekeys) || rekeys < 1) return misused(`--rekeys ${values.rekeys}`);
    if (!Number.isInteger(perSecond) || perSecond < 1) return misused(`--rate ${values.rate}`);
    requirePrerequisites();
    const report = await measureRekey({ rekeys, perSecond, progress: console.error });
    const machine = { cpus: cpus().length, kernel: release(), node: process.version };
    console.log(
      values.json ? JSON.stringify({ ...report, machine }, undefined, 2) : rekeyTable(report),
    );
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  }
}

function misused(what: string): number {
  console.error(`${what}: a whole number, 1 or more\n\n${usage}`);
  return 2;
}

function rekeyTable({ question, rekeys, perSecond, window, cases }: RekeyReport): string {
  const ways = cases.flatMap(({ name, there, back }) => [
    [name, 'there', there] as const,
    ['', 'back', back] as const,
  ]);
  return [
    `${question}: ${rekeys} rekeyings, ${perSecond} packets a second each way`,
    '',
    ...aligned([
      ['', '', 'sent', 'lost', 'out of order', 'late by at most', `beyond the window of ${window}`],
      ...ways.map(([name, way, { sent, lost, reordered, deepest }]) => [
        name,
        way,
        ...[sent, lost, reordered, deepest, deepest < window ? 0 : 'some'].map(String),
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

async function throughput({ json, ...options }: Options): Promise<number> {
  try {
    requirePrerequisites();
    const report = await measureThroughput({ ...options, progress: console.error });
    const machine = { cpus: cpus().length, kernel: release(), node: process.version };
    console.log(json ? JSON.stringify({ ...report, machine }, undefined, 2) : table(report));
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  }
}

function table(report: ThroughputReport): string {
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

const offloadsModes = ['off', 'wire', 'on'] as const;

const usage = `usage: npm run bench -- throughput [--json] [--rounds N] [--seconds S]
                                   [--offloads off|wire|on]
       npm run bench -- rekey [--json] [--rekeys N] [--rate PACKETS-PER-SECOND]
       npm run bench -- list
       npm run bench -- help

throughput: one TCP stream each way through plain routing, tsgw - tsgw, tsgw - strongSwan and
strongSwan - strongSwan, in turns in one run. Offloads of the links: off (no packet larger than
the MTU), wire (receivers may merge), on (super-packets pass uncut: flatters who makes them).

rekey: numbered packets each way while both ends rekey the Child SA in turns, 100 times unless
told, about a minute a case: tsgw - tsgw, tsgw - strongSwan, strongSwan - strongSwan.`;

process.exitCode = await main(process.argv.slice(2));
