/**
 * Whether the peer is there, and what follows when it is not (RFC 7296 §2.4): liveness, `dpd_action`,
 * `close_action`, `keyingtries`, and one peer that comes twice (`unique`).
 */
import assert from 'node:assert/strict';
import { Capture, dissect } from '../../lab/capture.ts';
import { sleep, until } from '../../lab/command.ts';
import {
  childName,
  connectionName,
  type PairSettings,
  swanctlConf,
} from '../../lab/swanctl-conf.ts';
import { lose } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { impatient, type Lab, onlyTsgw, roles, useLab } from '../support/lab.ts';
import { type Counters, counters, more, settled, underStream } from '../support/tunnel-life.ts';

/** Gives a peer up within a second. */
const quick = { ...impatient, retransmitTries: 2 };

/** Seconds without a packet before a probe; longer than a busy machine stands still. */
const PROBE_SECONDS = 2;

describe('A peer that is cut off (RFC 7296 §2.4)', () => {
  const lab = useLab({ subjectSettings: quick, peerSettings: quick });
  afterEach(async () => {
    await lose(lab.topology, 0);
    await lab.clear();
  });

  for (const role of roles) {
    it(`is given up, and nothing more is tried with dpd_action = clear, as ${role}`, async () => {
      await lab.up(role, watching('clear'));
      await cutOff(lab);
      const { received } = await ping(lab.topology, { count: 2, waitSeconds: 0.5 });
      assert.equal(received, 0);
    });

    it(`is called again and again with dpd_action = restart, as ${role}`, async () => {
      await lab.up(role, watching('restart'));
      const first = await lab.tunnel();
      await lose(lab.topology, 100);
      await until('another IKE SA to be tried', () => spiOtherThan(lab, first.subject.raw), 20_000);
      await lose(lab.topology, 0);
      await until(
        'the peer to be back',
        () => establishedOtherThan(lab, first.subject.raw),
        20_000,
      );
      await settled(lab);
      await lab.carries();
    });
  }

  it('is called by its traffic with dpd_action = trap', async () => {
    await lab.up('responder', watching('trap'));
    await cutOff(lab);
    await lose(lab.topology, 0);
    assert.deepEqual(await lab.subject.swanctl.sas(), [], 'nothing is tried without traffic');
    await until('the peer to have given up, too', async () => {
      return (await lab.peer.swanctl.sas()).length === 0 || undefined;
    });
    const { lossPercent } = await ping(lab.topology, { count: 3, intervalSeconds: 0.2 });
    assert.equal(lossPercent, 0, 'the packet that asked was kept');
    await lab.carries();
  });
});

describe('Probes (RFC 7296 §2.4)', () => {
  const lab = useLab();
  afterEach(() => lab.clear());

  it('are sent when the peer is silent, and not while its packets arrive', async () => {
    await lab.up('initiator', {
      [lab.subjectNode]: { connection: { dpd_delay: `${PROBE_SECONDS}s` } },
      [lab.peerNode]: { connection: { dpd_delay: '0s' } },
    });
    let start: Counters = {};
    let busy: Counters = {};
    let counted = 0;
    const { back } = await underStream(
      lab,
      async () => {
        await arriving(lab);
        start = await counters(lab.subject);
        await sleep(2.25 * PROBE_SECONDS * 1000);
        busy = await counters(lab.subject);
        counted = performance.now();
      },
      { perSecond: 50 },
    );
    // Where the machine itself stood still for so long, nothing was heard of the peer either.
    const silent = back.longestSilenceMilliseconds;
    const unasked = more(start, busy)('info-out-req');
    assert.ok(
      unasked <= Math.floor(silent / (PROBE_SECONDS * 1000)),
      `${unasked} probes under traffic that never paused for more than ${silent} ms`,
    );
    const idle = await until(
      'probes without traffic',
      async () => {
        const since = more(busy, await counters(lab.subject));
        return (since('info-in-resp') >= 2 && since) || undefined;
      },
      10 * PROBE_SECONDS * 1000,
    );
    const seconds = (performance.now() - counted) / 1000;
    const probes = idle('info-out-req');
    assert.ok(
      probes <= seconds / PROBE_SECONDS + 1,
      `${probes} probes in ${seconds.toFixed(1)} s, nearly all of them of silence`,
    );
    assert.ok(probes - idle('info-in-resp') <= 1, 'all of them answered, but the last perhaps');
  });
});

describe('A Child SA that the peer closes (close_action)', () => {
  const lab = useLab();
  afterEach(() => lab.clear());

  for (const what of ['child', 'ike'] as const) {
    it(`is made again at once with close_action = start, closed by --${what}`, async () => {
      await lab.up('initiator', { [lab.subjectNode]: { child: { close_action: 'start' } } });
      const { subjectChild } = await lab.tunnel();
      const name = what === 'child' ? childName : connectionName;
      await lab.peer.swanctl.must(['--terminate', `--${what}`, name]);
      await until('another Child SA', async () => {
        const children = (await lab.subject.swanctl.sas()).flatMap((sa) => sa.children);
        const spi = children.find(({ state }) => state === 'INSTALLED')?.raw['spi-in'];
        return (spi !== undefined && spi !== subjectChild.raw['spi-in']) || undefined;
      });
      await settled(lab);
      await lab.carries();
    });
  }
});

