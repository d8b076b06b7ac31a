/**
 * A node dies at every message it sends, and another goes on from the octets of its snapshots: the peer
 * notices nothing.
 */
import assert from 'node:assert/strict';
import type { Connection, SelectorTemplate } from '../../src/ipsec/connection.ts';
import { toHex } from '../../src/wire/octets.ts';
import {
  AES_GCM_256,
  child,
  connection,
  espProposal,
  ikeProposal,
  NO_ESN,
  network,
  PRF_SHA2_256,
  X25519,
} from '../support/connections.ts';
import {
  assertNothingTwice,
  type Crash,
  FailOver,
  firstNode,
  type Which,
} from '../support/fail-over.ts';
import { endpoint, type Pair, type Side } from '../support/pair.ts';
import { address, poolOf } from '../support/pools.ts';
import { assertAgreement, deleteChild, rekey } from '../support/rekeying.ts';
import { initiate, type PairOptions, sites, terminate } from '../support/sites.ts';

const IKE_GCM = ikeProposal(AES_GCM_256, PRF_SHA2_256, X25519);
const PFS = espProposal(AES_GCM_256, X25519, NO_ESN);
const GCM = { proposals: [IKE_GCM] };
const DYNAMIC: SelectorTemplate = { kind: 'dynamic', protocol: 0, startPort: 0, endPort: 65_535 };

interface Scenario {
  readonly title: string;
  readonly one?: Connection;
  /** Of site b; unset = the mirror image. */
  readonly other?: Connection;
  /** What every node has besides. */
  readonly prepare?: (side: Side) => void;
  readonly options?: PairOptions;
  readonly seeds?: readonly number[];
  readonly lastsMs?: number;
  /** The IKE SA ends for another. */
  readonly replaced?: boolean;
  /** What happens before anything can die. */
  readonly before?: (pair: Pair) => void;
  readonly deeds: (pair: Pair) => void;
  /** Child SAs at the end; undefined = no IKE SA either. */
  readonly children: number | undefined;
}

const up = (pair: Pair): void => {
  initiate(pair);
  pair.run(1000);
  assert.equal(pair.a.children.size, 1, 'the tunnel is up before');
};

const TWO = connection({
  ...GCM,
  children: [
    child(),
    child({ name: 'more', localTs: [network('10.5.0.0/16')], remoteTs: [network('10.6.0.0/16')] }),
  ],
});

const SCENARIOS: readonly Scenario[] = [
  { title: 'IKE_SA_INIT and IKE_AUTH', deeds: (pair) => initiate(pair), children: 1 },
  {
    title: 'IKE_SA_INIT with a cookie',
    options: { b: { cookieThreshold: 0 } },
    deeds: (pair) => initiate(pair),
    children: 1,
  },
  {
    title: 'IKE_AUTH in fragments',
    one: connection({
      ...GCM,
      fragmentation: 'yes',
      children: [
        child({ localTs: Array.from({ length: 60 }, (_, at) => network(`10.${at}.0.0/16`)) }),
      ],
    }),
    options: { a: { fragmentSize: 576 }, b: { fragmentSize: 576 } },
    deeds: (pair) => initiate(pair),
    children: 1,
  },
  {
    title: 'a second Child SA',
    one: TWO,
    before: up,
    deeds: (pair) => initiate(pair, pair.a, { request: 2, child: 'more' }),
    children: 2,
  },
  ...(['a', 'b'] as const).flatMap((who): readonly Scenario[] => [
    {
      title: `a rekey of the Child SA by ${who}`,
      one: connection({ ...GCM, children: [child({ proposals: [PFS] })] }),
      before: up,
      deeds: (pair) => rekey(pair, pair[who], 'child', 2),
      children: 1,
    },
    {
      title: `a rekey of the IKE SA by ${who}`,
      one: connection(GCM),
      before: up,
      deeds: (pair) => rekey(pair, pair[who], 'ike', 2),
      children: 1,
    },
    {
      title: `a Delete of the Child SA by ${who}`,
      one: connection(GCM),
      before: up,
      deeds: (pair) => deleteChild(pair, pair[who], 2),
      children: 0,
    },
    {
      title: `a Delete of the IKE SA by ${who}`,
      one: connection(GCM),
      before: up,
      deeds: (pair) => terminate(pair, pair[who], 2),
      children: undefined,
    },
  ]),
  ...(['child', 'ike'] as const).flatMap((ours) =>
    (['child', 'ike'] as const).map(
      (theirs): Scenario => ({
        title: `rekeys that collide: ${ours} and ${theirs}`,
        // Nonces decide: each end wins some and loses some.
        seeds: [1, 2, 3],
        one: connection(GCM),
        before: up,
        deeds: (pair) => {
          rekey(pair, pair.a, ours, 2);
          rekey(pair, pair.b, theirs, 3);
        },
        children: 1,
      }),
    ),
  ),
  {
    title: 'a reauthentication',
    one: connection(GCM),
    before: up,
    deeds: (pair) =>
      pair.handle(pair.a, { kind: 'rekey', request: 2, selector: {}, reauthenticate: true }),
    children: 1,
    replaced: true,
  },
  {
    title: 'a client with a virtual address',
    one: connection({
      ...GCM,
      vips: [address('0.0.0.0')],
      children: [child({ localTs: [DYNAMIC], remoteTs: [network('10.2.0.0/16')] })],
    }),
    other: connection({
      ...GCM,
      local: connection().remote,
      remote: { method: 'psk' },
      pools: ['four'],
      children: [child({ localTs: [network('10.2.0.0/16')], remoteTs: [DYNAMIC] })],
    }),
    prepare: (side) => side.pools.load(poolOf('four', '10.3.0.0/29')),
    deeds: (pair) => initiate(pair),
    children: 1,
  },
  {
    title: 'a liveness check',
    one: connection({ ...GCM, dpdDelaySeconds: 120 }),
    before: up,
    deeds: () => {},
    lastsMs: 300_000,
    children: 1,
  },
  {
    title: 'a move to another address',
    one: connection({ ...GCM, mobike: true }),
    before: up,
    deeds: (pair) => {
      pair.a.places.push('192.0.2.77');
      const addresses = [endpoint('192.0.2.77').address];
      pair.handle(pair.a, { kind: 'local-addresses', addresses });
    },
    children: 1,
  },
];

