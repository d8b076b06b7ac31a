/**
 * What does a handshake cost the responder, and does it stay so with many SAs up?
 *
 *   clients: one process, a thousand initiators ---- gateway: tsgw, or charon
 *
 * IKE_SA_INIT and IKE_AUTH with one Child SA: pre-shared key, AES-128 and SHA-256 for IKE,
 * AES-128-GCM for ESP, an identity and an address for each client. tsgw and charon answer the same
 * initiator and take turns; what a round brought up is deleted before the next one. CPU time is the
 * responder's own, all its threads; the rate is what initiator and responder reach together.
 *
 * Then three tsgw stand side by side with 1, 10,000 and 50,000 IKE SAs and as many Child SAs up,
 * and take turns in the same way.
 */
import type { GatewayKind } from '../lab/gateway.ts';
import type { Network } from '../lab/namespaces.ts';
import { KeyExchangeId } from '../src/crypto/transform.ts';
import { buildLoadNetwork } from './load-network.ts';
import { failureText, Load, type LoadResult } from './load-protocol.ts';
import { LoadResponder } from './load-responder.ts';
import { collectGarbage, cpuMilliseconds, idle, settledOctets } from './process-cost.ts';
import { type Spread, spread } from './statistics.ts';
import { inTurn } from './turns.ts';
import type { Verdict } from './verdict.ts';

export interface HandshakesOptions {
  readonly rounds: number;
  /** Of each round. */
  readonly handshakes: number;
  /** SAs up before a round, ascending; the first stands for "hardly any". */
  readonly standing: readonly number[];
  readonly progress: (line: string) => void;
}

export interface HandshakesReport {
  readonly question: string;
  readonly rounds: number;
  readonly handshakes: number;
  readonly groups: readonly GroupReport[];
  readonly standing: readonly StandingReport[];
  readonly verdicts: readonly Verdict[];
}

/** One key exchange method, both responders. */
export interface GroupReport {
  readonly group: GroupName;
  readonly tsgw: RoundsReport;
  readonly strongSwan: RoundsReport;
  /** tsgw's CPU time to strongSwan's, round by round. */
  readonly cpuRatio: Spread;
}

export interface RoundsReport {
  readonly perSecond: Spread;
  readonly cpuMilliseconds: Spread;
}

/** tsgw with so many pairs of IKE SA and Child SA up. */
export interface StandingReport extends RoundsReport {
  readonly pairs: number;
  /** Rate to that with the first number of pairs, round by round. */
  readonly rateRatio: Spread;
  /** Growth of resident memory for each pair; absent for the first number of pairs. */
  readonly octetsPerPair?: number;
}

export type GroupName = keyof typeof GROUPS;

interface Round {
  readonly perSecond: number;
  readonly cpuMilliseconds: number;
}

/** A responder with its own network and its own initiator. */
interface Bed {
  readonly name: string;
  readonly network: Network;
  readonly responder: LoadResponder;
  readonly load: Load;
  /** Clients below this number are up and stay up. */
  readonly standing: number;
}

const GROUPS = {
  x25519: KeyExchangeId.CURVE_25519,
  ecp256: KeyExchangeId.ECP_256,
  modp2048: KeyExchangeId.MODP_2048,
} as const;
const groupNames = ['x25519', 'ecp256', 'modp2048'] as const satisfies readonly GroupName[];

/** Clients on their way at one time. */
const CONCURRENCY = 32;
/** Handshakes before the first round: Node compiles what is hot. */
const WARM_UP = 2000;
const MOST_OCTETS_PER_PAIR = 16 * 1024;
const LEAST_RATE = 0.9;

export async function measureHandshakes(options: HandshakesOptions): Promise<HandshakesReport> {
  const groups = await compareGroups(options);
  const standing = await compareStanding(options);
  return {
    question: 'IKE_SA_INIT and IKE_AUTH with one Child SA, pre-shared key, AES-128 and SHA-256',
    rounds: options.rounds,
    handshakes: options.handshakes,
    groups,
    standing,
    verdicts: [...groups.map(groupVerdict), ...standing.slice(1).flatMap(standingVerdicts)],
  };
}

async function compareGroups(options: HandshakesOptions): Promise<readonly GroupReport[]> {
  const beds: Bed[] = [];
  const measured = new Map<string, Round[]>();
  try {
    for (const kind of ['tsgw', 'strongswan'] as const) {
      const bed = await setUp(kind, kind, 0);
      beds.push(bed);
      await warmUp(bed);
      options.progress(`${kind}: ready`);
    }
    for (let round = 0; round < options.rounds; round += 1) {
      for (const group of groupNames) {
        for (const bed of inTurn(beds, round)) {
          const result = await measure(bed, GROUPS[group], options.handshakes);
          collect(measured, `${group} ${bed.name}`, result);
          report(options, round, `${group}, ${bed.name}`, result);
        }
      }
    }
  } finally {
    for (const bed of beds) await takeDown(bed);
  }
  return groupNames.map((group) => {
    const tsgw = measured.get(`${group} tsgw`) ?? [];
    const strongSwan = measured.get(`${group} strongswan`) ?? [];
    const ratios = tsgw.map(
      (one, round) => one.cpuMilliseconds / (strongSwan[round]?.cpuMilliseconds ?? Number.NaN),
    );
    return {
      ...{ group, tsgw: roundsReport(tsgw), strongSwan: roundsReport(strongSwan) },
      cpuRatio: spread(ratios),
    };
  });
}

