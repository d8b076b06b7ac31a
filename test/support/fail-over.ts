/**
 * One side of a pair is two nodes: the second follows the first by the octets of its snapshots, and goes on
 * where the first one dies.
 */
import assert from 'node:assert/strict';
import type { Action } from '../../src/ike/action.ts';
import { decodeHeader } from '../../src/ike/message/header.ts';
import { ExchangeType, type IkeSpi, PayloadType } from '../../src/ike/message/message.ts';
import type { IkeSettings } from '../../src/ike/settings.ts';
import { ownSpiOf } from '../../src/ike/snapshot.ts';
import { decodeBundle, encodeBundle } from '../../src/ike/snapshot-codec.ts';
import { toHex } from '../../src/wire/octets.ts';
import { loadSecret } from './connections.ts';
import { type Flight, type Pair, Side } from './pair.ts';

export type Which = 'a' | 'b';

/** When a node dies: in its nth turn that changed something, the snapshot being out; `sent`: its messages too. */
export interface Crash {
  readonly turn: number;
  readonly sent: boolean;
}

/** Nodes of the clustered side, as `PairOptions.nodes` wants them. */
export function firstNode(which: Which) {
  return { [which]: { sid: 0x0101, skewMs: 0 } };
}

/** The other clock has nothing to do with the first one. */
const SECOND_NODE = { sid: 0x0202, skewMs: 7_654_321 };

export class FailOver {
  readonly standby: Side;
  /** Turns of the first node that changed something. */
  turns = 0;
  crashed = false;
  /** Octets of the largest bundle. */
  largest = 0;
  readonly #pair: Pair;
  readonly #which: Which;
  readonly #first: Side;
  #crash: Crash | undefined;
  readonly #followed = new Set<IkeSpi>();

  constructor(
    pair: Pair,
    which: Which,
    settings: Partial<IkeSettings> = {},
    prepare: (standby: Side) => void = () => {},
  ) {
    this.#pair = pair;
    this.#which = which;
    this.#first = pair[which];
    this.standby = new Side(which, 4711, settings, SECOND_NODE);
    for (const one of this.#first.pad.connections()) this.standby.pad.load(one);
    loadSecret(this.standby.pad, 'secret');
    prepare(this.standby);
    pair.settle = (side, actions) => this.#settle(side, actions);
  }

  /** The first node dies then, counted from now. */
  arm(crash: Crash | undefined): void {
    this.turns = 0;
    this.#crash = crash;
  }

  /** The first node dies here and now. */
  crash(): void {
    if (this.crashed) return;
    this.crashed = true;
    this.standby.places.push(...this.#first.places);
    this.#pair[this.#which] = this.standby;
    this.#pair.handle(this.standby, { kind: 'activate', spis: this.#followed });
  }

  #settle(side: Side, actions: readonly Action[]): readonly Action[] {
    if (side !== this.#first || this.crashed) return actions;
    const bundle = side.engine.takeChanges(this.#pair.clock(side));
    if (bundle) {
      const octets = encodeBundle(bundle);
      this.largest = Math.max(this.largest, octets.length / bundle.snapshots.length);
      const decoded = decodeBundle(octets);
      for (const one of decoded.snapshots) this.#followed.add(ownSpiOf(one));
      const input = { kind: 'install-snapshots', bundle: decoded } as const;
      const followed = this.standby.engine.handle(input, this.#pair.clock(this.standby));
      assert.ok(followed.every(({ kind }) => kind !== 'send' && kind !== 'complete'));
      this.#perform(followed);
    }
    for (const action of actions) {
      if (action.kind !== 'send' || !action.after) continue;
      assert.ok(this.#followed.has(action.after), 'a message of an IKE SA nobody was told of');
    }
    if (!bundle || this.turns++ !== this.#crash?.turn) return actions;
    // What leaves, leaves; of this process nothing else is left.
    if (this.#crash.sent) {
      for (const one of actions) if (one.kind === 'send') this.#pair.launch(one);
    }
    this.crash();
    return [];
  }

  #perform(actions: readonly Action[]): void {
    for (const action of actions) {
      if (action.kind === 'install-passive-child-sa') {
        this.standby.passive.set(action.childSa.spiIn, action.childSa);
      } else if (action.kind === 'remove-child-sa') {
        this.standby.passive.delete(action.childSa.spiIn);
      }
    }
  }
}

/**
 * Of everything that left: no message id with other content (RFC 7296 §2.2), no IV twice under one key
 * (RFC 5282 §3.1). Fragments of other sizes say the same in other octets.
 */
export function assertNothingTwice(flights: readonly Flight[], about: string): void {
  const messages = new Map<string, string>();
  const ivs = new Map<string, string>();
  for (const { octets } of flights) {
    const header = decodeHeader(octets);
    if (header.exchangeType === ExchangeType.IKE_SA_INIT) continue;
    const { initiatorSpi, responderSpi, isResponse, fromInitiator, messageId } = header;
    const key = `${initiatorSpi} ${responderSpi} ${fromInitiator}`;
    const fragments = octets[16] === PayloadType.SKF ? toHex(octets.subarray(32, 36)) : 'whole';
    const message = `${key} ${isResponse} ${messageId} ${fragments}`;
    const text = toHex(octets);
    assert.equal(messages.get(message) ?? text, text, `${about}: ${message} with other content`);
    messages.set(message, text);
    const iv = `${key} ${toHex(octets.subarray(fragments === 'whole' ? 32 : 36).subarray(0, 8))}`;
    assert.equal(ivs.get(iv) ?? text, text, `${about}: IV ${iv} twice`);
    ivs.set(iv, text);
  }
}
