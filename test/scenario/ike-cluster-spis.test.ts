/**
 * SPIs of two nodes of clusters: whatever becomes of an IKE SA, all of ours that belong to it stay in its
 * segment.
 */
import assert from 'node:assert/strict';
import { segmentHash, segmentOfAddress, segmentOfSpi } from '../../src/cluster/segment-hash.ts';
import { ClusterSpis } from '../../src/gateway/cluster-spis.ts';
import { parseAddress } from '../../src/wire/address.ts';
import { child, connection } from '../support/connections.ts';
import type { Pair, Side } from '../support/pair.ts';
import { assertAgreement, rekey, tunnel } from '../support/rekeying.ts';
import { seededRandom } from '../support/seeded-random.ts';

const hash = segmentHash(256, 0x5eed);
const SOURCE_SEED = 0xabcdef;
const OWN = [3, 77, 200];

function clusterSpis(seed: number): ClusterSpis {
  const random = seededRandom(seed);
  return new ClusterSpis({ hash, sourceSeed: SOURCE_SEED, random, own: () => OWN });
}

/** A tunnel between nodes of two clusters, and their sources of SPIs. */
function nodes() {
  const spis = { a: clusterSpis(11), b: clusterSpis(12) };
  const children = [child({ name: 'net' }), child({ name: 'other' })];
  const pair = tunnel(connection({ children }), {}, (one) => {
    one.a.spis = spis.a;
    one.b.spis = spis.b;
  });
  return { pair, spis };
}

/** The segments of all SPIs a side has. */
function segments(side: Side, spis: ClusterSpis): readonly number[] {
  const ikeSas = side.engine.ikeSas().map((sa) => spis.segmentOf(sa.ownSpi));
  const childSas = [...side.children.values()].map(({ spiIn }) => segmentOfSpi(spiIn, hash));
  return [...new Set([...ikeSas, ...childSas])];
}

describe('SPIs of nodes of a cluster', () => {
  it('are of one segment: of the node, or of the address that asked', () => {
    const { pair, spis } = nodes();
    const [initiated = -1, ...others] = segments(pair.a, spis.a);
    assert.ok(OWN.includes(initiated), `${initiated}`);
    assert.deepEqual(others, []);
    const asker = pair.b.engine.ikeSas()[0]?.remote.address;
    assert.ok(asker !== undefined);
    const asked = segmentOfAddress(asker, { ...hash, seed: SOURCE_SEED });
    assert.deepEqual(segments(pair.b, spis.b), [asked]);
  });

  for (const by of ['a', 'b'] as const) {
    for (const what of ['child', 'ike'] as const) {
      it(`stay so when ${by} rekeys the ${what} SA`, () => {
        const { pair, spis } = nodes();
        const before = [segments(pair.a, spis.a), segments(pair.b, spis.b)];
        const old = spisOf(pair);
        rekey(pair, pair[by], what, 2);
        pair.run(pair.now + 30_000);
        assert.equal(pair[by].outcomes.get(2)?.kind, 'done');
        assertAgreement(pair, pair.a.children.size, 'after the rekey');
        assert.notDeepEqual(spisOf(pair), old);
        assert.deepEqual([segments(pair.a, spis.a), segments(pair.b, spis.b)], before);
        assert.deepEqual(
          before.map((one) => one.length),
          [1, 1],
        );
      });
    }
  }

  it('are left to chance where a node has no segment', () => {
    const none = new ClusterSpis({ hash, sourceSeed: 1, random: seededRandom(1), own: () => [] });
    assert.equal(none.ikeSpi({ isFree: () => true }), undefined);
    const asker = parseAddress('192.0.2.9');
    assert.ok(asker !== undefined);
    assert.notEqual(
      none.ikeSpi({ asker, isFree: () => true }),
      undefined,
      'but not as a responder',
    );
  });
});

function spisOf(pair: Pair): readonly string[] {
  const ikeSas = pair.a.engine.ikeSas().map(({ spiI, spiR }) => `${spiI} ${spiR}`);
  return [...ikeSas, ...[...pair.a.children.values()].map(({ spiIn }) => String(spiIn))];
}
