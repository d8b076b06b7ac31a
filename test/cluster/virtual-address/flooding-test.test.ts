/**
 * The test of flooding among several nodes, over a switch that floods, one that does not, and one that does
 * once it takes a port for a router's.
 */
import assert from 'node:assert/strict';
import {
  type FloodingAction,
  FloodingTest,
  floodingAdvice,
  LISTEN_MILLISECONDS,
  MOST_ROUNDS,
  ROUND_MILLISECONDS,
  ROUTER_MILLISECONDS,
} from '../../../src/cluster/virtual-address/flooding-test.ts';
import { type IpAddress, parseAddress } from '../../../src/wire/address.ts';
import { type Instant, instant } from '../../../src/wire/instant.ts';
import { equalOctets } from '../../../src/wire/octets.ts';
import { seededRandom } from '../../support/seeded-random.ts';

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

const SHARED = [address('192.0.2.100'), address('2001:db8::64')];

/** Which ports get what is sent to the group: all, routers' ports, or none; of one family or of both. */
interface Switch {
  readonly floods: (node: number, to: IpAddress, appeared: 'not' | 'gently' | 'loudly') => boolean;
}

/** Nodes, the bus between them and the switch, in simulated time. */
class World {
  now = instant(0);
  readonly results: FloodingAction[] = [];
  readonly appearances: string[] = [];
  readonly #nodes: ReadonlyMap<number, FloodingTest>;
  readonly #appeared = new Map<number, 'gently' | 'loudly'>();
  readonly #switch: Switch;
  readonly #busDead: ReadonlySet<number>;

  constructor(count: number, of: Switch, busDead: readonly number[] = []) {
    this.#switch = of;
    this.#busDead = new Set(busDead);
    const numbers = Array.from({ length: count }, (_, index) => index + 1);
    this.#nodes = new Map(
      numbers.map((node) => [node, new FloodingTest(node, SHARED, seededRandom(node))]),
    );
  }

  node(number: number): FloodingTest {
    const found = this.#nodes.get(number);
    assert.ok(found !== undefined);
    return found;
  }

  test(node: number, members: readonly number[] = [...this.#nodes.keys()]): void {
    this.#perform(node, this.node(node).begin(members, this.now));
  }

  /** Lets time pass from deadline to deadline. */
  pass(until: Instant): void {
    for (;;) {
      const due = [...this.#nodes].flatMap(([node, one]) => {
        const at = one.nextDeadline();
        return at !== undefined && at <= until ? [{ node, at }] : [];
      });
      const first = due.toSorted((a, b) => a.at - b.at)[0];
      if (first === undefined) break;
      this.now = instant(Math.max(this.now, first.at));
      this.#perform(first.node, this.node(first.node).due(this.now));
    }
    this.now = until;
  }

  #perform(node: number, actions: readonly FloodingAction[]): void {
    for (const action of actions) {
      if (action.kind === 'ask-probe') {
        this.#bus(action.node, (other) => other.asked(node, action.nonce, this.now));
      } else if (action.kind === 'report-probe') {
        this.#bus(action.node, (other) =>
          other.reported(node, action.nonce, action.heard, this.now),
        );
      } else if (action.kind === 'send-probe') {
        for (const [other, one] of this.#nodes) {
          const appeared = this.#appeared.get(other) ?? 'not';
          if (other === node || !this.#switch.floods(other, action.probe.to, appeared)) continue;
          this.#perform(other, one.heard(action.probe));
        }
      } else if (action.kind === 'appear-as-router') {
        const how = action.withQueries ? 'loudly' : 'gently';
        this.#appeared.set(node, how);
        this.appearances.push(`${this.now} ${node} ${how}`);
      } else {
        this.results.push(action);
      }
    }
  }

  #bus(to: number, deliver: (node: FloodingTest) => readonly FloodingAction[]): void {
    if (!this.#busDead.has(to)) this.#perform(to, deliver(this.node(to)));
  }
}

const floodsAll: Switch = { floods: () => true };

