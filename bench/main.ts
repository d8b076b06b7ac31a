/**
 * `npm run bench -- QUESTION [options]`, `npm run bench -- list`, `npm run bench -- help`.
 *
 * Figures go to stdout, progress to stderr. Ends 0, 1 when a measurement broke or a limit was missed,
 * 2 on wrong usage.
 */
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { requirePrerequisites } from '../lab/prerequisites.ts';
import { measureAead } from './aead.ts';
import { measureFlood } from './flood.ts';
import { measureHandshakes } from './handshakes.ts';
import { measureRekey } from './rekey.ts';
import { aeadTable, floodTable, handshakesTable, rekeyTable, throughputTable } from './tables.ts';
import { measureThroughput } from './throughput.ts';

/** Values of options by name, as text. */
type Values = Readonly<Record<string, string>>;

interface Answer {
  /** For machines. */
  readonly report: object;
  /** For people. */
  readonly table: string;
  /** Every limit the question knows is kept. */
  readonly kept: boolean;
}

interface Question {
  readonly summary: string;
  readonly help: string;
  /** Options besides `--json`, with their defaults. */
  readonly options: Values;
  /** Throws a `UsageError` before anything is measured. */
  ask(values: Values): Promise<Answer>;
}

class UsageError extends Error {}

const progress = console.error;
const offloadsModes = ['off', 'wire', 'on'] as const;
const MOST_FLOOD_SECONDS = 60;

const questions: Readonly<Record<string, Question>> = {
  throughput: {
    summary: 'one TCP stream each way: plain routing, tsgw, strongSwan',
    help: `one TCP stream each way through plain routing, tsgw - tsgw, tsgw - strongSwan and
strongSwan - strongSwan, in turns in one run. Offloads of the links: off (no packet larger than
the MTU), wire (receivers may merge), on (super-packets pass uncut: flatters who makes them).`,
    options: { rounds: '3', seconds: '3', offloads: 'off' },
    async ask(values) {
      const offloads = offloadsModes.find((mode) => mode === values.offloads);
      if (!offloads) throw new UsageError(`--offloads: one of ${offloadsModes.join(', ')}`);
      const [rounds, seconds] = [whole(values, 'rounds'), whole(values, 'seconds')];
      const report = await measureThroughput({ rounds, seconds, offloads, progress });
      return { report, table: throughputTable(report), kept: true };
    },
  },
  aead: {
    summary: 'sealing and opening a packet: each cipher by OpenSSL and by ipsec-mb',
    help: `nanoseconds for sealing and for opening a packet of 64 and of 1400 octets in the native layer,
batches of 32, each cipher by each library that has it, in turns in one run.`,
    options: { rounds: '9', calls: '500' },
    async ask(values) {
      const [rounds, calls] = [whole(values, 'rounds'), whole(values, 'calls')];
      const report = await measureAead({ rounds, calls, progress });
      return { report, table: aeadTable(report), kept: true };
    },
  },
  handshakes: {
    summary: 'IKE_SA_INIT and IKE_AUTH: rate, CPU, and with many SAs up',
    help: `IKE_SA_INIT and IKE_AUTH with one Child SA, tsgw and strongSwan as responder in turns, with
x25519, ecp256 and modp2048; then tsgw with 1, 10,000 and 50,000 SAs up. Ends 1 where a limit is
missed.`,
    options: { rounds: '3', handshakes: '2000', standing: '1,10000,50000' },
    async ask(values) {
      const standing = (values.standing ?? '').split(',').map(Number);
      if (standing.some((each) => !Number.isInteger(each) || each < 1)) {
        throw new UsageError(`--standing ${values.standing}: whole numbers, as in 1,10000`);
      }
      const [rounds, handshakes] = [whole(values, 'rounds'), whole(values, 'handshakes')];
      const report = await measureHandshakes({ rounds, handshakes, standing, progress });
      const kept = report.verdicts.every((verdict) => verdict.kept);
      return { report, table: handshakesTable(report), kept };
    },
  },
  flood: {
    summary: 'clients that come while strangers flood the gateway',
    help: `clients come 20 a second while strangers send spoofed IKE_SA_INIT requests, --rate a second: who
is served, what a spoofed request costs, and what memory; tsgw, then strongSwan.`,
    options: { rate: '20000', seconds: '10' },
    async ask(values) {
      const [perSecond, seconds] = [whole(values, 'rate'), whole(values, 'seconds')];
      if (seconds > MOST_FLOOD_SECONDS) {
        throw new UsageError(`--seconds ${seconds}: ${MOST_FLOOD_SECONDS} at most`);
      }
      const report = await measureFlood({ perSecond, seconds, progress });
      const kept = report.cases.every(({ served, clients, name }) => {
        return name !== 'tsgw' || served === clients;
      });
      return { report, table: floodTable(report), kept };
    },
  },
  rekey: {
    summary: 'packets lost and reordered while SAs are rekeyed',
    help: `numbered packets each way, --rate a second, while both ends rekey in turns, 100 times unless told,
about a minute a case: tsgw - tsgw, tsgw - strongSwan, strongSwan - strongSwan.`,
    options: { rekeys: '100', rate: '1000' },
    async ask(values) {
      const [rekeys, perSecond] = [whole(values, 'rekeys'), whole(values, 'rate')];
      const report = await measureRekey({ rekeys, perSecond, progress });
      return { report, table: rekeyTable(report), kept: true };
    },
  },
};

