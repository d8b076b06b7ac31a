import assert from 'node:assert/strict';
import type { Event } from '../../src/events/event.ts';
import { type Replaceable, Replacements, replaceable } from '../../src/gateway/replacements.ts';
import type { IkeSaView } from '../../src/vici/control.ts';
import { ikeSaView, recordedCommand } from '../support/recorded-views.ts';
import { sampleEvents } from '../support/sample-events.ts';

const [view] = recordedCommand('list-sas', 'two children, traffic').events.map(({ message }) =>
  ikeSaView(message),
);
assert.ok(view);
const sas: readonly IkeSaView[] = [view, { ...view, uniqueId: 5, state: 'CONNECTING' }];
const select = { reauthenticate: false };
const connection = 'peer';

describe('What an operator asks to replace', () => {
  it('are IKE SAs that are up, or Child SAs where a child is named', () => {
    assert.deepEqual(replaceable(sas, select), [{ kind: 'ike', id: 1, ikeSa: 1, connection }]);
    assert.deepEqual(replaceable(sas, { ...select, ike: 'other' }), []);
    assert.deepEqual(replaceable(sas, { ...select, ikeId: 5 }), []);
    assert.deepEqual(replaceable(sas, { ...select, ike: 'peer', child: 'cbc' }), [
      { kind: 'child', id: 2, ikeSa: 1, connection },
    ]);
    assert.deepEqual(replaceable(sas, { ...select, childId: 1 }), [
      { kind: 'child', id: 1, ikeSa: 1, connection },
    ]);
    const going = [{ ...view, children: view.children.map((one) => ({ ...one, state: 'X' })) }];
    assert.deepEqual(replaceable(going, { ...select, child: 'net' }), []);
  });
});

describe('Replacements under way', () => {
  const child: Replaceable = { kind: 'child', id: 1, ikeSa: 1, connection };
  const other: Replaceable = { kind: 'child', id: 7, ikeSa: 3, connection: 'other' };
  const ike: Replaceable = { kind: 'ike', id: 1, ikeSa: 1, connection };

  it('end when each is replaced', () => {
    const replacements = new Replacements([child, other], false);
    replacements.hear(sampleEvents.message);
    replacements.hear(sampleEvents.ikeSaRekeyed);
    assert.equal(replacements.outcome, undefined);
    replacements.hear(sampleEvents.childSaRekeyed);
    assert.equal(replacements.outcome, undefined);
    replacements.hear({ ...sampleEvents.childSaRekeyed, ikeSa: 3, replaces: 7 });
    assert.deepEqual(replacements.outcome, { kind: 'done', matches: 2, terminated: 0 });
  });

  it('end when a new IKE SA has taken the place of the old, either way', () => {
    const rekeyed = new Replacements([ike], false);
    rekeyed.hear(sampleEvents.ikeSaRekeyed);
    assert.equal(rekeyed.outcome?.kind, 'done');
    const anew = new Replacements([ike], true);
    const kind = () => anew.outcome?.kind;
    anew.hear(sampleEvents.ikeSaUp);
    assert.equal(kind(), undefined);
    anew.hear(sampleEvents.ikeSaDown);
    assert.equal(kind(), 'done');
  });

  it('fail with the first reason', () => {
    const { refused, peerUnreachable, ikeSaDown, childSaDown } = sampleEvents;
    const ended = (one: Replaceable, event: Event, anew = false) => {
      const replacements = new Replacements([one], anew);
      replacements.hear(event);
      return replacements.outcome;
    };
    assert.deepEqual(ended(ike, refused), { kind: 'refused', what: 'no proposal fits' });
    const what = '192.0.2.2[500] does not answer';
    assert.deepEqual(ended(ike, peerUnreachable), { kind: 'timeout', what });
    assert.equal(ended(ike, ikeSaDown)?.kind, 'failed');
    assert.equal(ended(child, childSaDown)?.kind, 'failed');
    const { authenticationFailed } = sampleEvents;
    assert.equal(ended(ike, { ...authenticationFailed, ikeSa: 9 }), undefined);
    const anew = ended(ike, { ...authenticationFailed, ikeSa: 9 }, true);
    assert.equal(anew?.kind, 'authentication-failed');
    const both = new Replacements([child, other], false);
    both.hear({ ...refused, ikeSa: 3 });
    both.hear(sampleEvents.childSaRekeyed);
    assert.equal(both.outcome?.kind, 'refused');
  });
});
