import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PolicyIndex } from '../../src/ipsec/policy-index.ts';
import { SelectorPairs } from '../../src/ipsec/selector-pairs.ts';
import {
  ANY_PORTS,
  intersectSelectors,
  narrow,
  OPAQUE_PORTS,
  selectorContains,
  selectorMatchesFlow,
  type TrafficSelector,
} from '../../src/ipsec/traffic-selector.ts';
import { ipAddress } from '../../src/wire/address.ts';
import { addressToWords, createFlow, type Flow, OPAQUE } from '../../src/wire/flow.ts';

/** A universe small enough to list: 6 + 3 addresses, 3 protocols, 4 ports and none. */
interface Point {
  readonly family: 4 | 6;
  readonly address: number;
  readonly protocol: number;
  readonly port: number;
}

const ADDRESSES = { 4: 6, 6: 3 } as const;
const PROTOCOLS = [6, 17, OPAQUE];
const PORTS = [0, 1, 2, 0xffff, OPAQUE];

const universe: readonly Point[] = ([4, 6] as const).flatMap((family) =>
  Array.from({ length: ADDRESSES[family] }, (_, address) => address).flatMap((address) =>
    PROTOCOLS.flatMap((protocol) => PORTS.map((port) => ({ family, address, protocol, port }))),
  ),
);

/** Addresses differ in the first and the last octet, so that all words are compared. */
function addressOf(family: 4 | 6, address: number): ReturnType<typeof ipAddress> {
  const octets = new Uint8Array(family === 4 ? 4 : 16).fill(0xfe);
  octets[0] = 0x7f + (address >> 1);
  octets[octets.length - 1] = 0x7f + (address & 1);
  return ipAddress(octets);
}

/** A selector as numbers of the universe. */
interface Plain {
  readonly family: 4 | 6;
  readonly first: number;
  readonly last: number;
  readonly protocol: number;
  readonly ports: 'any' | 'opaque' | readonly [number, number];
}

const plains: fc.Arbitrary<Plain> = fc.constantFrom<4 | 6>(4, 4, 6).chain((family) =>
  fc.record({
    family: fc.constant(family),
    first: fc.nat(ADDRESSES[family] - 1),
    last: fc.nat(ADDRESSES[family] - 1),
    protocol: fc.constantFrom(0, 6, 17),
    ports: fc.oneof(
      fc.constantFrom<Plain['ports']>('any', 'any', 'opaque'),
      fc.tuple(fc.constantFrom(0, 1, 2), fc.constantFrom(0, 1, 2, 0xffff)),
    ),
  }),
);

/** A port range 0-65535 is ANY, also when it is written as numbers. */
function plainMatches(plain: Plain, point: Point): boolean {
  const { ports } = plain;
  const any = ports === 'any' || (ports[0] === 0 && ports[1] === 0xffff);
  const [start, end] = typeof ports === 'string' ? [1, 0] : ports;
  return (
    plain.family === point.family &&
    plain.first <= point.address &&
    point.address <= plain.last &&
    (plain.protocol === 0 || plain.protocol === point.protocol) &&
    (any ||
      (ports === 'opaque' && point.port === OPAQUE) ||
      (point.port !== OPAQUE && start <= point.port && point.port <= end))
  );
}

function selectorOf({ family, first, last, protocol, ports }: Plain): TrafficSelector {
  const range = { first: addressOf(family, first), last: addressOf(family, last) };
  if (ports === 'any') return { range, protocol, ...ANY_PORTS };
  if (ports === 'opaque') return { range, protocol, ...OPAQUE_PORTS };
  return { range, protocol, startPort: ports[0], endPort: ports[1] };
}

const flow = createFlow();

/** A packet with the point at one end and another at the other. */
function flowOf(source: Point, destination: Point): Flow {
  flow.family = source.family;
  flow.protocol = source.protocol;
  addressToWords(addressOf(source.family, source.address), flow.source, 0);
  addressToWords(addressOf(destination.family, destination.address), flow.destination, 0);
  flow.sourcePort = source.port;
  flow.destinationPort = destination.port;
  return flow;
}

const matches = (selector: TrafficSelector, point: Point): boolean =>
  selectorMatchesFlow(selector, flowOf(point, point), 'source');

describe('Selectors against a plain matcher (RFC 4301 §4.4.1.1, RFC 7296 §2.9)', () => {
  it('match the same packets', () => {
    fc.assert(
      fc.property(plains, (plain) => {
        const selector = selectorOf(plain);
        for (const point of universe) {
          assert.equal(matches(selector, point), plainMatches(plain, point));
          const other = { ...point, address: 0, port: 1 };
          assert.equal(
            selectorMatchesFlow(selector, flowOf(other, point), 'destination'),
            plainMatches(plain, point),
          );
        }
      }),
    );
  });

  it('intersect to the packets of both', () => {
    fc.assert(
      fc.property(plains, plains, (a, b) => {
        const both = intersectSelectors(selectorOf(a), selectorOf(b));
        for (const point of universe) {
          const expected = plainMatches(a, point) && plainMatches(b, point);
          assert.equal(both !== undefined && matches(both, point), expected);
        }
      }),
    );
  });

  it('contain only selectors whose packets they match', () => {
    fc.assert(
      fc.property(plains, plains, (a, b) => {
        if (!selectorContains(selectorOf(a), selectorOf(b))) return;
        for (const point of universe) {
          assert.ok(!plainMatches(b, point) || plainMatches(a, point));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('narrow to what policy and offer both match, nothing twice', () => {
    const lists = fc.array(plains, { maxLength: 4 });
    fc.assert(
      fc.property(lists, lists, (policy, offer) => {
        const result = narrow(policy.map(selectorOf), offer.map(selectorOf));
        for (const point of universe) {
          const expected =
            policy.some((one) => plainMatches(one, point)) &&
            offer.some((one) => plainMatches(one, point));
          assert.equal(
            result.some((one) => matches(one, point)),
            expected,
          );
        }
        for (const one of result) {
          assert.ok(result.every((other) => other === one || !selectorContains(other, one)));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('compile to pairs that match the same packets both ways', () => {
    const lists = fc.array(plains, { minLength: 1, maxLength: 3 });
    const ends = fc.record({ source: fc.nat(), destination: fc.nat() });
    fc.assert(
      fc.property(
        lists,
        lists,
        fc.array(ends, { minLength: 30, maxLength: 60 }),
        (local, remote, packets) => {
          const pairs = SelectorPairs.of(local.map(selectorOf), remote.map(selectorOf));
          const index = new PolicyIndex();
          for (const ours of local.map(selectorOf)) {
            for (const theirs of remote.map(selectorOf)) index.insert(ours, theirs, 1);
          }
          for (const { source, destination } of packets) {
            const from = universe[source % universe.length];
            const drawn = universe[destination % universe.length];
            if (from === undefined || drawn === undefined) continue;
            // Both ends of a packet have one family and one protocol.
            const { family, protocol } = from;
            const to = { ...drawn, family, protocol, address: drawn.address % ADDRESSES[family] };
            const fits = (ours: Point, theirs: Point): boolean =>
              local.some((one) => plainMatches(one, ours)) &&
              remote.some((one) => plainMatches(one, theirs));
            assert.equal(index.find(flowOf(from, to)) !== -1, fits(from, to));
            assert.equal(pairs.matchesInbound(flowOf(from, to)), fits(to, from));
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