async function main(argv: readonly string[]): Promise<number> {
  const [word = 'help', ...rest] = argv;
  if (word === 'help' || word === '--help' || word === '-h') {
    console.log(usage());
    return 0;
  }
  if (word === 'list') {
    for (const [name, { summary }] of Object.entries(questions)) {
      console.log(`${name.padEnd(12)}${summary}`);
    }
    return 0;
  }
  const question = questions[word];
  try {
    if (!question) throw new UsageError(`no question ${word}`);
    return await answer(question, rest);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}\n\n${usage()}`);
      return 2;
    }
    console.error(error instanceof Error ? error.message : error);
    return 1;
  }
}

async function answer(question: Question, argv: readonly string[]): Promise<number> {
  const { json, ...values } = readOptions(question, argv);
  requirePrerequisites();
  const { report, table, kept } = await question.ask(values);
  const machine = { cpus: cpus().length, kernel: release(), node: process.version };
  console.log(json === '' ? table : JSON.stringify({ ...report, machine }, undefined, 2));
  return kept ? 0 : 1;
}

/** `json` is empty unless it was asked for. */
function readOptions({ options }: Question, argv: readonly string[]): Values {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        json: { type: 'boolean', default: false },
        ...Object.fromEntries(
          Object.entries(options).map(([name, value]) => [
            name,
            { type: 'string', default: value } as const,
          ]),
        ),
      },
    });
    const given = Object.entries(values).map(([name, value]) => [name, String(value)]);
    return { ...Object.fromEntries(given), json: values.json === true ? 'yes' : '' };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function whole(values: Values, name: string): number {
  const value = Number(values[name]);
  if (!Number.isInteger(value) || value < 1) {
    throw new UsageError(`--${name} ${values[name]}: a whole number, 1 or more`);
  }
  return value;
}

function usage(): string {
  const all = Object.entries(questions);
  const lines = all.map(([name, { options }]) => {
    const known = Object.entries(options).map(([option, value]) => `[--${option} ${value}]`);
    return `       npm run bench -- ${name} [--json] ${known.join(' ')}`;
  });
  const [first = '', ...rest] = lines;
  return [
    `usage:${first.slice('usage:'.length)}`,
    ...rest,
    '       npm run bench -- list',
    '       npm run bench -- help',
    ...all.map(([name, { help }]) => `\n${name}: ${help}`),
  ].join('\n');
}

process.exitCode = await main(process.argv.slice(2));
