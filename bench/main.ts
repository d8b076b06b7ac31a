/**
 * `npm run bench -- QUESTION [options]`, `npm run bench -- list`, `npm run bench -- help`.
 *
 * Figures go to stdout, progress to stderr. Ends 0, 1 when a measurement broke, 2 on wrong usage.
 */
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { requirePrerequisites } from '../lab/prerequisites.ts';
import type { Offloads } from '../lab/topology.ts';
import { measureFlood } from './flood.ts';
import { measureHandshakes } from './handshakes.ts';
import { measureRekey } from './rekey.ts';
import { floodTable, handshakesTable, rekeyTable, throughputTable } from './tables.ts';
import { measureThroughput } from './throughput.ts';

async function main(argv: readonly string[]): Promise<number> {
  const [word = 'help', ...rest] = argv;
  if (word === 'help' || word === '--help' || word === '-h') {
    console.log(usage);
    return 0;
  }
  if (word === 'list') {
    console.log('throughput  one TCP stream each way: plain routing, tsgw, strongSwan');
    console.log('handshakes  IKE_SA_INIT and IKE_AUTH: rate, CPU, and with many SAs up');
    console.log('flood       clients that come while strangers flood the gateway');
    console.log('rekey       packets lost and reordered while SAs are rekeyed');
    return 0;
  }
  if (word === 'rekey') return rekey(rest);
  if (word === 'handshakes') return handshakes(rest);
  if (word === 'flood') return flood(rest);
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

async function handshakes(argv: readonly string[]): Promise<number> {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        json: { type: 'boolean', default: false },
        rounds: { type: 'string', default: '3' },
        handshakes: { type: 'string', default: '2000' },
        standing: { type: 'string', default: '1,10000,50000' },
      },
    });
    const [rounds, count] = [Number(values.rounds), Number(values.handshakes)];
    const standing = values.standing.split(',').map(Number);
    if (!Number.isInteger(rounds) || rounds < 1) return misused(`--rounds ${values.rounds}`);
    if (!Number.isInteger(count) || count < 1) return misused(`--handshakes ${values.handshakes}`);
    if (standing.some((each) => !Number.isInteger(each) || each < 1)) {
      return misused(`--standing ${values.standing}`);
    }
    requirePrerequisites();
    const progress = console.error;
    const report = await measureHandshakes({ rounds, handshakes: count, standing, progress });
    const machine = { cpus: cpus().length, kernel: release(), node: process.version };
    console.log(
      values.json ? JSON.stringify({ ...report, machine }, undefined, 2) : handshakesTable(report),
    );
    return report.verdicts.every(({ kept }) => kept) ? 0 : 1;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  }
}

async function flood(argv: readonly string[]): Promise<number> {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        json: { type: 'boolean', default: false },
        rate: { type: 'string', default: '20000' },
        seconds: { type: 'string', default: '10' },
      },
    });
    const [perSecond, seconds] = [Number(values.rate), Number(values.seconds)];
    if (!Number.isInteger(perSecond) || perSecond < 1) return misused(`--rate ${values.rate}`);
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > 60) {
      return misused(`--seconds ${values.seconds} (60 at most)`);
    }
    requirePrerequisites();
    const report = await measureFlood({ perSecond, seconds, progress: console.error });
    const machine = { cpus: cpus().length, kernel: release(), node: process.version };
    console.log(
      values.json ? JSON.stringify({ ...report, machine }, undefined, 2) : floodTable(report),
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

async function throughput({ json, ...options }: Options): Promise<number> {
  try {
    requirePrerequisites();
    const report = await measureThroughput({ ...options, progress: console.error });
    const machine = { cpus: cpus().length, kernel: release(), node: process.version };
    console.log(
      json ? JSON.stringify({ ...report, machine }, undefined, 2) : throughputTable(report),
    );
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  }
}

const offloadsModes = ['off', 'wire', 'on'] as const;

const usage = `usage: npm run bench -- throughput [--json] [--rounds N] [--seconds S]
                                   [--offloads off|wire|on]
       npm run bench -- handshakes [--json] [--rounds N] [--handshakes N] [--standing N,N,...]
       npm run bench -- flood [--json] [--rate REQUESTS-PER-SECOND] [--seconds S]
       npm run bench -- rekey [--json] [--rekeys N] [--rate PACKETS-PER-SECOND]
       npm run bench -- list
       npm run bench -- help

throughput: one TCP stream each way through plain routing, tsgw - tsgw, tsgw - strongSwan and
strongSwan - strongSwan, in turns in one run. Offloads of the links: off (no packet larger than
the MTU), wire (receivers may merge), on (super-packets pass uncut: flatters who makes them).

handshakes: IKE_SA_INIT and IKE_AUTH with one Child SA, tsgw and strongSwan as responder in turns,
with x25519, ecp256 and modp2048; then tsgw with 1, 10,000 and 50,000 SAs up. Ends 1 where a limit
is missed.

flood: clients come 20 a second while strangers send spoofed IKE_SA_INIT requests: who is served,
what a spoofed request costs, and what memory; tsgw, then strongSwan.

rekey: numbered packets each way while both ends rekey Child SA and IKE SA in turns, 100 times unless
told, half a minute a case: tsgw - tsgw, tsgw - strongSwan, strongSwan - strongSwan.`;

process.exitCode = await main(process.argv.slice(2));
