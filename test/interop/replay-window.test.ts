/**
 * Anti-replay (RFC 4303 §3.4.3) on a real pair, at the largest window, at a small one and at none: a
 * packet that was held on the way comes behind many others, and comes again.
 */
import assert from 'node:assert/strict';
import { Capture } from '../../lab/capture.ts';
import { until } from '../../lab/command.ts';
import { lose, setOffloads } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { onlyTsgw, subjectKind, useLab } from '../support/lab.ts';

/** Of what `tsgw sad` says of an SA. */
interface Inbound {
  readonly direction: string;
  readonly packets: number;
  readonly replays: number;
}

/** More packets than these pass before the one that was held. */
const BEFORE = 40_000;

describe('A packet that comes behind 40,000 others, and again', () => {
  onlyTsgw();
  const lab = useLab({ peer: subjectKind });
  afterEach(() => lab.clear());

  it('is taken once by a window of 65536', async () => {
    const { late, again } = await heldPacket('65536');
    assert.deepEqual(
      [late, again],
      [
        { packets: 1, replays: 0 },
        { packets: 0, replays: 3 },
      ],
    );
  });

  it('is not taken by a window of 64', async () => {
    const { late, again } = await heldPacket('64');
    assert.deepEqual(
      [late, again],
      [
        { packets: 0, replays: 1 },
        { packets: 0, replays: 3 },
      ],
    );
  });

  it('is taken each time without a window', async () => {
    const { late, again } = await heldPacket('0');
    assert.deepEqual(
      [late, again],
      [
        { packets: 1, replays: 0 },
        { packets: 3, replays: 0 },
      ],
    );
  });

  /** What the subject counts when the packet arrives at last, and three times more. */
  async function heldPacket(window: string) {
    const { topology } = lab;
    await setOffloads(topology, 'off');
    await lab.up('initiator', { child: { replay_window: window }, connection: { encap: 'no' } });
    await lab.carries({ count: 2 });
    const capture = await Capture.start(topology.network, lab.peerNode);
    await lose(topology, 100);
    await ping(topology, { from: 'h2', to: '10.1.0.10', count: 1 });
    await lose(topology, 0);
    const file = await capture.stop();
    const before = await counts();
    await lab.transfer({ octets: BEFORE * 1400, reverse: true });
    const passed = await counts();
    assert.ok(passed.packets - before.packets > BEFORE, `${passed.packets} packets`);
    const resend = async (times: number) => {
      const start = await counts();
      const script = ['/usr/bin/python3', 'test/support/resend.py', file, 'wan', String(times)];
      const { stdout } = await topology.network.exec(lab.peerNode, script);
      assert.equal(stdout.trim(), '1', 'one packet was held');
      return until('the packet to be counted', async () => {
        const now = await counts();
        const grown = {
          packets: now.packets - start.packets,
          replays: now.replays - start.replays,
        };
        return grown.packets + grown.replays >= times ? grown : undefined;
      });
    };
    return { late: await resend(1), again: await resend(3) };
  }

  async function counts(): Promise<Inbound> {
    const { stdout } = await lab.tsgw.cli(['sad', '--json']);
    const sas: readonly Inbound[] = JSON.parse(stdout);
    const inbound = sas.find(({ direction }) => direction === 'in');
    assert.ok(inbound !== undefined, 'an SA is installed');
    return inbound;
  }
});
