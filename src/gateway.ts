/**
 * The one place where rooms meet: inputs go into the IKE engine, its actions are performed.
 *
 *   UDP 500 ─► host ─┐                         ┌─► host: IKE datagrams, routes, key log
 *   packet loop ─────┼─► engine ─► Action[] ───┼─► packet loop: SAs
 *   vici ─► control ─┘                         └─► control: events, answers
 *
 * Decides nothing about IKE or ESP itself.
 */

import type { Config } from './config/config.ts';
import type { ConfigWarning } from './config/findings.ts';
import type { Event, Level } from './events/event.ts';
import {
  createSharedCounters,
  type SharedCounters,
  shareCounters,
} from './events/shared-counters.ts';
import { CharonHaMode } from './gateway/charon-ha/mode.ts';
import { ChildSas } from './gateway/child-sas.ts';
import { Cluster } from './gateway/cluster/cluster.ts';
import type { ClusterMode } from './gateway/cluster-mode.ts';
import { GatewayControl } from './gateway/control.ts';
import { CounterRows } from './gateway/counter-rows.ts';
import { DaemonSettings } from './gateway/daemon-settings.ts';
import { HeldActions, type OtherAction } from './gateway/held-actions.ts';
import { Initiations, type InitiationWish } from './gateway/initiations.ts';
import { PacketCapture } from './gateway/packet-capture.ts';
import { Policies } from './gateway/policies.ts';
import { PoolPort } from './gateway/pool-port.ts';
import { Requests } from './gateway/requests.ts';
import type { ViewContext } from './gateway/sa-views.ts';
import type { Action, Input, Outcome } from './ike/action.ts';
import { IkeEndpoint } from './ike/endpoint.ts';
import type { IkeSpi } from './ike/message/message.ts';
import type { SnapshotBundle } from './ike/snapshot.ts';
import { now } from './io/clock.ts';
import { Host, type HostListener } from './io/host.ts';
import { KeyLog } from './io/key-log.ts';
import type { PacketLoopReport } from './io/packet-loop-protocol.ts';
import { randomBytes } from './io/random.ts';
import { daemonIdentity, goFirst, workerCount } from './io/system.ts';
import { AddressPools, type LeasePools, type ManagedPools } from './ipsec/address-pools.ts';
import { IvPartition } from './ipsec/iv-partition.ts';
import { Pad } from './ipsec/pad.ts';
import { PolicyList } from './ipsec/policy-list.ts';
import { ViciServer } from './vici/server.ts';
import { equalAddresses, type IpAddress } from './wire/address.ts';
import { type Instant, instant } from './wire/instant.ts';

export interface GatewayOptions {
  readonly config: Config;
  /** `unix:///run/tsgw.vici` or `tcp://host:port`. */
  readonly viciUri: string;
  /** Writes Wireshark's tables there: whoever reads them reads all traffic. */
  readonly keyLogDirectory?: string;
  readonly log: (event: Event) => void;
  /** The packet loop died: nothing moves any more. */
  readonly failed: (error: Error) => void;
  /** Reads the configuration again, for `reload-settings`; unset = there is nothing to read. */
  readonly reload?: () => Config;
  /** Other nodes follow this one, and it may follow them; unset = there are none. */
  readonly following?: Following;
}

/** How nodes follow one another. */
export interface Following {
  /** Of this node in this incarnation; no other had it as long as a key lives (16 bits). */
  readonly sid: number;
  /** What a turn changed. Its messages leave when this returns. */
  readonly changed: (bundle: SnapshotBundle) => void;
}

/** What nodes that follow are told to do. */
export type FollowingInput = Extract<
  Input,
  { readonly kind: 'install-snapshots' | 'activate' | 'deactivate' }
>;

