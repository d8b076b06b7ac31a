/**
 * Rules about what is protected and how: algorithms that RFC 8221 and RFC 8247 advise against,
 * selectors that overlap, full tunnels without name servers.
 */
import { KeyExchangeId, TransformType } from '../crypto/transform.ts';
import { AttributeType } from '../ipsec/configuration-attribute.ts';
import {
  type ChildPolicy,
  type Connection,
  formatSelectorTemplate,
  isProtecting,
  type SelectorTemplate,
} from '../ipsec/connection.ts';
import {
  formatSelector,
  intersectSelectors,
  type TrafficSelector,
} from '../ipsec/traffic-selector.ts';
import { equalAddresses, isAnyAddress } from '../wire/address.ts';
import { type Lint, type LintedChild, pathOf } from './lint-findings.ts';
import { proposalKeyword } from './proposal-keywords.ts';

export function lintTraffic(lint: Lint): void {
  for (const connection of lint.config.connections) {
    lintProposals(lint, pathOf({ connection }, 'proposals'));
    for (const child of connection.children) {
      if (!isProtecting(child.mode)) continue;
      lintProposals(lint, pathOf({ connection, child }, 'esp_proposals'));
      lintForwardSecrecy(lint, { connection, child });
      lintNameServers(lint, connection, child);
      lintMode(lint, connection, child);
    }
  }
  lintOverlaps(lint);
  lintPools(lint);
}

/** What RFC 8247 and RFC 8221 say of algorithms that can still be written. */
function lintProposals(lint: Lint, path: readonly string[]): void {
  const items = lint.written(path).map(({ text }) => text.toLowerCase());
  const weak = items.map((item) => item.split('-').find((word) => DISCOURAGED.has(word.trim())));
  const [first] = weak.flatMap((word) => (word === undefined ? [] : [word]));
  if (first === undefined) return;
  const [why, instead] = DISCOURAGED.get(first) ?? ['', ''];
  lint.warn('discouraged', path, `${first}: ${why}`, `write ${instead}`);
  const at = weak.findIndex((word) => word !== undefined);
  if (weak.slice(at).some((word) => word === undefined)) {
    lint.warn(
      'weak-first',
      path,
      `${items[at]} stands before ${items.slice(at).find((_, index) => weak[at + index] === undefined)}: a peer that has both gets it`,
      'write it last',
    );
  }
}

type Discouragement = readonly [why: string, instead: string];

const SHA1: Discouragement = [
  'SHA-1 is about to be forbidden (MUST- in RFC 8247 §2.2 and §2.3, RFC 8221 §6)',
  'sha256',
];
const XCBC: Discouragement = ['for small devices only (RFC 8247 §2.3, RFC 8221 §6)', 'sha256'];
const SHORT_ICV: Discouragement = [
  'a short integrity value, for small devices only (RFC 8221 §5)',
  'the same with 16 octets, such as aes256gcm16',
];

const DISCOURAGED: ReadonlyMap<string, Discouragement> = new Map([
  ...['sha', 'sha1', 'prfsha1'].map((word) => [word, SHA1] as const),
  ...['aesxcbc', 'prfaesxcbc'].map((word) => [word, XCBC] as const),
  ...[128, 192, 256].flatMap((bits) =>
    ['ccm8', 'ccm64', 'ccm12', 'ccm96', 'gcm8', 'gcm64', 'gcm12', 'gcm96'].map(
      (mode) => [`aes${bits}${mode}`, SHORT_ICV] as const,
    ),
  ),
]);

/** With a key exchange in every proposal: said once, because it shows at the first rekey only. */
function lintForwardSecrecy(lint: Lint, linted: LintedChild): void {
  const path = pathOf(linted, 'esp_proposals');
  const groups = lint.written(path).map(({ text }) => text.toLowerCase().split('-').some(isGroup));
  if (groups.length === 0 || !groups.every((has) => has)) return;
  lint.note(
    'pfs',
    path,
    'we ask for a key exchange of its own (PFS) when the Child SA is rekeyed; peers without it, such as those of Apple, are still accepted then',
  );
}

function isGroup(word: string): boolean {
  const keyword = proposalKeyword(word.trim());
  return keyword?.type === TransformType.KE && keyword.id !== KeyExchangeId.NONE;
}