async function compareStanding(options: HandshakesOptions): Promise<readonly StandingReport[]> {
  const beds: Bed[] = [];
  const measured = new Map<string, Round[]>();
  let octets: readonly number[] = [];
  try {
    for (const pairs of options.standing) {
      const bed = await setUp('tsgw', `${pairs} up`, pairs);
      beds.push(bed);
      options.progress(bed.name);
    }
    octets = await Promise.all(beds.map(memoryOf));
    options.progress(`MiB: ${octets.map((each) => (each / 2 ** 20).toFixed(0)).join(', ')}`);
    for (const bed of beds) await warmUp(bed);
    for (let round = 0; round < options.rounds; round += 1) {
      for (const bed of inTurn(beds, round)) {
        const result = await measure(bed, GROUPS.x25519, options.handshakes);
        collect(measured, bed.name, result);
        report(options, round, bed.name, result);
      }
    }
  } finally {
    for (const bed of beds) await takeDown(bed);
  }
  const [least = 0] = options.standing;
  const few = measured.get(`${least} up`) ?? [];
  return options.standing.map((pairs, index) => {
    const rounds = measured.get(`${pairs} up`) ?? [];
    const grown = (octets[index] ?? 0) - (octets[0] ?? 0);
    return {
      pairs,
      ...roundsReport(rounds),
      rateRatio: spread(
        rounds.map(({ perSecond }, round) => perSecond / (few[round]?.perSecond ?? Number.NaN)),
      ),
      ...(index > 0 && { octetsPerPair: Math.round(grown / (pairs - least)) }),
    };
  });
}

async function setUp(kind: GatewayKind, name: string, standing: number): Promise<Bed> {
  const network = await buildLoadNetwork();
  try {
    const responder = await LoadResponder.start(network, { kind });
    if (standing > 0) await fill(network, standing);
    return { name, network, responder, load: await Load.start(network), standing };
  } catch (error) {
    network.destroy();
    throw error;
  }
}

async function takeDown({ load, responder, network }: Bed): Promise<void> {
  await load.stop();
  await responder.stop();
  network.destroy();
}

/**
 * Brings the standing clients up. Their initiator goes: one that remembers thousands of clients
 * would itself be slower than one of a few, and the rounds ask about the responder.
 */
async function fill(network: Network, standing: number): Promise<void> {
  const load = await Load.start(network);
  const order = { first: 0, count: standing, concurrency: CONCURRENCY } as const;
  mustServe(await load.perform({ kind: 'run', method: GROUPS.x25519, ...order }), standing);
  await load.stop();
}

/** Octets that a gateway with nothing to do has in use. */
async function memoryOf({ network, responder }: Bed): Promise<number> {
  await collectGarbage(network.at('gateway'), responder.pid);
  return settledOctets(responder.pid);
}

async function warmUp(bed: Bed): Promise<void> {
  await measure(bed, GROUPS.x25519, WARM_UP);
  for (const group of groupNames) await measure(bed, GROUPS[group], WARM_UP / 10);
}

/** One round: so many handshakes, and their end, which is not measured. */
async function measure(bed: Bed, method: number, count: number): Promise<Round> {
  const { load, responder, standing } = bed;
  const clients = { first: standing, count, concurrency: CONCURRENCY };
  await idle(responder.pid);
  const before = cpuMilliseconds(responder.pid);
  const result = await load.perform({ kind: 'run', method, ...clients });
  await idle(responder.pid);
  const cpu = cpuMilliseconds(responder.pid) - before;
  mustServe(result, count);
  mustServe(await load.perform({ kind: 'delete', ...clients }), count);
  return { perSecond: count / result.seconds, cpuMilliseconds: cpu / count };
}

function mustServe(result: LoadResult, count: number): void {
  if (result.done === count) return;
  throw new Error(`${result.done} of ${count} clients were served: ${failureText(result)}`);
}

function collect(measured: Map<string, Round[]>, key: string, round: Round): void {
  measured.set(key, [...(measured.get(key) ?? []), round]);
}

function report(options: HandshakesOptions, round: number, what: string, result: Round): void {
  options.progress(
    `round ${round + 1}/${options.rounds}  ${what}: ${result.perSecond.toFixed(0)} a second, ` +
      `${result.cpuMilliseconds.toFixed(3)} ms each`,
  );
}

function roundsReport(rounds: readonly Round[]): RoundsReport {
  return {
    perSecond: spread(rounds.map(({ perSecond }) => perSecond)),
    cpuMilliseconds: spread(rounds.map((round) => round.cpuMilliseconds)),
  };
}

function groupVerdict({ group, cpuRatio }: GroupReport): Verdict {
  return {
    limit: `${group}: CPU of a handshake no more than strongSwan's (aim 0.67)`,
    measured: cpuRatio.median.toFixed(2),
    kept: cpuRatio.median <= 1,
  };
}

function standingVerdicts(report: StandingReport): readonly Verdict[] {
  const { pairs, rateRatio, octetsPerPair = 0 } = report;
  return [
    {
      limit: `${pairs} up: at least ${LEAST_RATE} of the rate with hardly any`,
      measured: rateRatio.median.toFixed(2),
      kept: rateRatio.median >= LEAST_RATE,
    },
    {
      limit: `${pairs} up: at most ${MOST_OCTETS_PER_PAIR} octets for a pair of SAs`,
      measured: String(octetsPerPair),
      kept: octetsPerPair <= MOST_OCTETS_PER_PAIR,
    },
  ];
}
