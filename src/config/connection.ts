/**
 * `connections.NAME` becomes a Connection: defaults of strongSwan 5.9.8, except that the replay
 * window is 1024. The same for a section of a file and for a `load-conn` message.
 */
import {
  type Authentication,
  type ChildPolicy,
  type Connection,
  type DpdAction,
  FULL_PATH,
  isProtecting,
  type StartAction,
} from '../ipsec/connection.ts';
import { type IdentityPattern, parseIdentityPattern } from '../ipsec/identity.ts';
import type { IkeLifetime, LifetimeBounds } from '../ipsec/lifetime.ts';
import { parseAddressMatch, parseSelector, parseVirtualAddress } from './addresses.ts';
import { checkSection } from './check-section.ts';
import { type ConfigWarning, Findings } from './findings.ts';
import { frozen } from './frozen.ts';
import { parseProposals } from './proposals.ts';
import { CONNECTION } from './schema.ts';
import type { Section } from './section.ts';
import { SettingsReader } from './settings-reader.ts';
import {
  parseBoolean,
  parseInteger,
  parseOctets,
  parseSeconds,
  parseWord,
  refuse,
  type Setting,
} from './values.ts';

/** Packets; the largest window is that of RFC 6479 with 2048 words. */
const DEFAULT_REPLAY_WINDOW = 1024;
const MAX_REPLAY_WINDOW = 65_536;
/** A second; more would be a load test of the peer. */
const MAX_DUMMY_PACKETS = 1000;

const IKE_REKEY_SECONDS = 4 * 3600;
const CHILD_REKEY_SECONDS = 3600;

/** Reads one connection. Throws the first `ConfigError`; `readConnection` notes them all. */
export function connectionFromSettings(
  name: string,
  section: Section,
): { readonly connection: Connection; readonly warnings: readonly ConfigWarning[] } {
  const findings = new Findings();
  const connection = readConnection(name, section, findings);
  const [error] = findings.errors;
  if (error !== undefined) throw error;
  return { connection, warnings: findings.warnings };
}

/** Reads one connection; what it answers counts only if no error was noted. */
export function readConnection(name: string, section: Section, findings: Findings): Connection {
  const path = `connections.${name}`;
  checkSection(section, CONNECTION, path, findings);
  const reader = new SettingsReader(section, path, findings);
  reader.read('version', parseVersion, 2);
  const proposals = readProposals(reader, 'proposals', 'ike');
  const [children] = reader.sections('children').filter((one) => one.name === 'children');
  const connection: Connection = {
    name,
    localAddresses: reader.readList('local_addrs', parseAddressMatch, [{ kind: 'any' }]),
    remoteAddresses: reader.readList('remote_addrs', parseAddressMatch, [{ kind: 'any' }]),
    localPort: reader.read('local_port', parsePort, 500),
    remotePort: reader.read('remote_port', parsePort, 500),
    proposals,
    local: readAuthentication(reader, 'local'),
    remote: readAuthentication(reader, 'remote'),
    encap: reader.read('encap', parseBoolean, false),
    dpdDelaySeconds: reader.read('dpd_delay', parseSeconds, 0),
    keyingTries: reader.read('keyingtries', (setting) => parseInteger(setting, 0, 0xffff), 1),
    unique: reader.read('unique', (setting) => parseWord(setting, UNIQUE), 'no'),
    lifetime: readIkeLifetime(reader),
    mobike: reader.read('mobike', parseBoolean, true),
    fragmentation: reader.read(
      'fragmentation',
      (setting) => parseWord(setting, FRAGMENTATION),
      'yes',
    ),
    childless: reader.read('childless', (setting) => parseWord(setting, CHILDLESS), 'allow'),
    vips: reader.readList('vips', parseVirtualAddress, []),
    pools: reader.list('pools').map(({ text }) => text),
    children: (children?.reader.sections() ?? []).map((child) =>
      readChild(child.name, child.reader),
    ),
  };
  warnOfNoPeer(connection, reader);
  return frozen(connection);
}

function readAuthentication(reader: SettingsReader, side: 'local' | 'remote'): Authentication {
  const [round, second] = reader.sections(side);
  const { findings } = reader;
  if (second !== undefined) {
    const what = 'a second round of authentication is not implemented yet: remove it';
    findings.error(second.reader.at, `${second.reader.path}: ${what}`);
  }
  if (round?.reader.setting('auth') === undefined) {
    // swanctl.conf's default is pubkey: without a word, a certificate would be expected.
    const what = 'auth is not set, and its default pubkey is not implemented yet: write auth = psk';
    const { at, path } = round?.reader ?? { at: reader.at, path: `${reader.path}.${side}` };
    findings.error(at, `${path}: ${what}`);
  }
  if (round === undefined) return { method: 'psk' };
  round.reader.read('round', (setting) => parseInteger(setting, 0, 0xffff), 0);
  const method = round.reader.read('auth', parseAuth, 'psk');
  const parseId = side === 'local' ? parseOwnId : parsePeerId;
  const id = round.reader.read('id', parseId, undefined);
  return id === undefined ? { method } : { method, id };
}