/** Time `stop` gives peers to answer a Delete. */
const SHUTDOWN_MS = 1500;
/** The longest wait Node's timers take without overflowing. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export class Gateway {
  readonly control: GatewayControl;
  readonly #options: GatewayOptions;
  readonly #pad = new Pad();
  readonly #pools: LeasePools & ManagedPools;
  readonly #settings: DaemonSettings;
  readonly #spd = new PolicyList();
  /** By worker of the packet path. */
  readonly #counters: readonly SharedCounters[];
  readonly #rows: CounterRows;
  readonly #requests = new Requests();
  readonly #held = new HeldActions((action) => this.#perform(action));
  readonly #started = now();
  readonly #cluster: ClusterMode | undefined;
  readonly #engine: IkeEndpoint;
  readonly #host: Host;
  readonly #keyLog: KeyLog | undefined;
  readonly #childSas: ChildSas;
  readonly #policies: Policies;
  readonly #initiations: Initiations;
  readonly #capture: PacketCapture;
  readonly #vici: ViciServer;
  #ownAddresses: readonly IpAddress[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** The deadline `#timer` stands for. */
  #scheduled: Instant | undefined;

  /** Opens devices and sockets, starts the packet loop and the control socket, loads the config. */
  static async start(options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options);
    try {
      await gateway.#open();
    } catch (error) {
      await gateway.#cluster?.close();
      await gateway.#host.close();
      throw error;
    }
    return gateway;
  }

  private constructor(options: GatewayOptions) {
    this.#options = options;
    this.#settings = new DaemonSettings(options.config.gateway);
    const settings = this.#settings.current;
    const first = createSharedCounters();
    const workers = workerCount(settings.workers);
    this.#counters = [first, ...Array.from({ length: workers - 1 }, () => shareCounters(first))];
    this.#rows = new CounterRows(first);
    this.#keyLog = options.keyLogDirectory ? new KeyLog(options.keyLogDirectory) : undefined;
    this.#capture = new PacketCapture({
      host: () => this.#host,
      childSas: () => this.#childSas.all(),
      isPeer: (connection, address) =>
        this.#engine
          .ikeSas()
          .some(
            (sa) => sa.connection.name === connection && equalAddresses(sa.remote.address, address),
          ),
      nattPort: () => settings.portNatT,
      emit: (event) => this.#emit(event),
    });
    this.#childSas = new ChildSas({
      rows: this.#rows,
      spd: this.#spd,
      keyLog: this.#keyLog,
      host: () => this.#host,
      now: () => instant(now()),
      emit: (event) => this.#emit(event),
      installing: (childSa) => this.#capture.installing(childSa),
    });
    this.#policies = new Policies({
      spd: this.#spd,
      host: () => this.#host,
      path: (connection) => this.#initiations.path(connection),
      initiate: (connection, child, trigger) => this.#initiate({ connection, child, trigger }),
      say: (level, what) => this.#say(level, what),
    });
    this.#cluster = this.#openCluster(options, first);
    this.#pools = this.#cluster?.pools ?? new AddressPools();
    this.#engine = new IkeEndpoint({
      random: randomBytes,
      pad: this.#pad,
      pools: this.#pools,
      settings,
      traffic: {
        lastInbound: (id) => this.#rows.inbound(id).lastUse,
        lastOutbound: (id) => this.#rows.outbound(id).lastUse,
      },
      sourceFor: (destination) => this.#sourceFor(destination),
      keyLog: this.#keyLog !== undefined,
      ...(options.following && {
        replicated: true,
        ivs: new IvPartition(options.following.sid),
      }),
      ...this.#cluster?.environment,
    });
    this.#cluster?.join(this.#engine);
    this.control = new GatewayControl(this.#parts());
    this.#vici = new ViciServer({
      control: this.control,
      fault: (error) => this.#say('error', `vici: ${describe(error)}`),
    });
    const listener: HostListener = {
      datagram: (local, remote, octets) => this.#receive({ local, remote, octets }),
      report: (report) => this.#hear(report),
      addresses: (addresses) => this.#reachableBy(addresses),
      replaced: (concerns) => this.#childSas.resume(concerns),
      failed: options.failed,
      warn: (what) => this.#say('notice', what),
    };
    this.#host = new Host(settings, this.#counters, listener, this.#cluster?.lease);
    this.#initiations = new Initiations(this.#host, {
      pad: this.#pad,
      ports: () => this.#settings.current,
      ask: (input) => this.#requests.open((request) => this.#handle({ ...input, request })),
      emit: (event) => this.#emit(event),
    });
  }

  #openCluster(options: GatewayOptions, counters: SharedCounters): ClusterMode | undefined {
    const { cluster: config } = options.config;
    if (!config) return undefined;
    const parts = {
      config,
      counters,
      rows: this.#rows,
      childSas: () => this.#childSas,
      packetLoops: () => this.#host.cluster,
      ports: { ike: this.#settings.current.portIke, natT: this.#settings.current.portNatT },
      took: () => this.control.startAll(),
      pad: this.#pad,
      perform: (actions: readonly Action[]) => this.#performAll(actions),
      say: (level: Level, what: string) => this.#say(level, what),
      emit: (event: Event) => this.#emit(event),
      rekey: (childId: number) => this.control.rekey({ childId, reauthenticate: false }),
      reload: () => (options.reload?.() ?? options.config).cluster,
      failed: options.failed,
    };
    const { ha } = config;
    return ha ? new CharonHaMode({ ...parts, ha }) : new Cluster(parts);
  }

  async #open(): Promise<void> {
    if (this.#keyLog) {
      const directory = this.#options.keyLogDirectory;
      this.#say(
        'error',
        `keys of every SA are written to ${directory}: anyone who reads them reads all traffic`,
      );
    }
    const slow = this.#cluster && goFirst();
    if (slow !== undefined) this.#say('notice', `other processes may delay this one: ${slow}`);
    await this.#host.open();
    await this.#vici.listen(this.#options.viciUri);
    const { config } = this.#options;
    this.#warn(config.warnings);
    for (const secret of config.secrets) this.#pad.loadShared(secret);
    for (const pool of config.pools) this.#pools.load(pool);
    for (const connection of config.connections) this.control.start(connection);
    await this.#cluster?.start();
  }

  /**
   * Deletes all SAs and tells the peers, or leaves them to other nodes, and takes down everything `start`
   * put up.
   */
  async stop(): Promise<void> {
    const goesOn = await this.#cluster?.leave();
    if (!goesOn) await this.#deleteAll();
    await this.#cluster?.close();
    clearTimeout(this.#timer);
    this.#held.close();
    await this.#vici.close();
    await this.#host.close();
  }

  async #deleteAll(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, SHUTDOWN_MS);
    });
    const deleted = this.#requests.open((request) => this.#handle({ kind: 'shutdown', request }));
    await Promise.race([deleted, patience]);
    clearTimeout(timer);
  }

  // The way in and out of the engine

  /** PASSIVE IKE SAs come, become ours, or go on elsewhere. */
  follow(input: FollowingInput): void {
    this.#handle(input);
  }

  /** Our SPIs of the IKE SAs that other nodes have. */
  passiveSpis(): readonly IkeSpi[] {
    return this.#engine.passiveSpis();
  }

  #handle(input: Input): void {
    if (this.#cluster) {
      this.#cluster.handle(input);
    } else {
      const actions = this.#engine.handle(input, now());
      const changes = this.#engine.takeChanges(now());
      if (changes) this.#options.following?.changed(changes);
      this.#performAll(actions);
    }
    this.#schedule();
  }

  #performAll(actions: readonly Action[]): void {
    const { childSas } = this.#cluster ?? { childSas: this.#childSas };
    // In a cluster a message may leave turns after its Child SA is here, when other nodes have it, too.
    const turns = this.#cluster ? 'several' : 'one';
    this.#held.performAll(actions, ({ childSa }) => childSas.install(childSa), turns);
    this.#schedule();
  }

  /** An IKE message, without its marker. */
  #receive({ local, remote, octets }: Omit<Extract<Input, { kind: 'datagram' }>, 'kind'>): void {
    this.#capture.ike('in', { local, remote, octets });
    this.#handle({ kind: 'datagram', local, remote, octets });
  }

  #perform(action: OtherAction): void {
    switch (action.kind) {
      case 'send':
        this.#capture.ike('out', action);
        this.#host.sendIke(action.local, action.remote, action.octets, action.carriage);
        break;
      case 'send-nat-keepalive':
        this.#host.sendNatKeepalive(action.local, action.remote);
        break;
      case 'install-passive-child-sa':
        // Without a cluster the packet loop has it from when it is active.
        this.#cluster?.childSas.follow(action.childSa, action.sequences);
        break;
      case 'activate-child-sa':
        if (this.#cluster) this.#cluster.childSas.activate(action.childSa, action.sequences);
        else this.#childSas.install(action.childSa);
        break;
      case 'deactivate-child-sa':
        if (this.#cluster) this.#cluster.childSas.deactivate(action.childSa);
        else this.#childSas.withdraw(action.childSa);
        break;
      case 'remove-child-sa':
        this.#cluster?.childSas.forget(action.childSa);
        this.#childSas.remove(action.childSa);
        break;
      case 'expect-spi':
        this.#host.expect(action.spiIn);
        break;
      case 'set-outbound':
        this.#childSas.setOutbound(action.childSaId, action.outbound);
        break;
      case 'skip-numbers':
        this.#host.skipNumbers(action.childSaId, action.direction, action.count);
        break;
      case 'move-child-sa':
        this.#childSas.move(action.childSaId, action);
        break;
      case 'trap':
        this.#trap(action.connection, action.child);
        break;
      case 'install-virtual':
        this.#host.installVirtual(action.ikeSa, action.virtual);
        break;
      case 'remove-virtual':
        this.#host.removeVirtual(action.ikeSa);
        break;
      case 'reinitiate':
        void this.#initiate(action).then((outcome) => {
          for (const request of action.requests ?? []) this.#requests.complete(request, outcome);
        });
        break;
      case 'complete':
        this.#requests.complete(action.request, action.outcome);
        break;
      case 'key-log':
        this.#missKeys(`IKE SA ${action.line.spiI}`, this.#keyLog?.ike(action.line));
        break;
      case 'emit':
        this.#emit(action.event);
        break;
      default:
        action satisfies never;
    }
  }

  #schedule(): void {
    const next = this.#engine.nextDeadline();
    // Few turns change the earliest deadline.
    if (next === this.#scheduled) return;
    clearTimeout(this.#timer);
    this.#scheduled = next;
    if (next === undefined) return;
    const wait = Math.min(MAX_TIMER_MS, Math.max(0, next - now()));
    this.#timer = setTimeout(() => {
      this.#scheduled = undefined;
      this.#handle({ kind: 'deadline' });
    }, wait);
  }

  /** What the packet loop reports. */
  #hear(report: PacketLoopReport): void {
    switch (report.kind) {
      case 'ike':
        this.#receive(report);
        break;
      case 'peer-moved': {
        const { id: childSaId, local, remote } = report;
        this.#handle({ kind: 'peer-moved', childSaId, local, remote });
        break;
      }
      case 'traffic-limit':
        this.#childSas.hear(report);
        this.#handle({ kind: 'traffic-limit', childSaId: report.id, limit: report.limit });
        break;
      case 'acquire':
        void this.#policies.acquire(report);
        break;
      case 'installed':
      case 'removed':
        this.#childSas.hear(report);
        this.#held.settled(report.id);
        break;
      case 'outbound-set':
        this.#held.settled(report.id);
        break;
      case 'expected':
        this.#held.expected(report.spiIn);
        break;
      case 'moved':
      case 'outbound-activated':
      case 'path-mtu-changed':
      case 'policy-mismatch':
        this.#childSas.hear(report);
        break;
      case 'captured':
      case 'capture-ended':
        this.#capture.hear(report);
        break;
      case 'ready':
      case 'handed-over':
      case 'stopped':
        break;
      case 'cluster':
        this.#cluster?.hear(report.report);
        break;
      default:
        report satisfies never;
    }
  }

  /** Peers of a cluster reach it by what all its nodes have. */
  #reachableBy(own: readonly IpAddress[]): void {
    const shared = this.#cluster?.sharedAddresses ?? [];
    const addresses = shared.length > 0 ? shared : own;
    this.#handle({ kind: 'local-addresses', addresses });
    const before = this.#ownAddresses;
    this.#ownAddresses = own;
    for (const address of own) {
      const isNew = !before.some((one) => equalAddresses(one, address));
      if (isNew) this.#handle({ kind: 'address-came', address });
    }
    this.#policies.refresh();
  }

  #sourceFor(destination: IpAddress): IpAddress | undefined {
    const shared = this.#cluster?.sharedAddresses ?? [];
    const sameFamily = shared.find(({ family }) => family === destination.family);
    return sameFamily ?? this.#host.sourceFor(destination);
  }

  #missKeys(sa: string, why: string | undefined): void {
    if (why !== undefined) this.#say('error', `no keys of ${sa} in the key log: ${why}`);
  }

  // Requests of operators and of the engine

  /** An IKE SA has a segment that its node must have. */
  async #initiate(wish: InitiationWish): Promise<Outcome> {
    if (this.#cluster && !this.#cluster.serves) {
      const what = 'this node of the cluster has no segment: initiate at one that has';
      return { kind: 'failed', what: `${wish.connection}: ${what}` };
    }
    return this.#initiations.start(wish);
  }

  /** The engine lets the traffic of a child bring it up again. */
  #trap(name: string, childName: string): void {
    const connection = this.#pad.connection(name);
    const child = connection?.children.find((one) => one.name === childName);
    if (!connection || !child) return;
    try {
      this.#policies.install(connection, child);
    } catch (error) {
      this.#say('error', describe(error));
    }
  }

  #parts(): ConstructorParameters<typeof GatewayControl>[0] {
    return {
      pad: this.#pad,
      engine: this.#engine,
      counters: this.#counters,
      spd: this.#spd,
      identity: daemonIdentity(),
      dataPlane: () => this.#host.dataPlane(),
      socketDrops: () => this.#host.drops(),
      uptimeSeconds: () => Math.floor((now() - this.#started) / 1000),
      view: () => this.#view(),
      childSas: () => this.#childSas.all(),
      policies: this.#policies,
      pools: new PoolPort(this.#pools, (warnings) => this.#warn(warnings)),
      trace: {
        device: () => this.#host.device(),
        routeTo: (destination) => this.#host.routeTo(destination),
        mssClamp: () => this.#settings.current.mssClamp,
        path: (id) => this.#childSas.path(id),
        reachedLimit: (id) => this.#childSas.reachedLimit(id),
      },
      paths: {
        measure: (ikeSaId, most) =>
          this.#requests.open((request) =>
            this.#handle({ kind: 'measure-path', request, ikeSaId, most }),
          ),
        measured: (ids, mtu) => this.#childSas.measured(ids, mtu),
        childSa: (id) => this.#childSas.find(id),
      },
      cluster: () => this.#cluster?.operations,
      capture: (selection, sink) => this.#capture.start(selection, sink),
      begins: (connection) => this.#cluster?.begins(connection) ?? true,
      resolveNames: (connection) => {
        void this.#initiations.resolveNames(connection);
        this.#cluster?.configured();
        if (this.#cluster) this.#reachableBy(this.#ownAddresses);
      },
      initiate: (connection, child) =>
        this.#initiate({ connection, ...(child !== undefined && { child }) }),
      rekey: (selector, reauthenticate) =>
        this.#requests.open((request) =>
          this.#handle({ kind: 'rekey', request, selector, reauthenticate }),
        ),
      redirect: (order) =>
        this.#requests.open((request) => this.#handle({ kind: 'redirect', request, ...order })),
      reloadSettings: () => this.#reload(),
      terminate: (selector, force) =>
        this.#requests.open((request) =>
          this.#handle({ kind: 'terminate', request, selector, force }),
        ),
      warn: (warnings) => this.#warn(warnings),
    };
  }

  #reload(): readonly string[] {
    const config = this.#options.reload?.();
    return config ? this.#settings.replace(config.gateway) : [];
  }

  #view(): ViewContext {
    return {
      now: instant(now()),
      rows: this.#rows,
      installedAt: (id) => this.#childSas.installedAt(id),
      innerMtu: (id) => this.#childSas.innerMtu(id),
    };
  }

  #warn(warnings: readonly ConfigWarning[]): void {
    for (const { at, what } of warnings) this.#say('notice', `${at.file}:${at.line}: ${what}`);
  }

  #say(level: Level, what: string): void {
    this.#emit({ kind: 'daemon', level, what });
  }

  #emit(event: Event): void {
    this.#options.log(event);
    this.control.publish(event);
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
