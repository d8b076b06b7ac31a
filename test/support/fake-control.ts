/**
 * A gateway that only remembers: the `Control` that the vici server and the CLI are tested on.
 *
 * Its lists and answers are fields a test sets; what is asked of it is kept in `calls`.
 */
import { ConfigError, type Section } from '../../src/config/section.ts';
import type { Event } from '../../src/events/event.ts';
import type { CaptureHandle, CaptureSelection, CaptureSink } from '../../src/vici/capture-view.ts';
import type { ClusterControl } from '../../src/vici/cluster-view.ts';
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
  SpdView,
  StatsView,
  TerminateSelector,
  TraceResult,
} from '../../src/vici/control.ts';
import type { MtuOutcome, PathSelector } from '../../src/vici/mtu-view.ts';
import type { TraceQuestion } from '../../src/vici/trace-question.ts';
import type { TraceView } from '../../src/vici/trace-view.ts';

export class FakeControl implements Control {
  readonly calls: string[] = [];
  readonly loaded = new Map<string, Section>();
  readonly secrets = new Map<string, { readonly data: Uint8Array; readonly owners: string }>();
  views: readonly ConnectionView[] = [];
  sas: readonly IkeSaView[] = [];
  shunts: readonly PolicyView[] = [];
  addressPools: readonly PoolView[] = [];
  failed: readonly FailureView[] = [];
  /** Settings that wait for a restart. */
  restart: readonly string[] = [];
  /** What `install` and `uninstall` answer. */
  policyOutcome: PolicyOutcome = 'done';
  /** How many IKE SAs a redirect would go to. */
  redirected: number | string = 1;
  sadRows: readonly SadView[] = [];
  spdRows: readonly SpdView[] = [];
  traced: TraceResult = { trace: NOTHING_TRACED };
  totals: Readonly<Record<string, Readonly<Record<string, number>>>> = { '': {} };
  daemon: StatsView = {
    version: '0.1.0',
    sysname: 'Linux',
    release: '6.18.0',
    machine: 'x86_64',
    uptimeSeconds: 26,
    since: 'Nov 21 21:40:47 2026',
    ikeSas: 0,
    halfOpen: 0,
    drops: {},
    workers: [{ childSas: 0, packetsIn: 0, packetsOut: 0, handedOver: 0, takenOver: 0 }],
    backEnds: { evp: '3.0.19', 'ipsec-mb': '1.3.0' },
    ciphers: {
      'aes-128-gcm': 'ipsec-mb',
      'chacha20-poly1305': 'evp',
      'aes-256-gcm': 'ipsec-mb',
      others: 'evp',
    },
    offload: 'tcp,udp',
  };
  /** How `initiate` and `terminate` end; a test may emit events before it resolves. */
  onInitiate: () => Promise<ControlOutcome> = () => Promise.resolve(done(1, 0));
  onTerminate: () => Promise<ControlOutcome> = () => Promise.resolve(done(1, 1));
  onRekey: () => Promise<ControlOutcome> = () => Promise.resolve(done(1, 0));
  onRedirect: () => Promise<ControlOutcome> = () => Promise.resolve(done(1, 0));
  onMeasure: (selector: PathSelector) => Promise<MtuOutcome> = ({ peer }) =>
    Promise.resolve({ kind: 'failed', what: `no IKE SA is up with ${peer}` });
  /** How `capture` begins: here with nothing to tell. */
  onCapture: (sink: CaptureSink) => CaptureHandle | string = () => ({
    keys: () => [],
    stop: () => Promise.resolve({ packets: 0, missed: 0 }),
  });
  /** Unset = no node of a cluster. */
  clusterControl: ClusterControl | undefined;
  readonly #listeners = new Set<(event: Event) => void>();

