/**
 * The shared addresses of a node for its operator: listed, counted, and tested when that is ordered.
 */
import type { NodeId } from '../../cluster/node-id.ts';
import { floodingAdvice } from '../../cluster/virtual-address/flooding-test.ts';
import type { Trouble } from '../../events/cluster-event.ts';
import type { FilterCount } from '../../io/nft.ts';
import type { ClusterAddressView, ClusterOutcome } from '../../vici/cluster-view.ts';
import type { Instant } from '../../wire/instant.ts';
import type { OperatedPart } from './cluster-operations.ts';
import type { SharedAddresses } from './shared-addresses.ts';

export interface OperatedAddressesParts {
  readonly addresses: Pick<
    SharedAddresses,
    'list' | 'flooding' | 'members' | 'troubles' | 'counters' | 'test'
  >;
  readonly nameOf: (node: NodeId) => string;
  readonly now: () => Instant;
}

/** Counters of the kernel are asked for so often at most. */
const COUNTERS_MS = 1_000;

export class OperatedAddresses implements OperatedPart {
  readonly probe?: () => Promise<ClusterOutcome>;
  readonly #parts: OperatedAddressesParts;
  #counters: ReadonlyMap<string, FilterCount> = new Map();
  #askedAt: Instant | undefined;

  constructor(parts: OperatedAddressesParts) {
    this.#parts = parts;
    if (parts.addresses.flooding.size > 0) this.probe = () => this.#probe();
  }

  /** What the filter let in and dropped, as it was when somebody asked last: asking takes a program. */
  readonly figures = (): Readonly<Record<string, number>> => {
    this.#ask();
    return Object.fromEntries(
      [...this.#counters].map(([name, { packets }]) => [
        `filter-${name.replaceAll('_', '-')}`,
        packets,
      ]),
    );
  };

  readonly addresses = (): readonly ClusterAddressView[] =>
    this.#parts.addresses
      .list()
      .map(({ name, address, device, side, served, master, hardwareAddress }) => ({
        ...{ name, address, device, side, here: served },
        ...(master !== undefined && { master: this.#parts.nameOf(master) }),
        ...(hardwareAddress !== undefined && { mac: hardwareAddress }),
      }));

  readonly troubles = (): readonly Trouble[] => {
    const { addresses, nameOf } = this.#parts;
    const deaf = [...addresses.flooding].flatMap(
      ([device, { deaf: nodes }]): readonly Trouble[] => {
        const names = nodes.map((node) => `node ${nameOf(node)}`);
        if (names.length === 0) return [];
        const hardware = addresses.list().flatMap((one) => {
          return one.device === device ? (one.hardwareAddress ?? []) : [];
        });
        const what = `device ${device}: ${floodingAdvice(names, [...new Set(hardware)])}`;
        return [{ part: 'flooding', what }];
      },
    );
    return [...addresses.troubles, ...deaf];
  };

  async #probe(): Promise<ClusterOutcome> {
    const { addresses, nameOf, now } = this.#parts;
    const began = now();
    const members = [...addresses.members].sort((a, b) => a - b);
    if (members.length === 0)
      return { kind: 'failed', what: 'no other node is up that could hear' };
    await addresses.test();
    const results = [...addresses.flooding];
    const deafOn = (node: NodeId) =>
      results.filter(([, { deaf }]) => deaf.includes(node)).map(([device]) => device);
    const nodes = Object.fromEntries(
      members.map((node) => {
        const devices = deafOn(node);
        const what = devices.length === 0 ? 'hears this node' : `deaf on ${devices.join(', ')}`;
        return [nameOf(node), what];
      }),
    );
    const deaf = members.filter((node) => deafOn(node).length > 0).map(nameOf);
    if (deaf.length > 0) {
      const what = `frames to all nodes do not reach ${deaf.join(', ')}: see troubles of cluster status`;
      return { kind: 'failed', what };
    }
    const milliseconds = Math.round(now() - began);
    const what = `frames to all nodes reach ${members.map(nameOf).join(', ')}`;
    return { kind: 'done', what, milliseconds, nodes };
  }

  #ask(): void {
    const { addresses, now } = this.#parts;
    if (this.#askedAt !== undefined && now() - this.#askedAt < COUNTERS_MS) return;
    this.#askedAt = now();
    addresses.counters().then(
      (counters) => {
        this.#counters = counters;
      },
      // The filter's own trouble is told where it is replaced.
      () => undefined,
    );
  }
}
