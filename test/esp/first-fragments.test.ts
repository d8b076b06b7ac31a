import assert from 'node:assert/strict';
import { FirstFragments } from '../../src/esp/first-fragments.ts';
import { createFlow, type Flow, Fragment, OPAQUE } from '../../src/wire/flow.ts';
import { instant } from '../../src/wire/instant.ts';
import { seededNumbers } from '../support/seeded-random.ts';

function fragment(identification: number, host: number, port: number): Flow {
  const flow = createFlow();
  flow.family = 4;
  flow.protocol = 17;
  flow.fragment = Fragment.FIRST;
  flow.identification = identification;
  flow.fragmentEdge = 800;
  flow.source[0] = 0xc0a8_0000 + host;
  flow.destination[0] = 0x0a02_0009;
  flow.sourcePort = port;
  flow.destinationPort = port;
  return flow;
}

function later(identification: number, host: number): Flow {
  return { ...fragment(identification, host, OPAQUE), fragment: Fragment.LATER };
}

describe('First fragments (RFC 4301 §7.3)', () => {
  it('are known like in a map, as long as there is room', () => {
    const firsts = new FirstFragments();
    const plain = new Map<string, number>();
    const chance = seededNumbers(11);
    const upTo = (most: number): number => Math.floor(chance() * most);
    let known = 0;
    for (let turn = 0; turn < 4000; turn++) {
      const [identification, host, owner] = [upTo(6), upTo(6), upTo(2)];
      const key = `${identification} ${host} ${owner}`;
      if (chance() < 0.3) {
        const port = upTo(65_536);
        plain.set(key, port);
        firsts.note(fragment(identification, host, port), owner, instant(turn));
      }
      const flow = later(identification, host);
      assert.equal(firsts.recall(flow, owner, instant(turn)), plain.has(key));
      assert.equal(flow.destinationPort, plain.get(key) ?? OPAQUE);
      if (plain.has(key)) known++;
    }
    assert.ok(known > 1000);
  });

  it('are bounded, and the newest stay', () => {
    const firsts = new FirstFragments();
    for (let one = 0; one < 10_000; one++) {
      firsts.note(fragment(one & 0xffff, one >>> 8, 53), 0, instant(one / 10));
    }
    let known = 0;
    for (let one = 0; one < 10_000; one++) {
      if (firsts.recall(later(one & 0xffff, one >>> 8), 0, instant(1000))) known++;
    }
    assert.ok(known > 900 && known <= 1024, `${known}`);
    assert.ok(firsts.recall(later(9999, 9999 >>> 8), 0, instant(1000)));
  });

  it('grow old also where the clock passes 2^31 milliseconds', () => {
    const firsts = new FirstFragments();
    const start = 2 ** 31 - 10_000.5;
    firsts.note(fragment(1, 1, 53), 0, instant(start));
    assert.equal(firsts.recall(later(1, 1), 0, instant(start + 29_000)), true);
    assert.equal(firsts.recall(later(1, 1), 0, instant(start + 31_000)), false);
  });
});