  emit(...events: readonly Event[]): void {
    for (const event of events) for (const listener of this.#listeners) listener(event);
  }

  get subscribers(): number {
    return this.#listeners.size;
  }

  loadConnection(name: string, settings: Section): void {
    const unknown = [...settings.entries.keys()].find((key) => !knownKeys.has(key));
    if (unknown !== undefined) {
      throw new ConfigError(settings.at, `unknown key ${unknown}`);
    }
    this.loaded.set(name, settings);
    this.calls.push(`load-conn ${name}`);
  }

  unloadConnection(name: string): boolean {
    this.calls.push(`unload-conn ${name}`);
    return this.loaded.delete(name);
  }

  connections(ike?: string): readonly ConnectionView[] {
    return this.views.filter(({ name }) => ike === undefined || ike === name);
  }

  loadShared(id: string, type: string, data: Uint8Array, owners: readonly string[]): void {
    this.calls.push(`load-shared ${id} ${type}`);
    this.secrets.set(id, { data, owners: owners.join(' ') });
  }

  unloadShared(id: string): boolean {
    this.calls.push(`unload-shared ${id}`);
    return this.secrets.delete(id);
  }

  sharedIds(): readonly string[] {
    return [...this.secrets.keys()];
  }

  clearCredentials(): void {
    this.calls.push('clear-creds');
    this.secrets.clear();
  }

  initiate(child: string | undefined, ike: string | undefined): Promise<ControlOutcome> {
    this.calls.push(`initiate ${child} ${ike}`);
    return this.onInitiate();
  }

  terminate(selector: TerminateSelector): Promise<ControlOutcome> {
    this.calls.push(`terminate ${JSON.stringify(selector)}`);
    return this.onTerminate();
  }

  rekey(selector: RekeySelector): Promise<ControlOutcome> {
    this.calls.push(`rekey ${JSON.stringify(selector)}`);
    return this.onRekey();
  }

  redirectable(): number | string {
    return this.redirected;
  }

  redirect(selector: RedirectSelector): Promise<ControlOutcome> {
    this.calls.push(`redirect ${JSON.stringify(selector)}`);
    return this.onRedirect();
  }

  measureMtu(selector: PathSelector): Promise<MtuOutcome> {
    this.calls.push(`measure-mtu ${JSON.stringify(selector)}`);
    return this.onMeasure(selector);
  }

  install(child: string, ike: string | undefined): PolicyOutcome {
    this.calls.push(`install ${child} ${ike}`);
    return this.policyOutcome;
  }

  uninstall(child: string, ike: string | undefined): PolicyOutcome {
    this.calls.push(`uninstall ${child} ${ike}`);
    return this.policyOutcome;
  }

  loadPool(name: string, settings: Section): void {
    if (!settings.entries.has('addrs')) {
      throw new ConfigError(settings.at, `missing addrs for pool '${name}'`);
    }
    this.calls.push(`load-pool ${name}`);
  }

  unloadPool(name: string): boolean {
    this.calls.push(`unload-pool ${name}`);
    return this.addressPools.some((pool) => pool.name === name);
  }

  pools(): readonly PoolView[] {
    return this.addressPools;
  }

  reloadSettings(): readonly string[] {
    this.calls.push('reload-settings');
    return this.restart;
  }

  failures(peer: string | undefined): readonly FailureView[] {
    return this.failed.filter((one) => peer === undefined || one.peer === peer);
  }

  ikeSas(): readonly IkeSaView[] {
    return this.sas;
  }

  policies(): readonly PolicyView[] {
    return this.shunts;
  }

  sad(): readonly SadView[] {
    return this.sadRows;
  }

  spd(): readonly SpdView[] {
    return this.spdRows;
  }

  trace(question: TraceQuestion): TraceResult {
    this.calls.push(`trace ${question.inbound ? 'in' : 'out'} ${question.flow.destinationPort}`);
    return this.traced;
  }

  capture(selection: CaptureSelection, sink: CaptureSink): CaptureHandle | string {
    this.calls.push(`capture ${JSON.stringify(selection)}`);
    return this.onCapture(sink);
  }

  cluster(): ClusterControl | undefined {
    return this.clusterControl;
  }

  stats(): StatsView {
    return this.daemon;
  }

  counters(connection?: string): Readonly<Record<string, Readonly<Record<string, number>>>> {
    if (connection === undefined) return this.totals;
    const found = this.totals[connection];
    return found === undefined ? {} : { [connection]: found };
  }

  resetCounters(connection?: string): void {
    this.calls.push(`reset-counters ${connection}`);
  }

  algorithms(): Readonly<Record<string, readonly string[]>> {
    return {
      encryption: ['AES_CBC'],
      integrity: ['HMAC_SHA2_256_128'],
      aead: ['AES_GCM_16'],
      prf: ['PRF_HMAC_SHA2_256'],
      dh: ['CURVE_25519'],
    };
  }

  subscribe(listener: (event: Event) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** A packet that meets no policy at all. */
export const NOTHING_TRACED: TraceView = {
  direction: 'out',
  packet: {
    source: '10.1.0.5',
    destination: '10.2.0.9',
    traffic: 'tcp/443',
    sourcePort: 49_152,
    sourcePortAssumed: true,
    size: 0,
    sizeAssumed: false,
    dontFragment: false,
  },
  device: { name: 'tsgw0', mtu: 1400 },
  policies: [],
  passed: 0,
  all: 0,
  action: 'none',
  others: [],
  notes: [],
  verdict: {
    outcome: 'dropped',
    reason: 'no-policy',
    what: 'dropped: no-policy; there is no policy at all',
    next: [],
  },
};

export function done(matches: number, terminated: number): ControlOutcome {
  return { kind: 'done', matches, terminated };
}

const knownKeys = new Set([
  'version',
  'local_addrs',
  'remote_addrs',
  'proposals',
  'dpd_delay',
  'unique',
  'rekey_time',
  'reauth_time',
]);
