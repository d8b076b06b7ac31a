/**
 * The gateway as vici sees it: `Control` over the engine, the PAD and the counters.
 */

import { connectionFromSettings } from '../config/connection.ts';
import { parseOwner } from '../config/secrets.ts';
import { ConfigError, type Section } from '../config/section.ts';
import { SecretBytes } from '../crypto/secret-bytes.ts';
import { INITIATION_FAILED } from '../events/alert.ts';
import type { Event } from '../events/event.ts';
import type { Outcome, SaSelector } from '../ike/action.ts';
import type { ChildPolicy, Connection } from '../ipsec/connection.ts';
import { formatIdentity } from '../ipsec/identity.ts';
import type { CaptureHandle, CaptureSelection, CaptureSink } from '../vici/capture-view.ts';
import type { ClusterControl } from '../vici/cluster-view.ts';
import type {
  ConnectionView,
  Control,
  ControlOutcome,
  FailureView,
  IkeSaView,
  PolicyOutcome,
  PolicyView,
  PoolView,
  RedirectSelector,
  RekeySelector,
  SadView,
  SaSelection,
  SpdView,
  StatsView,
  TerminateSelector,
  TraceResult,
} from '../vici/control.ts';
import type { MtuOutcome, PathSelector } from '../vici/mtu-view.ts';
import type { TraceQuestion } from '../vici/trace-question.ts';
import { algorithmNames } from './algorithm-names.ts';
import { unknownSelection } from './capture-selection.ts';
import { connectionView, matchText } from './connection-view.ts';
import type { GatewayParts } from './control-parts.ts';
import { failureView } from './diagnosis.ts';
import { dropTotals } from './drop-totals.ts';
import { FailureHistory } from './failure-history.ts';
import { IkeCounters } from './ike-counters.ts';
import { LoadedConnections } from './loaded-connections.ts';
import { examineMtu } from './mtu-doctor.ts';
import { redirectOrder, redirects } from './redirect-order.ts';
import { Replacements, replaceable } from './replacements.ts';
import { ikeSaView, sadViews } from './sa-views.ts';
import { spdViews } from './spd-views.ts';
import { traceView } from './trace.ts';
import { workerViews } from './worker-views.ts';

