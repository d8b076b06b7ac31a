/** Two sealed links over a hostile network, on a simulated clock. */
import { BusCounters } from '../../src/cluster/bus/bus-counters.ts';
import { ClusterKey, KeyRing } from '../../src/cluster/bus/cluster-key.ts';
import { type LinkAction, type LinkInput, SealedLink } from '../../src/cluster/bus/sealed-link.ts';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { earliest, type Instant, instant } from '../../src/wire/instant.ts';
import { HostileNetwork, type NetworkFaults, PERFECT } from './hostile-network.ts';
import { seededRandom } from './seeded-random.ts';

export interface LinkOptions {
  readonly ring?: KeyRing;
  readonly versions?: { readonly oldest: number; readonly newest: number };
  readonly rollMilliseconds?: number;
  readonly rollDatagrams?: number;
}

export class LinkEnd {
  readonly node: number;
  readonly counters = new BusCounters();
  readonly actions: LinkAction[] = [];
  link: SealedLink;

  constructor(node: number, seed: number, options: LinkOptions) {
    this.node = node;
    this.link = this.#start(seed, options);
  }

  /** What the process would be after a restart: nothing is left but the configuration. */
  restart(seed: number, options: LinkOptions): void {
    this.link = this.#start(seed, options);
  }

  /** Kinds of what happened, without the datagrams. */
  get story(): readonly string[] {
    return this.actions.flatMap((action) =>
      action.kind === 'up' || action.kind === 'down' || action.kind === 'incompatible'
        ? [action.kind === 'down' ? `down ${action.reason}` : action.kind]
        : [],
    );
  }

  get opened(): readonly string[] {
    return this.actions.flatMap((action) =>
      action.kind === 'opened' && action.plaintext.length > 0
        ? [Buffer.from(action.plaintext).toString('latin1')]
        : [],
    );
  }

  #start(seed: number, options: LinkOptions): SealedLink {
    const random = seededRandom(seed);
    const { ring = new KeyRing(clusterKey(1)), versions = { oldest: 1, newest: 1 } } = options;
    return new SealedLink(
      {
        local: this.node,
        peer: 3 - this.node,
        incarnation: random(8),
        versions,
        random,
        counters: this.counters,
        ...(options.rollMilliseconds ? { rollMilliseconds: options.rollMilliseconds } : {}),
        ...(options.rollDatagrams ? { rollDatagrams: options.rollDatagrams } : {}),
      },
      ring,
    );
  }
}

export class SealedPair {
  readonly network: HostileNetwork;
  readonly one: LinkEnd;
  readonly two: LinkEnd;
  now: Instant = instant(1000);

  constructor(seed: number, faults: NetworkFaults = PERFECT, options: LinkOptions = {}) {
    this.network = new HostileNetwork(seed, faults);
    this.one = new LinkEnd(1, seed * 2 + 1, options);
    this.two = new LinkEnd(2, seed * 2 + 2, options);
  }

  static started(seed = 1, faults?: NetworkFaults, options?: LinkOptions): SealedPair {
    const pair = new SealedPair(seed, faults, options);
    pair.give(pair.one, { kind: 'start' });
    pair.give(pair.two, { kind: 'start' });
    return pair;
  }

  give(end: LinkEnd, input: LinkInput): void {
    for (const action of end.link.handle(input, this.now)) {
      end.actions.push(action);
      if (action.kind !== 'send') continue;
      for (const path of action.path === undefined ? [0, 1] : [action.path]) {
        this.network.send(
          { from: end.node, to: 3 - end.node, path, octets: action.octets },
          this.now,
        );
      }
    }
  }

  say(end: LinkEnd, text: string): boolean {
    const octets = end.link.seal(Buffer.from(text, 'latin1'), this.now);
    if (octets === undefined) return false;
    for (const path of [0, 1]) {
      this.network.send({ from: end.node, to: 3 - end.node, path, octets }, this.now);
    }
    return true;
  }

  /** Lets time pass, from event to event. */
  run(milliseconds: number): void {
    const end = instant(this.now + milliseconds);
    for (let steps = 0; ; steps++) {
      if (steps > 200_000) throw new Error('the pair does not come to rest');
      const deadlines = [this.one, this.two].map(({ link }) => link.nextDeadline());
      const next = earliest(this.network.next, ...deadlines);
      if (next === undefined || next > end) break;
      this.now = instant(Math.max(this.now, next));
      for (const { to, path, octets } of this.network.arrivals(this.now)) {
        this.give(to === 1 ? this.one : this.two, { kind: 'datagram', path, octets });
      }
      for (const one of [this.one, this.two]) {
        const deadline = one.link.nextDeadline();
        if (deadline !== undefined && deadline <= this.now) this.give(one, { kind: 'time' });
      }
    }
    this.now = end;
  }
}

export function clusterKey(octet: number): ClusterKey {
  return new ClusterKey(new SecretBytes(new Uint8Array(32).fill(octet)));
}