function parseAuth(setting: Setting): 'psk' {
  const text = setting.text.toLowerCase();
  if (/^(pubkey|rsa|ecdsa|bliss|ed25519|ed448|ike:|eap)/.test(text)) {
    refuse(setting, 'not implemented yet: write auth = psk');
  }
  if (text.startsWith('xauth')) refuse(setting, 'it belongs to IKEv1 (RFC 9395): write auth = psk');
  return parseWord(setting, { psk: 'psk' });
}

/** `%any` says no more than no id at all. */
function parsePeerId(setting: Setting): IdentityPattern | undefined {
  if (setting.text === '%any') return undefined;
  const pattern = parseIdentityPattern(setting.text);
  return 'kind' in pattern ? refuse(setting, pattern.what) : pattern;
}

function parseOwnId(setting: Setting): IdentityPattern | undefined {
  const pattern = parsePeerId(setting);
  if (pattern !== undefined && pattern.identity === undefined) {
    refuse(setting, 'our own identity has no wildcards: write it out');
  }
  return pattern;
}

function readChild(name: string, reader: SettingsReader): ChildPolicy {
  return {
    name,
    mode: reader.read('mode', parseMode, 'tunnel'),
    proposals: readProposals(reader, 'esp_proposals', 'esp'),
    localTs: reader.readList('local_ts', parseSelector, [DYNAMIC]),
    remoteTs: reader.readList('remote_ts', parseSelector, [DYNAMIC]),
    startAction: reader.read('start_action', parseStartAction, 'none'),
    closeAction: reader.read('close_action', parseStartAction, 'none'),
    dpdAction: reader.read('dpd_action', parseDpdAction, 'clear'),
    replayWindow: readReplayWindow(reader),
    copyDf: reader.read('copy_df', parseBoolean, true),
    copyEcn: reader.read('copy_ecn', parseBoolean, true),
    copyDscp: reader.read('copy_dscp', (setting) => parseWord(setting, COPY_DSCP), 'out'),
    icmpErrors: reader.read('icmp', parseBoolean, true),
    nonFirstFragments: reader.read(
      'non_first_fragments',
      (setting) => parseWord(setting, NON_FIRST_FRAGMENTS),
      'accept',
    ),
    tfcPadding: readTfcPadding(reader),
    dummyPackets: reader.read('dummy_packets', parseDummyPackets, 0),
    priority: reader.read('priority', (setting) => parseInteger(setting, 0, 0xffffffff), 0),
    reqid: reader.read('reqid', (setting) => parseInteger(setting, 0, 0xffffffff), 0),
    lifetime: {
      seconds: readBounds(reader, 'time', CHILD_REKEY_SECONDS, parseSeconds),
      octets: readBounds(reader, 'bytes', 0, parseOctets),
      packets: readBounds(reader, 'packets', 0, parseCount),
    },
    inactivitySeconds: reader.read('inactivity', parseSeconds, 0),
  };
}

function readProposals(
  reader: SettingsReader,
  key: string,
  protocol: 'ike' | 'esp',
): Connection['proposals'] {
  const written = reader.list(key);
  const absent = { path: `${reader.path}.${key}`, text: 'default', at: reader.at };
  return parseProposals(written.length === 0 ? [absent] : written, protocol, reader.findings);
}

function parseVersion(setting: Setting): 2 {
  const version = parseInteger(setting, 0, 2);
  if (version === 1) refuse(setting, 'IKEv1 is deprecated (RFC 9395): write version = 2');
  return 2;
}

function parsePort(setting: Setting): number {
  return parseInteger(setting, 1, 0xffff);
}

function parseMode(setting: Setting): ChildPolicy['mode'] {
  const why = REFUSED_MODES.get(setting.text.toLowerCase());
  if (why !== undefined) refuse(setting, `${why}: write tunnel`);
  return parseWord(setting, MODE);
}

function parseStartAction(setting: Setting): StartAction {
  const words = setting.text.split('|').map((word) => ({ ...setting, text: word.trim() }));
  const actions = new Set(words.map((word) => parseWord(word, START_ACTION)));
  if (actions.has('trap') && actions.has('start')) return 'trap|start';
  return actions.has('trap') ? 'trap' : actions.has('start') ? 'start' : 'none';
}

function parseDpdAction(setting: Setting): DpdAction {
  return parseWord(setting, DPD_ACTION);
}

/** RFC 4303 §2.7: outside of tunnels nothing says where the packet ends and padding begins. */
function readTfcPadding(reader: SettingsReader): number {
  const padding = reader.read('tfc_padding', parseTfcPadding, 0);
  const mode = reader.read('mode', parseMode, 'tunnel');
  const setting = reader.setting('tfc_padding');
  if (setting && padding > 0 && mode !== 'tunnel') {
    const what = `there is none with mode = ${mode}: it has no effect`;
    reader.findings.warn(setting.at, `${setting.path} = ${setting.text}: ${what}`);
  }
  return padding;
}

