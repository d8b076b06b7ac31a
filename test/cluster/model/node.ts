/**
 * One simulated node: a clock that goes wrong, a process that sleeps, dies and starts, and what it keeps
 * on its disk.
 */
import type { ClusterSettings } from '../../../src/cluster/cluster-settings.ts';
import { Coordinator } from '../../../src/cluster/coordinator.ts';
import type {
  CoordinatorAction,
  CoordinatorInput,
} from '../../../src/cluster/coordinator-action.ts';
import type { CoordinatorMessage } from '../../../src/cluster/coordinator-message.ts';
import { instant } from '../../../src/wire/instant.ts';
import { type DataMessage, DataPlane, type DataPlaneHost, type Mirror } from './data-plane.ts';
import { type Rule, safetyRules } from './rule.ts';

export type Message =
  | { readonly kind: 'coordinator'; readonly message: CoordinatorMessage }
  | { readonly kind: 'data'; readonly message: DataMessage };

/** What a node is in. `now` is true time. */
export interface NodeWorld {
  readonly now: number;
  readonly rules: ReadonlySet<Rule>;
  at(time: number, run: () => void): void;
  send(from: number, to: number, message: Message): void;
  planeHost(node: SimulatedNode): DataPlaneHost;
  changed(node: SimulatedNode): void;
  trace(text: () => string): void;
  random(): number;
}

/** Between two looks at what is to be sent again. */
const SYNC = 20;

