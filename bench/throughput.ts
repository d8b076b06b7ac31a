/**
 * How fast is TCP through the tunnel, and what does a packet cost?
 *
 *   h1 ---- g1 ================= g2 ---- h2      1 and 8 streams, each way and both ways at once
 *
 * Plain routing, tsgw and those it is compared with stand side by side and take turns, for the same
 * machine is not equally fast twice; a figure is worth only its ratio to the others of the same
 * run. The links treat big packets in three ways, in the same run: `off`, nothing is larger than the
 * MTU; `wire`, senders cut to the MTU and receivers may merge, nearest to a real NIC; `on`,
 * super-packets pass uncut, which flatters who makes them.
 */
import type { Family } from '../lab/topology.ts';
import { TransferServer } from '../lab/traffic.ts';
import { type CaseName, caseOf } from './cases.ts';
import { type Cost, readCosts, segmentsSent, spent, sumOf } from './gateway-cost.ts';
import { Stand, type Standing } from './stand.ts';
import {
  type Sample,
  sampleKey,
  type ThroughputReport,
  throughputReport,
} from './throughput-report.ts';
import { expectedSeconds, type Plan, type Step, schedule } from './throughput-schedule.ts';
import { Collected } from './turns.ts';

export interface ThroughputOptions extends Plan {
  readonly family: Family;
  readonly cipher: string;
  readonly progress: (line: string) => void;
}

/** Builds all cases, measures them in turns, removes them. */
export async function measureThroughput(options: ThroughputOptions): Promise<ThroughputReport> {
  const { family, cipher, progress } = options;
  const minutes = (expectedSeconds(options) / 60).toFixed(0);
  progress(`${options.cases.length} cases, about ${minutes} min if all are there`);
  const stand = await Stand.build(options.cases, { terms: { family, cipher }, progress });
  const servers = new Map<CaseName, TransferServer>();
  const samples = new Collected<Sample>();
  try {
    for (const { name, topology } of stand.standing) {
      servers.set(name, await TransferServer.start(topology));
    }
    const present = { ...options, cases: stand.standing.map(({ name }) => name) };
    const steps = schedule(present);
    for (const [index, step] of steps.entries()) {
      const standing = stand.standing.find(({ name }) => name === step.name);
      const server = servers.get(step.name);
      if (standing === undefined || server === undefined) continue;
      await stand.setOffloads(standing, step.mode);
      const sample = await measure(standing, server, step, options);
      samples.add(sampleKey(step), sample);
      progress(`${index + 1}/${steps.length}  ${described(step, sample)}`);
    }
    return throughputReport({ ...present, absent: stand.absent }, samples);
  } finally {
    for (const server of servers.values()) await server.stop();
    await stand.takeDown();
  }
}

async function measure(
  { topology: { network } }: Standing,
  server: TransferServer,
  { streams, bothWays }: Step,
  { family, seconds }: ThroughputOptions,
): Promise<Sample> {
  const transfer = { family, seconds, omitSeconds: 1, streams };
  if (bothWays) {
    const { there, back } = await server.transferBothWays(transfer);
    return { there: megabits(there), back: megabits(back) };
  }
  const costs = [await readCosts(network)];
  const sentBefore = await segmentsSent(network, 'h1');
  const there = await server.transfer(transfer);
  const sentThere = (await segmentsSent(network, 'h1')) - sentBefore;
  costs.push(await readCosts(network));
  const receivedBefore = await segmentsSent(network, 'h2');
  const back = await server.transfer({ ...transfer, reverse: true });
  const sentBack = (await segmentsSent(network, 'h2')) - receivedBefore;
  costs.push(await readCosts(network));
  const [first, second, third] = costs;
  if (!first || !second || !third) throw new Error('costs are read three times');
  const [ofThere, ofBack] = [spent(first, second), spent(second, third)];
  const packets = sentThere + sentBack;
  return {
    ...{ there: megabits(there), back: megabits(back) },
    // Who sends the data seals it.
    sealing: perPacket(sumOf(ofThere.g1, ofBack.g2), packets),
    opening: perPacket(sumOf(ofThere.g2, ofBack.g1), packets),
  };
}

function perPacket(cost: Cost, packets: number) {
  return {
    userMicroseconds: (cost.userSeconds * 1e6) / packets,
    systemMicroseconds: (cost.systemSeconds * 1e6) / packets,
    contextSwitches: cost.contextSwitches / packets,
  };
}

function megabits({ bitsPerSecond }: { readonly bitsPerSecond: number }): number {
  return bitsPerSecond / 1e6;
}

function described({ round, mode, streams, bothWays, name }: Step, sample: Sample): string {
  const ways = bothWays ? 'both ways at once' : 'each way';
  return (
    `round ${round + 1}, ${mode}, ${streams} TCP ${ways}, ${caseOf(name).title}: ` +
    `${sample.there.toFixed(0)} / ${sample.back.toFixed(0)} Mbit/s`
  );
}
