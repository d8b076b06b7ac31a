/**
 * `tsgw trace` against the wire: the octets it predicts are those of the packet outside, the largest
 * inner packet it names passes and one octet more is answered, and what it says of policies and SAs
 * is what becomes of packets.
 */
import assert from 'node:assert/strict';
import { Capture, dissect } from '../../lab/capture.ts';
import { until } from '../../lab/command.ts';
import { childName, type PairSettings } from '../../lab/swanctl-conf.ts';
import { type Family, hostAddress } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { ViciClient } from '../../src/vici/client.ts';
import { type ViciSection, viciSubsection, viciText } from '../../src/vici/message.ts';
import { traceRequest } from '../../src/vici/trace.ts';
import type { TraceWords } from '../../src/vici/trace-question.ts';
import { dropsOf, growth } from '../support/abuse.ts';
import { type Lab, onlyTsgw, subjectKind, useLab } from '../support/lab.ts';

/** Octets of IP and ICMP header before the data of an echo request. */
const HEADERS: Readonly<Record<Family, number>> = { ipv4: 28, ipv6: 48 };
/** From here on, one octet after the other through every remainder of a cipher's block. */
const FIRST_SIZE = 100;
const SIZES = Array.from({ length: 65 }, (_, more) => FIRST_SIZE + more);

/** What the daemon answers about packets from h1 to h2, or others. */
class Tracer {
  readonly #client: ViciClient;

  private constructor(client: ViciClient) {
    this.#client = client;
  }

  static async of(lab: Lab): Promise<Tracer> {
    return new Tracer(await ViciClient.connect(lab.tsgw.swanctl.uri));
  }

  close(): void {
    this.#client.close();
  }

