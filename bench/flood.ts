/**
 * Do clients still get in while strangers flood the gateway, and what does a stranger cost?
 *
 *   clients ----┐
 *               ├---- gateway: tsgw, then charon      20,000 spoofed IKE_SA_INIT a second
 *   attacker ---┘
 *
 * Every spoofed request is complete and right and from a source of its own, some from unused addresses
 * of the gateway's own subnet, where the answer waits for a neighbour that does not exist. Meanwhile
 * clients come at a steady rate. Cookies are asked for from 30 half-open IKE SAs on, as by default.
 */
import { end, launch, until } from '../lab/command.ts';
import { type GatewayKind, readLog } from '../lab/gateway.ts';
import { KeyExchangeId } from '../src/crypto/transform.ts';
import { buildLoadNetwork } from './load-network.ts';
import { Load, type LoadResult } from './load-protocol.ts';
import { LoadResponder } from './load-responder.ts';
import { cpuMilliseconds, idle, residentOctets } from './process-cost.ts';

export interface FloodOptions {
  /** Spoofed requests a second. */
  readonly perSecond: number;
  readonly seconds: number;
  readonly progress: (line: string) => void;
}

export interface FloodReport {
  readonly question: string;
  readonly perSecond: number;
  readonly seconds: number;
  readonly cases: readonly FloodCase[];
}

export interface FloodCase {
  readonly name: GatewayKind;
  /** Spoofed requests that left. */
  readonly spoofed: number;
  readonly clients: number;
  readonly served: number;
  /** Requests of clients that were sent again. */
  readonly repeats: number;
  readonly slowestMilliseconds: number;
  /** Of the gateway, for each spoofed request; what the clients cost is taken off. */
  readonly cpuMicrosecondsPerRequest: number;
  /** Growth of resident memory from before the flood to its most. */
  readonly grownOctets: number;
}

const COOKIE_THRESHOLD = 30;
/** Clients a second. */
const CLIENTS_PER_SECOND = 20;
const WARM_UP = 1000;

export async function measureFlood(options: FloodOptions): Promise<FloodReport> {
  const cases: FloodCase[] = [];
  for (const kind of ['tsgw', 'strongswan'] as const) {
    cases.push(await measure(kind, options));
  }
  const { perSecond, seconds } = options;
  const question = `${CLIENTS_PER_SECOND} clients a second under a flood of spoofed IKE_SA_INIT`;
  return { question, perSecond, seconds, cases };
}

async function measure(kind: GatewayKind, options: FloodOptions): Promise<FloodCase> {
  const { perSecond, seconds, progress } = options;
  const network = await buildLoadNetwork();
  try {
    const responder = await LoadResponder.start(network, {
      kind,
      cookieThreshold: COOKIE_THRESHOLD,
    });
    const load = await Load.start(network);
    try {
      const perClient = await costOfClient(responder, load);
      const before = residentOctets(responder.pid);
      const cpuBefore = cpuMilliseconds(responder.pid);
      const logFile = `${network.directory}/flood`;
      const flood = launch(
        [
          ...network.at('attacker'),
          ...[process.execPath, 'build/bench/spoofed-requests.js'],
          ...[String(perSecond), String(seconds)],
        ],
        { logFile },
      );
      const memory = watchMemory(responder.pid);
      const clients = Math.floor(seconds * CLIENTS_PER_SECOND);
      const result = await load.perform({
        ...{ kind: 'run', method: KeyExchangeId.CURVE_25519, first: WARM_UP, count: clients },
        ...{ concurrency: clients, perSecond: CLIENTS_PER_SECOND },
      });
      await until('the flood to end', () => flood.exitCode !== null || undefined, 60_000);
      await end(flood, 'SIGTERM');
      await idle(responder.pid);
      const most = memory.stop();
      const cpu = cpuMilliseconds(responder.pid) - cpuBefore - perClient * result.done;
      const spoofed = sentBy(logFile);
      progress(`${kind}: ${result.done} of ${clients} served, ${spoofed} spoofed requests`);
      return {
        name: kind,
        spoofed,
        clients,
        served: result.done,
        repeats: result.repeats,
        slowestMilliseconds: slowest(result),
        cpuMicrosecondsPerRequest: (cpu * 1000) / spoofed,
        grownOctets: most - before,
      };
    } finally {
      await load.stop();
      await responder.stop();
    }
  } finally {
    network.destroy();
  }
}

/** Milliseconds of the gateway's CPU that a client costs when nobody floods it. */
async function costOfClient(responder: LoadResponder, load: Load): Promise<number> {
  const clients = { first: 0, count: WARM_UP, concurrency: 16 };
  const run = { kind: 'run', method: KeyExchangeId.CURVE_25519, ...clients } as const;
  await load.perform(run);
  await load.perform({ kind: 'delete', ...clients });
  await idle(responder.pid);
  const before = cpuMilliseconds(responder.pid);
  await load.perform(run);
  await idle(responder.pid);
  const spent = cpuMilliseconds(responder.pid) - before;
  await load.perform({ kind: 'delete', ...clients });
  await idle(responder.pid);
  return spent / WARM_UP;
}

/** Looks at the resident memory of a process until it is stopped; answers the most that was seen. */
function watchMemory(pid: number): { stop(): number } {
  let most = residentOctets(pid);
  const timer = setInterval(() => {
    most = Math.max(most, residentOctets(pid));
  }, 100);
  return {
    stop: () => {
      clearInterval(timer);
      return most;
    },
  };
}

function sentBy(logFile: string): number {
  const report: { readonly sent?: unknown } = JSON.parse(
    readLog(logFile).trimEnd().split('\n').at(-1) ?? '',
  );
  if (typeof report.sent !== 'number') throw new Error(`the flood told nothing: ${logFile}`);
  return report.sent;
}

function slowest({ milliseconds }: LoadResult): number {
  return Math.max(0, ...milliseconds);
}
