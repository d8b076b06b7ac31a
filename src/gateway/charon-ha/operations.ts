/**
 * A charon HA pair as its operator sees it over vici, from tsgw's end. Segments count from 0 here, as in every
 * cluster of ours; charon and the FIFO count from 1.
 */
import type { ClusterConfig, HaSettings } from '../../config/cluster-config.ts';
import { nodesOfHa } from '../../config/ha-section.ts';
import type { ClusterEvent } from '../../events/cluster-event.ts';
import type { IkeEndpoint } from '../../ike/endpoint.ts';
import type { Spi } from '../../ipsec/spi.ts';
import type {
  ClusterControl,
  ClusterOrder,
  ClusterOutcome,
  ClusterView,
  MemberView,
  SegmentView,
} from '../../vici/cluster-view.ts';
import { formatSegments } from '../../vici/segment-list.ts';
import type { Instant } from '../../wire/instant.ts';
import type { CharonHaPartner } from './partner.ts';

export interface CharonHaOperationsParts {
  readonly config: ClusterConfig;
  readonly ha: HaSettings;
  readonly sid: number;
  readonly partner: Pick<CharonHaPartner, 'node' | 'counts' | 'command'>;
  readonly engine: () => Pick<IkeEndpoint, 'ikeSas' | 'passive'> | undefined;
  /** Child SAs get new keys as soon as the rate allows it. */
  readonly renew: (spisIn: readonly Spi[]) => void;
  readonly now: () => Instant;
  readonly emit: (event: ClusterEvent) => void;
}

export class CharonHaOperations implements ClusterControl {
  readonly #parts: CharonHaOperationsParts;

  constructor(parts: CharonHaOperationsParts) {
    this.#parts = parts;
  }

  status(): ClusterView {
    const { config, ha, sid, partner, engine } = this.#parts;
    const { node, counts } = partner;
    const [self, charon] = nodesOfHa(ha);
    const [active, passive] = [engine()?.ikeSas().length ?? 0, engine()?.passive ?? 0];
    const common = { weight: 100, differences: [] } as const;
    const { other } = node;
    const members: readonly MemberView[] = [
      { ...common, ...named(self), state: 'self', sid, owned: node.active.length },
      {
        ...{ ...common, ...named(charon), state: stateOf(other), owned: other.segments.length },
        ...(other.heardAt !== undefined && {
          heard: Math.round(this.#parts.now() - other.heardAt),
        }),
      },
    ];
    return {
      ...{ name: config.name, node: self?.name ?? '', nodeId: self?.id ?? 0 },
      ...{ mode: config.mode, bus: config.bus, sid, segments: ha.segmentCount },
      ...{ owned: node.active.length, alone: other.lost, synced: true, lease: 'unlimited' },
      ...{ demotion: 0, demotions: {}, members, addresses: [], troubles: [], metrics: {} },
      ikeSas: { active, passive, unsynced: 0, solo: 0 },
      drops: Object.fromEntries(counts),
    };
  }

  segments(): readonly SegmentView[] {
    const { ha, partner } = this.#parts;
    const { node } = partner;
    const [self, charon] = nodesOfHa(ha);
    return Array.from({ length: ha.segmentCount }, (_, segment) => {
      const number = segment + 1;
      const here = node.active.includes(number);
      const owner = here ? self : node.other.segments.includes(number) ? charon : undefined;
      const ikeSas = node.ikeSas.filter(({ remote }) => node.segmentOf(remote.address) === number);
      const childSas = ikeSas.reduce((sum, { children }) => sum + children.length, 0);
      const counted = { ikeSas: ikeSas.length, childSas };
      return { segment, ...(owner && { owner: owner.name }), here, epoch: 0, ...counted };
    });
  }

  async order(order: ClusterOrder): Promise<ClusterOutcome> {
    const all = this.segments().map(({ segment }) => segment);
    switch (order.kind) {
      case 'take':
        return this.#command('take', order.segments, 'are served here');
      case 'give':
        return this.#command('drop', order.segments, 'are charon’s');
      case 'drain':
        return this.#command('drop', all, 'are charon’s');
      case 'resync':
        return this.#command('resync', all, 'are told to charon anew');
      case 'rekey':
        return this.#rekey(order.segments);
      default:
        return { kind: 'failed', what: `${order.kind}: nothing that charon knows` };
    }
  }

  #command(
    kind: 'take' | 'drop' | 'resync',
    segments: readonly number[],
    now: string,
  ): ClusterOutcome {
    const { partner, emit } = this.#parts;
    const { other } = partner.node;
    if (kind === 'drop' && (other.lost || other.heardAt === undefined)) {
      return { kind: 'failed', what: 'charon is not there to have segments' };
    }
    const which = formatSegments(segments);
    emit({ kind: 'cluster-order', order: kind, by: 'vici', segments: which });
    for (const segment of segments) partner.command({ kind, segment: segment + 1 });
    return { kind: 'done', what: `segments ${which} ${now}`, milliseconds: 0 };
  }

  #rekey(segments: readonly number[]): ClusterOutcome {
    const { partner, renew, emit } = this.#parts;
    const { node } = partner;
    const wanted = new Set(segments.map((segment) => segment + 1));
    const children = node.ikeSas
      .filter(
        ({ state, remote }) => state === 'active' && wanted.has(node.segmentOf(remote.address)),
      )
      .flatMap((ikeSa) => ikeSa.children.map(({ spiIn }) => spiIn));
    emit({ kind: 'cluster-order', order: 'rekey', by: 'vici', segments: formatSegments(segments) });
    renew(children);
    const what = `${children.length} Child SAs get new keys`;
    return { kind: 'done', what, milliseconds: 0 };
  }
}

function named(node: { readonly name: string; readonly id: number } | undefined) {
  return { name: node?.name ?? '', nodeId: node?.id ?? 0 };
}

function stateOf({ lost, heardAt }: CharonHaPartner['node']['other']): MemberView['state'] {
  if (heardAt === undefined) return 'unheard';
  return lost ? 'silent' : 'up';
}
