/**
 * The cluster as its operator sees it, over one node: listings, and orders that are done when what they ask
 * for is so.
 *
 * `turned` is to be called whenever something may have changed: that is when orders that wait look again.
 */
import type { ClusterConfig } from '../../config/cluster-config.ts';
import type { ClusterEvent, Trouble } from '../../events/cluster-event.ts';
import type {
  ClusterAddressView,
  ClusterControl,
  ClusterOrder,
  ClusterOutcome,
  ClusterView,
  MemberView,
  SegmentView,
} from '../../vici/cluster-view.ts';
import { formatSegments } from '../../vici/segment-list.ts';
import type { Instant } from '../../wire/instant.ts';
import { clusterView, type SasOfSegment, segmentViews } from './cluster-listing.ts';
import type { ClusterNode, ClusterNodeInput } from './cluster-node.ts';
import { fifoOrders } from './fifo-orders.ts';

/** What a part of the node adds to what operators see and may order. */
export interface OperatedPart {
  /** By the names under which monitoring knows them. */
  readonly figures?: () => Readonly<Record<string, number>>;
  readonly addresses?: () => readonly ClusterAddressView[];
  readonly troubles?: () => readonly Trouble[];
  /** Whether frames to the hardware address of the cluster reach every node. */
  readonly probe?: () => Promise<ClusterOutcome>;
}

export interface ClusterOperationsParts {
  readonly config: ClusterConfig;
  readonly node: Pick<ClusterNode, 'coordinator'>;
  readonly give: (input: Extract<ClusterNodeInput, { readonly kind: 'order' | 'resync' }>) => void;
  readonly now: () => Instant;
  readonly ikeSas: () => ClusterView['ikeSas'];
  readonly sasOf: () => (segment: number) => SasOfSegment;
  /** What of the bus was not taken, by reason. */
  readonly drops: () => Readonly<Record<string, number>>;
  /** Child SAs of this node in these segments get new keys; answers how many. */
  readonly rekey: (segments: ReadonlySet<number>) => Promise<number>;
  /** Reads the keys of the cluster again; answers how many there are. Throws what is wrong with them. */
  readonly readKeys: () => number;
  readonly fail: (order: Extract<ClusterOrder, { readonly kind: 'simulate-failure' }>) => void;
  readonly emit: (event: ClusterEvent) => void;
}

interface Waiting {
  readonly since: Instant;
  /** Undefined as long as it is neither done nor hopeless. */
  readonly look: (milliseconds: number) => ClusterOutcome | undefined;
  readonly resolve: (outcome: ClusterOutcome) => void;
}

/** However long the client waits, an order that moves segments is given up after this. */
const PATIENCE_MS = 60_000;
const ASK_AGAIN_MS = 1000;
/** Orders that are waited for at once. */
const MOST_WAITING = 64;

export class ClusterOperations implements ClusterControl {
  readonly #parts: ClusterOperationsParts;
  readonly #added: OperatedPart[] = [];
  #waiting: Waiting[] = [];
  #isDraining = false;

  constructor(parts: ClusterOperationsParts) {
    this.#parts = parts;
  }

  add(part: OperatedPart): void {
    this.#added.push(part);
  }

  status(): ClusterView {
    const { config, node, now, ikeSas, drops } = this.#parts;
    return clusterView({
      config,
      node,
      now: now(),
      ikeSas: ikeSas(),
      addresses: this.#added.flatMap(({ addresses }) => addresses?.() ?? []),
      troubles: this.troubles.map(({ part, what }) => `${part}: ${what}`),
      metrics: Object.assign({}, ...this.#added.map(({ figures }) => figures?.() ?? {})),
      drops: drops(),
    });
  }

  /** What is wrong now. */
  get troubles(): readonly Trouble[] {
    return this.#added.flatMap(({ troubles }) => troubles?.() ?? []);
  }

  segments(): readonly SegmentView[] {
    return segmentViews(this.#parts, this.#parts.sasOf());
  }

  order(order: ClusterOrder): Promise<ClusterOutcome> {
    return this.#order(order, 'vici');
  }

  /** What a script wrote to the FIFO. */
  heardFifo(text: string): void {
    const { orders, refused } = fifoOrders(text, this.status());
    for (const what of refused) this.#complain(what);
    for (const order of orders) {
      void this.#order(order, 'fifo').then((outcome) => {
        if (outcome.kind === 'failed') this.#complain(`${order.kind}: ${outcome.what}`);
      });
    }
  }

