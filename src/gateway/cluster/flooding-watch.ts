/**
 * What a node knows of its links where frames are to reach all members (`active-active`): whom its own frames do not
 * reach, and whether those of the others reach it.
 *
 * A node that hears none of the members on a device would lose the packets of its segments: it serves no address,
 * says so, and tests go on until it hears again. Before its first test has ended it serves none beside others, either.
 * Who tests names the deaf ones. No I/O: words come out, and `nextDeadline()` says when to call `due`.
 */
import type { NodeId } from '../../cluster/node-id.ts';
import { floodingAdvice } from '../../cluster/virtual-address/flooding-test.ts';
import { after, type Instant } from '../../wire/instant.ts';

export interface FloodedDevice {
  readonly device: string;
  /** Of the addresses shared on it, as text. */
  readonly hardwareAddresses: readonly string[];
}

export type FloodingWord =
  | { readonly kind: 'test'; readonly device: string; readonly members: readonly NodeId[] }
  | {
      readonly kind: 'tell';
      readonly to: NodeId;
      readonly device: string;
      readonly heard: boolean;
    }
  | { readonly kind: 'say'; readonly level: 'error' | 'notice'; readonly what: string };

/** What tests of a device showed, for listings. */
export interface FloodingResult {
  /** Whether a test of this node has ended. */
  readonly tested: boolean;
  /** Members that do not hear this node. */
  readonly deaf: readonly NodeId[];
  /** It hears none of those that tested it. */
  readonly hearsNobody: boolean;
}

export const RETEST_MILLISECONDS = 10_000;

interface Device extends FloodedDevice {
  tested: boolean;
  deaf: readonly NodeId[];
  /** What testers said of this node. */
  readonly verdicts: Map<NodeId, boolean>;
  refused: boolean;
}

export class FloodingWatch {
  readonly #names: ReadonlyMap<NodeId, string>;
  readonly #devices: ReadonlyMap<string, Device>;
  #others: ReadonlySet<NodeId> = new Set();
  #retestAt: Instant | undefined;

  /** `names` of all nodes. */
  constructor(names: ReadonlyMap<NodeId, string>, devices: readonly FloodedDevice[]) {
    this.#names = names;
    this.#devices = new Map(
      devices.map((one) => {
        const state = { tested: false, deaf: [], verdicts: new Map(), refused: false };
        return [one.device, { ...one, ...state }];
      }),
    );
  }

  /** Nothing may be served: a link does not bring us what it should, or nobody knows yet. */
  get refuses(): boolean {
    return this.#list.some(({ refused, tested }) => refused || (!tested && this.#others.size > 0));
  }

  nextDeadline(): Instant | undefined {
    return this.#retestAt;
  }

  isDeafOn(device: string): boolean {
    return this.#devices.get(device)?.refused ?? false;
  }

  result(device: string): FloodingResult | undefined {
    const found = this.#devices.get(device);
    return found && { tested: found.tested, deaf: found.deaf, hearsNobody: found.refused };
  }

  /** The other nodes that are there now: one that comes is a reason to test. */
  members(others: ReadonlySet<NodeId>): readonly FloodingWord[] {
    const joined = [...others].some((node) => !this.#others.has(node));
    this.#others = new Set(others);
    const words = this.#list.flatMap((one) => {
      for (const node of one.verdicts.keys()) if (!others.has(node)) one.verdicts.delete(node);
      one.deaf = one.deaf.filter((node) => others.has(node));
      return this.#judge(one);
    });
    return joined ? [...words, ...this.test()] : words;
  }

  /** Tests all devices anew. */
  test(): readonly FloodingWord[] {
    this.#retestAt = undefined;
    if (this.#others.size === 0) return [];
    const members = [...this.#others].sort((a, b) => a - b);
    return this.#list.map(({ device }) => ({ kind: 'test', device, members }));
  }

  /** The test of a device has ended. */
  tested(device: string, deaf: readonly NodeId[], now: Instant): readonly FloodingWord[] {
    const one = this.#devices.get(device);
    if (one === undefined) return [];
    const before = one.deaf;
    one.tested = true;
    one.deaf = deaf.filter((node) => this.#others.has(node));
    if (one.deaf.length > 0) this.#retestAt = after(now, RETEST_MILLISECONDS);
    const verdicts = [...this.#others].map(
      (to) => ({ kind: 'tell', to, device, heard: !deaf.includes(to) }) as const,
    );
    if (before.join() === one.deaf.join()) return verdicts;
    return [...verdicts, this.#report(one, before)];
  }

  /** Another node's test has ended, in which this node heard it or did not. */
  verdict(from: NodeId, device: string, heard: boolean): readonly FloodingWord[] {
    const one = this.#devices.get(device);
    if (one === undefined || !this.#others.has(from)) return [];
    one.verdicts.set(from, heard);
    return this.#judge(one);
  }

  due(now: Instant): readonly FloodingWord[] {
    return this.#retestAt !== undefined && this.#retestAt <= now ? this.test() : [];
  }

  get #list(): readonly Device[] {
    return [...this.#devices.values()];
  }

  /** One that hears anybody hears enough: what fails then is the link of the other. */
  #judge(one: Device): readonly FloodingWord[] {
    const verdicts = [...one.verdicts.values()];
    const refused = verdicts.length > 0 && verdicts.every((heard) => !heard);
    if (refused === one.refused) return [];
    one.refused = refused;
    if (!refused) {
      const what = `device ${one.device}: frames to ${one.hardwareAddresses.join(' and ')} reach this node again`;
      return [{ kind: 'say', level: 'notice', what }];
    }
    const advice = floodingAdvice(['this node'], one.hardwareAddresses);
    const what = `device ${one.device}: active-active is refused, no shared address is served here: ${advice}`;
    return [{ kind: 'say', level: 'error', what }];
  }

  #report({ device, deaf, hardwareAddresses }: Device, before: readonly NodeId[]): FloodingWord {
    if (deaf.length > 0) {
      const advice = floodingAdvice(
        deaf.map((node) => this.#nameOf(node)),
        hardwareAddresses,
      );
      return { kind: 'say', level: 'error', what: `device ${device}: ${advice}` };
    }
    const names = before.map((node) => this.#nameOf(node)).join(', ');
    const what = `device ${device}: frames to ${hardwareAddresses.join(' and ')} reach ${names} now`;
    return { kind: 'say', level: 'notice', what };
  }

  #nameOf(node: NodeId): string {
    return `node ${this.#names.get(node) ?? node}`;
  }
}