export class GatewayControl implements Control {
  readonly #parts: GatewayParts;
  readonly #ikeCounters = new IkeCounters();
  readonly #listeners = new Set<(event: Event) => void>();
  readonly #failures: FailureHistory;
  readonly #loaded: LoadedConnections;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
    this.#failures = new FailureHistory((ikeSa) => this.#identityOf(ikeSa));
    this.#loaded = new LoadedConnections({
      pad: parts.pad,
      resolveNames: (connection) => parts.resolveNames(connection),
      initiate: (connection, child) => void this.#initiate(connection, child),
      begins: (connection) => parts.begins(connection),
      isUp: (connection, child) =>
        parts.childSas().some((one) => one.connection === connection && one.name === child),
      abandon: (connection) => this.#abandon(connection),
      install: (connection, child) => this.#install(connection, child),
      uninstall: (connection, child) => void parts.policies.uninstall(connection, child),
    });
  }

  /** Every event of the gateway passes here once. */
  publish(event: Event): void {
    this.#ikeCounters.count(event);
    this.#failures.observe(event, this.#parts.view().now);
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
    this.#loaded.load(connection);
  }

  /** Begins what should be up, now that this node of a cluster has more than before. */
  startAll(): void {
    this.#loaded.startAll();
  }

  unloadConnection(name: string): boolean {
    return this.#loaded.unload(name);
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
    if (child === undefined) {
      const [connection] = named;
      if (ike === undefined || !connection) return failed(`IKE_SA config '${ike}' not found`);
      return this.#initiate(connection.name, undefined);
    }
    const found = named.find(({ children }) => children.some(({ name }) => name === child));
    if (!found) {
      const known = named.flatMap(({ children }) => children.map(({ name }) => name));
      return failed(`CHILD_SA config '${child}' not found; known: ${known.join(', ') || 'none'}`);
    }
    return this.#initiate(found.name, child);
  }

  terminate({ force, ...selection }: TerminateSelector): Promise<ControlOutcome> {
    return this.#parts.terminate(saSelector(selection), force);
  }

  /** The engine only begins: the answer waits until every SA is replaced or will not be. */
  async rekey(selector: RekeySelector): Promise<ControlOutcome> {
    const { reauthenticate, ...selection } = selector;
    const replacements = new Replacements(replaceable(this.ikeSas(), selector), reauthenticate);
    return replacements.settled(
      (listener) => this.subscribe(listener),
      () => this.#parts.rekey(saSelector(selection), reauthenticate),
    );
  }

  redirectable(selector: RedirectSelector): number | string {
    const order = redirectOrder(selector);
    if (typeof order === 'string') return order;
    return this.#parts.engine.ikeSas().filter((sa) => redirects(order, sa)).length;
  }

  async redirect(selector: RedirectSelector): Promise<ControlOutcome> {
    const order = redirectOrder(selector);
    return typeof order === 'string' ? failed(order) : this.#parts.redirect(order);
  }

  install(child: string, ike: string | undefined): PolicyOutcome {
    const connection = this.#parts.pad
      .connections()
      .filter(({ name }) => ike === undefined || name === ike)
      .find(({ children }) => children.some(({ name }) => name === child));
    const policy = connection?.children.find(({ name }) => name === child);
    if (!connection || !policy) return 'not-found';
    try {
      this.#parts.policies.install(connection, policy);
      return 'done';
    } catch (error) {
      return { failed: describe(error) };
    }
  }

  uninstall(child: string, ike: string | undefined): PolicyOutcome {
    const { policies } = this.#parts;
    const found = policies
      .views()
      .find((one) => one.child === child && (ike === undefined || one.ike === ike));
    return found && policies.uninstall(found.ike, child) ? 'done' : 'not-found';
  }

  loadPool(name: string, settings: Section): void {
    this.#parts.pools.load(name, settings);
  }

  unloadPool(name: string): boolean {
    return this.#parts.pools.unload(name);
  }

  pools(): readonly PoolView[] {
    return this.#parts.pools.views();
  }

  reloadSettings(): readonly string[] {
    return this.#parts.reloadSettings();
  }

  failures(peer: string | undefined): readonly FailureView[] {
    const { now } = this.#parts.view();
    return this.#failures.about(peer).map((failure) => failureView(failure, now));
  }

  ikeSas(): readonly IkeSaView[] {
    const context = this.#parts.view();
    const { engine } = this.#parts;
    return [
      ...engine.ikeSas().map((sa) => ikeSaView(sa, context)),
      ...engine.passiveSas(context.now).map((sa) => ikeSaView(sa, context, true)),
    ];
  }

  policies(): readonly PolicyView[] {
    // As with charon: traps and shunts are listed here, the policies of Child SAs with their SAs.
    return this.#parts.policies.views();
  }

  sad(): readonly SadView[] {
    const context = this.#parts.view();
    return this.#parts.childSas().flatMap((childSa) => sadViews(childSa, context));
  }

  spd(): readonly SpdView[] {
    const { spd, childSas, policies } = this.#parts;
    return spdViews(spd.rows(), childSas(), (id) => policies.owner(id));
  }

  measureMtu(selector: PathSelector): Promise<MtuOutcome> {
    const { pad, engine, paths, trace } = this.#parts;
    return examineMtu(selector, {
      ...paths,
      ikeSas: () => engine.ikeSas(),
      connections: () => pad.connections(),
      path: (id) => trace.path(id),
      mssClamp: trace.mssClamp(),
    });
  }

  trace(question: TraceQuestion): TraceResult {
    const { pad, engine, spd, childSas, policies, trace, view } = this.#parts;
    return traceView(question, {
      rows: spd.rows(),
      childSas: childSas(),
      ikeSas: engine.ikeSas(),
      connections: pad.connections(),
      context: view(),
      sources: trace,
      owner: (id) => policies.owner(id),
    });
  }

  capture(selection: CaptureSelection, sink: CaptureSink): CaptureHandle | string {
    const { pad, childSas } = this.#parts;
    const unknown = unknownSelection(selection, pad.connections(), childSas());
    if (unknown !== undefined) return unknown;
    return this.#parts.capture(selection, sink);
  }

  cluster(): ClusterControl | undefined {
    return this.#parts.cluster();
  }

  stats(): StatsView {
    const { identity, engine, counters, childSas } = this.#parts;
    const drops = dropTotals(counters, this.#parts.socketDrops(), this.#ikeCounters.drops);
    return {
      ...identity,
      uptimeSeconds: this.#parts.uptimeSeconds(),
      ikeSas: engine.ikeSas().length,
      halfOpen: engine.halfOpen,
      drops,
      workers: workerViews(counters, childSas()),
      ...this.#parts.dataPlane(),
    };
  }

  counters(connection?: string): Readonly<Record<string, Readonly<Record<string, number>>>> {
    return this.#ikeCounters.read(connection);
  }

  resetCounters(connection?: string): void {
    this.#ikeCounters.reset(connection);
  }

  algorithms(): Readonly<Record<string, readonly string[]>> {
    return algorithmNames();
  }

  /** A failure that no event told of is remembered all the same. */
  async #initiate(connection: string, child: string | undefined): Promise<Outcome> {
    const before = this.#failures.about(connection)[0];
    const outcome = await this.#parts.initiate(connection, child);
    const { kind } = outcome;
    if (kind === 'failed' && this.#failures.about(connection)[0] === before) {
      const remote = this.#parts.pad.connection(connection)?.remoteAddresses ?? [];
      const peer = remote.map(matchText).join(', ');
      const alert = INITIATION_FAILED;
      this.#failures.observe(
        { kind: 'alert', alert, what: outcome.what, ikeSa: 0, connection, peer },
        this.#parts.view().now,
      );
    }
    return outcome;
  }

  #abandon(connection: string): boolean {
    const attempts = this.#parts.engine
      .ikeSas()
      .filter((sa) => sa.isEstablishing && sa.connection.name === connection);
    for (const { id } of attempts) void this.#parts.terminate({ ikeSaId: id }, true);
    return attempts.length > 0;
  }

  #install(connection: Connection, child: ChildPolicy): void {
    try {
      this.#parts.policies.install(connection, child);
    } catch (error) {
      const what = `${connection.name}/${child.name} is not installed: ${describe(error)}`;
      this.publish({ kind: 'daemon', level: 'error', what });
    }
  }

  #identityOf(ikeSa: number): string | undefined {
    const sa = this.#parts.engine.ikeSas().find(({ id }) => id === ikeSa);
    return sa && 'peer' in sa.state ? formatIdentity(sa.state.peer.remoteId) : undefined;
  }
}

function failed(what: string): ControlOutcome {
  return { kind: 'failed', what };
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function saSelector({ ike, ikeId, child, childId }: SaSelection): SaSelector {
  return {
    ...(ike !== undefined && { ike }),
    ...(ikeId !== undefined && { ikeSaId: ikeId }),
    ...(child !== undefined && { child }),
    ...(childId !== undefined && { childSaId: childId }),
  };
}