describe('keyingtries', () => {
  const lab = useLab({ subjectSettings: { ...quick, retransmitTries: 1 } });
  afterEach(async () => {
    await lose(lab.topology, 0);
    await lab.clear();
  });

  it('is how often an IKE SA is begun that nobody answers', async () => {
    await lab.load({ connection: { keyingtries: '3' } });
    const capture = await Capture.start(lab.topology.network, lab.subjectNode);
    await lose(lab.topology, 100);
    const { status } = await lab.initiate('initiator');
    assert.notEqual(status, 0);
    const requests = await dissect(await capture.stop(), {
      fields: ['isakmp.ispi', 'isakmp.messageid'],
      filter: 'isakmp.exchangetype == 34',
    });
    const spis = requests.map((packet) => packet.get('isakmp.ispi')?.[0]);
    assert.equal(new Set(spis).size, 3, 'each time with an SPI of its own');
    assert.equal(spis.length, 6, 'and each time with one repetition');
  });

  it('0 is for ever: it is up when the peer is there', async () => {
    await lab.load({ connection: { keyingtries: '0' } });
    await lose(lab.topology, 100);
    await lab.subject.swanctl.call(['--initiate', '--child', childName, '--timeout', '-1']);
    await sleep(2_500);
    await lose(lab.topology, 0);
    await settled(lab);
    await lab.carries();
  });
});

describe('A peer that comes a second time (unique)', () => {
  onlyTsgw();
  const lab = useLab({ subjectSettings: impatient, peerSettings: impatient });
  afterEach(() => lab.clear());

  for (const { unique, left, second } of [
    { unique: 'replace', left: ['again'], second: 0 },
    { unique: 'keep', left: ['peer'], second: 1 },
    { unique: 'never', left: ['again', 'peer'], second: 0 },
    { unique: 'no', left: ['again', 'peer'], second: 0 },
  ]) {
    it(`${unique}: leaves ${left.join(' and ')}`, async () => {
      await comesTwice(lab, unique);
      const { status } = await lab.peer.swanctl.call(['--initiate', '--child', 'again']);
      assert.equal(Math.min(status, 1), second, 'the second one');
      for (const { swanctl } of [lab.subject, lab.peer]) {
        await until(`${left.join(' and ')} at both ends`, async () => {
          const sas = await swanctl.sas();
          return (
            (sas.length === left.length && sas.every(({ children }) => children.length === 1)) ||
            undefined
          );
        });
      }
      const names = (await lab.peer.swanctl.sas()).map(({ name }) => name).toSorted();
      assert.deepEqual(names, left);
      const { lossPercent } = await ping(lab.topology, { count: 5 });
      assert.equal(lossPercent, 0);
    });
  }

  it('no: what an earlier life of the peer left goes with INITIAL_CONTACT (RFC 7296 §2.4)', async () => {
    await lab.up('responder', { connection: { unique: 'no' } });
    const first = await lab.tunnel();
    await lab.peer.kill();
    await lab.peer.start(impatient);
    await lab.up('responder', { connection: { unique: 'no' } });
    const { subject } = await lab.tunnel();
    assert.notEqual(subject.raw['initiator-spi'], first.subject.raw['initiator-spi']);
    await lab.carries();
  });
});

/** Waits until the subject counts packets of the peer's. */
async function arriving(lab: Lab): Promise<void> {
  await until('packets to arrive', async () => {
    const { subjectChild } = await lab.tunnel();
    return subjectChild.packetsIn > 20 || undefined;
  });
}

/** Both look every second; the peer never acts of its own. */
function watching(action: string): PairSettings {
  return {
    connection: { dpd_delay: '1s' },
    g1: { child: { dpd_action: action } },
    g2: { child: { dpd_action: 'clear' } },
  };
}

/** Cuts the peer off and waits until the subject has given it up. */
async function cutOff(lab: Lab): Promise<void> {
  await lose(lab.topology, 100);
  await until(
    'the subject to give the peer up',
    async () => (await lab.subject.swanctl.sas()).length === 0 || undefined,
    20_000,
  );
}

/** One connection at the subject; two at the peer, of the same identities, one of which is up. */
async function comesTwice(lab: Lab, unique: string): Promise<void> {
  // A peer that does not say it is new: INITIAL_CONTACT would settle it.
  const connection = { unique: 'never' };
  const again = {
    name: 'again',
    childName: 'again',
    connection: { ...connection, rekey_time: '3h' },
  };
  await lab.load({ connection: { unique } });
  await lab.peer.swanctl.load(swanctlConf(lab.topology, lab.peerNode, [{ connection }, again]));
  const { status, stdout, stderr } = await lab.initiate('responder');
  assert.equal(status, 0, `${stdout}${stderr}`);
}

async function spiOtherThan(
  lab: Lab,
  raw: Readonly<Record<string, unknown>>,
): Promise<true | undefined> {
  const spis = (await lab.subject.swanctl.sas()).map((sa) => sa.raw['initiator-spi']);
  return (spis.length > 0 && !spis.includes(String(raw['initiator-spi']))) || undefined;
}

async function establishedOtherThan(
  lab: Lab,
  raw: Readonly<Record<string, unknown>>,
): Promise<true | undefined> {
  const up = (await lab.subject.swanctl.sas()).filter(({ state }) => state === 'ESTABLISHED');
  return (
    up.some((sa) => sa.raw['initiator-spi'] !== raw['initiator-spi'] && sa.children.length === 1) ||
    undefined
  );
}
