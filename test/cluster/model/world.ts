/**
 * A cluster of simulated nodes, a network between them, clients with traffic, an attacker, and the oracle.
 *
 * Everything is drawn from one seed. A run ends with a violation or with what it counted.
 */
import {
  type ClusterSettings,
  DEFAULT_TIMINGS,
  type LeaseTimings,
} from '../../../src/cluster/cluster-settings.ts';
import { seededNumbers } from '../../support/seeded-random.ts';
import type { DataPlaneHost } from './data-plane.ts';
import { EventQueue } from './event-queue.ts';
import { type Message, type NodeWorld, SimulatedNode } from './node.ts';
import { fail, Oracle, Violation } from './oracle.ts';
import type { Rule } from './rule.ts';
import { type Fault, type Scenario, SEGMENTS, WARM } from './scenario.ts';

export interface RunOptions {
  readonly without?: ReadonlySet<Rule>;
  readonly timings?: LeaseTimings;
  readonly trace?: (line: string) => void;
}

export interface RunResult {
  readonly violation: Violation | undefined;
  readonly steps: number;
  readonly packets: number;
  readonly takeOvers: number;
}

/** Of the client of one segment. */
interface Client {
  key: number;
  sequence: number;
  messageId: number;
  isAnswered: boolean;
  /** Packets on the wire, for the attacker. */
  readonly captured: number[];
}

const PACKET_EVERY = 29;
const REQUEST_EVERY = 61;
/** Without traffic at the end, so that nothing is under way. */
const CALM = 250;
const OWNER_WITHIN = 400;
/** What a planned move may take. */
const FREEZE = 5;

export function runScenario(scenario: Scenario, options: RunOptions = {}): RunResult {
  const world = new World(scenario, options);
  let violation: Violation | undefined;
  try {
    world.run();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error;
  }
  const steps = world.nodes.reduce((sum, { steps: one }) => sum + one, 0);
  return { violation, steps, packets: world.oracle.packets, takeOvers: world.takeOvers };
}

class World implements NodeWorld {
  now = 0;
  readonly rules: ReadonlySet<Rule>;
  readonly nodes: SimulatedNode[];
  readonly oracle: Oracle;
  readonly random: () => number;
  takeOvers = 0;
  readonly #scenario: Scenario;
  readonly #options: RunOptions;
  readonly #queue = new EventQueue();
  readonly #cuts: Uint8Array;
  readonly #clients: Client[];
  readonly #owners = new Array<number>(SEGMENTS).fill(0);
  #isQuiet = false;
  #keys = 0;
  #contents = 0;
  #renewalsAtStart = 0;

