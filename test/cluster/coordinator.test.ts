/** One coordinator among others, step by step: what it says, and when it may transmit. */
import assert from 'node:assert/strict';
import type { ClusterSettings } from '../../src/cluster/cluster-settings.ts';
import { DEFAULT_TIMINGS } from '../../src/cluster/cluster-settings.ts';
import { Coordinator } from '../../src/cluster/coordinator.ts';
import type { CoordinatorAction, CoordinatorInput } from '../../src/cluster/coordinator-action.ts';
import { instant } from '../../src/wire/instant.ts';

/** Nodes that hear each other at once, on one clock. */
class Room {
  now = 0;
  readonly nodes = new Map<number, Coordinator>();
  readonly actions: { readonly node: number; readonly action: CoordinatorAction }[] = [];
  readonly unheard = new Set<number>();
  readonly #inputs: { readonly id: number; readonly input: CoordinatorInput }[] = [];
  readonly #settings: (self: number) => ClusterSettings;

  constructor(settings: (self: number) => ClusterSettings) {
    this.#settings = settings;
  }

  start(node: number, boot = 1): void {
    const parts = { boot, nonce: boot * 100 + node, epochFloor: 0, now: instant(this.now) };
    this.nodes.set(node, new Coordinator({ settings: this.#settings(node), ...parts }));
    this.tell(node, { kind: 'tick' });
  }

  stopHearing(node: number): void {
    this.unheard.add(node);
  }

  node(id: number): Coordinator {
    const node = this.nodes.get(id);
    assert.ok(node);
    return node;
  }

  tell(id: number, input: CoordinatorInput): void {
    this.#inputs.push({ id, input });
    if (this.#inputs.length > 1) return;
    for (let first = this.#inputs[0]; first; first = this.#inputs[0]) {
      this.#tell(first.id, first.input);
      this.#inputs.shift();
    }
  }

  #tell(id: number, input: CoordinatorInput): void {
    const actions = this.nodes.get(id)?.handle(input, instant(this.now)) ?? [];
    for (const action of actions) {
      this.actions.push({ node: id, action });
      if (action.kind === 'freeze') {
        this.tell(id, { kind: 'frozen', batch: action.batch, state: Uint8Array.of(id) });
      }
      if (action.kind !== 'send' || this.unheard.has(id) || this.unheard.has(action.to)) continue;
      this.tell(action.to, { kind: 'message', message: action.message });
    }
  }

  run(milliseconds: number): void {
    const end = this.now + milliseconds;
    while (this.now < end) {
      this.now++;
      for (const [id, node] of this.nodes) {
        if (node.nextDeadline() <= this.now) this.tell(id, { kind: 'tick' });
      }
    }
  }

  owners(): readonly (number | undefined)[] {
    return [0, 1, 2, 3].map((segment) => {
      const owners = [...this.nodes].filter(([, node]) => {
        return node.owns(segment) && this.now < node.leaseUntil;
      });
      assert.ok(owners.length <= 1, `segment ${segment} has ${owners.length} owners`);
      return owners[0]?.[0];
    });
  }

  did(node: number, kind: CoordinatorAction['kind']): readonly CoordinatorAction[] {
    return this.actions.flatMap((one) => {
      return one.node === node && one.action.kind === kind ? [one.action] : [];
    });
  }
}

function settingsOf(count: number, change: Partial<ClusterSettings> = {}) {
  return (self: number): ClusterSettings => ({
    self,
    members: Array.from({ length: count }, (_, index) => {
      return { node: index + 1, name: `n${index + 1}`, weight: 1 };
    }),
    segments: 4,
    timings: DEFAULT_TIMINGS,
    alone: 'take',
    preempt: true,
    advbase: 1,
    advskew: 0,
    place: (candidates) =>
      [0, 1, 2, 3].map((segment) => candidates[segment % candidates.length]?.node ?? 0),
    configuration: [],
    capabilities: [],
    ...change,
  });
}

function started(count: number, change: Partial<ClusterSettings> = {}): Room {
  const room = new Room(settingsOf(count, change));
  for (let node = 1; node <= count; node++) room.start(node);
  room.run(400);
  for (let node = 1; node <= count; node++) room.tell(node, { kind: 'synced' });
  room.run(1500);
  return room;
}

describe('The coordinator of a node', () => {
  it('listens for the wait of a take-over before it claims anything', () => {
    const room = new Room(settingsOf(3));
    for (const node of [1, 2, 3]) room.start(node);
    room.run(298);
    assert.deepEqual(room.owners(), [undefined, undefined, undefined, undefined]);
    room.run(120);
    assert.ok(room.owners().every((owner) => owner !== undefined));
  });

  it('shares the segments among all nodes', () => {
    assert.deepEqual(started(3).owners(), [1, 2, 3, 1]);
  });

  it('takes over within 400 ms when a node falls silent', () => {
    const room = started(3);
    room.nodes.delete(1);
    room.run(400);
    assert.deepEqual(
      room.owners(),
      [2, 2, 3, 3].map((_, index) => room.owners()[index]),
    );
    assert.ok(room.owners().every((owner) => owner === 2 || owner === 3));
    const takes = [...room.did(2, 'take'), ...room.did(3, 'take')];
    assert.ok(takes.some((take) => take.kind === 'take' && take.reason === 'silent' && !take.gap));
  });

  it('takes over at once after a BYE', () => {
    const room = started(3);
    room.tell(1, { kind: 'stop' });
    room.nodes.delete(1);
    room.run(2);
    assert.ok(room.owners().every((owner) => owner !== undefined));
  });

  it('stops to transmit, and gives up for good, when no majority answers', () => {
    const room = started(3);
    room.stopHearing(1);
    room.run(250);
    assert.ok(room.node(1).leaseUntil <= room.now);
    assert.equal(room.node(1).owned, 0);
    assert.deepEqual(
      room
        .did(1, 'release')
        .slice(-2)
        .map((action) => action.kind === 'release' && action.reason),
      ['lapsed', 'lapsed'],
    );
    room.unheard.clear();
    room.run(2000);
    assert.deepEqual(room.owners(), [1, 2, 3, 1]);
  });

  it('wakes after a minute and owns nothing', () => {
    const room = started(3);
    const sleeper = room.node(1);
    room.nodes.delete(1);
    room.run(1000);
    room.now += 59_000;
    const actions = sleeper.handle({ kind: 'tick' }, instant(room.now));
    assert.equal(actions[0]?.kind, 'release');
    assert.equal(sleeper.owned, 0);
  });

  it('gives its segments away when it drains, and says so', () => {
    const room = started(3);
    room.tell(1, { kind: 'drain' });
    room.run(50);
    assert.ok(room.owners().every((owner) => owner === 2 || owner === 3));
    const events = room.did(1, 'emit').map((action) => action.kind === 'emit' && action.event.kind);
    assert.ok(events.includes('drained'));
    const takes = [...room.did(2, 'take'), ...room.did(3, 'take')];
    const reasons = takes.slice(-2).map((take) => take.kind === 'take' && take.reason);
    assert.deepEqual(reasons, ['handed-over', 'handed-over']);
    assert.ok(room.did(2, 'install').length + room.did(3, 'install').length > 0);
    room.tell(1, { kind: 'undrain' });
    room.run(1500);
    assert.deepEqual(room.owners(), [1, 2, 3, 1]);
  });

  it('leaves a segment where an operator put it', () => {
    const room = started(3);
    room.tell(1, { kind: 'give', segments: [0], to: 3 });
    room.run(2000);
    assert.deepEqual(room.owners(), [3, 2, 3, 1]);
    room.tell(3, { kind: 'unpin' });
    room.run(2000);
    assert.deepEqual(room.owners(), [1, 2, 3, 1]);
  });

  it('fetches a segment for an operator', () => {
    const room = started(3);
    room.tell(3, { kind: 'take', segments: [0] });
    room.run(200);
    assert.deepEqual(room.owners(), [3, 2, 3, 1]);
  });

  it('does not take from a serving node without preempt', () => {
    const room = started(3, { preempt: false });
    room.nodes.delete(1);
    room.run(1000);
    const before = room.owners();
    room.start(1, 2);
    room.run(400);
    room.tell(1, { kind: 'synced' });
    room.run(1500);
    assert.deepEqual(room.owners(), before);
  });

  it('moves everything away from a node whose leg is down', () => {
    const room = started(2);
    room.tell(2, { kind: 'legs', legs: { wan: true, lan: false, sync: true } });
    room.run(50);
    assert.deepEqual(room.owners(), [1, 1, 1, 1]);
  });
});

describe('Two nodes without a witness', () => {
  it('keep their own segments and take the other ones', () => {
    const room = started(2);
    assert.deepEqual(room.owners(), [1, 2, 1, 2]);
    room.nodes.delete(2);
    room.run(280);
    assert.deepEqual(room.owners(), [1, undefined, 1, undefined]);
    room.run(120);
    assert.deepEqual(room.owners(), [1, 1, 1, 1]);
    assert.ok(room.node(1).isAlone);
  });

  it('go on alone until the other answers what they ask now, not what it slept through', () => {
    const room = started(2);
    const sleeper = room.node(2);
    room.nodes.delete(2);
    const heard = room.actions.length;
    room.run(1000);
    assert.deepEqual(room.owners(), [1, 1, 1, 1]);
    const old = room.actions.slice(heard).flatMap(({ action }) => {
      const isBeat = action.kind === 'send' && action.message.kind === 'heartbeat';
      return isBeat ? [action.message] : [];
    });
    room.nodes.set(2, sleeper);
    for (const message of old.slice(0, 2)) room.tell(2, { kind: 'message', message });
    room.run(50);
    assert.deepEqual(room.owners(), [1, 1, 1, 1]);
    assert.deepEqual(room.did(1, 'release'), []);
    room.run(200);
    assert.ok(!room.node(1).isAlone);
  });

  it('wait longer for one that they never heard: it may only be slow, and has what they do not know', () => {
    const room = new Room(settingsOf(2));
    room.start(1);
    room.run(2900);
    assert.equal(room.node(1).owned, 0);
    room.run(300);
    assert.deepEqual(room.owners(), [1, 1, 1, 1]);
  });

  it('hold their own and nothing else, where the policy says so', () => {
    const room = started(2, { alone: 'hold' });
    room.nodes.delete(2);
    room.run(5000);
    assert.deepEqual(room.owners(), [1, undefined, 1, undefined]);
    room.tell(1, { kind: 'declare-dead', node: 2 });
    room.run(10);
    assert.deepEqual(room.owners(), [1, 1, 1, 1]);
  });

  it('with a witness go on by majority', () => {
    const witness = { node: 3, name: 'w', weight: 0 };
    const members = [1, 2].map((node) => ({ node, name: `n${node}`, weight: 1 }));
    const room = started(3, { members: [...members, witness] });
    assert.deepEqual(room.owners(), [1, 2, 1, 2]);
    room.nodes.delete(2);
    room.run(400);
    assert.deepEqual(room.owners(), [1, 1, 1, 1]);
    assert.ok(!room.node(1).isAlone);
  });
});

describe('HELLO', () => {
  const configured = (weight: 'protocol' | 'policy', own: string) => (self: number) => {
    const digest = self === 1 ? own : '00';
    const field = { name: 'esp-proposals', digest, weight };
    return { ...settingsOf(2)(self), configuration: [field] };
  };

  function differences(room: Room) {
    return room.did(2, 'emit').flatMap((action) => {
      if (action.kind !== 'emit' || action.event.kind !== 'configuration-differs') return [];
      return [action.event];
    });
  }

  it('names the fields in which two nodes differ, and gives such a node no segments', () => {
    const room = new Room(configured('policy', '11'));
    for (const node of [1, 2]) room.start(node);
    room.run(250);
    const expected = { node: 1, fields: ['esp-proposals'], refused: false };
    assert.deepEqual(differences(room), [{ kind: 'configuration-differs', ...expected }]);
  });

  it('refuses a node that reads the protocol in another way', () => {
    const room = new Room(configured('protocol', '11'));
    for (const node of [1, 2]) room.start(node);
    room.run(250);
    assert.equal(differences(room)[0]?.refused, true);
    assert.deepEqual(room.node(2).view, []);
  });

  it('says nothing about nodes that agree', () => {
    const room = new Room(configured('policy', '00'));
    for (const node of [1, 2]) room.start(node);
    room.run(250);
    assert.deepEqual(differences(room), []);
  });

  it('tells a node that its start number was used before', () => {
    const room = started(2);
    room.nodes.delete(2);
    room.run(10);
    const parts = { boot: 1, nonce: 77, epochFloor: 0, now: instant(room.now) };
    room.nodes.set(2, new Coordinator({ settings: settingsOf(2)(2), ...parts }));
    room.tell(2, { kind: 'tick' });
    assert.deepEqual(room.did(2, 'sid-refused').slice(-1), [{ kind: 'sid-refused', boot: 2 }]);
  });
});
