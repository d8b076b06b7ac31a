/**
 * The report of `latency`: medians and 99th percentiles over the rounds, its limits, and its table.
 */
import { type CaseName, caseOf } from './cases.ts';
import type { Absent } from './stand.ts';
import { knownSpread, type Spread } from './statistics.ts';
import { absentLines, aligned, spreadCell } from './table.ts';
import type { Collected } from './turns.ts';
import { atMost, type Verdict, verdictLines } from './verdict.ts';

/** One case, measured once: idle, and beside a flood. */
export interface LatencySample {
  readonly idle: Latency;
  readonly flooded: Latency;
}

/** Milliseconds; NaN where nothing came back. */
export interface Latency {
  /** The median, and what 99 in a hundred do not exceed. */
  readonly ping: number;
  readonly ping99: number;
  readonly pingsLost: number;
  /** The same of requests over UDP. */
  readonly request: number;
  readonly request99: number;
  readonly requestsAnswered: number;
  readonly requestsLost: number;
}

export interface LatencyTerms {
  readonly rounds: number;
  readonly pings: number;
  readonly requests: number;
  readonly offloads: string;
  readonly cipher: string;
  readonly cases: readonly CaseName[];
  readonly absent: readonly Absent[];
}

export interface LatencyReport extends LatencyTerms {
  readonly question: string;
  readonly rows: readonly LatencyRow[];
  readonly verdicts: readonly Verdict[];
}

export interface LatencyRow {
  readonly name: CaseName;
  readonly flooded: boolean;
  readonly ping: Spread | undefined;
  readonly ping99: Spread | undefined;
  readonly request: Spread | undefined;
  readonly request99: Spread | undefined;
  /** Of all rounds. */
  readonly pingsLost: number;
  readonly requestsAnswered: number;
  readonly requestsLost: number;
}

export function latencyReport(
  terms: LatencyTerms,
  samples: Collected<LatencySample>,
): LatencyReport {
  const { rounds, pings, requests, offloads, cipher, cases, absent } = terms;
  const rows = (['idle', 'flooded'] as const).flatMap((state) =>
    cases.map((name) =>
      row(
        name,
        state === 'flooded',
        samples.of(name).map((sample) => sample[state]),
      ),
    ),
  );
  return {
    question: 'how long a ping, and a request with its answer, take',
    ...{ rounds, pings, requests, offloads, cipher, cases, absent, rows },
    verdicts: verdictsOf(rows),
  };
}

export function latencyTable(report: LatencyReport): string {
  const { question, cipher, offloads, rounds, pings, requests, rows, absent } = report;
  return [
    `${question}: ${cipher}, offloads ${offloads}; ms, median [least-most] of ${rounds} interleaved ` +
      `rounds of ${pings} pings and ${requests} requests`,
    ...[false, true].flatMap((flooded) => [
      '',
      ...aligned([
        [
          flooded ? 'beside a flood' : 'idle',
          ...['ping median', 'ping 99 %', 'request median', 'request 99 %'],
          ...['pings lost', 'requests answered', 'lost'],
        ],
        ...rows.filter((one) => one.flooded === flooded).map(cells),
      ]),
    ]),
    ...absentLines(absent),
    '',
    'The flood is of full-size packets, without limit: beside tsgw and strongSwan through another Child',
    'SA, else another flow of the same tunnel. Its sender takes a core of this machine.',
    '',
    ...verdictLines(report.verdicts),
  ].join('\n');
}

function row(name: CaseName, flooded: boolean, rounds: readonly Latency[]): LatencyRow {
  const sum = (of: (one: Latency) => number): number =>
    rounds.reduce((total, one) => total + of(one), 0);
  return {
    ...{ name, flooded },
    ping: knownSpread(rounds.map(({ ping }) => ping)),
    ping99: knownSpread(rounds.map(({ ping99 }) => ping99)),
    request: knownSpread(rounds.map(({ request }) => request)),
    request99: knownSpread(rounds.map(({ request99 }) => request99)),
    pingsLost: sum(({ pingsLost }) => pingsLost),
    requestsAnswered: sum(({ requestsAnswered }) => requestsAnswered),
    requestsLost: sum(({ requestsLost }) => requestsLost),
  };
}

function cells(one: LatencyRow): readonly string[] {
  return [
    caseOf(one.name).title,
    spreadCell(one.ping, 3),
    spreadCell(one.ping99, 3),
    spreadCell(one.request, 3),
    spreadCell(one.request99, 3),
    String(one.pingsLost),
    String(one.requestsAnswered),
    String(one.requestsLost),
  ];
}

function verdictsOf(rows: readonly LatencyRow[]): readonly Verdict[] {
  // Where no ping came back at all, that is no figure to be left out.
  const ping = (wanted: CaseName, flooded: boolean): number | undefined => {
    const found = rows.find((one) => one.name === wanted && one.flooded === flooded);
    return found && (found.ping?.median ?? Number.POSITIVE_INFINITY);
  };
  const [own, openVpn] = [ping('tsgw', false), ping('openvpn', false)];
  const ratio = own === undefined || openVpn === undefined ? undefined : own / openVpn;
  return [
    atMost("idle, tsgw: ping to OpenVPN's at most 1", 1, ratio),
    atMost(
      `beside a flood, tsgw: median ping at most ${MOST_MILLISECONDS} ms`,
      ...([MOST_MILLISECONDS, ping('tsgw', true)] as const),
    ),
  ];
}

const MOST_MILLISECONDS = 5;
