/**
 * Reads the section `cluster { }` and says what in it does not go together.
 */
import type { SecretBytes } from '../crypto/secret-bytes.ts';
import { readClusterAddresses } from './cluster-addresses.ts';
import {
  type ClusterBus,
  type ClusterConfig,
  type ClusterMode,
  type ClusterNode,
  type ClusterTimers,
  DEFAULT_CLUSTER_TIMERS,
  leastTakeover,
  longestLease,
  type NatsSettings,
} from './cluster-config.ts';
import { readClusterNodes } from './cluster-nodes.ts';
import type { Findings } from './findings.ts';
import { frozen } from './frozen.ts';
import { nodesOfHa, readHaSettings } from './ha-section.ts';
import { didYouMean } from './nearest-name.ts';
import type { Section } from './section.ts';
import { SettingsReader } from './settings-reader.ts';
import {
  parseBoolean,
  parseInteger,
  parseMilliseconds,
  parseSecret,
  parseWord,
  refuse,
  type Setting,
} from './values.ts';

/** The cluster, or undefined without the section or with `enabled = no`. */
export function readCluster(
  section: Section | undefined,
  findings: Findings,
): ClusterConfig | undefined {
  if (section === undefined) return undefined;
  const reader = new SettingsReader(section, 'cluster', findings);
  if (!reader.read('enabled', parseBoolean, true)) return undefined;
  const inner = (name: string) => reader.sections().find((each) => each.name === name)?.reader;
  const haReader = inner('ha');
  const ha = haReader && readHaSettings(haReader);
  const ownBus = haReader === undefined ? 'udp' : 'charon-ha';
  const bus = reader.read('bus', (setting) => parseWord(setting, BUSES), ownBus);
  if (bus === 'charon-ha' && haReader === undefined) {
    findings.error(reader.at, 'cluster.bus = charon-ha: write ha { } with local and remote');
  }
  const listed = readClusterNodes(inner('nodes'), findings);
  const nodes = listed.length > 0 || bus === 'charon-ha' || !ha ? listed : nodesOfHa(ha);
  const self = readSelf(reader, nodes, bus, ha && listed.length === 0 ? 'of-ha' : 'named');
  if (bus !== 'charon-ha') checkNodes(reader, nodes, bus);
  else warnOfOwn(reader);
  const name = reader.read('name', parseName, 'tsgw');
  const mode = reader.read('mode', (setting) => parseWord(setting, MODES), 'active-passive');
  const base = {
    name,
    bus,
    mode,
    self,
    nodes,
    secrets: readSecrets(reader, bus),
    port: reader.read('port', (setting) => parseInteger(setting, 1, 0xffff), DEFAULT_PORT),
    segments: reader.read('segments', parseSegments, DEFAULT_SEGMENTS),
    segmentSeed: reader.read('segment_seed', parseSeed, DEFAULT_SEED),
    addresses: readClusterAddresses(inner('addresses'), nodes, mode, findings),
    timers: readTimers(inner('timers'), ha && bus !== 'charon-ha' ? timersOfHa(ha) : undefined),
    replay: readReplay(inner('replay')),
    sync: readSync(inner('sync')),
    alone: readAlone(reader, nodes, bus),
    preempt: reader.read('preempt', parseBoolean, true),
    advbase: reader.read('advbase', (setting) => parseInteger(setting, 1, 255), 1),
    defer: reader.read('defer', parseBoolean, false),
    keepAddresses: reader.read('keep_addresses', parseBoolean, false),
    ...readFifo(reader, ha?.fifoInterface ?? false),
    state: reader.read('state', parsePath, `/var/lib/tsgw/${name}-${self}.json`),
  };
  const nats = readNats(reader, inner('nats'), bus);
  return frozen({ ...base, ...(nats && { nats }), ...(ha && bus === 'charon-ha' && { ha }) });
}

const DEFAULT_PORT = 4511;
const DEFAULT_SEGMENTS = 256;
/** `tsgw` in ASCII. */
const DEFAULT_SEED = 0x74736777;
const MOST_SEGMENTS = 4096;
const MOST_SAMPLING = 1024;
const KEY_OCTETS = 32;
const CHARON_FIFO = '/var/run/charon.ha';

const BUSES = { udp: 'udp', nats: 'nats', 'charon-ha': 'charon-ha' } as const satisfies Readonly<
  Record<string, ClusterBus>
>;
const MODES = {
  'active-active': 'active-active',
  'active-passive': 'active-passive',
  forward: 'forward',
} as const satisfies Readonly<Record<string, ClusterMode>>;

function parseName(setting: Setting): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(setting.text)) return setting.text;
  return refuse(setting, 'write up to 63 letters, digits, dots, - and _');
}

function parsePath(setting: Setting): string {
  if (setting.text.startsWith('/')) return setting.text;
  return refuse(setting, 'write a path such as /var/lib/tsgw/node.json');
}

