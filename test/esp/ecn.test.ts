import assert from 'node:assert/strict';
import {
  decapsulatedClass,
  ECN_DROP,
  encapsulatedClass,
  trafficClassRule,
} from '../../src/esp/ecn.ts';

const NOT_ECT = 0;
const ECT_1 = 1;
const ECT_0 = 2;
const CE = 3;

describe('ECN across a tunnel (RFC 6040)', () => {
  const copying = trafficClassRule('no', true);
  const plain = trafficClassRule('no', false);

  it('copies every codepoint outwards in normal mode (§4.1)', () => {
    for (const ecn of [NOT_ECT, ECT_1, ECT_0, CE])
      assert.equal(encapsulatedClass(copying, ecn), ecn);
  });

  it('sends Not-ECT outside without copy_ecn', () => {
    for (const ecn of [NOT_ECT, ECT_1, ECT_0, CE]) assert.equal(encapsulatedClass(plain, ecn), 0);
  });

  // RFC 6040 Figure 4, in the figure's order of columns: Not-ECT, ECT(0), ECT(1), CE.
  const outer = [NOT_ECT, ECT_0, ECT_1, CE];
  const figure: readonly (readonly [string, number, readonly number[]])[] = [
    ['Not-ECT', NOT_ECT, [NOT_ECT, NOT_ECT, NOT_ECT, ECN_DROP]],
    ['ECT(0)', ECT_0, [ECT_0, ECT_0, ECT_1, CE]],
    ['ECT(1)', ECT_1, [ECT_1, ECT_1, ECT_1, CE]],
    ['CE', CE, [CE, CE, CE, CE]],
  ];
  for (const [name, inner, expected] of figure) {
    it(`decapsulates an inner ${name} as Figure 4 says`, () => {
      assert.deepEqual(
        outer.map((one) => decapsulatedClass(copying, inner, one)),
        expected,
      );
    });
  }

  it('leaves the inner field alone without copy_ecn, whatever is outside', () => {
    for (const inner of [NOT_ECT, ECT_1, ECT_0, CE]) {
      for (const one of outer) assert.equal(decapsulatedClass(plain, inner, one), inner);
    }
  });
});

describe('DSCP across a tunnel (RFC 2983)', () => {
  const EF = 46 << 2;
  const AF41 = 34 << 2;

  it('copies outwards with out and yes only', () => {
    const sent = (['no', 'in', 'out', 'yes'] as const).map((copy) =>
      encapsulatedClass(trafficClassRule(copy, true), EF | ECT_0),
    );
    assert.deepEqual(sent, [ECT_0, ECT_0, EF | ECT_0, EF | ECT_0]);
  });

  it('copies inwards with in and yes only', () => {
    const delivered = (['no', 'in', 'out', 'yes'] as const).map((copy) =>
      decapsulatedClass(trafficClassRule(copy, true), EF | ECT_0, AF41 | CE),
    );
    assert.deepEqual(delivered, [EF | CE, AF41 | CE, EF | CE, AF41 | CE]);
  });
});
