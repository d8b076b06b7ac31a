import assert from 'node:assert/strict';
import { foreseeRekey, reportAuthLifetime } from '../../src/ike/latent-mismatch.ts';
import { established, onlyIkeSa } from '../support/child-sas.ts';
import {
  AES_GCM_256,
  child,
  connection,
  ECP_256,
  espProposal,
  mirrored,
  NO_ESN,
  network,
} from '../support/connections.ts';
import { initiate, sites } from '../support/sites.ts';
import { eventsOf, turnAt } from '../support/turns.ts';

const X448 = { type: 4, id: 32 };
const NO_KEY_EXCHANGE = { type: 4, id: 0 };

describe('A key exchange that the peer will want at a rekey', () => {
  const foreseen = (...methods: readonly { readonly type: number; readonly id: number }[]) => {
    const sa = onlyIkeSa(established().b);
    const turn = turnAt(0);
    const agreed = {
      kind: 'agreed',
      policy: child(),
      proposal: { number: 1, protocol: 3, spi: new Uint8Array() },
      spiOut: [...sa.children.values()][0]?.childSa.spiOut ?? assert.fail(),
      localTs: [],
      remoteTs: [],
    } as const;
    foreseeRekey(turn, sa, agreed, [espProposal(AES_GCM_256, ...methods, NO_ESN)]);
    return eventsOf(turn, 'alert');
  };

  it('is reported when it comes up, where we will not have it', () => {
    const [alert, ...more] = foreseen(X448);
    assert.equal(more.length, 0);
    assert.equal(alert?.alert, 'proposal-mismatch-child');
    assert.match(alert?.what ?? '', /child net: at a rekey the peer will want CURVE_448/);
  });

  it('is no matter where we have it, where it may be left out, or where nothing is said', () => {
    assert.deepEqual(foreseen(ECP_256), []);
    assert.deepEqual(foreseen(X448, ECP_256), []);
    assert.deepEqual(foreseen(X448, NO_KEY_EXCHANGE), []);
    assert.deepEqual(foreseen(), []);
  });
});

describe('A life that the peer sees otherwise (RFC 4478)', () => {
  it('is reported where ours is longer or has no end', () => {
    for (const [reauth, seconds, reports] of [
      [0, 100, 1],
      [200, 100, 1],
      [90, 100, 0],
    ] as const) {
      const sa = onlyIkeSa(established().a);
      sa.connection = connection({ lifetime: { rekey: 0, reauth, over: 0, random: 0 } });
      const turn = turnAt(0);
      reportAuthLifetime(turn, sa, seconds);
      assert.equal(eventsOf(turn, 'alert').length, reports, `${reauth} against ${seconds}`);
    }
  });
});

describe('Selectors that the peer narrows (RFC 7296 §2.9)', () => {
  const wide = child({ remoteTs: [network('10.0.0.0/8')] });
  const two = [
    child({ name: 'one', localTs: [network('10.2.0.0/16')], remoteTs: [network('10.1.0.0/16')] }),
    child({ name: 'two', localTs: [network('10.3.0.0/16')], remoteTs: [network('10.1.0.0/16')] }),
  ];

  it('are reported by who asked for more', () => {
    const one = connection({ children: [wide] });
    const pair = sites(one, mirrored(connection()));
    initiate(pair);
    pair.run(1000);
    const [alert] = pair.a.seen('alert');
    assert.equal(alert?.alert, 'ts-narrowed');
    assert.match(alert?.what ?? '', /10\.0\.0\.0\/8, the peer granted .* 10\.2\.0\.0\/16$/);
    assert.deepEqual(pair.b.seen('alert'), []);
  });

  it('come with the word that another Child SA would have the rest (ADDITIONAL_TS_POSSIBLE)', () => {
    const one = connection({ children: [wide] });
    const pair = sites(one, { ...mirrored(connection()), children: two });
    initiate(pair);
    pair.run(1000);
    assert.match(pair.ladder[3] ?? '', /SA TSi TSr N\(ADDITIONAL_TS_POSSIBLE\)/);
    assert.equal(pair.a.children.size, 1);
  });
});
