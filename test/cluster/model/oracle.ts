/**
 * Sees every packet that leaves any node and knows what must never be: the properties of the cluster.
 *
 * P1 a nonce is used once. P2 sequence numbers of an SA only rise. P3 what was delivered is not delivered
 * again, beyond the packets between a successor's edge and the true one. P4 one lease for a segment.
 * P5 one response for a message id. P6 an owner again in 400 ms. P7 one state after all is mended.
 */

export class Violation extends Error {
  readonly property: string;

  constructor(property: string, text: string) {
    super(`${property}: ${text}`);
    this.property = property;
  }
}

/** An SA as its client sees it. */
class PeerView {
  highestSent = 0;
  /** Of the client's packets: how often each was delivered. */
  readonly delivered = new Set<number>();
  /** The highest that the client has sent before. */
  highestOffered = 0;
  /** The edge at which the present owner began. */
  edge = 0;
  /** Delivered again since then. */
  readonly again = new Set<number>();
}

export interface OracleOptions {
  /** Both of two nodes may serve while they do not hear each other: only keys are safe then. */
  readonly splitsAllowed: boolean;
  readonly strictReplay: boolean;
  readonly strictWriteAhead: boolean;
}

export class Oracle {
  readonly #options: OracleOptions;
  readonly #nonces = new Map<number, Map<number, number>>();
  readonly #views = new Map<number, PeerView>();
  readonly #responses = new Map<string, number>();
  /** SAs with a response that left before anybody else knew of it: that is told to the operator. */
  readonly #unsynced = new Set<string>();
  packets = 0;
  exposure = 0;

  constructor(options: OracleOptions) {
    this.#options = options;
  }

  /** P1: `content` names the octets, as a repeated datagram may repeat its nonce. */
  sealed(key: number, iv: number, content: number, where: string): void {
    let nonces = this.#nonces.get(key);
    if (!nonces) {
      nonces = new Map();
      this.#nonces.set(key, nonces);
    }
    const before = nonces.get(iv);
    if (before === undefined) nonces.set(iv, content);
    else if (before !== content) fail('P1', `${where}: key ${key} and IV ${iv} twice`);
  }

  sent(key: number, sequence: number, iv: number, where: string): void {
    this.packets++;
    this.sealed(key, iv, this.packets + 1e9, where);
    const view = this.#view(key);
    if (sequence <= view.highestSent && !this.#options.splitsAllowed) {
      fail('P2', `${where}: key ${key} sends ${sequence} after ${view.highestSent}`);
    }
    view.highestSent = Math.max(view.highestSent, sequence);
  }

  /**
   * The owner of an SA begins to receive: it accepts what is above its edge. After a hand-over it goes on
   * where the former owner was, with what that one did not know.
   */
  began(key: number, edge: number, isHandedOver: boolean): void {
    const view = this.#view(key);
    if (isHandedOver) return;
    view.edge = edge;
    view.again.clear();
  }

  delivered(key: number, sequence: number, where: string): void {
    const view = this.#view(key);
    if (!view.delivered.has(sequence)) {
      view.delivered.add(sequence);
      return;
    }
    if (this.#options.splitsAllowed) return;
    const what = `${where}: key ${key} delivers ${sequence} again`;
    if (this.#options.strictReplay) fail('P3', `${what}, in strict mode`);
    if (sequence <= view.edge) fail('P3', `${what}, at or below the edge ${view.edge}`);
    if (view.again.has(sequence)) fail('P3', `${what}, for the third time`);
    view.again.add(sequence);
    this.exposure++;
  }

  /** P3, the other way: a window that a forged number moved refuses the client. */
  refusedFresh(key: number, sequence: number, where: string): void {
    const view = this.#view(key);
    if (sequence <= view.highestOffered || this.#options.strictReplay) return;
    if (this.#options.splitsAllowed) return;
    fail(
      'P3',
      `${where}: key ${key} refuses ${sequence}, the highest so far was ${view.highestOffered}`,
    );
  }

  /** The client sent this one to all nodes. */
  offered(key: number, sequence: number): void {
    const view = this.#view(key);
    view.highestOffered = Math.max(view.highestOffered, sequence);
  }

  responded(sa: string, messageId: number, content: number, synced: boolean, where: string): void {
    const name = `${sa}:${messageId}`;
    const before = this.#responses.get(name);
    if (!synced) this.#unsynced.add(sa);
    if (before === undefined) {
      // What left without an acknowledgement is flagged, and another node cannot know of it.
      if (synced || this.#options.strictWriteAhead) this.#responses.set(name, content);
    } else if (before !== content && !this.#options.splitsAllowed) {
      fail('P5', `${where}: ${sa} answers message ${messageId} in two ways`);
    }
  }

  /** P5, the other way: the client goes on from a response that the owner knows nothing of. */
  forgot(sa: string, messageId: number, expected: number, where: string): void {
    if (this.#options.splitsAllowed || this.#unsynced.has(sa)) return;
    fail('P5', `${where}: ${sa} asks message ${messageId}, and ${expected} is expected`);
  }

  #view(key: number): PeerView {
    const known = this.#views.get(key);
    if (known) return known;
    const view = new PeerView();
    this.#views.set(key, view);
    return view;
  }
}

export function fail(property: string, text: string): never {
  throw new Violation(property, text);
}
