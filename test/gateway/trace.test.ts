import assert from 'node:assert/strict';
import { createSharedCounters, SaCounter } from '../../src/events/shared-counters.ts';
import type { ReachedLimit } from '../../src/gateway/child-sas.ts';
import { CounterRows } from '../../src/gateway/counter-rows.ts';
import { traceView } from '../../src/gateway/trace.ts';
import type { ChildSa } from '../../src/ipsec/child-sa.ts';
import { PolicyList } from '../../src/ipsec/policy-list.ts';
import type { SpdEntry } from '../../src/ipsec/spd.ts';
import type { TraceResult } from '../../src/vici/control.ts';
import { parseTraceQuestion, type TraceWords } from '../../src/vici/trace-question.ts';
import type { TracedRoute } from '../../src/vici/trace-view.ts';
import { after, type Instant } from '../../src/wire/instant.ts';
import { established, selector } from '../support/child-sas.ts';
import { child, connection, network } from '../support/connections.ts';
import { A, B, type Pair } from '../support/pair.ts';

const IN_16 = '10.1.0.5';
const TO_16 = '10.2.0.9';

/** Side a of a pair with its tunnel up, and what its packet loop would have said. */
class Traced {
  readonly pair: Pair;
  readonly spd = new PolicyList();
  readonly counters = createSharedCounters(4);
  readonly rows = new CounterRows(this.counters);
  childSas: readonly ChildSa[];
  device = { name: 'tsgw0', mtu: 1438 };
  innerMtu = 1438;
  path = { outerMtu: 1500, learned: false, since: 0 };
  route: TracedRoute = 'device';
  limit: ReachedLimit = 'none';
  mssClamp = true;
  now: Instant;

  constructor(pair: Pair = established()) {
    this.pair = pair;
    this.now = after(pair.now, 90_000);
    this.childSas = [...pair.a.children.values()];
    for (const childSa of this.childSas) {
      this.rows.take(childSa.id);
      this.protect(childSa);
    }
  }

  protect({ id, localTs, remoteTs, priority }: ChildSa): void {
    this.spd.insert({ id, action: 'protect', sa: id, localTs, remoteTs, priority });
  }

  policy(action: SpdEntry['action'], local: string, remote: string, priority = 0): void {
    const ends = { localTs: [selector(local)], remoteTs: [selector(remote)] };
    this.spd.insert({ id: -1, action, trap: 0, ...ends, priority });
  }

  ask(changes: Partial<TraceWords> = {}): TraceResult {
    const packet = { source: IN_16, destination: TO_16, traffic: 'tcp/443' };
    const asked = { ...packet, dontFragment: false, inbound: false, ...changes };
    const question = parseTraceQuestion(asked);
    if (typeof question === 'string') assert.fail(question);
    const { pad, engine } = this.pair.a;
    return traceView(question, {
      rows: this.spd.rows(),
      childSas: this.childSas,
      ikeSas: engine.ikeSas(),
      connections: pad.connections(),
      context: {
        now: this.now,
        rows: this.rows,
        installedAt: () => this.pair.now,
        innerMtu: () => this.innerMtu,
      },
      sources: {
        device: () => this.device,
        mssClamp: () => this.mssClamp,
        routeTo: () => this.route,
        path: () => ({ ...this.path, since: this.pair.now }),
        reachedLimit: () => this.limit,
      },
      owner: (id) => (id < 0 ? { ike: 'site', child: 'lan' } : undefined),
    });
  }
}