  constructor(scenario: Scenario, options: RunOptions) {
    this.#scenario = scenario;
    this.#options = options;
    this.rules = options.without ?? new Set();
    this.random = seededNumbers(scenario.seed ^ 0x5bd1e995);
    this.#cuts = new Uint8Array(scenario.nodes * scenario.nodes);
    const faulty = scenario.loss > 0 || scenario.faults.some(({ kind }) => kind === 'cut');
    this.oracle = new Oracle({
      splitsAllowed: this.#isTwoTake() && faulty,
      strictReplay: scenario.strictReplay,
      strictWriteAhead: scenario.strictWriteAhead,
    });
    this.nodes = scenario.rates.map((rate, index) => {
      return new SimulatedNode(this, index + 1, rate, this.#settings(index + 1));
    });
    this.#clients = Array.from({ length: SEGMENTS }, () => {
      return { key: 0, sequence: 0, messageId: 0, isAnswered: true, captured: [] };
    });
  }

  run(): void {
    const { faults, healAt, endAt } = this.#scenario;
    for (const node of this.nodes) this.at(this.random() * 50, () => node.start());
    for (let segment = 0; segment < SEGMENTS; segment++) {
      this.at(segment * 5, () => this.#packets(segment));
      this.at(segment * 7, () => this.#requests(segment));
    }
    for (const fault of faults) this.at(fault.at, () => this.#fault(fault));
    this.at(WARM - 1, () => {
      this.#renewalsAtStart = this.#renewals();
    });
    if (this.#scenario.family !== 'chaos') {
      this.#expectOwners(WARM - 2 * FREEZE, `${WARM} ms after the start`);
    }
    this.at(healAt, () => this.#mend());
    for (let event = this.#queue.pop(); event && event.at <= endAt; event = this.#queue.pop()) {
      this.now = event.at;
      event.run();
    }
    this.now = endAt;
    this.#atEnd();
  }

  at(time: number, run: () => void): void {
    this.#queue.push(time, run);
  }

  trace(text: () => string): void {
    this.#options.trace?.(`${this.now.toFixed(2).padStart(10)} ${text()}`);
  }

  send(from: number, to: number, message: Message): void {
    const { loss, duplication, maxDelay, nodes } = this.#scenario;
    const isCut = this.#cuts[(from - 1) * nodes + to - 1] === 1;
    if (isCut || (loss > 0 && !this.#isQuiet && this.random() < loss)) return;
    const target = this.nodes[to - 1];
    if (!target) return;
    const sid = target.coordinator?.sid;
    const copies = duplication > 0 && this.random() < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const delay = 0.05 + this.random() * (this.#isQuiet ? 1 : maxDelay);
      this.at(this.now + delay, () => {
        // A session of the bus ends with the process: nothing of it reaches the next one.
        if (target.coordinator?.sid === sid) target.receive(from, message);
      });
    }
  }

  planeHost(node: SimulatedNode): DataPlaneHost {
    const { coordinator } = node;
    if (!coordinator) throw new Error('a data plane without a coordinator');
    const others = this.nodes.map(({ id }) => id).filter((id) => id !== node.id);
    return {
      node: node.id,
      others,
      sid: coordinator.sid,
      quorum: Math.floor(this.nodes.length / 2),
      oracle: this.oracle,
      rules: this.rules,
      strictReplay: this.#scenario.strictReplay,
      strictWriteAhead: this.#scenario.strictWriteAhead,
      isAlone: () => {
        return coordinator.isAlone || (this.#isTwoHold() && coordinator.view.length === 0);
      },
      epoch: (segment) => coordinator.epoch(segment),
      now: () => node.clock(),
      send: (to, message) => this.send(node.id, to, { kind: 'data', message }),
      applied: (sid, position) => node.handle({ kind: 'applied', sid, position }),
      settled: (segment) => node.handle({ kind: 'settled', segment }),
      snapshotHead: () => coordinator.snapshotHead(),
      newKey: () => ++this.#keys,
      newContent: () => ++this.#contents,
      renewed: (segment, key) => this.#renewed(segment, key),
      respond: (segment, key, messageId) => this.#answered(segment, key, messageId),
      deliver: () => undefined,
      withoutLease: (segment) => this.#withoutLease(node, segment),
    };
  }

  /** P4: a lease that becomes valid is the only one. */
  changed(node: SimulatedNode): void {
    for (let segment = 0; segment < SEGMENTS; segment++) {
      if (!node.plane?.mayTransmit(segment)) continue;
      if (this.#owners[segment] !== node.id) this.takeOvers++;
      this.#owners[segment] = node.id;
      if (this.#splitsAllowed) continue;
      for (const other of this.nodes) {
        if (other !== node && other.plane?.mayTransmit(segment)) {
          fail('P4', `nodes ${node.id} and ${other.id} have leases for segment ${segment}`);
        }
      }
    }
  }

  #withoutLease(node: SimulatedNode, segment: number): void {
    const owner = this.nodes.find((other) => other !== node && other.plane?.mayTransmit(segment));
    if (owner) fail('P4', `node ${node.id} transmits for segment ${segment} of node ${owner.id}`);
  }

  get #splitsAllowed(): boolean {
    const { loss, faults } = this.#scenario;
    return this.#isTwoTake() && (loss > 0 || faults.some(({ kind }) => kind === 'cut'));
  }

  #settings(self: number): ClusterSettings {
    const members = this.#scenario.rates.map((_, index) => {
      return { node: index + 1, name: `n${index + 1}`, weight: 1 };
    });
    return {
      self,
      members,
      segments: SEGMENTS,
      timings: this.#options.timings ?? DEFAULT_TIMINGS,
      alone: this.#scenario.alone,
      preempt: true,
      advbase: 1,
      advskew: 0,
      place: (candidates) => {
        return Array.from({ length: SEGMENTS }, (_, segment) => {
          return candidates[segment % candidates.length]?.node ?? 0;
        });
      },
      configuration: [],
      capabilities: [],
    };
  }

  #isTwoTake(): boolean {
    return this.#scenario.nodes === 2 && this.#scenario.alone === 'take';
  }

  #isTwoHold(): boolean {
    return this.#scenario.nodes === 2 && this.#scenario.alone === 'hold';
  }

  #packets(segment: number): void {
    const client = this.#clients[segment];
    if (client && client.key !== 0) {
      const { key } = client;
      const sequence = ++client.sequence;
      client.captured.push(sequence);
      const order = this.random() < 0.5 ? this.nodes : this.nodes.toReversed();
      for (const node of order) {
        node.run(() => node.plane?.inbound(segment, key, sequence, true));
        if (!node.isPaused) node.plane?.outbound(segment);
      }
      this.oracle.offered(key, sequence);
    }
    if (this.now > this.#scenario.endAt - CALM) return;
    this.at(this.now + PACKET_EVERY + this.random(), () => this.#packets(segment));
  }

  #requests(segment: number): void {
    const client = this.#clients[segment];
    if (client && client.key !== 0) {
      if (client.isAnswered) {
        client.isAnswered = this.random() < 0.1;
      }
      const { key, messageId } = client;
      for (const node of this.nodes) {
        if (!node.isPaused) node.plane?.request(segment, key, messageId);
      }
    }
    if (this.now > this.#scenario.endAt - CALM) return;
    this.at(this.now + REQUEST_EVERY + this.random() * 5, () => this.#requests(segment));
  }

  #answered(segment: number, key: number, messageId: number): void {
    const client = this.#clients[segment];
    if (client?.key !== key || client.messageId !== messageId) return;
    // Now and then the response is lost and the request comes again.
    if (this.random() < 0.2) return;
    client.messageId++;
    client.isAnswered = true;
  }

  #renewed(segment: number, key: number): void {
    const client = this.#clients[segment];
    if (!client) return;
    client.key = key;
    client.sequence = 0;
    client.messageId = 0;
    client.captured.length = 0;
  }

  #fault(fault: Fault): void {
    const node = 'node' in fault ? this.nodes[fault.node] : undefined;
    if (node) this.#nodeFault(node, fault);
    else this.#networkFault(fault);
    if (this.#scenario.family === 'single-fault' && fault.kind !== 'replay') {
      this.#expectOwners(this.now + OWNER_WITHIN, `${OWNER_WITHIN} ms after the fault`);
    }
  }

  #nodeFault(node: SimulatedNode, fault: Fault): void {
    if (fault.kind === 'restart') {
      if (!node.isUp) node.start();
    } else if (fault.kind === 'crash') {
      if (node.isUp) node.crash(fault.bye && !node.isPaused);
    } else if (fault.kind === 'pause') {
      const owned = Array.from({ length: SEGMENTS }, (_, segment) => segment);
      node.pause(fault.length, owned);
    } else if (fault.kind === 'drain' || fault.kind === 'undrain') {
      const { kind } = fault;
      this.trace(() => `node ${node.id} ${kind}`);
      node.run(() => node.handle({ kind }));
    }
  }

  #networkFault(fault: Fault): void {
    const { nodes } = this.#scenario;
    this.trace(() => JSON.stringify(fault));
    if (fault.kind === 'cut') this.#cuts[fault.from * nodes + fault.to] = 1;
    else if (fault.kind === 'heal') this.#cuts.fill(0);
    else if (fault.kind === 'replay') this.#replay();
    else if (fault.kind === 'forge') this.#forge();
  }

  /** All that was captured comes again, at every node. */
  #replay(): void {
    for (const [segment, { key, captured }] of this.#clients.entries()) {
      for (const sequence of captured.slice(-100)) {
        for (const node of this.nodes) {
          if (!node.isPaused) node.plane?.inbound(segment, key, sequence, true);
        }
      }
    }
  }

  /** A number far ahead, with an ICV that is wrong. */
  #forge(): void {
    for (const [segment, { key, sequence }] of this.#clients.entries()) {
      for (let ahead = 1000; ahead < 1008; ahead++) {
        for (const node of this.nodes) {
          if (!node.isPaused) node.plane?.inbound(segment, key, sequence + ahead, false);
        }
      }
    }
  }

  /** P6: each segment has an owner again, 400 ms after the only fault; a hand-over may be under way. */
  #expectOwners(due: number, since: string): void {
    const owned = new Uint8Array(SEGMENTS);
    const look = () => {
      for (let segment = 0; segment < SEGMENTS; segment++) {
        if (this.nodes.some((node) => !node.isPaused && node.plane?.mayTransmit(segment))) {
          owned[segment] = 1;
        }
      }
    };
    for (let at = due - FREEZE; at <= due + FREEZE; at += FREEZE / 4) this.at(at, look);
    this.at(due + FREEZE, () => {
      const segment = owned.indexOf(0);
      if (segment >= 0) fail('P6', `segment ${segment} has no owner ${since}`);
    });
  }

  #mend(): void {
    this.trace(() => 'everything is mended');
    this.#isQuiet = true;
    this.#cuts.fill(0);
    for (const node of this.nodes) {
      if (!node.isUp) node.start();
      node.run(() => node.handle({ kind: 'undrain' }));
    }
  }

  #renewals(): number {
    return this.nodes.reduce(
      (sum, { renewals, plane }) => sum + renewals + (plane?.renewals ?? 0),
      0,
    );
  }

  /** P7: all nodes say the same, and every segment has an owner. */
  #atEnd(): void {
    for (let segment = 0; segment < SEGMENTS; segment++) {
      const owners = this.nodes.filter((node) => node.plane?.mayTransmit(segment));
      if (owners.length !== 1)
        fail('P7', `segment ${segment} has ${owners.length} owners at the end`);
      const views = new Set(
        this.nodes.map(({ coordinator, plane }) => {
          const owner = coordinator?.ownerOf(segment);
          return `${owner?.sid} at ${coordinator?.epoch(segment)}, ${plane?.summary(segment)}`;
        }),
      );
      if (views.size > 1) fail('P7', `segment ${segment}: ${[...views].join(' | ')}`);
    }
    if (this.#scenario.family !== 'planned') return;
    const renewals = this.#renewals() - this.#renewalsAtStart;
    if (renewals > 0) fail('P6', `${renewals} SAs were made anew by planned moves`);
  }
}