function parseSegments(setting: Setting): number {
  return parsePowerOfTwo(setting, MOST_SEGMENTS);
}

function parsePowerOfTwo(setting: Setting, most: number): number {
  const value = parseInteger(setting, 1, most);
  if ((value & (value - 1)) === 0) return value;
  return refuse(setting, `write a power of two, such as ${2 ** Math.round(Math.log2(value))}`);
}

function parseSeed(setting: Setting): number {
  return parseInteger(setting, 0, 0xffff_ffff);
}

function readSelf(
  reader: SettingsReader,
  nodes: readonly ClusterNode[],
  bus: ClusterBus,
  source: 'of-ha' | 'named',
): number {
  const setting = reader.setting('self');
  if (bus === 'charon-ha') return 0;
  // The first of the nodes that `ha { }` names is the one that reads it.
  if (setting === undefined && source === 'of-ha') return nodes[0]?.id ?? 0;
  if (setting === undefined) {
    reader.findings.error(reader.at, 'cluster.self is unset: write the name of this node');
    return 0;
  }
  const found = nodes.find(({ name }) => name === setting.text);
  if (found !== undefined) return found.id;
  const names = nodes.map(({ name }) => name);
  reader.findings.attempt(() =>
    refuse(setting, `no such node in cluster.nodes${didYouMean(setting.text, names)}`),
  );
  return 0;
}

/** How many there are, and that someone serves. */
function checkNodes(reader: SettingsReader, nodes: readonly ClusterNode[], bus: ClusterBus): void {
  const most = MOST_NODES[bus];
  if (nodes.length < 2 || nodes.length > most) {
    const what = `${nodes.length} nodes: a cluster over ${bus} has 2 to ${most}`;
    reader.findings.error(reader.at, `cluster.nodes: ${what}`);
  } else if (nodes.every(({ weight }) => weight === 0)) {
    reader.findings.error(reader.at, 'cluster.nodes: only witnesses, and nobody who serves');
  }
}

const MOST_NODES: Readonly<Record<ClusterBus, number>> = { udp: 8, nats: 64, 'charon-ha': 2 };

function readSecrets(reader: SettingsReader, bus: ClusterBus): readonly SecretBytes[] {
  const secrets = ['secret', 'second_secret'].flatMap((key) => {
    const setting = reader.setting(key);
    if (setting === undefined) return [];
    const secret = reader.findings.attempt(() => parseSecret(setting));
    if (secret === undefined) return [];
    if (secret.length === KEY_OCTETS) return [secret];
    const what = `${secret.length} octets, not ${KEY_OCTETS}: write 0x and 64 hex digits`;
    reader.findings.error(setting.at, `${setting.path}: ${what}`);
    return [];
  });
  if (bus !== 'charon-ha' && reader.setting('secret') === undefined) {
    const how = 'write 0x and 64 hex digits, as `openssl rand -hex 32` gives';
    reader.findings.error(reader.at, `cluster.secret is unset: ${how}`);
  }
  return secrets;
}

function readTimers(
  reader: SettingsReader | undefined,
  otherwise: ClusterTimers = DEFAULT_CLUSTER_TIMERS,
): ClusterTimers {
  if (reader === undefined) return otherwise;
  const time = (key: string, least: number, most: number, value: number): number =>
    reader.read(key, (setting) => parseMilliseconds(setting, least, most), value);
  const takeover = time('takeover', 30, 60_000, otherwise.takeover);
  const timers = {
    heartbeat: time('heartbeat', 10, 10_000, otherwise.heartbeat),
    lease: time('lease', 20, 60_000, Math.min(otherwise.lease, longestLease(takeover))),
    takeover,
    digest: time('digest', 10, 10_000, otherwise.digest),
    writeAhead: time('write_ahead', 0, 1000, otherwise.writeAhead),
  };
  const least = leastTakeover(timers.lease);
  if (timers.takeover < least) {
    const why = `a lease of ${timers.lease}ms may last ${least - 1}ms on a slow clock`;
    reader.findings.error(
      reader.at,
      `cluster.timers: takeover = ${timers.takeover}ms is too soon: ${why}`,
    );
  }
  if (2 * timers.heartbeat > timers.lease) {
    const why = `two heartbeats must fit into a lease of ${timers.lease}ms`;
    reader.findings.error(reader.at, `cluster.timers: heartbeat = ${timers.heartbeat}ms: ${why}`);
  }
  return timers;
}

/** charon's heartbeats, which know no lease. */
function timersOfHa(ha: {
  readonly heartbeatDelay: number;
  readonly heartbeatTimeout: number;
}): ClusterTimers {
  const [takeover, heartbeat] = [ha.heartbeatTimeout, ha.heartbeatDelay];
  const lease = longestLease(takeover);
  // charon is content with two heartbeats in its time-out; a lease must hold two, and is shorter.
  const fitting = Math.min(heartbeat, Math.floor(lease / 2));
  return { ...DEFAULT_CLUSTER_TIMERS, heartbeat: fitting, lease, takeover };
}