  /** Something may have changed. */
  turned(): void {
    if (this.#waiting.length === 0) return;
    const now = this.#parts.now();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) {
      const outcome = one.look(Math.round(now - one.since));
      if (outcome) one.resolve(outcome);
      else this.#waiting.push(one);
    }
  }

  #complain(what: string): void {
    this.#parts.emit({ kind: 'cluster-trouble', part: 'fifo', what });
  }

  async #order(order: ClusterOrder, by: 'vici' | 'fifo'): Promise<ClusterOutcome> {
    this.#parts.emit({
      kind: 'cluster-order',
      order: order.kind,
      by,
      ...('segments' in order && { segments: formatSegments(order.segments) }),
      ...('node' in order && { node: order.node }),
    });
    switch (order.kind) {
      case 'take':
        return this.#take(order.segments);
      case 'give':
        return this.#handOver(order.segments, order.node);
      case 'drain':
        return this.#drain();
      case 'undrain':
        this.#isDraining = false;
        this.#parts.give({ kind: 'order', order: { kind: 'undrain' } });
        this.turned();
        return done('this node may have segments again');
      case 'unpin':
        this.#parts.give({ kind: 'order', order: { kind: 'unpin' } });
        return done('segments go where placement wants them');
      case 'demote':
        this.#parts.give({ kind: 'order', order: { kind: 'demote', amount: order.amount } });
        return done(`demotion is ${this.#parts.node.coordinator.demotion.total}`);
      case 'resync':
        return this.#resync();
      case 'rekey':
        return this.#rekey(order.segments);
      case 'rotate-key':
        return this.#rotateKey();
      case 'probe':
        return this.#probe();
      case 'declare-dead':
        return this.#declareDead(order.node);
      case 'simulate-failure':
        this.#parts.fail(order);
        return done(
          order.failure === 'stop'
            ? `this node falls silent for ${order.milliseconds / 1000} s`
            : 'this node ends without a word',
        );
    }
  }

  #take(segments: readonly number[]): Promise<ClusterOutcome> {
    const { coordinator } = this.#parts.node;
    const missing = () => segments.filter((one) => !coordinator.owns(one));
    if (missing().length === 0) return done(`${counted(segments)} here already`);
    const ask = () => {
      this.#parts.give({ kind: 'order', order: { kind: 'take', segments: missing() } });
    };
    ask();
    let asked = 0;
    return this.#wait((milliseconds) => {
      const left = missing();
      if (left.length === 0) {
        const what = `${counted(segments)} here after ${milliseconds} ms`;
        return { kind: 'done', what, milliseconds };
      }
      if (milliseconds >= PATIENCE_MS) {
        return failed(`${formatSegments(left)} did not come: their owners do not let go of them`);
      }
      // Who is asked may have had it under another epoch, or not settled.
      if (milliseconds >= asked + ASK_AGAIN_MS) {
        asked = milliseconds;
        ask();
      }
      return undefined;
    });
  }

  #handOver(wanted: readonly number[], name: string): Promise<ClusterOutcome> {
    const { node, config } = this.#parts;
    const heir = this.#member(name);
    if (heir?.state !== 'up')
      return refuse(`${name} is ${heir?.state ?? 'no node'}: it must be up`);
    if (heir.weight === 0) return refuse(`${name} is a witness: its weight is 0`);
    const segments = wanted.filter((one) => node.coordinator.owns(one));
    if (segments.length === 0) {
      return refuse('none of these is here: tsgw cluster segments shows who has them');
    }
    const to = config.nodes.find((one) => one.name === name)?.id ?? 0;
    this.#parts.give({ kind: 'order', order: { kind: 'give', segments, to } });
    return this.#wait((milliseconds) => {
      const left = segments.filter((one) => node.coordinator.owns(one));
      if (left.length === 0) {
        const what = `${counted(segments)} with ${name} after ${milliseconds} ms`;
        return { kind: 'done', what, milliseconds };
      }
      if (milliseconds < PATIENCE_MS) return undefined;
      return failed(`${formatSegments(left)} stay here: ${name} does not take them`);
    });
  }

  #drain(): Promise<ClusterOutcome> {
    const { coordinator } = this.#parts.node;
    const others = this.status().members.filter(({ state }) => state !== 'self');
    const heirs = others.filter(({ state, weight }) => state === 'up' && weight > 0);
    if (heirs.length === 0 && coordinator.owned > 0) {
      const why = others.map(({ name, state, weight }) => {
        return `${name} is ${weight === 0 ? 'a witness' : state}`;
      });
      return refuse(`nobody is there to have the ${coordinator.owned} segments: ${why.join(', ')}`);
    }
    this.#isDraining = true;
    const before = coordinator.owned;
    this.#parts.give({ kind: 'order', order: { kind: 'drain' } });
    return this.#wait((milliseconds) => {
      if (!this.#isDraining) return failed('undrain ended it');
      if (coordinator.owned > 0) return undefined;
      const what = `drained of ${before} segments in ${milliseconds} ms`;
      return { kind: 'done', what, milliseconds };
    });
  }

  #resync(): Promise<ClusterOutcome> {
    const { coordinator } = this.#parts.node;
    if (coordinator.view.length === 0)
      return refuse('no other node is up that could tell anything');
    this.#parts.give({ kind: 'resync' });
    return this.#wait((milliseconds) => {
      if (coordinator.demotion.has('boot')) {
        return milliseconds < PATIENCE_MS ? undefined : failed('the others do not tell all of it');
      }
      return {
        kind: 'done',
        what: `the state of the others is here after ${milliseconds} ms`,
        milliseconds,
      };
    });
  }

  async #rekey(wanted: readonly number[]): Promise<ClusterOutcome> {
    const { node, now, rekey } = this.#parts;
    const segments = new Set(wanted.filter((one) => node.coordinator.owns(one)));
    if (segments.size === 0) {
      return failed('none of these is here: only the node that has a segment rekeys its SAs');
    }
    const began = now();
    const count = await rekey(segments);
    const milliseconds = Math.round(now() - began);
    return { kind: 'done', what: `${count} Child SAs rekeyed in ${milliseconds} ms`, milliseconds };
  }

  #rotateKey(): Promise<ClusterOutcome> {
    try {
      const count = this.#parts.readKeys();
      const which = count > 1 ? 'two keys are taken, secret and second_secret' : 'one key is taken';
      return done(`${which}; this node initiates with secret. Now the other nodes`);
    } catch (error) {
      return refuse(error instanceof Error ? error.message : String(error));
    }
  }

  #probe(): Promise<ClusterOutcome> {
    const probe = this.#added.find((one) => one.probe)?.probe;
    if (probe) return probe();
    const { mode } = this.#parts.config;
    return refuse(`nothing to probe: with mode = ${mode} no frame goes to all nodes`);
  }

  #declareDead(name: string): Promise<ClusterOutcome> {
    const { config } = this.#parts;
    if (this.#member(name)?.state === 'up') return refuse(`${name} is heard: it runs`);
    const node = config.nodes.find((one) => one.name === name)?.id ?? 0;
    this.#parts.give({ kind: 'order', order: { kind: 'declare-dead', node } });
    return done(`${name} counts as dead`);
  }

  #member(name: string): MemberView | undefined {
    return this.status().members.find((one) => one.name === name);
  }

  #wait(look: Waiting['look']): Promise<ClusterOutcome> {
    const outcome = look(0);
    if (outcome) return Promise.resolve(outcome);
    if (this.#waiting.length === MOST_WAITING) {
      return refuse(`${MOST_WAITING} orders are being waited for: this one was given, too`);
    }
    return new Promise((resolve) => {
      this.#waiting.push({ since: this.#parts.now(), look, resolve });
    });
  }
}

function counted(segments: readonly number[]): string {
  return segments.length === 1 ? '1 segment is' : `${segments.length} segments are`;
}

function done(what: string): Promise<ClusterOutcome> {
  return Promise.resolve({ kind: 'done', what, milliseconds: 0 });
}

function failed(what: string): ClusterOutcome {
  return { kind: 'failed', what };
}

function refuse(what: string): Promise<ClusterOutcome> {
  return Promise.resolve(failed(what));
}