/** Clients whose whole traffic comes to us, and that are told no name server. */
function lintNameServers(lint: Lint, connection: Connection, child: ChildPolicy): void {
  const { pools } = lint.config;
  const used = pools.filter(({ name }) => connection.pools.includes(name));
  if (used.length === 0 || !child.localTs.some(isEverything)) return;
  const types = used.flatMap(({ attributes }) => attributes.map(({ type }) => type));
  const { INTERNAL_IP4_DNS, INTERNAL_IP6_DNS } = AttributeType;
  if (types.includes(INTERNAL_IP4_DNS) || types.includes(INTERNAL_IP6_DNS)) return;
  lint.warn(
    'no-dns',
    ['pools', used[0]?.name ?? ''],
    `clients of child ${child.name} send everything into the tunnel and go on asking the name server of the network they are in, which may be out of reach or listening`,
    'write dns = ADDRESS',
  );
}

/** RFC 7296 §1.3.1: transport mode is for what the ends themselves say, BEET for an address of each. */
function lintMode(lint: Lint, connection: Connection, child: ChildPolicy): void {
  if (child.mode === 'tunnel') return;
  const network = [...child.localTs, ...child.remoteTs].find(isNetwork);
  const assigned = connection.vips.length > 0 || connection.pools.length > 0;
  if (!network && !(assigned && child.mode === 'transport')) return;
  const obstacle = network
    ? `${formatSelectorTemplate(network)} is more than one address`
    : 'virtual addresses are not those of the two ends';
  const instead =
    network && child.mode === 'transport'
      ? 'write dynamic for local_ts and remote_ts, or mode = tunnel'
      : 'write mode = tunnel';
  const path = pathOf({ connection, child }, 'mode');
  lint.warn('mode-needs-hosts', path, `${obstacle}: it will be a tunnel`, instead);
}

function isNetwork(template: SelectorTemplate): boolean {
  if (template.kind !== 'fixed') return false;
  const { first, last } = template.selector.range;
  return !equalAddresses(first, last);
}

function isEverything(template: SelectorTemplate): boolean {
  if (template.kind !== 'fixed') return false;
  const { range, protocol } = template.selector;
  return (
    protocol === 0 &&
    isAnyAddress(range.first) &&
    range.last.octets.every((octet) => octet === 0xff)
  );
}

/** Two children that would both take one packet: which does, is decided by their order. */
function lintOverlaps(lint: Lint): void {
  const children = lint.children.filter(({ child }) => isProtecting(child.mode));
  for (const [index, one] of children.entries()) {
    for (const other of children.slice(index + 1)) {
      if (one.child.priority !== other.child.priority) continue;
      const local = overlap(one.child.localTs, other.child.localTs);
      const remote = overlap(one.child.remoteTs, other.child.remoteTs);
      if (!local || !remote || !haveOneProtocol(local, remote)) continue;
      const name = `${other.connection.name}/${other.child.name}`;
      const both = `${formatSelector(local)} === ${formatSelector(remote)}`;
      lint.warn(
        'overlap',
        pathOf(other, 'remote_ts'),
        `${one.connection.name}/${one.child.name} and ${name} both take ${both}; whichever is up takes it, of two the narrower, then the earlier`,
        'write selectors that do not meet, or give each child a priority',
      );
    }
  }
}

function overlap(
  one: readonly SelectorTemplate[],
  other: readonly SelectorTemplate[],
): TrafficSelector | undefined {
  for (const a of one) {
    for (const b of other) {
      if (a.kind !== 'fixed' || b.kind !== 'fixed') continue;
      const both = intersectSelectors(a.selector, b.selector);
      if (both) return both;
    }
  }
  return undefined;
}

/** A packet has one protocol: that of both selectors. */
function haveOneProtocol(local: TrafficSelector, remote: TrafficSelector): boolean {
  return local.protocol === 0 || remote.protocol === 0 || local.protocol === remote.protocol;
}

function lintPools(lint: Lint): void {
  const used = new Set(lint.config.connections.flatMap(({ pools }) => pools));
  for (const { name } of lint.config.pools) {
    if (!used.has(name)) {
      lint.note('unused-pool', ['pools', name], 'no connection names it in its pools');
    }
  }
}
