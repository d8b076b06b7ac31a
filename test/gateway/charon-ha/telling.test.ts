/**
 * A node of a strongSwan HA cluster hears of our IKE engine's SAs: it derives the same keys, over every
 * rekeying by either end, and forgets what ended.
 */
import assert from 'node:assert/strict';
import type { MirroredChildSa } from '../../../src/cluster/charon-ha/mirrored-ike-sa.ts';
import type { CharonHaNode } from '../../../src/cluster/charon-ha/node.ts';
import { CharonHaTelling } from '../../../src/gateway/charon-ha/telling.ts';
import type { EspKeys } from '../../../src/ipsec/child-sa.ts';
import type { Connection } from '../../../src/ipsec/connection.ts';
import { formatAddress } from '../../../src/wire/address.ts';
import { toHex } from '../../../src/wire/octets.ts';
import {
  AES_CBC_256,
  AES_GCM_256,
  child,
  connection,
  ECP_256,
  espProposal,
  ikeProposal,
  NO_ESN,
  PRF_SHA2_256,
  SHA2_256,
  X25519,
} from '../../support/connections.ts';
import { haNode } from '../../support/ha-nodes.ts';
import { B, type Pair } from '../../support/pair.ts';
import { rekey } from '../../support/rekeying.ts';
import { initiate, sites, terminate } from '../../support/sites.ts';

/** Site b's gateway tells; `other` is the node that hears. */
class Told {
  readonly pair: Pair;
  readonly other: CharonHaNode;
  readonly #own: CharonHaNode;

  constructor(one: Connection) {
    const telling = new CharonHaTelling();
    const node = { sid: 0x0101, skewMs: 0, keyingWatch: telling };
    this.pair = sites(one, undefined, { nodes: { b: node } });
    const known = ['peer', 'peer/net'];
    this.#own = haNode({ segmentCount: 1 }, known);
    this.other = haNode({ segmentCount: 1, local: '10.77.0.2', remote: '10.77.0.1' }, known);
    this.pair.settle = (side, actions) => {
      const { b, now } = this.pair;
      const bundle = side === b ? b.engine.takeChanges(now) : undefined;
      for (const input of bundle ? telling.inputs(bundle, this.#own) : []) {
        for (const action of this.#own.handle(input, now)) {
          assert.equal(action.kind, 'send', JSON.stringify(action).slice(0, 100));
          if (action.kind !== 'send') continue;
          const heard = this.other.handle({ kind: 'datagram', octets: action.octets }, now);
          assert.ok(
            heard.every(({ kind }) => kind !== 'refused'),
            JSON.stringify(heard).slice(0, 200),
          );
        }
      }
      return actions;
    };
  }

  /** What the node that hears knows is what the engine has. */
  same(): void {
    const engine = this.pair.b.engine.ikeSas().filter(({ heir }) => heir === undefined);
    const [own, ...others] = engine;
    assert.ok(own && others.length === 0 && own.state.name === 'Established');
    const [told, ...more] = this.other.ikeSas;
    assert.ok(told && more.length === 0);
    assert.deepEqual([told.id.initiatorSpi, told.id.responderSpi], [own.spiI, own.spiR]);
    assert.equal(told.id.initiator, own.initiator);
    const { keys } = own.state.secured;
    for (const name of ['skD', 'skAi', 'skAr', 'skEi', 'skEr'] as const) {
      assert.equal(toHex(told.keys[name].reveal()), toHex(keys[name].reveal()), name);
    }
    assert.equal(told.nextRequest, own.window.nextId);
    assert.equal(told.expectedRequest, own.window.expectedId);
    const spis = [...own.children.values()].map(({ childSa }) => childSa.spiIn);
    assert.deepEqual(told.children.map(({ spiIn }) => spiIn).sort(), spis.sort());
    for (const { childSa } of own.children.values()) {
      const mirrored: MirroredChildSa | undefined = told.children.find(
        ({ spiIn }) => spiIn === childSa.spiIn,
      );
      assert.ok(mirrored);
      sameKeys(mirrored.keysIn, childSa.keysIn);
      sameKeys(mirrored.keysOut, childSa.keysOut);
      assert.equal(mirrored.spiOut, childSa.spiOut);
      assert.deepEqual(mirrored.localTs, childSa.localTs);
      assert.deepEqual(mirrored.remoteTs, childSa.remoteTs);
    }
  }
}

function sameKeys(one: EspKeys, other: EspKeys): void {
  assert.equal(toHex(one.encryption.reveal()), toHex(other.encryption.reveal()));
  assert.equal(toHex(one.integrity.reveal()), toHex(other.integrity.reveal()));
}

const suites: readonly (readonly [string, Connection])[] = [
  ['AES-CBC and AES-GCM', connection()],
  [
    'AES-GCM, and Child SAs with a key exchange of their own',
    connection({
      proposals: [ikeProposal(AES_GCM_256, PRF_SHA2_256, ECP_256)],
      children: [child({ proposals: [espProposal(AES_GCM_256, X25519, NO_ESN)] })],
    }),
  ],
  [
    'AES-CBC for both',
    connection({
      proposals: [ikeProposal(AES_CBC_256, SHA2_256, PRF_SHA2_256, X25519)],
      children: [child({ proposals: [espProposal(AES_CBC_256, SHA2_256, NO_ESN)] })],
    }),
  ],
];

describe('A charon that follows our IKE engine', () => {
  for (const [suite, one] of suites) {
    it(`has every key, over rekeyings by both ends: ${suite}`, () => {
      const told = new Told(one);
      const { pair } = told;
      initiate(pair);
      pair.run(1000);
      told.same();
      let until = 1000;
      for (const side of [pair.a, pair.b, pair.a, pair.b]) {
        for (const what of ['child', 'ike'] as const) {
          rekey(pair, side, what, until);
          until += 20_000;
          pair.run(until);
          told.same();
        }
      }
      terminate(pair, pair.a, 9);
      pair.run(until + 5000);
      assert.deepEqual(told.other.ikeSas, []);
    });
  }

  it('is told of no IKE SA that comes to nothing, and nothing of it is kept', () => {
    const telling = new CharonHaTelling();
    const pair = sites(connection(), undefined, {
      nodes: { b: { sid: 0x0101, skewMs: 0, keyingWatch: telling } },
    });
    const told: unknown[] = [];
    let most = 0;
    pair.settle = (side, actions) => {
      const { b, now } = pair;
      const bundle = side === b ? b.engine.takeChanges(now) : undefined;
      if (bundle) told.push(...telling.inputs(bundle, haNode()));
      most = Math.max(most, telling.untold);
      return actions;
    };
    // No response of b arrives.
    pair.translate = (flight) => (formatAddress(flight.from.address) === B ? undefined : flight);
    initiate(pair);
    pair.run(400_000);
    assert.equal(most, 1);
    assert.equal(telling.untold, 0);
    assert.deepEqual(told, []);
  });
});