describe('A traced packet that an SA protects', () => {
  it('is shown with its policy, its SAs and every octet outside', () => {
    const test = new Traced();
    test.policy('bypass', '10.1.0.0/16', '10.2.9.0/24');
    const { trace, childSa, ikeSa } = test.ask();
    assert.deepEqual(
      trace.policies.map(({ ike, child: name, action, misses }) => [ike, name, action, misses]),
      [
        ['site', 'lan', 'bypass', ['remote address']],
        ['peer', 'net', 'protect', []],
      ],
    );
    assert.deepEqual([trace.passed, trace.all, trace.action], [1, 2, 'protect']);
    assert.deepEqual([childSa?.name, childSa?.state], ['net', 'INSTALLED']);
    assert.deepEqual([ikeSa?.connection, ikeSa?.state], ['peer', 'ESTABLISHED']);
    const [one] = test.childSas;
    assert.equal(trace.carrier?.encapsulation.protocol, one?.udpEncapsulation ? 'udp' : 'esp');
    // 20 + 8 + 8 + inner + padding + 2 + 16
    const udp = one?.udpEncapsulation ? 8 : 0;
    const { budget } = trace.carrier ?? {};
    assert.equal(budget?.total, 20 + udp + 8 + 8 + 1440 + 16);
    assert.deepEqual([budget.inner, budget.padding, budget.icv], [1438, 0, 16]);
    assert.deepEqual(trace.carrier?.pathMtu, { octets: 1500, learned: false, seconds: 90 });
    assert.deepEqual([trace.carrier.mss, trace.carrier.innerMtu], [1398, 1438]);
    assert.deepEqual(trace.packet, {
      source: IN_16,
      destination: TO_16,
      traffic: 'tcp/443',
      sourcePort: 49_152,
      sourcePortAssumed: true,
      size: 1438,
      sizeAssumed: true,
      dontFragment: false,
    });
    assert.deepEqual(trace.verdict, {
      outcome: 'sent',
      what: `sent by child net, ${budget.total} of 1500 octets`,
      next: [],
    });
  });

  it('is refused by the device or by the SA, whichever is narrower', () => {
    const test = new Traced();
    const big = { size: '1439', dontFragment: true };
    const byDevice = test.ask(big).trace.verdict;
    assert.equal(byDevice.reason, 'packet-too-big');
    assert.match(byDevice.what, /the device tsgw0 takes 1438 octets/);
    assert.deepEqual(byDevice.next, ['send at most 1438 octets, or let the packet be fragmented']);
    test.device = { name: 'tsgw0', mtu: 1500 };
    assert.match(test.ask(big).trace.verdict.what, /child net takes 1438 octets/);
    assert.equal(test.ask({ ...big, size: '1438' }).trace.verdict.outcome, 'sent');
  });

  it('is cut by the device where it may be, and outside where the device is wider', () => {
    const test = new Traced();
    const cut = test.ask({ size: '3000' }).trace;
    // 20 + 1416 octets: fragments hold multiples of 8.
    assert.equal(cut.carrier?.budget.inner, 1436);
    assert.match(cut.verdict.what, /cut into 3 fragments at tsgw0, each sent by child net/);
    assert.equal(cut.verdict.outcome, 'fragmented');
    assert.deepEqual(cut.notes, []);
    test.device = { name: 'tsgw0', mtu: 9000 };
    const outside = test.ask({ size: '3000' }).trace;
    assert.equal(outside.carrier?.budget.inner, 3000);
    assert.match(outside.verdict.what, /octets outside in 3 fragments, over a path of 1500/);
    assert.equal(outside.carrier.encapsulation.dontFragment, false);
  });

  it('leaves its header outside in transport mode, and is whole there', () => {
    const hosts = child({
      mode: 'transport',
      localTs: [network(`${A}/32`)],
      remoteTs: [network(`${B}/32`)],
    });
    const test = new Traced(established(connection({ children: [hosts], encap: true })));
    test.innerMtu = 1458;
    test.device = { name: 'tsgw0', mtu: 1458 };
    const ends = { source: A, destination: B };
    const { trace, childSa } = test.ask(ends);
    assert.equal(childSa?.mode, 'TRANSPORT');
    assert.deepEqual([trace.packet.size, trace.carrier?.budget.inner], [1458, 1438]);
    assert.equal(trace.carrier?.budget.total, 20 + 8 + 8 + 8 + 1440 + 16);
    const large = test.ask({ ...ends, size: '3000' }).trace;
    assert.equal(large.verdict.outcome, 'fragmented');
    assert.equal(large.carrier?.budget.inner, 2980);
    assert.match(
      large.verdict.what,
      /cut into 3 fragments at tsgw0, put together again and sent by child net, \d+ octets outside in 3/,
    );
  });

  it('has a note where its later fragments meet another policy', () => {
    const test = new Traced();
    const [one] = test.childSas;
    assert.ok(one);
    const web = { ...selector('10.2.0.0/16'), protocol: 6, startPort: 443, endPort: 443 };
    test.spd.insert({
      id: one.id,
      action: 'protect',
      sa: one.id,
      localTs: one.localTs,
      remoteTs: [web],
      priority: 0,
    });
    const { notes } = test.ask({ size: '3000' }).trace;
    const wish = 'write non_first_fragments = yes at one end, unless at the other it is no';
    assert.deepEqual(notes, [`later fragments show no ports and are dropped: ${wish}`]);
    assert.deepEqual(test.ask({ size: '1000' }).trace.notes, []);
  });

  it('has no MSS to clamp where it is not TCP or nobody clamps', () => {
    const test = new Traced();
    assert.equal(test.ask({ traffic: 'udp/53' }).trace.carrier?.mss, undefined);
    test.mssClamp = false;
    assert.equal(test.ask().trace.carrier?.mss, undefined);
  });

  it('is dropped by an SA whose numbers or octets are used up', () => {
    const test = new Traced();
    const [one] = test.childSas;
    assert.ok(one);
    test.counters.sas[8 + SaCounter.SEQUENCE] = 0xffff_ffff;
    const { trace } = test.ask();
    assert.equal(trace.carrier?.sequence.last, 0xffff_ffff);
    assert.equal(trace.verdict.reason, 'sequence-exhausted');
    assert.deepEqual(trace.verdict.next, ['tsgw rekey net --ike peer']);

    const limits = { softOctets: 0, hardOctets: 0, softPackets: 8, hardPackets: 10 };
    test.childSas = [{ ...one, limits }];
    test.counters.sas[8 + SaCounter.SEQUENCE] = 10;
    test.counters.sas[8 + SaCounter.PACKETS] = 10;
    test.limit = 'hard';
    const ended = test.ask().trace;
    assert.deepEqual(ended.carrier?.limits, { reached: 'hard', packets: 10, octets: 0, ...limits });
    assert.equal(ended.verdict.reason, 'outbound-hard-limit');
    test.counters.sas[8 + SaCounter.PACKETS] = 9;
    assert.equal(test.ask().trace.verdict.outcome, 'sent', 'the other direction is at its end');
  });

  it('is shown beside the SAs that no longer send', () => {
    const test = new Traced();
    const [one] = test.childSas;
    assert.ok(one);
    test.spd.remove(one.id);
    test.childSas = [{ ...one, outbound: 'after-inbound' }];
    const { trace } = test.ask();
    assert.deepEqual(trace.others, [
      {
        ike: 'peer',
        child: 'net',
        uniqueId: one.id,
        state: 'INSTALLED',
        why: 'sends once a packet of the peer proves that it has it',
      },
    ]);
    assert.match(trace.verdict.what, /^dropped: no-policy; child net #\d+ sends once a packet/);
  });
});

describe('A traced packet that no SA protects', () => {
  it('follows what its policy says', () => {
    const test = new Traced();
    const verdict = (action: SpdEntry['action']) => {
      test.policy(action, '10.1.0.0/16', '10.2.0.0/16', 1);
      const { trace, childSa } = test.ask();
      assert.equal(trace.action, action);
      assert.equal(childSa, undefined);
      assert.equal(trace.carrier, undefined);
      return trace.verdict;
    };
    assert.match(verdict('bypass').what, /^leaves unprotected: policy site\/lan$/);
    assert.match(verdict('trap').what, /^held for up to 16 s .* policy site\/lan is a trap$/);
    const { what, reason, next } = verdict('discard');
    assert.deepEqual(
      [what, reason],
      ['dropped: discard-policy; policy site/lan says so', 'discard-policy'],
    );
    assert.match(next[0] ?? '', /swanctl --uninstall --child lan/);
  });

  it('is dropped by the policy of an SA that is going', () => {
    const test = new Traced();
    test.childSas = [];
    assert.equal(test.ask().trace.verdict.reason, 'no-sa');
  });

  it('is told the nearest policy and what to widen', () => {
    const test = new Traced();
    test.policy('bypass', '10.9.0.0/16', '10.8.0.0/16');
    const { verdict } = test.ask({ destination: '10.3.0.9' }).trace;
    assert.equal(
      verdict.what,
      'dropped: no-policy; nearest policy is peer/net: remote address 10.3.0.9 is not in 10.2.0.0/16',
    );
    assert.match(verdict.next[0] ?? '', /^add 10\.3\.0\.9 to remote_ts of peer\/net/);
  });

  it('is told the child that would cover it, if that were up', () => {
    const test = new Traced();
    const remoteTs = [network('10.3.0.0/16')];
    const children = [
      child({ name: 'more', remoteTs }),
      child({ name: 'pas', remoteTs, mode: 'pass' }),
    ];
    test.pair.a.pad.load(connection({ name: 'site', children }));
    assert.deepEqual(test.ask({ destination: '10.3.0.9' }).trace.verdict.next, [
      'bring up the child that covers it: tsgw initiate more --ike site',
      'install the policy that covers it: swanctl --install --child pas --ike site',
    ]);
  });

  it('is told that there is no policy at all', () => {
    const test = new Traced();
    test.spd.remove(test.childSas[0]?.id ?? 0);
    test.childSas = [];
    const { verdict } = test.ask({ destination: '192.0.2.77' }).trace;
    assert.equal(verdict.what, 'dropped: no-policy; there is no policy at all');
    assert.deepEqual(verdict.next, []);
  });

  it('is held against thousands of policies, of which the nearest are named', () => {
    const test = new Traced();
    for (let number = 0; number < 5000; number++) {
      const remote = `10.${100 + (number >> 8)}.${number & 255}.0/24`;
      const ends = { localTs: [selector('10.77.0.0/16')], remoteTs: [selector(remote)] };
      test.spd.insert({ id: -2 - number, action: 'discard', ...ends, priority: 1 });
    }
    test.policy('discard', '10.1.0.0/16', '10.7.0.0/16', 5);
    const { trace } = test.ask();
    assert.deepEqual([trace.passed, trace.all, trace.policies.length], [5001, 5002, 33]);
    assert.deepEqual(
      trace.policies.slice(-2).map(({ child: name, misses }) => [name, misses]),
      [
        ['lan', ['remote address']],
        ['net', []],
      ],
    );
  });
});

describe('A traced packet that does not come to the device', () => {
  it('is said to go elsewhere, with what would be if it came', () => {
    const test = new Traced();
    test.route = 'elsewhere';
    const { verdict, device } = test.ask().trace;
    assert.equal(device.route, 'elsewhere');
    assert.equal(verdict.outcome, 'elsewhere');
    assert.match(
      verdict.what,
      /^does not come to tsgw0: the host routes it elsewhere, unprotected; if it did: sent by/,
    );
    const { verdict: lost } = test.ask({ destination: '10.3.0.9' }).trace;
    assert.match(lost.what, /if it did: dropped: no-policy; nearest policy is peer\/net/);
    assert.equal(lost.reason, undefined, 'no counter of ours grows');
    assert.equal(lost.next.length, 1);
    test.route = 'nowhere';
    assert.match(test.ask().trace.verdict.what, /the host has no route for it/);
    assert.equal(test.ask({ inbound: true }).trace.device.route, undefined);
  });

  it('is bypassed all the same where its policy says so', () => {
    const test = new Traced();
    test.route = 'elsewhere';
    test.policy('bypass', '10.1.0.0/16', '10.2.0.0/16', 1);
    const { outcome, what } = test.ask().trace.verdict;
    assert.equal(outcome, 'bypassed');
    assert.equal(what, 'leaves unprotected: policy site/lan, on a route past tsgw0');
  });
});

describe('A traced packet from the tunnel (RFC 4301 §5.2)', () => {
  const back = { source: TO_16, destination: IN_16, inbound: true };

  it('is accepted from the SA whose selectors it fits', () => {
    const test = new Traced();
    test.counters.sas[SaCounter.SEQUENCE] = 17;
    const { trace, childSa } = test.ask(back);
    assert.match(trace.verdict.what, /^accepted from child net \(SPI [0-9a-f]{8}\)$/);
    assert.equal(trace.verdict.outcome, 'accepted');
    assert.deepEqual(
      trace.policies.map(({ spi, misses, priority }) => [spi, misses, priority]),
      [[childSa?.spiIn, [], undefined]],
    );
    assert.deepEqual(trace.carrier?.sequence, { last: 17, bits: 32, replayWindow: 1024 });
  });

  it('is dropped where it fits none, with the nearest', () => {
    const test = new Traced();
    const { verdict, carrier } = test.ask({ ...back, source: '10.3.0.9' }).trace;
    assert.equal(verdict.reason, 'inbound-policy-mismatch');
    assert.match(
      verdict.what,
      /nearest is child net: remote address 10\.3\.0\.9 is not in 10\.2\.0\.0\/16$/,
    );
    assert.equal(carrier, undefined);
    test.childSas = [];
    assert.equal(test.ask(back).trace.verdict.reason, 'unknown-spi');
  });
});