function readReplay(reader: SettingsReader | undefined): ClusterConfig['replay'] {
  if (reader === undefined) return { takeover: 'bounded', sampling: 0 };
  const words = { bounded: 'bounded', strict: 'strict' } as const;
  const sampling = (setting: Setting) =>
    setting.text === 'auto' ? 0 : parsePowerOfTwo(setting, MOST_SAMPLING);
  return {
    takeover: reader.read('takeover', (setting) => parseWord(setting, words), 'bounded'),
    sampling: reader.read('sampling', sampling, 0),
  };
}

function readSync(reader: SettingsReader | undefined): ClusterConfig['sync'] {
  if (reader === undefined) return { rekeysPerSecond: DEFAULT_REKEYS };
  const setting = reader.setting('halfopen');
  if (setting !== undefined && !reader.read('halfopen', parseBoolean, true)) {
    const why = 'IKE SAs are always shared before they are up';
    reader.findings.warn(setting.at, `${setting.path} = ${setting.text} has no effect: ${why}`);
  }
  return {
    rekeysPerSecond: reader.read(
      'rekey_rate',
      (setting) => parseInteger(setting, 1, 10_000),
      DEFAULT_REKEYS,
    ),
  };
}

const DEFAULT_REKEYS = 200;

/** What our own protocol has, and charon's has not; nodes and secrets may wait for another bus. */
function warnOfOwn(reader: SettingsReader): void {
  for (const key of ['segments', 'segment_seed', 'preempt', 'advbase', 'defer', 'keep_addresses']) {
    const setting = reader.setting(key);
    if (setting === undefined) continue;
    const what = `${setting.path} = ${setting.text} has no effect: cluster.bus = charon-ha`;
    reader.findings.warn(setting.at, what);
  }
}

function readAlone(
  reader: SettingsReader,
  nodes: readonly ClusterNode[],
  bus: ClusterBus,
): 'take' | 'hold' {
  const alone = reader.read('alone', (setting) => parseWord(setting, ALONE), 'take');
  const setting = reader.setting('alone');
  if (setting !== undefined && (bus === 'charon-ha' || nodes.length !== 2)) {
    const why = bus === 'charon-ha' ? 'charon takes' : `the majority of ${nodes.length} nodes says`;
    reader.findings.warn(setting.at, `${setting.path} = ${setting.text} has no effect: ${why}`);
  }
  return alone;
}

const ALONE = { take: 'take', hold: 'hold' } as const;

function readFifo(reader: SettingsReader, ofHa: boolean): { readonly fifo?: string } {
  const otherwise = ofHa ? CHARON_FIFO : '';
  const fifo = reader.read(
    'fifo',
    (setting) => {
      if (setting.text === 'no') return '';
      if (setting.text.startsWith('/')) return setting.text;
      return refuse(setting, 'write a path such as /run/tsgw.ha, or no');
    },
    otherwise,
  );
  return fifo === '' ? {} : { fifo };
}

function readNats(
  cluster: SettingsReader,
  reader: SettingsReader | undefined,
  bus: ClusterBus,
): NatsSettings | undefined {
  if (bus !== 'nats') {
    if (reader !== undefined) {
      reader.findings.warn(reader.at, `cluster.nats has no effect: cluster.bus = ${bus}`);
    }
    return undefined;
  }
  const servers = reader?.readList('servers', parseServer, []) ?? [];
  if (servers.length === 0) {
    const how = 'write nats { servers = tls://192.0.2.1:4222, ... }';
    cluster.findings.error(reader?.at ?? cluster.at, `cluster.bus = nats without servers: ${how}`);
  }
  if (reader === undefined) return undefined;
  const text = (key: string) => reader.setting(key)?.text;
  const set = (name: string, value: string | undefined) =>
    value === undefined ? {} : { [name]: value };
  const password = reader.setting('password');
  const secret = password && reader.findings.attempt(() => parseSecret(password));
  return {
    servers,
    bucket: reader.read('bucket', parseName, 'tsgw'),
    replicas: reader.read('replicas', (setting) => parseInteger(setting, 1, 5), 3),
    ...set('user', text('user')),
    ...(secret && { password: secret }),
    ...set('credentials', text('credentials')),
    ...set('ca', text('ca')),
    ...set('certificate', text('certificate')),
    ...set('key', text('key')),
  };
}

function parseServer(setting: Setting): string {
  if (/^(nats|tls):\/\/[^\s/@]+$/.test(setting.text)) return setting.text;
  return refuse(setting, 'write tls://HOST:PORT; names and passwords have keys of their own');
}
