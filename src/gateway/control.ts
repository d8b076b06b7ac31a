/**
 * The gateway as vici sees it: `Control` over the engine, the PAD and the counters.
 */

import { connectionFromSettings } from '../config/connection.ts';
import type { ConfigWarning } from '../config/findings.ts';
import { parseOwner } from '../config/secrets.ts';
import { ConfigError, type Section } from '../config/section.ts';
import {
  ENCRYPTION_ALGORITHMS,
  INTEGRITY_ALGORITHMS,
  KEY_EXCHANGE_ALGORITHMS,
  PRF_ALGORITHMS,
} from '../crypto/algorithms.ts';
import { SecretBytes } from '../crypto/secret-bytes.ts';
import { dropReasonName } from '../events/drop-reason.ts';
import type { Event } from '../events/event.ts';
import type { SharedCounters } from '../events/shared-counters.ts';
import type { Outcome, SaSelector } from '../ike/action.ts';
import type { IkeEndpoint } from '../ike/endpoint.ts';
import type { ChildSa } from '../ipsec/child-sa.ts';
import type { Connection } from '../ipsec/connection.ts';
import type { Pad } from '../ipsec/pad.ts';
import type { Spd } from '../ipsec/spd.ts';
import { formatSpi } from '../ipsec/spi.ts';
import { formatSelector } from '../ipsec/traffic-selector.ts';
import type {
  ConnectionView,
  Control,
  ControlOutcome,
  IkeSaView,
  PolicyView,
  SadView,
  SpdView,
  StatsView,
  TerminateSelector,
} from '../vici/control.ts';
import { connectionView } from './connection-view.ts';
import { IkeCounters } from './ike-counters.ts';
import { ikeSaView, sadViews, type ViewContext } from './sa-views.ts';

/** What the gateway lends to its control. */
export interface GatewayParts {
  readonly pad: Pad;
  readonly engine: IkeEndpoint;
  readonly counters: SharedCounters;
  readonly spd: Spd;
  /** Version, machine and start of the daemon. */
  readonly identity: Pick<StatsView, 'version' | 'sysname' | 'release' | 'machine' | 'since'>;
  uptimeSeconds(): number;
  /** What the sockets of the control thread discarded, by reason. */
  socketDrops(): Readonly<Record<string, number>>;
  view(): ViewContext;
  childSas(): readonly ChildSa[];
  childSa(id: number): ChildSa | undefined;
  /** Tells the PAD where the connection's names are, as soon as that is known. */
  resolveNames(connection: Connection): void;
  initiate(connection: string, child: string): Promise<Outcome>;
  terminate(selector: SaSelector, force: boolean): Promise<Outcome>;
  warn(warnings: readonly ConfigWarning[]): void;
}

export class GatewayControl implements Control {
  readonly #parts: GatewayParts;
  readonly #ikeCounters = new IkeCounters();
  readonly #listeners = new Set<(event: Event) => void>();

  constructor(parts: GatewayParts) {
    this.#parts = parts;
  }