describe('The test of flooding', () => {
  it('is passed at once where the switch floods', () => {
    const world = new World(3, floodsAll);
    world.test(1);
    assert.deepEqual(world.results, [{ kind: 'flooding-tested', deaf: [], rounds: 1 }]);
    assert.deepEqual(world.appearances, []);
    for (const node of [1, 2, 3]) assert.equal(world.node(node).nextDeadline(), undefined);
  });

  it('has nothing to find out alone', () => {
    const world = new World(1, floodsAll);
    world.test(1);
    assert.deepEqual(world.results, [{ kind: 'flooding-tested', deaf: [], rounds: 0 }]);
  });

  it('cures a switch that knows routers, by the one that is deaf', () => {
    const world = new World(3, { floods: (node, _, appeared) => node !== 2 || appeared !== 'not' });
    world.test(1);
    world.pass(instant(5_000));
    assert.deepEqual(world.results, [{ kind: 'flooding-tested', deaf: [], rounds: 2 }]);
    assert.deepEqual(world.appearances, [`${LISTEN_MILLISECONDS} 2 gently`]);
  });

  it('goes on saying that a router is there, for switches forget', () => {
    const world = new World(2, { floods: (node, _, appeared) => node !== 2 || appeared !== 'not' });
    world.test(1);
    world.pass(instant(ROUTER_MILLISECONDS * 3 + 1_000));
    assert.equal(world.appearances.length, 4);
  });

  it('uses queries where gentle words do not help', () => {
    const world = new World(2, {
      floods: (node, _, appeared) => node !== 2 || appeared === 'loudly',
    });
    world.test(1);
    world.pass(instant(5_000));
    assert.deepEqual(world.results, [{ kind: 'flooding-tested', deaf: [], rounds: 3 }]);
    assert.deepEqual(
      world.appearances.map((line) => line.split(' ')[2]),
      ['gently', 'loudly'],
    );
  });

  it('names who is deaf to the end, also of one family only', () => {
    const world = new World(4, { floods: (node, to) => node !== 3 || to.family === 4 });
    world.test(1);
    world.pass(instant(10_000));
    assert.deepEqual(world.results, [{ kind: 'flooding-tested', deaf: [3], rounds: MOST_ROUNDS }]);
  });

  it('ends in time where a member does not answer', () => {
    const world = new World(2, floodsAll, [2]);
    world.test(1);
    world.pass(instant(MOST_ROUNDS * ROUND_MILLISECONDS));
    assert.deepEqual(world.results, [{ kind: 'flooding-tested', deaf: [2], rounds: MOST_ROUNDS }]);
  });

  it('is not passed by probes and reports of another test', () => {
    const one = new FloodingTest(1, SHARED, seededRandom(1));
    const begun = one.begin([1, 2], instant(0));
    const nonce = begun.flatMap((action) => (action.kind === 'ask-probe' ? [action.nonce] : []))[0];
    assert.ok(nonce !== undefined);
    const forged = nonce.map((octet) => octet ^ 1);
    assert.deepEqual(one.reported(2, forged, true, instant(1)), []);
    assert.deepEqual(one.reported(2, nonce, false, instant(1)), []);
    assert.deepEqual(
      one.reported(2, nonce, true, instant(2)).map(({ kind }) => kind),
      ['flooding-tested'],
    );
    const listener = new FloodingTest(2, SHARED, seededRandom(2));
    for (const to of SHARED) assert.deepEqual(listener.heard({ node: 1, nonce: forged, to }), []);
    assert.deepEqual(listener.asked(1, nonce, instant(0)), []);
    assert.deepEqual(listener.heard({ node: 1, nonce, to: address('192.0.2.7') }), []);
    for (const to of SHARED.slice(0, 1))
      assert.deepEqual(listener.heard({ node: 1, nonce, to }), []);
    const report = SHARED.slice(1).flatMap((to) => listener.heard({ node: 1, nonce, to }));
    assert.ok(report[0]?.kind === 'report-probe' && report[0].heard);
    assert.ok(equalOctets(report[0].nonce, nonce));
  });

  it('takes no question of a node that cannot be, nor with a nonce of another length', () => {
    const one = new FloodingTest(2, SHARED, seededRandom(1));
    for (const node of [0, 65, -1]) one.asked(node, new Uint8Array(16), instant(0));
    one.asked(1, new Uint8Array(15), instant(0));
    assert.equal(one.nextDeadline(), undefined);
  });

  it('says what is wrong, where, and what helps', () => {
    const advice = floodingAdvice(['gw2'], ['01:00:5e:00:00:20', '33:33:00:00:00:20']);
    assert.match(advice, /^frames to 01:00:5e:00:00:20 and 33:33:00:00:00:20 do not reach gw2: /);
    for (const fix of ['mcast_snooping 0', 'mcast_querier 0', 'mcast_router 2', 'forward']) {
      assert.ok(advice.includes(fix), fix);
    }
  });
});