  async trace(family: Family, changes: Partial<TraceWords> = {}): Promise<Traced> {
    const packet = { source: hostAddress('h1', family), destination: hostAddress('h2', family) };
    const asked = { ...packet, traffic: 'icmp', dontFragment: false, inbound: false, ...changes };
    return tracedOf(await this.#client.request('tsgw-trace', traceRequest(asked)));
  }
}

interface Traced {
  readonly outcome: string;
  readonly reason: string;
  readonly what: string;
  readonly action: string;
  readonly total: number;
  readonly innerMtu: number;
  readonly mss: number;
  readonly protocol: string;
  readonly pathMtu: string;
  readonly learned: boolean;
  readonly spiOut: string;
  readonly others: readonly string[];
}

function tracedOf(answer: ViciSection): Traced {
  const at = (...path: readonly string[]): ViciSection =>
    path.reduce<ViciSection>((section, name) => viciSubsection(section, name) ?? new Map(), answer);
  const text = (section: ViciSection, name: string): string => viciText(section, name) ?? '';
  return {
    outcome: text(at('verdict'), 'outcome'),
    reason: text(at('verdict'), 'reason'),
    what: text(at('verdict'), 'what'),
    action: text(answer, 'action'),
    total: Number(text(at('carrier', 'budget'), 'total')),
    innerMtu: Number(text(at('carrier'), 'inner-mtu')),
    mss: Number(text(at('carrier'), 'mss')),
    protocol: text(at('carrier', 'encapsulation'), 'protocol'),
    pathMtu: text(at('carrier', 'path-mtu'), 'octets'),
    learned: text(at('carrier', 'path-mtu'), 'learned') === 'yes',
    spiOut: text(at('child-sa'), 'spi-out'),
    others: [...at('others').keys()].map((name) => text(at('others', name), 'why')),
  };
}

/** Octets of the outer packets around one echo request of each size, in order, and their SPIs. */
async function onTheWire(lab: Lab, inner: Family, outer: Family) {
  const { network } = lab.topology;
  const capture = await Capture.start(network, lab.subjectNode);
  const [first = 0] = SIZES;
  const data = first - HEADERS[inner];
  const to = hostAddress('h2', inner);
  const loop = `for s in $(seq ${data} ${data + SIZES.length - 1}); do ping -nqc1 -W2 -s $s ${to} || exit; done`;
  await network.exec('h1', ['sh', '-c', loop]);
  const [length, source] = outer === 'ipv4' ? ['ip.len', 'ip.src'] : ['ipv6.plen', 'ipv6.src'];
  const packets = await dissect(await capture.stop(), {
    fields: [length, 'esp.spi', 'udp.dstport'],
    filter: `esp && ${source} == ${lab.address(lab.subject, outer)}`,
  });
  return packets.map((packet) => ({
    octets: Number(packet.get(length)?.[0]) + (outer === 'ipv6' ? 40 : 0),
    spi: Number(packet.get('esp.spi')?.[0]).toString(16).padStart(8, '0'),
    udp: packet.get('udp.dstport')?.length === 1,
  }));
}

/** The octets that were foretold are on the wire. */
async function foretells(lab: Lab, pair: PairSettings, protocol: 'udp' | 'esp'): Promise<void> {
  const { inner = 'ipv4', outer = 'ipv4' } = pair;
  await lab.up('initiator', pair);
  const tracer = await Tracer.of(lab);
  try {
    const traced: Traced[] = [];
    for (const size of SIZES) traced.push(await tracer.trace(inner, { size: String(size) }));
    const seen = await onTheWire(lab, inner, outer);
    assert.deepEqual(
      traced.map(({ total, spiOut }) => ({ octets: total, spi: spiOut, udp: protocol === 'udp' })),
      seen,
    );
    assert.deepEqual([...new Set(traced.map((one) => one.protocol))], [protocol]);
    assert.ok(new Set(seen.map(({ octets }) => octets)).size > 4, 'every remainder was met');
  } finally {
    tracer.close();
  }
}

describe('A trace beside strongSwan (tsgw trace)', () => {
  onlyTsgw();
  const lab = useLab();
  let tracer: Tracer;
  beforeEach(async () => {
    tracer = await Tracer.of(lab);
  });
  afterEach(async () => {
    tracer.close();
    await lab.clear();
  });

  for (const pair of [
    { espProposals: 'aes128gcm16' },
    { espProposals: 'aes256-sha256' },
    { espProposals: 'aes256ctr-sha512', inner: 'ipv6' },
    { espProposals: 'chacha20poly1305', outer: 'ipv6' },
  ] as const) {
    const { espProposals, ...families } = pair;
    it(`foretells every octet outside: ${espProposals} ${Object.entries(families)}`, () =>
      foretells(lab, pair, 'udp'));
  }

  it('foretells every octet outside: packets up to 130 octets padded to that', () =>
    foretells(lab, { g1: { child: { tfc_padding: '130' } } }, 'udp'));

  for (const family of ['ipv4', 'ipv6'] as const satisfies readonly Family[]) {
    it(`names the largest packet that passes: one octet more is answered, ${family}`, async () => {
      const { topology } = lab;
      await lab.up('initiator', { inner: family });
      const { innerMtu } = await tracer.trace(family);
      const size = innerMtu - HEADERS[family];
      const asked = { dontFragment: true, size: String(innerMtu) };
      // The peer's own device may be narrower: its side learns that from the first answer.
      await ping(topology, { family, size, count: 1 });
      assert.equal((await tracer.trace(family, asked)).outcome, 'sent');
      const whole = await ping(topology, { family, size, dontFragment: true });
      assert.equal(whole.lossPercent, 0, `${innerMtu} octets pass`);

      const more = await tracer.trace(family, { ...asked, size: String(innerMtu + 1) });
      assert.deepEqual([more.outcome, more.reason], ['dropped', 'packet-too-big']);
      const ask = ['ping', '-n', '-c', '1', '-W', '1', '-M', 'do', '-s', String(size + 1)];
      const { stdout, stderr } = await topology.network.exec(
        'h1',
        [...ask, hostAddress('h2', family)],
        { mayFail: true },
      );
      assert.match(`${stdout}${stderr}`, new RegExp(`mtu ?= ?${innerMtu}\\b`));
      assert.match(more.what, new RegExp(`takes ${innerMtu} octets`));
    });
  }

  it('knows when the path has turned out narrower', async () => {
    const { network } = lab.topology;
    await lab.up('initiator');
    assert.deepEqual(pathOf(await tracer.trace('ipv4')), ['1500', false]);
    await network.exec('g1', ['ip', 'link', 'set', 'wan', 'mtu', '1400']);
    try {
      await ping(lab.topology, { size: 1400, count: 2, dontFragment: true });
      const traced = await tracer.trace('ipv4');
      assert.equal(traced.learned, true);
      assert.ok(Number(traced.pathMtu) <= 1400, traced.pathMtu);
      assert.ok(traced.total <= Number(traced.pathMtu));
      const answer = await ping(lab.topology, { size: traced.innerMtu - 28, dontFragment: true });
      assert.equal(answer.lossPercent, 0, `${traced.innerMtu} octets pass now`);
    } finally {
      await network.exec('g1', ['ip', 'link', 'set', 'wan', 'mtu', '1500']);
    }
  });

  it('names the SA that carries, and those beside it, before and after a rekey', async () => {
    const { subjectChild } = await lab.up('initiator');
    const before = await tracer.trace('ipv4');
    assert.equal(before.spiOut, subjectChild.raw['spi-out']);
    const { status, stderr } = await lab.tsgw.cli(['rekey', childName]);
    assert.equal(status, 0, stderr);
    const after = await tracer.trace('ipv4');
    assert.notEqual(after.spiOut, before.spiOut);
    assert.equal(after.outcome, 'sent');
    // It takes what is under way, or its Delete is not answered yet.
    assert.match(after.others.join('; '), /^(is being deleted|deleted: [^;]*)$/);
    const [wire] = await onTheWire(lab, 'ipv4', 'ipv4');
    assert.equal(wire?.spi, after.spiOut);
  });

  it('says what becomes of packets outside the selectors', async () => {
    const { network } = lab.topology;
    await lab.up('initiator');
    const outside = { destination: '10.9.0.9' };
    const unrouted = await tracer.trace('ipv4', outside);
    assert.equal(unrouted.outcome, 'elsewhere');
    assert.match(unrouted.what, /the host has no route for it; if it did: dropped: no-policy/);
    const route = ['route', 'add', '10.9.0.0/16', 'dev', 'tsgw0'];
    await network.exec('g1', ['ip', ...route]);
    const traced = await tracer.trace('ipv4', outside);
    assert.deepEqual([traced.outcome, traced.reason], ['dropped', 'no-policy']);
    assert.match(traced.what, /nearest policy is peer\/net: remote address 10\.9\.0\.9 is not in/);
    const before = await dropsOf(lab.tsgw);
    const { received } = await ping(lab.topology, { to: '10.9.0.9', count: 3, waitSeconds: 0.5 });
    assert.equal(received, 0);
    assert.deepEqual(growth(before, await dropsOf(lab.tsgw)), { 'no-policy': 3 });
    await network.exec('g1', ['ip', 'route', 'del', '10.9.0.0/16']);
  });

  it('knows the MSS that a SYN leaves with', async () => {
    const { network } = lab.topology;
    await lab.up('initiator');
    const { mss } = await tracer.trace('ipv4', { traffic: 'tcp/9' });
    // What the host was told before about the path is no reason for a lower MSS.
    await network.exec('h1', ['ip', 'route', 'flush', 'cache']);
    const capture = await Capture.start(network, 'g1');
    const connect = ['bash', '-c', 'echo > /dev/tcp/10.2.0.10/9'];
    await network.exec('h1', connect, { mayFail: true });
    const syns = await dissect(await capture.stop(), {
      fields: ['tcp.options.mss_val'],
      filter: 'tcp.dstport == 9 && tcp.flags.syn == 1',
      keyLog: lab.tsgw.keyLog,
    });
    assert.deepEqual(
      syns.map((syn) => syn.get('tcp.options.mss_val')),
      [[String(mss)]],
    );
  });

  it('says what would be delivered from the tunnel', async () => {
    await lab.up('initiator');
    const back = { source: '10.2.0.10', destination: '10.1.0.10', inbound: true };
    assert.equal((await tracer.trace('ipv4', back)).outcome, 'accepted');
    const stranger = await tracer.trace('ipv4', { ...back, source: '10.3.0.10' });
    assert.equal(stranger.reason, 'inbound-policy-mismatch');
  });

  it('says what traps and drops do, before packets meet them', async () => {
    const drop: PairSettings = {
      name: 'shunts',
      childName: 'drop',
      identities: { g1: 'g1.shunt', g2: 'g2.shunt' },
      localTs: '10.1.0.0/16[udp]',
      remoteTs: '10.2.0.0/16[udp/9]',
      g1: { child: { mode: 'drop', start_action: 'trap', priority: '1' } },
      g2: { localTs: '10.99.0.0/16', remoteTs: '10.98.0.0/16' },
    };
    await lab.load({ g1: { child: { start_action: 'trap' } } }, drop);
    const held = await until('the trap', async () => {
      const traced = await tracer.trace('ipv4');
      return traced.action === 'trap' ? traced : undefined;
    });
    assert.equal(held.outcome, 'held');
    const udp = await tracer.trace('ipv4', { traffic: 'udp/9' });
    assert.deepEqual([udp.outcome, udp.reason], ['dropped', 'discard-policy']);
    assert.equal((await tracer.trace('ipv4', { traffic: 'udp/10' })).outcome, 'held');
    assert.equal((await ping(lab.topology)).lossPercent, 0);
    assert.equal((await tracer.trace('ipv4')).outcome, 'sent');
    const before = await dropsOf(lab.tsgw);
    await lab.topology.network.exec('h1', [
      ...['bash', '-c', 'for n in 1 2 3; do echo x > /dev/udp/10.2.0.10/9; done'],
    ]);
    await until('the drops', async () => {
      const grown = growth(before, await dropsOf(lab.tsgw));
      return grown['discard-policy'] === 3 || undefined;
    });
  });

  it('is shown for people, and refused where it is no packet', async () => {
    await lab.up('initiator');
    const shown = await lab.tsgw.cli(['trace', '10.1.0.10', '10.2.0.10', 'tcp/443']);
    assert.equal(shown.status, 0, shown.stderr);
    assert.match(shown.stdout, /^3\. PROTECT \(step 3\)$/m);
    assert.match(shown.stdout, /^sent by child net, 1500 of 1500 octets$/m);
    const wrong = await lab.tsgw.cli(['trace', '10.1.0.10', '10.2.0.10', 'tpc/443']);
    assert.equal(wrong.status, 2);
    assert.match(wrong.stderr, /did you mean tcp\?/);
  });
});

describe('A trace between two tsgw (IP protocol 50)', () => {
  onlyTsgw();
  const lab = useLab({ peer: subjectKind });
  afterEach(() => lab.clear());

  for (const outer of ['ipv4', 'ipv6'] as const satisfies readonly Family[]) {
    it(`foretells every octet outside, ${outer}`, () =>
      foretells(lab, { outer, espProposals: 'aes128-sha256' }, 'esp'));
  }
});

function pathOf({ pathMtu, learned }: Traced): readonly [string, boolean] {
  return [pathMtu, learned];
}