function parseTfcPadding(setting: Setting): number {
  if (setting.text.toLowerCase() === 'mtu') return FULL_PATH;
  if (/^\d+$/.test(setting.text)) return parseInteger(setting, 0, FULL_PATH);
  return refuse(setting, `write octets from 0 to ${FULL_PATH}, or mtu`);
}

function parseDummyPackets(setting: Setting): number {
  return parseInteger(setting, 0, MAX_DUMMY_PACKETS);
}

function parseCount(setting: Setting): number {
  return parseInteger(setting, 0, Number.MAX_SAFE_INTEGER);
}

/** `rekey_*`, `life_*` and `rand_*` of one unit, with strongSwan's defaults for those not written. */
function readBounds(
  reader: SettingsReader,
  unit: 'time' | 'bytes' | 'packets',
  otherwise: number,
  parse: (setting: Setting) => number,
): LifetimeBounds {
  const written = reader.read<number | undefined>(`life_${unit}`, parse, undefined);
  // Without a word on rekeying, it happens a tenth before the end that somebody wrote.
  const early = written ? Math.floor(written * 0.9) : otherwise;
  const rekey = reader.read(`rekey_${unit}`, parse, early);
  const setting = reader.setting(`life_${unit}`);
  if (setting && written !== undefined && written !== 0 && written <= rekey) {
    const what = `the SA would end before it is rekeyed: write more than ${rekey}`;
    reader.findings.error(setting.at, `${setting.path} = ${setting.text}: ${what}`);
  }
  const life = written ?? Math.floor(rekey * 1.1);
  const random = reader.read(`rand_${unit}`, parse, Math.max(0, life - rekey));
  return { rekey, life, random };
}

/** `reauth_time` in place of rekeying unless both are written; `over_time` is a tenth of them. */
function readIkeLifetime(reader: SettingsReader): IkeLifetime {
  const reauth = reader.read('reauth_time', parseSeconds, 0);
  const rekey = reader.read('rekey_time', parseSeconds, reauth === 0 ? IKE_REKEY_SECONDS : 0);
  const over = reader.read('over_time', parseSeconds, Math.floor(Math.max(rekey, reauth) / 10));
  const random = reader.read('rand_time', parseSeconds, over);
  return { rekey, reauth, over, random };
}

function readReplayWindow(reader: SettingsReader): number {
  const parse = (setting: Setting): number => {
    const packets = parseInteger(setting, 0, MAX_REPLAY_WINDOW);
    const whole = Math.ceil(packets / 32) * 32;
    const warn = (what: string): void =>
      reader.findings.warn(setting.at, `${setting.path} = ${setting.text}: ${what}`);
    if (packets === 0) warn('a packet that comes again is delivered again');
    if (whole !== packets) warn(`the window holds ${whole} packets, a multiple of 32`);
    return whole;
  };
  return reader.read('replay_window', parse, DEFAULT_REPLAY_WINDOW);
}

function warnOfNoPeer(connection: Connection, reader: SettingsReader): void {
  const reachable = connection.remoteAddresses.some(
    ({ kind }) => kind === 'address' || kind === 'name',
  );
  const started = connection.children.find(
    ({ mode, startAction }) => isProtecting(mode) && startAction !== 'none',
  );
  if (started === undefined || reachable) return;
  const what = 'remote_addrs names no single address: nothing can be started';
  reader.findings.warn(reader.at, `${reader.path}.children.${started.name}: ${what}`);
}

const DYNAMIC = { kind: 'dynamic', protocol: 0, startPort: 0, endPort: 0xffff } as const;

const UNIQUE = { no: 'no', never: 'never', keep: 'keep', replace: 'replace' } as const;

const COPY_DSCP = { no: 'no', in: 'in', out: 'out', yes: 'yes' } as const;

const NON_FIRST_FRAGMENTS = {
  yes: 'yes',
  accept: 'accept',
  no: 'no',
  true: 'yes',
  false: 'no',
} as const;

const MODE = {
  tunnel: 'tunnel',
  transport: 'transport',
  beet: 'beet',
  pass: 'pass',
  drop: 'drop',
} as const;

const REFUSED_MODES: ReadonlyMap<string, string> = new Map([
  ['transport_proxy', 'it belongs to Mobile IPv6, which is not implemented'],
  ['iptfs', 'aggregation and fragmentation (RFC 9347) are not implemented yet'],
]);

const FRAGMENTATION = {
  yes: 'yes',
  no: 'no',
  accept: 'accept',
  force: 'force',
  true: 'yes',
  false: 'no',
} as const;

const CHILDLESS = { allow: 'allow', prefer: 'prefer', force: 'force', never: 'never' } as const;

const START_ACTION = {
  none: 'none',
  clear: 'none',
  trap: 'trap',
  route: 'trap',
  hold: 'trap',
  start: 'start',
  restart: 'start',
} as const;

const DPD_ACTION = {
  clear: 'clear',
  none: 'clear',
  trap: 'trap',
  route: 'trap',
  hold: 'trap',
  restart: 'restart',
  start: 'restart',
} as const;
