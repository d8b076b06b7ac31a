/** Tunnels whose SAs are replaced, and whether both ends agree afterwards. */
import assert from 'node:assert/strict';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import type { Connection } from '../../src/ipsec/connection.ts';
import { connection } from './connections.ts';
import type { Pair, Side } from './pair.ts';
import { initiate, type PairOptions, sites } from './sites.ts';

/** A pair with its tunnel up over a good wire. */
export function tunnel(
  one: Connection = connection(),
  options: PairOptions = {},
  prepare: (pair: Pair) => void = () => {},
): Pair {
  const pair = sites(one, undefined, options);
  prepare(pair);
  const wire = pair.wire;
  pair.wire = {};
  initiate(pair);
  pair.run(1000);
  assert.equal(pair.a.outcomes.get(1)?.kind, 'done');
  pair.wire = wire;
  return pair;
}

export type What = 'child' | 'ike';

/** An operator's `swanctl --rekey`. */
export function rekey(pair: Pair, side: Side, what: What, request: number): void {
  pair.handle(side, {
    kind: 'rekey',
    request,
    selector: what === 'child' ? { child: 'net' } : { ike: 'peer' },
    reauthenticate: false,
  });
}

export function deleteChild(pair: Pair, side: Side, request: number): void {
  pair.handle(side, { kind: 'terminate', request, selector: { child: 'net' }, force: false });
}

/** SPIs of the IKE SAs that stand, as one text each. */
function ikeSpis(side: Side): readonly string[] {
  return side.engine
    .ikeSas()
    .map(({ spiI, spiR, state }) => `${spiI} ${spiR} ${state.name}`)
    .sort();
}

/** SPI pairs of a side's installed Child SAs, as that side or as its peer sees them. */
function childSpis(side: Side, mirrored: boolean): readonly string[] {
  return [...side.children.values()]
    .map(({ spiIn, spiOut }) => (mirrored ? `${spiOut} ${spiIn}` : `${spiIn} ${spiOut}`))
    .sort();
}

/** What the packet loop has is what the engine holds: none is orphaned. */
function heldByEngine(side: Side): readonly string[] {
  return side.engine
    .ikeSas()
    .flatMap((sa: IkeSa) => [...sa.children.values()])
    .map(({ childSa }) => `${childSa.spiIn} ${childSa.spiOut}`)
    .sort();
}

/** Both ends hold the same SAs, `children` of them, one IKE SA, and nothing is on its way out. */
export function assertAgreement(pair: Pair, children: number, about: string): void {
  assert.deepEqual(ikeSpis(pair.a), ikeSpis(pair.b), `${about}: IKE SAs`);
  assert.deepEqual(childSpis(pair.a, false), childSpis(pair.b, true), `${about}: Child SAs`);
  for (const side of [pair.a, pair.b]) {
    assert.deepEqual(
      childSpis(side, false),
      heldByEngine(side),
      `${about}: orphans at ${side.name}`,
    );
    assert.equal(side.children.size, children, `${about}: Child SAs at ${side.name}`);
    const states = side.engine.ikeSas().map(({ state }) => state.name);
    assert.deepEqual(states, ['Established'], `${about}: IKE SAs at ${side.name}`);
    for (const use of side.outbound.values()) {
      assert.notEqual(use, 'never', `${about}: ${side.name} has an SA that does not send`);
    }
  }
}
