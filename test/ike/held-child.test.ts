import assert from 'node:assert/strict';
import {
  CHILD_TRANSITIONS,
  type ChildState,
  type ChildStateName,
  HeldChild,
} from '../../src/ike/held-child.ts';
import { instant } from '../../src/wire/instant.ts';
import { childSa, heldChild } from '../support/child-sas.ts';
import { child } from '../support/connections.ts';

const UNTIL = instant(60_000);

/** A value of each state. */
const STATES: Readonly<Record<ChildStateName, ChildState>> = {
  Installed: { name: 'Installed' },
  Rekeying: { name: 'Rekeying' },
  Replaced: { name: 'Replaced', successor: heldChild({ id: 8 }), until: UNTIL },
  Redundant: { name: 'Redundant', until: UNTIL },
  Deleting: { name: 'Deleting', reason: 'rekeyed', replaced: true },
  Draining: { name: 'Draining', until: UNTIL },
};

/** A Child SA brought into a state on the shortest way there is. */
function inState(name: ChildStateName): HeldChild {
  const held = heldChild();
  if (name !== 'Installed') {
    if (!CHILD_TRANSITIONS.Installed.includes(name)) held.move(STATES.Rekeying);
    held.move(STATES[name]);
  }
  return held;
}

describe('States of a Child SA (RFC 7296 §2.8, §2.25.1)', () => {
  it('has these transitions and no other', () => {
    const printed = Object.entries(CHILD_TRANSITIONS).map(
      ([from, to]) => `${from} -> ${to.join(' | ') || '(end)'}`,
    );
    assert.deepEqual(printed, [
      'Installed -> Rekeying | Replaced | Redundant | Deleting | Draining',
      'Rekeying -> Installed | Replaced | Redundant | Deleting | Draining',
      'Replaced -> Deleting | Draining',
      'Redundant -> Deleting | Draining',
      'Deleting -> Draining',
      'Draining -> (end)',
    ]);
  });

  it('can be deleted from every state in which nobody deletes it', () => {
    for (const [from, to] of Object.entries(CHILD_TRANSITIONS)) {
      if (from !== 'Deleting' && from !== 'Draining') assert.ok(to.includes('Deleting'), from);
    }
  });

  it('refuses any other, and says which', () => {
    for (const from of Object.values(STATES)) {
      for (const to of Object.values(STATES)) {
        const held = inState(from.name);
        if (CHILD_TRANSITIONS[from.name].includes(to.name)) {
          held.move(to);
          assert.equal(held.state, to);
        } else {
          const what = new RegExp(`child SA 7: no transition ${from.name} -> ${to.name}`);
          assert.throws(() => held.move(to), what);
          assert.equal(held.state.name, from.name);
        }
      }
    }
  });

  it('is up while it carries traffic, and held by the peer until both deleted it', () => {
    const printed = Object.values(STATES).map(({ name }) => {
      const held = inState(name);
      return `${name} ${held.isUp ? 'up' : 'down'} ${held.isHeldByPeer ? 'held' : 'gone'}`;
    });
    assert.deepEqual(printed, [
      'Installed up held',
      'Rekeying up held',
      'Replaced down held',
      'Redundant down held',
      'Deleting down held',
      'Draining down gone',
    ]);
  });
});

describe('The life of a Child SA (RFC 7296 §2.8)', () => {
  /** Replaced a quarter off the soft bound: the drawn share is one half. */
  const HALF = () => Uint8Array.of(0x80, 0, 0, 0);
  const { lifetime } = child();
  const seconds = { rekey: 3600, life: 4000, random: 1800 };

  it('counts from its installation, the soft bound less a random part', () => {
    const policy = child({ lifetime: { ...lifetime, seconds } });
    const held = new HeldChild(childSa(), policy, instant(5000), HALF);
    assert.deepEqual([held.installed, held.rekeyAt, held.expireAt], [5000, 2_705_000, 4_005_000]);
  });

  it('has no end where none is configured', () => {
    const endless = { rekey: 0, life: 0, random: 0 };
    const policy = child({ lifetime: { ...lifetime, seconds: endless } });
    const held = new HeldChild(childSa(), policy, instant(0), HALF);
    assert.deepEqual(
      [held.rekeyAt, held.expireAt, held.nextDeadline()],
      [undefined, undefined, undefined],
    );
  });

  it('wants a look at whatever its state awaits', () => {
    const deadlines = Object.values(STATES).map(
      ({ name }) => `${name} ${inState(name).nextDeadline() ?? 'never'}`,
    );
    assert.deepEqual(deadlines, [
      'Installed 3600000',
      'Rekeying 3960000',
      'Replaced 60000',
      'Redundant 60000',
      'Deleting never',
      'Draining 60000',
    ]);
  });

  it('waits for the peer only where it is to prove that it has the SA', () => {
    const waits = (['now', 'after-inbound', 'never'] as const).map(
      (outbound) => heldChild({ outbound }).waitsForPeer,
    );
    assert.deepEqual(waits, [false, true, false]);
  });
});
