/**
 * One sender's IVs under keys that several nodes seal with, one after the other or, should they disagree
 * who does, at the same time (RFC 6054 §2; NIST SP 800-38D §8.2.1: fixed field and invocation field).
 *
 *   | sender id: 16 bits | what this sender sealed so far: 48 bits |
 *
 * No two senders share an id, none seals twice with one count: no IV repeats under a key, whatever the
 * sequence numbers do. An outbound SA has a partition of its own, whose count outlives its keeper; one
 * for the keys of all IKE SAs needs no carrying, as a sender id is of one life of a node. Holds no clock;
 * allocates nothing after its constructor.
 */

const LAST_LOW = 0xffff_ffff;
const LAST_HIGH = 0xffff;
const LAST_SENDER = 0xffff;
const HALF = 0x1_0000_0000;

/** Packets or messages a sender seals. */
export const MOST_SEALED = 2 ** 48 - 1;

export class IvPartition {
  #sender: number;
  #countHigh: number;
  #low: number;

  /** `sealed`: as many IVs of this sender may have been used. */
  constructor(sender: number, sealed = 0) {
    if (!Number.isSafeInteger(sealed) || sealed < 0 || sealed > MOST_SEALED) {
      throw new RangeError(`${sealed} IVs used by one sender: 0 to ${MOST_SEALED} are allowed`);
    }
    this.#sender = checkedSender(sender);
    this.#countHigh = Math.floor(sealed / HALF);
    this.#low = sealed % HALF;
  }

  /** First four octets of the IV in use. */
  get high(): number {
    return this.#sender * 0x1_0000 + this.#countHigh;
  }

  /** Last four octets of the IV in use. */
  get low(): number {
    return this.#low;
  }

  get sender(): number {
    return this.#sender;
  }

  /** IVs used so far. */
  get sealed(): number {
    return this.#countHigh * HALF + this.#low;
  }

  /** IVs that are left. */
  get left(): number {
    return MOST_SEALED - this.sealed;
  }

  /** This node seals under another id from now on; it counts on. */
  become(sender: number): void {
    this.#sender = checkedSender(sender);
  }

  /** Moves to the next IV. Whoever asks has looked at `left`: a repeated IV gives the key away. */
  advance(): void {
    if (this.#low < LAST_LOW) {
      this.#low++;
      return;
    }
    if (this.#countHigh === LAST_HIGH)
      throw new RangeError(`sender id ${this.#sender}: all IVs are used up`);
    this.#countHigh++;
    this.#low = 0;
  }
}

function checkedSender(sender: number): number {
  if (Number.isInteger(sender) && sender >= 0 && sender <= LAST_SENDER) return sender;
  throw new RangeError(`sender id ${sender}: 0 to ${LAST_SENDER} are allowed`);
}