/** Runs a scenario in which a node dies, or none; answers in how many turns the side changed. */
function play(scenario: Scenario, which: Which, seed: number, crash?: Crash): FailOver {
  const { one = connection(GCM), options = {}, before, deeds, children, title } = scenario;
  const { other, prepare = () => {} } = scenario;
  const pair = sites(one, other, { ...options, seed, nodes: firstNode(which) });
  for (const side of [pair.a, pair.b]) prepare(side);
  const failOver = new FailOver(pair, which, options[which], prepare);
  before?.(pair);
  failOver.arm(crash);
  deeds(pair);
  // Less than peers wait for one another to clean up: nobody has to.
  pair.run(pair.now + (scenario.lastsMs ?? 45_000));
  const about = `${title}, seed ${seed}, ${which} dies in turn ${crash?.turn} (sent: ${crash?.sent})`;
  assertNothingTwice(pair.flights, about);
  const peer = which === 'a' ? pair.b : pair.a;
  assert.deepEqual(peer.seen('peer-unreachable'), [], about);
  if (children === undefined) {
    for (const side of [pair.a, pair.b]) {
      assert.equal(side.engine.ikeSas().length, 0, `${about}: IKE SAs at ${side.name}`);
      assert.equal(side.children.size, 0, `${about}: Child SAs at ${side.name}`);
    }
  } else {
    assertAgreement(pair, children, about);
    const ended = peer.seen('ike-sa-down').length;
    if (before) assert.equal(ended, scenario.replaced ? 1 : 0, about);
  }
  if (scenario.prepare) {
    const [given] = pair.b.engine.ikeSas()[0]?.remoteVips ?? [];
    assert.deepEqual(given, pair.a.engine.ikeSas()[0]?.localVips[0], about);
    assert.equal(pair.b.pools.views()[0]?.online, 1, about);
  }
  if (crash) assert.ok(failOver.crashed, about);
  assert.equal(failOver.standby.passive.size, crash ? 0 : failOver.standby.passive.size);
  return failOver;
}

describe('A node that dies at each message, and one that goes on (RFC 6027 §3)', () => {
  for (const scenario of SCENARIOS) {
    for (const which of ['a', 'b'] as const) {
      it(`${scenario.title}; ${which} is two nodes`, () => {
        for (const seed of scenario.seeds ?? [1]) {
          const { turns } = play(scenario, which, seed);
          assert.ok(turns > 0);
          for (let turn = 0; turn < turns; turn++) {
            for (const sent of [true, false]) play(scenario, which, seed, { turn, sent });
          }
        }
      });
    }
  }
});

describe('Two nodes that both go on', () => {
  it('seal nothing under an IV of the other (RFC 5282 §3.1)', () => {
    const pair = sites(connection(GCM), undefined, { nodes: firstNode('a') });
    const failOver = new FailOver(pair, 'a');
    up(pair);
    const first = pair.a;
    failOver.crash();
    // It was asleep, and wakes with old intentions.
    for (const side of [first, pair.a]) {
      pair.handle(side, { kind: 'rekey', request: 9, selector: {}, reauthenticate: false });
    }
    const sent = pair.flights.filter(({ octets }) => octets[18] === 36);
    assert.equal(sent.length, 2);
    const ivs = sent.map(({ octets }) => toHex(octets.subarray(32, 40)));
    assert.deepEqual(
      ivs.map((iv) => iv.slice(0, 4)),
      ['0101', '0202'],
    );
  });
});
