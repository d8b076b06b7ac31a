/**
 * The report of `cluster-sync`: rates and lags on both buses, the resync of a node that starts, what a packet costs,
 * the limits, and its table.
 */
import { quantile } from './statistics.ts';
import { aligned } from './table.ts';
import { atMost, type Verdict, verdictLines } from './verdict.ts';

/** One load on one bus. */
export interface LagSample {
  readonly bus: 'udp' | 'nats';
  /** Nodes, or writers and readers of a bucket. */
  readonly nodes: number;
  /** What was asked for; unset = as many as are answered. */
  readonly perSecond: number | undefined;
  readonly asked: number;
  readonly answered: number;
  readonly seconds: number;
  /** From the turn of the engine to the message that waited, or from the put to its answer. */
  readonly milliseconds: readonly number[];
  /** Messages that left because they had waited 5 ms. */
  readonly late: number;
  /** Of the node that writes. */
  readonly cpuMilliseconds: number;
  /** On `nats`, until another node has the value. */
  readonly watchMilliseconds?: readonly number[];
}

export interface ResyncSample {
  readonly sas: number;
  /** IKE SAs that the node had once it said that it had all. */
  readonly held: number;
  readonly snapshotOctets: number;
  /** Until it had everything and said so, and until the last IKE SA came. */
  readonly seconds: number;
  readonly heldSeconds: number;
  readonly cpuMilliseconds: number;
  readonly ownerCpuMilliseconds: number;
  /** Records beside it. */
  readonly tail: LagSample;
}

/** Nanoseconds of CPU time of a packet in a node's user space, by what it is to the node. */
export interface PacketCosts {
  readonly octets: number;
  readonly own: number;
  readonly sampled: number;
  /** Another node's, not sampled: looked at and dropped, where no filter of the kernel does. */
  readonly passedOver: number;
  /** Copied for another node and sealed for the bus. */
  readonly handedOn: number;
  /** Every so many-th is sampled. */
  readonly every: number;
}

export interface ClusterSyncTerms {
  readonly sas: number;
  readonly seconds: number;
}

export interface ClusterSyncReport extends ClusterSyncTerms {
  readonly question: string;
  readonly lags: readonly LagRow[];
  readonly resync: (Omit<ResyncSample, 'tail'> & { readonly tail: LagRow }) | undefined;
  readonly packets: (PacketCosts & { readonly perNode: readonly PacketsOfNodes[] }) | undefined;
  readonly absent: readonly string[];
  readonly verdicts: readonly Verdict[];
}

export interface LagRow extends Omit<LagSample, 'milliseconds' | 'watchMilliseconds'> {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
  readonly cpuMicroseconds: number;
  readonly watch50: number | undefined;
  readonly watch99: number | undefined;
}

/** Each of so many nodes gets all packets and has its share of the SAs. */
export interface PacketsOfNodes {
  readonly nodes: number;
  /** Of one node, for each packet that reaches the cluster. */
  readonly nanoseconds: number;
  /** Packets that the cluster carries in the time in which one node carries one. */
  readonly throughput: number;
}

const MOST_LAG_MS = 5;
const MOST_RESYNC_SECONDS = 3;
const MOST_NODES = 3;

export function clusterSyncReport(
  { sas, seconds }: ClusterSyncTerms,
  parts: {
    readonly lags: readonly LagSample[];
    readonly resync: ResyncSample | undefined;
    readonly packets: PacketCosts | undefined;
    readonly absent: readonly string[];
  },
): ClusterSyncReport {
  const { resync, packets, absent } = parts;
  const lags = parts.lags.map(lagRow);
  return {
    question: 'how fast is the state of IKE SAs at other nodes, and at one that starts',
    ...{ sas, seconds, lags, absent },
    resync: resync && { ...resync, tail: lagRow(resync.tail) },
    packets: packets && { ...packets, perNode: perNode(packets) },
    verdicts: verdictsOf(lags, resync),
  };
}

export function clusterSyncTable(report: ClusterSyncReport): string {
  const { sas, seconds, lags, resync, packets, absent } = report;
  return [
    `${report.question}: ${sas} IKE SAs, ${seconds} s for each load`,
    ...(lags.length > 0 ? ['', ...aligned([LAG_HEADINGS, ...lags.map(lagCells)])] : []),
    ...(resync ? ['', ...resyncLines(resync)] : []),
    ...(packets ? ['', ...packetLines(packets)] : []),
    ...(absent.length > 0 ? ['', ...absent.map((why) => `not measured: ${why}`)] : []),
    '',
    'ms on udp: from the turn of the IKE engine to the message that waited for another node; on nats: from the',
    'put to its answer, and until another node was told of it. Nodes are processes of this machine, on loopback.',
    '',
    ...verdictLines(report.verdicts),
  ].join('\n');
}

