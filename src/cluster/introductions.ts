/**
 * HELLO both ways: which life of which node this is, which wire versions it speaks, and whether it is
 * configured alike. A number that another life of this node had is refused by whoever knew that one.
 */
import type { Sid } from './ballot.ts';
import type { ClusterSettings } from './cluster-settings.ts';
import type { ClusterEvent } from './coordinator-action.ts';
import type { HelloMessage } from './coordinator-message.ts';
import type { Ownership, Turn } from './ownership.ts';
import { type Introduction, OLDEST_VERSION, type Peer, VERSION } from './peer.ts';

export interface IntroductionsParts {
  readonly settings: ClusterSettings;
  readonly sid: Sid;
  /** Counts the starts of this node. */
  readonly boot: number;
  /** Tells two lives apart that have one number. */
  readonly nonce: number;
  readonly ownership: Ownership;
}

export class Introductions {
  readonly #parts: IntroductionsParts;

  constructor(parts: IntroductionsParts) {
    this.#parts = parts;
  }

  received(peer: Peer, message: HelloMessage, turn: Turn): void {
    const { settings, boot, nonce } = this.#parts;
    const { actions } = turn;
    const isTaken = message.yourBoot === boot && message.yourNonce !== nonce;
    if (message.yourBoot > boot || isTaken) {
      actions.push({ kind: 'sid-refused', boot: message.yourBoot + 1 });
    }
    const introduction = peer.introduce(message, settings.configuration);
    if (introduction.kind === 'new') this.#welcome(peer, introduction.dead, turn);
    tellRefusal(peer, message, introduction, turn);
    // It may not have ours yet, or must learn that its number is taken.
    const isAnswered = turn.now < peer.answeredAt + settings.timings.heartbeat;
    if (introduction.kind === 'known' || isAnswered) return;
    peer.answeredAt = turn.now;
    this.introduce(peer, turn);
  }

  /** Says to the peer who we are. */
  introduce(peer: Peer, { actions }: Turn): void {
    const { settings, sid, boot, nonce } = this.#parts;
    const message: HelloMessage = {
      kind: 'hello',
      node: settings.self,
      sid,
      boot,
      nonce,
      version: VERSION,
      oldestVersion: OLDEST_VERSION,
      capabilities: settings.capabilities,
      configuration: settings.configuration,
      yourBoot: peer.boot,
      yourNonce: peer.nonce,
    };
    actions.push({ kind: 'send', to: peer.node, message });
  }

  #welcome(peer: Peer, dead: Sid, turn: Turn): void {
    const { node, sid, differences } = peer;
    this.#parts.ownership.bury(dead);
    peer.answeredAt = Number.NEGATIVE_INFINITY;
    emit(turn, { kind: 'node-up', node, sid });
    if (differences.length === 0) return;
    const fields = differences.map(({ name }) => name);
    emit(turn, { kind: 'configuration-differs', node, fields, refused: false });
  }
}

/** Once for each reason, however often it comes. */
function tellRefusal(
  peer: Peer,
  hello: HelloMessage,
  introduction: Introduction,
  turn: Turn,
): void {
  const { node } = peer;
  let event: ClusterEvent | undefined;
  if (introduction.kind === 'version') {
    event = { kind: 'version-refused', node, version: hello.version };
  } else if (introduction.kind === 'mismatch') {
    const { fields } = introduction;
    event = { kind: 'configuration-differs', node, fields, refused: true };
  }
  const reason = event ? JSON.stringify(event) : '';
  if (event && reason !== peer.refusedFor) emit(turn, event);
  peer.refusedFor = reason;
}

function emit({ actions }: Turn, event: ClusterEvent): void {
  actions.push({ kind: 'emit', event });
}
