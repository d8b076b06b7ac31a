/**
 * What a trace says is what the packet path does: its policy against the SPD's look-up, its sizes
 * against the engine's packets.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { EncryptionId, IntegrityId, TransformType } from '../../src/crypto/transform.ts';
import { FLAG_DF } from '../../src/esp/batch.ts';
import { createSharedCounters } from '../../src/events/shared-counters.ts';
import { CounterRows } from '../../src/gateway/counter-rows.ts';
import { traceView } from '../../src/gateway/trace.ts';
import type { TraceParts } from '../../src/gateway/trace-parts.ts';
import { passageOf } from '../../src/gateway/trace-passage.ts';
import { PolicyList } from '../../src/ipsec/policy-list.ts';
import { SelectorPairs } from '../../src/ipsec/selector-pairs.ts';
import { Policy, Spd, type SpdEntry } from '../../src/ipsec/spd.ts';
import { ANY_PORTS, OPAQUE_PORTS, type TrafficSelector } from '../../src/ipsec/traffic-selector.ts';
import { parseTraceQuestion, type TraceQuestion } from '../../src/vici/trace-question.ts';
import { parsePrefix, prefixRange } from '../../src/wire/address.ts';
import { icmpNextHopMtu, icmpv6Mtu } from '../../src/wire/icmp.ts';
import { instant } from '../../src/wire/instant.ts';
import { childSa as ipsecChildSa } from '../support/child-sas.ts';
import { espPair } from '../support/esp-gateway.ts';
import { udpPacket } from '../support/inner-packets.ts';
import { endpoint } from '../support/pair.ts';

const context = {
  now: instant(0),
  rows: new CounterRows(createSharedCounters(2)),
  installedAt: () => undefined,
  innerMtu: () => 0,
};

function parts(changes: Partial<TraceParts> = {}): TraceParts {
  return {
    rows: [],
    childSas: [],
    ikeSas: [],
    connections: [],
    context,
    sources: {
      device: () => ({ name: 'tsgw0', mtu: 65_535 }),
      mssClamp: () => true,
      routeTo: () => 'device',
      path: () => undefined,
      reachedLimit: () => 'none',
    },
    owner: (id) => ({ ike: 'policy', child: `${id}` }),
    ...changes,
  };
}

function question(words: Partial<Parameters<typeof parseTraceQuestion>[0]>): TraceQuestion {
  const base = { source: '', destination: '', traffic: 'any', dontFragment: false, inbound: false };
  const parsed = parseTraceQuestion({ ...base, ...words });
  if (typeof parsed === 'string') assert.fail(parsed);
  return parsed;
}

function rangeOf(text: string): TrafficSelector['range'] {
  const prefix = parsePrefix(text);
  assert.ok(prefix);
  return prefixRange(prefix);
}

const selectors = fc.record({
  range: fc
    .constantFrom('0.0.0.0/0', '10.1.0.0/16', '10.1.0.0/30', '10.2.0.0/16', '10.1.0.2', '::/0')
    .map(rangeOf),
  protocol: fc.constantFrom(0, 0, 6, 17, 1),
});
const ports = fc.oneof(
  fc.constantFrom(ANY_PORTS, ANY_PORTS, OPAQUE_PORTS),
  fc.constantFrom({ startPort: 443, endPort: 443 }, { startPort: 1024, endPort: 65_535 }),
  fc.constant({ startPort: 2048, endPort: 2048 }),
);
const ends = fc.array(
  fc.tuple(selectors, ports).map(([selector, range]) => ({ ...selector, ...range })),
  { minLength: 1, maxLength: 2 },
);
const entries: fc.Arbitrary<readonly SpdEntry[]> = fc.array(
  fc
    .record({
      id: fc.integer({ min: 1, max: 9 }),
      action: fc.constantFrom(
        'protect' as const,
        'bypass' as const,
        'discard' as const,
        'trap' as const,
      ),
      localTs: ends,
      remoteTs: ends,
      priority: fc.constantFrom(0, 0, 1, 300_000),
    })
    .map((entry) => ({ ...entry, sa: entry.id, trap: entry.id })),
  { maxLength: 8 },
);
const hosts = fc.constantFrom('10.1.0.1', '10.1.0.2', '10.1.9.9', '10.2.0.9', '192.0.2.1');
const words = fc.record({
  source: hosts,
  destination: hosts,
  traffic: fc.constantFrom('tcp/443', 'udp/53', 'tcp', 'icmp', 'icmp/3(4)', '47', 'any'),
});

describe('A trace (RFC 4301 §5.1)', () => {
  it('names the policy that the look-up of the packet path finds', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(entries, fc.array(words, { minLength: 1, maxLength: 8 }), (list, packets) => {
        const spd = new Spd();
        const listed = new PolicyList();
        for (const entry of list) {
          spd.insert(entry);
          listed.insert(entry);
        }
        for (const packet of packets) {
          const asked = question(packet);
          const { trace } = traceView(asked, parts({ rows: listed.rows() }));
          const hit = trace.policies.find(({ misses }) => misses.length === 0);
          const id = Number(hit?.child);
          const answers = {
            protect: id,
            trap: Policy.TRAP - id,
            bypass: Policy.BYPASS,
            discard: Policy.DISCARD,
            none: Policy.NONE,
          } as const;
          assert.equal(answers[trace.action], spd.lookup(asked.flow));
          assert.equal(trace.policies.length, trace.passed + (hit ? 1 : 0));
          seen.add(trace.action);
        }
      }),
      { numRuns: 500 },
    );
    assert.equal(seen.size, 5, [...seen].join());
  });

  it('accepts inbound what the selectors of the packet path accept', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(ends, ends, words, (localTs, remoteTs, packet) => {
        const asked = question({ ...packet, inbound: true });
        const { trace } = traceView(
          asked,
          parts({ childSas: [ipsecChildSa({ localTs, remoteTs })] }),
        );
        const accepts = SelectorPairs.of(localTs, remoteTs).matchesInbound(asked.flow);
        assert.equal(trace.verdict.outcome, accepts ? 'accepted' : 'dropped');
        assert.equal(
          trace.policies.some(({ misses }) => misses.length === 0),
          accepts,
        );
        seen.add(trace.verdict.outcome);
      }),
      { numRuns: 500 },
    );
    assert.equal(seen.size, 2, [...seen].join());
  });

  it('counts the octets that leave, and knows which packets are refused', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(
        fc.constantFrom<4 | 6>(4, 6),
        fc.constantFrom<4 | 6>(4, 6),
        fc.record({
          udpEncapsulation: fc.boolean(),
          copyDf: fc.boolean(),
          suite: fc.constantFrom(...SUITES),
        }),
        fc.record({
          pathMtu: fc.integer({ min: 1280, max: 1500 }),
          over: fc.integer({ min: -200, max: 200 }),
          dontFragment: fc.boolean(),
        }),
        (inner, outer, { suite, ...sa }, { pathMtu, over, dontFragment }) => {
          const remote = endpoint(outer === 4 ? '192.0.2.2' : '2001:db8:f::2', 4500);
          const local = endpoint(outer === 4 ? '192.0.2.1' : '2001:db8:f::1', 4500);
          const { a, saA } = espPair({ ...suite, ...sa, local, remote });
          a.engine.learnPathMtu(saA.spiOut, remote, pathMtu, a.now);
          const [source, destination] =
            inner === 4 ? ['10.1.0.10', '10.2.0.10'] : ['2001:db8:1::10', '2001:db8:2::10'];
          const size = saA.innerMtu + over;
          const header = inner === 4 ? 28 : 48;
          a.fromTun(udpPacket(source, destination, size - header, { dontFragment }));

          const passage = passageOf(
            question({ source, destination, traffic: 'udp/53', size: `${size}`, dontFragment }),
            ipsecChildSa({ ...transforms(suite), ...sa, local, remote }),
            parts({
              context: { ...context, innerMtu: () => saA.innerMtu },
              sources: {
                ...parts().sources,
                path: () => ({ outerMtu: saA.pathMtu.octets, learned: true, since: instant(0) }),
              },
            }),
          );
          const outside = (outer === 4 ? 20 : 40) + (sa.udpEncapsulation ? 8 : 0);
          seen.add(passage.verdict);
          const [sent] = a.sent;
          const [answer] = a.answered;
          assert.equal(passage.verdict === 'too-big', sent === undefined);
          assert.equal(passage.refusal?.mtu, answer && toldBy(answer, inner));
          if (sent === undefined) return;
          assert.equal(passage.budget.total, sent.octets.length + outside);
          assert.equal(passage.outerDontFragment, sent.flags === FLAG_DF);
          assert.equal(passage.fragments === 1, passage.budget.total <= saA.pathMtu.octets);
        },
      ),
      { numRuns: 300 },
    );
    assert.deepEqual([...seen].sort(), ['fits', 'fragmented-outside', 'too-big']);
  });
});

const SUITES = [
  { encr: { id: EncryptionId.AES_GCM_16, keyLength: 128 } },
  {
    encr: { id: EncryptionId.AES_CBC, keyLength: 256 },
    integ: { id: IntegrityId.AUTH_HMAC_SHA2_256_128 },
  },
  { encr: { id: EncryptionId.CHACHA20_POLY1305 } },
] as const;

function transforms(suite: (typeof SUITES)[number]) {
  return {
    encr: { type: TransformType.ENCR, ...suite.encr },
    ...('integ' in suite && { integ: { type: TransformType.INTEG, ...suite.integ } }),
  };
}

function toldBy(answer: Uint8Array, family: 4 | 6): number {
  return family === 4 ? icmpNextHopMtu(answer, 20) : icmpv6Mtu(answer, 40);
}