function lagRow({ milliseconds, watchMilliseconds, ...sample }: LagSample): LagRow {
  const of = (share: number) => quantile(milliseconds, share);
  const { answered, seconds, cpuMilliseconds } = sample;
  return {
    ...sample,
    rate: seconds > 0 ? answered / seconds : 0,
    ...{ p50: of(0.5), p99: of(0.99), most: of(1) },
    cpuMicroseconds: (cpuMilliseconds * 1000) / answered,
    watch50: watchMilliseconds && quantile(watchMilliseconds, 0.5),
    watch99: watchMilliseconds && quantile(watchMilliseconds, 0.99),
  };
}

function perNode({ own, sampled, every }: PacketCosts): readonly PacketsOfNodes[] {
  return Array.from({ length: MOST_NODES }, (_, index) => {
    const nodes = index + 1;
    const foreign = (nodes - 1) / nodes;
    const nanoseconds = own / nodes + (foreign / every) * sampled;
    return { nodes, nanoseconds, throughput: own / nanoseconds };
  });
}

const LAG_HEADINGS = [
  ...['bus', 'nodes', 'asked/s', 'updates/s', 'p50 ms', 'p99 ms', 'most ms', 'late', 'unanswered'],
  ...['CPU us', 'watch p50', 'watch p99'],
];

function lagCells(row: LagRow): readonly string[] {
  const { bus, nodes, perSecond, rate, p50, p99, most, late, asked, answered } = row;
  return [
    ...[bus, String(nodes), perSecond === undefined ? 'all' : String(perSecond), rate.toFixed(0)],
    ...[p50.toFixed(2), p99.toFixed(2), most.toFixed(2), String(late), String(asked - answered)],
    row.cpuMicroseconds.toFixed(0),
    ...[row.watch50?.toFixed(2) ?? '-', row.watch99?.toFixed(2) ?? '-'],
  ];
}

function resyncLines(resync: NonNullable<ClusterSyncReport['resync']>): readonly string[] {
  const { sas, held, snapshotOctets, seconds, heldSeconds, tail } = resync;
  const { cpuMilliseconds, ownerCpuMilliseconds } = resync;
  return [
    `resync: ${held} of ${sas} IKE SAs of ${snapshotOctets} octets in ${seconds.toFixed(2)} s, the last one ` +
      `after ${heldSeconds.toFixed(2)} s; CPU of the node that starts ${(cpuMilliseconds / 1000).toFixed(2)} s, of the other ${(ownerCpuMilliseconds / 1000).toFixed(2)} s`,
    `beside it ${tail.rate.toFixed(0)} updates/s: p50 ${tail.p50.toFixed(2)} ms, p99 ${tail.p99.toFixed(2)} ms, ` +
      `most ${tail.most.toFixed(2)} ms, ${tail.late} late`,
  ];
}

function packetLines(packets: NonNullable<ClusterSyncReport['packets']>): readonly string[] {
  const { octets, own, sampled, passedOver, handedOn, every } = packets;
  const ns = (nanoseconds: number) => nanoseconds.toFixed(0);
  return [
    `a packet of ${octets} octets, ns of CPU in user space: of an own SA ${ns(own)}; of another node's, sampled and ` +
      `verified ${ns(sampled)}, looked at and dropped ${ns(passedOver)}, handed on to its node ${ns(handedOn)}; dropped by ` +
      "the kernel's filter 0 (what that costs the kernel is not in it)",
    ...aligned([
      ['nodes', 'ns of one node for a packet of the cluster', 'throughput to 1 node'],
      ...packets.perNode.map(({ nodes, nanoseconds, throughput }) => {
        return [String(nodes), ns(nanoseconds), throughput.toFixed(2)];
      }),
    ]),
    `computed: each node opens its share and every ${every}th packet of the others.`,
  ];
}

function verdictsOf(lags: readonly LagRow[], resync: ResyncSample | undefined): readonly Verdict[] {
  const judged = lags.filter(({ bus, perSecond }) => bus === 'udp' && perSecond !== undefined);
  return [
    ...judged.map(({ nodes, perSecond, p99, asked, answered }) => {
      const limit = `udp, ${nodes} nodes, ${perSecond}/s: lag p99 at most ${MOST_LAG_MS} ms`;
      // What was never answered has no lag, and does not keep the limit.
      const isAnswered = answered >= asked * ALL;
      return atMost(limit, MOST_LAG_MS, isAnswered ? p99 : Number.POSITIVE_INFINITY);
    }),
    atMost(
      `${resync?.sas ?? 0} IKE SAs resynced in at most ${MOST_RESYNC_SECONDS} s`,
      MOST_RESYNC_SECONDS,
      resync && (resync.held >= resync.sas ? resync.seconds : Number.POSITIVE_INFINITY),
    ),
  ];
}

/** One in a hundred may stay unanswered: the quantile looks at the others alone. */
const ALL = 0.99;
