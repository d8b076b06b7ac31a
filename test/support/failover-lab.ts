/**
 * A cluster of tsgw for the tests of one `describe`: built and connected before, removed after them.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { repeatsOnWire } from '../../bench/failover-wire.ts';
import { Capture } from '../../lab/capture.ts';
import type { TsgwClusterSettings } from '../../lab/cluster-conf.ts';
import { sleep } from '../../lab/command.ts';
import { PacketStream, type StreamReport } from '../../lab/packet-stream.ts';
import { packetsOfPcap } from '../../lab/pcap.ts';
import { requirePrerequisites } from '../../lab/prerequisites.ts';
import { TsgwFailover } from '../../lab/tsgw-failover.ts';

/** On a machine that does other things, too: a node takes over after 300 ms. */
export const MOST_GAP_MS = 1500;
/** Sent while nobody listened, and a few on their way. */
const UNDER_WAY = 40;
/** Not more than a busy machine keeps in its buffers while a process waits for its turn. */
const PER_SECOND = 200;
/** What a machine that is busy with other tests may drop while a process waits for its turn. */
const IN_BUFFERS = 20;
const AROUND_MS = 700;
export const STREAM_PORT = 20_000;

/** What passed while something happened. */
export interface Passed extends StreamReport {
  /** Of all that clients were sent, in a file of tcpdump. */
  readonly file: string;
}

/** Registers the hooks of one cluster; what it answers is usable inside hooks and tests only. */
export function useFailover(settings: TsgwClusterSettings): FailoverLab {
  const lab = new FailoverLab();
  before(async () => {
    requirePrerequisites();
    await lab.build(settings);
  });
  afterEach(function tell() {
    if (this.currentTest?.state === 'failed') console.log(lab.cluster.cluster.said());
  });
  after(() => lab.destroy());
  return lab;
}

export class FailoverLab {
  #cluster: TsgwFailover | undefined;
  #spis = '';
  #rekeyed = 0;

  get cluster(): TsgwFailover {
    assert.ok(this.#cluster, 'the cluster stands only inside hooks and tests');
    return this.#cluster;
  }

  async build(settings: TsgwClusterSettings): Promise<void> {
    this.#cluster = await TsgwFailover.start(settings);
    this.#spis = await this.#cluster.ikeSpis();
    this.#rekeyed = await this.#cluster.rekeyed();
  }

  async destroy(): Promise<void> {
    await this.#cluster?.destroy();
  }

  /**
   * Traffic each way around what happens; no IV of it is twice on the wire under a key, and no number: save
   * where two nodes served at once, neither of which could know what the other had sent.
   */
  async during(happens: () => Promise<void>, serving: 'one' | 'both' = 'one'): Promise<Passed> {
    const { network, inner, outer } = this.cluster;
    const capture = await Capture.start(network, 'client');
    const stream = await PacketStream.start(
      { network },
      {
        ...{ perSecond: PER_SECOND, port: STREAM_PORT },
        ends: [
          { node: 'client', address: inner.client },
          { node: 'host', address: inner.host },
        ],
      },
    );
    await sleep(AROUND_MS);
    await happens();
    await sleep(AROUND_MS);
    const report = await stream.stop();
    const file = await capture.stop();
    const { packets, sequences, ivs } = repeatsOnWire(
      packetsOfPcap(readFileSync(file)),
      outer.gateway,
    );
    assert.ok(packets > PER_SECOND / 2, `${packets} packets came to the client`);
    assert.equal(ivs, 0, 'no IV twice under a key');
    if (serving === 'one') assert.equal(sequences, 0, 'no number twice');
    return { ...report, file };
  }

  /** The client has the SAs it began with, and is answered; that gives it another Child SA. */
  async sameClient(): Promise<void> {
    assert.equal(await this.cluster.ikeSpis(), this.#spis, 'the IKE SA of the beginning');
    assert.equal((await this.cluster.rekeyed()) - this.#rekeyed, 0, 'nothing was replaced');
    assert.ok(await this.cluster.answers(), 'IKE is answered');
    this.#rekeyed = await this.cluster.rekeyed();
  }
}

/** A take-over, as a client sees it. `twice`: packets that may come from two nodes. */
export function assertShortGap({ there, back }: StreamReport, twice = 0): void {
  for (const { longestSilenceMilliseconds: gap, lost, duplicated } of [there, back]) {
    assert.ok(gap < MOST_GAP_MS, `a gap of ${gap} ms`);
    assert.ok(lost <= (gap * PER_SECOND) / 1000 + UNDER_WAY, `${lost} lost in ${gap} ms`);
    assert.ok(duplicated <= twice, `${duplicated} came twice`);
  }
}

/** Of what was moved by plan. The bench says what is lost on a machine that has time: nothing. */
export function assertNextToNothingLost({ there, back }: StreamReport): void {
  for (const { lost, duplicated } of [there, back]) {
    assert.ok(lost <= IN_BUFFERS, `${lost} lost`);
    assert.equal(duplicated, 0);
  }
}
