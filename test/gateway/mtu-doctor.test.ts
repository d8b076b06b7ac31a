import assert from 'node:assert/strict';
import { examineMtu, type MtuDoctorParts } from '../../src/gateway/mtu-doctor.ts';
import type { Outcome } from '../../src/ike/action.ts';
import type { MtuOutcome } from '../../src/vici/mtu-view.ts';
import { instant } from '../../src/wire/instant.ts';
import { established, onlyIkeSa } from '../support/child-sas.ts';
import type { Pair } from '../support/pair.ts';

const MEASURED = { outerMtu: 1400, lostOctets: 1401, probes: 12, losses: 6, milliseconds: 2000 };

describe('The MTU doctor', () => {
  let pair: Pair;
  let asked: number[];
  let told: unknown[];
  let before: number;
  let outcome: Outcome;

  beforeEach(() => {
    pair = established();
    [asked, told, before] = [[], [], 1500];
    const childSaIds = [...pair.a.children.keys()];
    const measured = { ...MEASURED, childSaIds };
    outcome = { kind: 'done', matches: 1, terminated: 0, measured };
  });

  function examine(peer: string, more: { ikeId?: number; parts?: Partial<MtuDoctorParts> } = {}) {
    const { parts, ikeId } = more;
    const { engine, children, pad } = pair.a;
    return examineMtu(
      { peer, ...(ikeId !== undefined && { ikeId }) },
      {
        ikeSas: () => engine.ikeSas(),
        connections: () => pad.connections(),
        measure: (id) => {
          asked.push(id);
          return Promise.resolve(outcome);
        },
        measured: (ids, mtu) => told.push([ids, mtu]),
        childSa: (id) => children.get(id),
        path: () => ({ outerMtu: before, learned: before !== 1500, since: instant(0) }),
        mssClamp: true,
        ...parts,
      },
    );
  }

  function viewOf(result: MtuOutcome) {
    assert.ok(result.kind === 'measured', JSON.stringify(result));
    return result.view;
  }

  it('finds the IKE SA by address, identity or connection', async () => {
    const { id } = onlyIkeSa(pair.a);
    for (const peer of ['192.0.2.2', 'b.lab', 'peer']) {
      assert.equal(viewOf(await examine(peer)).ikeSaId, id);
    }
    assert.deepEqual(asked, [id, id, id]);
  });

  it('has the packets follow, and reckons what fits', async () => {
    const view = viewOf(await examine('peer'));
    assert.deepEqual(told, [[[...pair.a.children.keys()], { octets: 1400, lost: 1401 }]]);
    const [childSa] = pair.a.children.values();
    const udp = childSa?.udpEncapsulation ? 8 : 0;
    const inner = 1400 - 20 - udp - 8 - 8 - 16 - 2;
    assert.deepEqual(view.children, [
      { name: 'net', uniqueId: childSa?.id, innerMtu: inner, mssIpv4: inner - 40 },
    ]);
    assert.deepEqual([view.before, view.outerMtu, view.lostOctets], [1500, 1400, 1401]);
    assert.match(view.here.join('\n'), new RegExp(`gateway { mtu = ${inner} }`));
    assert.doesNotMatch(view.here.join('\n'), /mss_clamp/);
    assert.match(view.there.join('\n'), new RegExp(`\\.mss = ${inner - 40}\\)`));
  });

  it('believes a router between the sizes that were tried', async () => {
    const childSaIds = [...pair.a.children.keys()];
    const measured = { ...MEASURED, outerMtu: 1392, lostOctets: 1408, childSaIds };
    outcome = { kind: 'done', matches: 1, terminated: 0, measured };
    before = 1400;
    assert.equal(viewOf(await examine('peer')).outerMtu, 1400);
    before = 1410;
    assert.equal(viewOf(await examine('peer')).outerMtu, 1392);
  });

  it('has nothing to set where all passes, and a clamp to turn on where it is off', async () => {
    const narrow = viewOf(await examine('peer', { parts: { mssClamp: false } }));
    assert.match(narrow.here.join('\n'), /gateway \{ mss_clamp = yes \}/);
    const childSaIds = [...pair.a.children.keys()];
    const measured = { outerMtu: 1500, probes: 3, losses: 0, milliseconds: 4, childSaIds };
    outcome = { kind: 'done', matches: 1, terminated: 0, measured };
    const wide = viewOf(await examine('peer'));
    assert.deepEqual(wide.here, ['nothing: the path carries all that our links do']);
    assert.deepEqual(wide.there, []);
  });

  it('says what to do where it has no patient', async () => {
    const what = async (peer: string, ikeId?: number) => {
      const result = await examine(peer, ikeId === undefined ? {} : { ikeId });
      return result.kind === 'failed' ? result.what : result.kind;
    };
    assert.match(await what('192.0.2.9'), /^no IKE SA is up with 192\.0\.2\.9: tsgw sas/);
    assert.match(await what('peer', 77), /^no IKE SA of number 77 is up with peer: tsgw initiate/);
    const sas = [...pair.a.engine.ikeSas(), ...pair.a.engine.ikeSas()];
    const two = await examine('peer', { parts: { ikeSas: () => sas } });
    assert.match(JSON.stringify(two), /2 IKE SAs are up with peer: say which, --ike-id of/);
    assert.deepEqual(asked, []);
  });

  it('passes on what went wrong', async () => {
    outcome = { kind: 'timeout', what: 'the peer does not answer' };
    assert.deepEqual(await examine('peer'), outcome);
    assert.deepEqual(told, []);
  });
});