  /** Every event of the gateway passes here once. */
  publish(event: Event): void {
    this.#ikeCounters.count(event);
    for (const listener of this.#listeners) listener(event);
  }

  subscribe(listener: (event: Event) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  loadConnection(name: string, settings: Section): void {
    const { connection, warnings } = connectionFromSettings(name, settings);
    this.#parts.warn(warnings);
    this.start(connection);
  }

  /** Puts a connection into the PAD and begins what its `start_action`s ask for. */
  start(connection: Connection): void {
    this.#parts.pad.load(connection);
    this.#parts.resolveNames(connection);
    for (const child of connection.children) {
      if (child.startAction === 'start') void this.#parts.initiate(connection.name, child.name);
    }
  }

  unloadConnection(name: string): boolean {
    return this.#parts.pad.unload(name);
  }

  connections(ike?: string): readonly ConnectionView[] {
    return this.#parts.pad
      .connections()
      .filter(({ name }) => ike === undefined || name === ike)
      .map(connectionView);
  }

  loadShared(id: string, type: string, secret: Uint8Array, owners: readonly string[]): void {
    const at = { file: 'vici', line: 0 };
    if (type.toLowerCase() !== 'ike') {
      throw new ConfigError(at, `a secret of type ${type} is not used yet: only ike is`);
    }
    if (secret.length === 0) {
      throw new ConfigError(at, `secrets.${id} is empty: anyone could know it`);
    }
    const patterns = owners.map((text) => parseOwner({ path: `secrets.${id}.id`, text, at }));
    this.#parts.pad.loadShared({ id, owners: patterns, secret: new SecretBytes(secret) });
  }

  unloadShared(id: string): boolean {
    return this.#parts.pad.unloadShared(id);
  }

  sharedIds(): readonly string[] {
    return this.#parts.pad.sharedIds();
  }

  clearCredentials(): void {
    this.#parts.pad.clear();
  }

  async initiate(child: string | undefined, ike: string | undefined): Promise<ControlOutcome> {
    const named = this.#parts.pad
      .connections()
      .filter(({ name }) => ike === undefined || name === ike);
    const found = named.find(({ children }) => children.some(({ name }) => name === child));
    if (child === undefined) {
      return refused('an IKE SA without a Child SA (childless) comes later: name a child');
    }
    if (!found) {
      const known = named.flatMap(({ children }) => children.map(({ name }) => name));
      return refused(`CHILD_SA config '${child}' not found; known: ${known.join(', ') || 'none'}`);
    }
    return this.#parts.initiate(found.name, child);
  }

  terminate(selector: TerminateSelector): Promise<ControlOutcome> {
    const { ike, ikeId, child, childId, force } = selector;
    return this.#parts.terminate(
      {
        ...(ike !== undefined && { ike }),
        ...(ikeId !== undefined && { ikeSaId: ikeId }),
        ...(child !== undefined && { child }),
        ...(childId !== undefined && { childSaId: childId }),
      },
      force,
    );
  }

  ikeSas(): readonly IkeSaView[] {
    const context = this.#parts.view();
    return this.#parts.engine.ikeSas().map((sa) => ikeSaView(sa, context));
  }

  policies(): readonly PolicyView[] {
    // As with charon: traps and shunts are listed here, the policies of Child SAs with their SAs.
    return [];
  }

  sad(): readonly SadView[] {
    const context = this.#parts.view();
    return this.#parts.childSas().flatMap((childSa) => sadViews(childSa, context));
  }

  spd(): readonly SpdView[] {
    const outbound = this.#parts.spd.rows().map(({ entry, local, remote }): SpdView => {
      const childSa = this.#parts.childSa(entry.id);
      return {
        direction: 'out',
        action: entry.action,
        local: formatSelector(local),
        remote: formatSelector(remote),
        child: childSa?.name ?? '',
        ike: childSa?.connection ?? '',
        spi: childSa ? formatSpi(childSa.spiOut) : '',
      };
    });
    const inbound = this.#parts.childSas().flatMap((childSa) =>
      childSa.localTs.flatMap((local) =>
        childSa.remoteTs.map(
          (remote): SpdView => ({
            direction: 'in',
            action: 'protect',
            local: formatSelector(local),
            remote: formatSelector(remote),
            child: childSa.name,
            ike: childSa.connection,
            spi: formatSpi(childSa.spiIn),
          }),
        ),
      ),
    );
    return [...outbound, ...inbound];
  }

  stats(): StatsView {
    const { identity, engine, counters } = this.#parts;
    const packets = [...counters.drops].map((count, reason) => [dropReasonName(reason), count]);
    const drops = addUp(
      Object.fromEntries(packets),
      this.#parts.socketDrops(),
      this.#ikeCounters.drops,
    );
    return {
      ...identity,
      uptimeSeconds: this.#parts.uptimeSeconds(),
      ikeSas: engine.ikeSas().length,
      halfOpen: engine.halfOpen,
      drops,
    };
  }

  counters(connection?: string): Readonly<Record<string, Readonly<Record<string, number>>>> {
    return this.#ikeCounters.read(connection);
  }

  resetCounters(connection?: string): void {
    this.#ikeCounters.reset(connection);
  }

  algorithms(): Readonly<Record<string, readonly string[]>> {
    const names = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name);
    return {
      encryption: names(ENCRYPTION_ALGORITHMS.filter(({ aead }) => !aead)),
      integrity: names(INTEGRITY_ALGORITHMS),
      aead: names(ENCRYPTION_ALGORITHMS.filter(({ aead }) => aead)),
      prf: names(PRF_ALGORITHMS),
      dh: names(KEY_EXCHANGE_ALGORITHMS),
    };
  }
}

function refused(what: string): ControlOutcome {
  return { kind: 'failed', what };
}

/** Counts of several tables under one name each; what never happened is left out. */
function addUp(
  ...tables: readonly Readonly<Record<string, number>>[]
): Readonly<Record<string, number>> {
  const total = new Map<string, number>();
  for (const [name, count] of tables.flatMap((table) => Object.entries(table))) {
    if (count > 0) total.set(name, (total.get(name) ?? 0) + count);
  }
  return Object.fromEntries(total);
}