export class SimulatedNode {
  readonly id: number;
  readonly settings: ClusterSettings;
  readonly rate: number;
  coordinator: Coordinator | undefined;
  plane: DataPlane | undefined;
  pausedUntil = 0;
  boot = 0;
  renewals = 0;
  steps = 0;
  /** SAs whose packet was about to leave when the process was stopped. */
  intentions: readonly number[] = [];
  readonly #world: NodeWorld;
  readonly #offset: number;
  #epochFloor = 0;
  #waiting: (() => void)[] = [];
  #life = 0;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(world: NodeWorld, id: number, rate: number, settings: ClusterSettings) {
    this.#world = world;
    this.id = id;
    this.rate = rate;
    this.settings = settings;
    this.#offset = 1000 * id;
  }

  get isUp(): boolean {
    return this.coordinator !== undefined;
  }

  get isPaused(): boolean {
    return this.#world.now < this.pausedUntil;
  }

  /** What its own clock says. */
  clock(): number {
    return this.#offset + this.#world.now * this.rate;
  }

  start(): void {
    this.#life++;
    if (!this.#world.rules.has('one-life') || this.boot === 0) this.boot++;
    const nonce = this.boot * 64 + this.id;
    this.coordinator = new Coordinator({
      settings: this.settings,
      boot: this.boot,
      epochFloor: this.#epochFloor,
      nonce,
      now: instant(this.clock()),
      without: safetyRules(this.#world.rules),
    });
    this.plane = new DataPlane(this.#world.planeHost(this), this.settings.segments);
    this.#timerAt = Number.POSITIVE_INFINITY;
    this.handle({ kind: 'tick' });
    this.#sync(this.#life, 0);
  }

  crash(bye: boolean): void {
    this.#world.trace(() => `node ${this.id} ends${bye ? ' with BYE' : ''}`);
    if (bye) this.handle({ kind: 'stop' });
    this.coordinator = undefined;
    this.renewals += this.plane?.renewals ?? 0;
    this.plane = undefined;
    this.#waiting = [];
    this.#life++;
    this.pausedUntil = 0;
  }

  pause(length: number, intentions: readonly number[]): void {
    if (!this.isUp) return;
    this.#world.trace(() => `node ${this.id} sleeps for ${length.toFixed(0)} ms`);
    this.intentions = intentions;
    this.pausedUntil = Math.max(this.pausedUntil, this.#world.now + length);
    const life = this.#life;
    this.#world.at(this.pausedUntil, () => {
      if (life === this.#life && !this.isPaused) this.#wake();
    });
  }

  /** Runs now, or when the process wakes. */
  run(what: () => void): void {
    if (!this.isUp) return;
    if (this.isPaused) {
      if (this.#waiting.length < 512) this.#waiting.push(what);
    } else {
      what();
    }
  }

  receive(from: number, { kind, message }: Message): void {
    this.run(() => {
      if (kind === 'coordinator') this.handle({ kind: 'message', message });
      else this.plane?.message(from, message);
    });
  }

  handle(input: CoordinatorInput): void {
    const { coordinator } = this;
    if (!coordinator) return;
    this.steps++;
    const actions = coordinator.handle(input, instant(this.clock()));
    for (const action of actions) this.#perform(action);
    if (actions.length > 0) this.#world.changed(this);
    this.#schedule();
  }

  #wake(): void {
    this.#world.trace(() => `node ${this.id} wakes`);
    const late = this.#world.rules.has('lease-at-send');
    for (const segment of this.intentions) this.plane?.outbound(segment, late);
    this.intentions = [];
    const waiting = this.#waiting;
    this.#waiting = [];
    if (this.#world.random() < 0.5) this.handle({ kind: 'tick' });
    for (const what of waiting) if (this.isUp) what();
    this.handle({ kind: 'tick' });
  }

  #perform(action: CoordinatorAction): void {
    switch (action.kind) {
      case 'send':
        this.#world.send(this.id, action.to, { kind: 'coordinator', message: action.message });
        break;
      case 'freeze':
        this.#freeze(
          action.batch,
          action.segments.map(({ segment }) => segment),
        );
        break;
      case 'install':
        this.plane?.install(finalsOf(action.state));
        break;
      case 'keep':
        this.#epochFloor = action.epochFloor;
        break;
      case 'resync':
        this.plane?.snapshots.clear();
        break;
      case 'emit':
        if (action.event.kind === 'node-up') {
          this.plane?.peerStarted(action.event.node, action.event.sid);
        }
        break;
      default:
        this.plane?.perform(action);
    }
    if (action.kind !== 'send' && action.kind !== 'lease') {
      this.#world.trace(() => `node ${this.id} ${JSON.stringify(action)}`);
    }
  }

  #freeze(batch: number, segments: readonly number[]): void {
    const { plane } = this;
    if (!plane) return;
    const mirrors = plane.freeze(segments);
    const life = this.#life;
    const delay = this.#world.random() < 0.05 ? 8 : this.#world.random() * 2;
    this.#world.at(this.#world.now + delay, () => {
      if (life !== this.#life) return;
      this.run(() => this.handle({ kind: 'frozen', batch, state: stateOf(mirrors) }));
    });
  }

  /** State that went past us is asked for until it is here; the rest goes out again. */
  #sync(life: number, round: number): void {
    if (life !== this.#life) return;
    this.run(() => {
      this.plane?.tick();
      if (round % 5 === 0) this.plane?.digest();
      if (this.coordinator?.demotion.has('boot')) this.#catchUp(round);
    });
    this.#world.at(this.#world.now + SYNC, () => this.#sync(life, round + 1));
  }

  #catchUp(round: number): void {
    const { coordinator, plane } = this;
    if (!coordinator || !plane) return;
    if (this.#world.rules.has('resync')) {
      this.handle({ kind: 'synced' });
      return;
    }
    if (round % 3 === 0) {
      for (const node of coordinator.view) {
        this.#world.send(this.id, node, { kind: 'data', message: { kind: 'pull' } });
      }
    }
    if (coordinator.isCovered([...plane.snapshots.values()])) this.handle({ kind: 'synced' });
  }

  #schedule(): void {
    const { coordinator } = this;
    if (!coordinator) return;
    const due = (coordinator.nextDeadline() - this.#offset) / this.rate + 0.001;
    const at = Math.max(due, this.#world.now + 0.001);
    if (at >= this.#timerAt - 0.0005) return;
    this.#timerAt = at;
    const life = this.#life;
    this.#world.at(at, () => {
      if (life !== this.#life || this.#timerAt !== at) return;
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.run(() => this.handle({ kind: 'tick' }));
    });
  }
}

/** Final states travel as a number of four octets; the values wait here. */
const finals: (readonly Mirror[])[] = [];

function stateOf(mirrors: readonly Mirror[]): Uint8Array {
  if (finals.length > 1000) finals.length = 0;
  finals.push(mirrors);
  return new Uint8Array(Uint32Array.of(finals.length - 1).buffer);
}

function finalsOf(state: Uint8Array): readonly Mirror[] {
  return finals[new Uint32Array(state.slice().buffer)[0] ?? 0] ?? [];
}
