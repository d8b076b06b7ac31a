/**
 * Events as sentences, in the manner of strongSwan's daemon: what `swanctl --initiate` and
 * `swanctl --log` print, and what people search their logs for.
 *
 * One event gives no, one or several sentences, each of a group (IKE, ENC, NET, CFG ...) and a
 * level: 0 always worth reading, 1 each step, 2 detail.
 */
import { clusterText } from './cluster-text.ts';
import type { Event, IkeSubject } from './event.ts';

export interface LogText {
  readonly group: 'DMN' | 'CLU' | 'MGR' | 'IKE' | 'CHD' | 'CFG' | 'KNL' | 'NET' | 'ENC' | 'ESP';
  readonly level: 0 | 1 | 2;
  readonly text: string;
}

export function logTexts(event: Event): readonly LogText[] {
  return sentences(event).map((one) => ({ ...one, text: printable(one.text) }));
}

/** The IKE SA an event is about, where it is about one. */
export function ikeSubject(event: Event): IkeSubject | undefined {
  return 'ikeSa' in event && event.ikeSa !== undefined && event.ikeSa !== 0
    ? {
        ikeSa: event.ikeSa,
        connection: event.connection ?? '',
        ...(event.local === undefined ? {} : { local: event.local }),
        peer: event.peer ?? '',
      }
    : undefined;
}

function sentences(event: Event): readonly LogText[] {
  switch (event.kind) {
    case 'message':
      return messageTexts(event);
    case 'ike-sa-up':
      return ikeSaUpTexts(event);
    case 'ike-sa-down':
      return [say('IKE', 0, `IKE_SA ${ikeSa(event)} deleted: ${event.reason}`)];
    case 'child-sa-up':
      return childSaUpTexts(event);
    case 'child-sa-down':
      return [
        say('IKE', 0, `closing CHILD_SA ${childSa(event)} with SPIs ${spis(event)}`),
        say('IKE', 1, `CHILD_SA closed: ${event.reason}`),
      ];
    case 'child-sa-rekeyed':
      return [
        say('CFG', 1, `selected proposal: ${event.suite}`),
        say('IKE', 0, `CHILD_SA ${childSa(event)} rekeyed, SPIs ${spis(event)}`),
      ];
    case 'ike-sa-rekeyed':
      return [
        say('CFG', 1, `selected proposal: ${event.suite}`),
        say('IKE', 0, `IKE_SA ${ikeSa(event)} rekeyed, it replaces ${event.replaces}`),
      ];
    case 'ike-sa-moved':
      return [
        say(
          'IKE',
          1,
          `IKE_SA ${ikeSa(event)} moved from ${event.fromLocal} - ${event.fromPeer} (${event.why})`,
        ),
      ];
    case 'redirected':
      return [
        event.by === 'us'
          ? say('IKE', 0, `IKE_SA ${ikeSa(event)} redirected to ${event.gateway}`)
          : say('IKE', 0, `redirected by the peer to ${event.gateway}`),
      ];
    case 'virtual-addresses':
      return [
        event.to === 'us'
          ? say('IKE', 0, `installing new virtual IP ${event.addresses}`)
          : say('IKE', 0, `assigning virtual IP ${event.addresses} to peer`),
      ];
    case 'alert':
      return [say('IKE', 1, `${event.alert}: ${event.what}`)];
    case 'refused':
      return refusedTexts(event);
    case 'authentication-failed':
      return event.by === 'us'
        ? [say('IKE', 1, `authentication of the peer failed: ${event.what}`)]
        : [say('IKE', 1, `received AUTHENTICATION_FAILED notify error: ${event.what}`)];
    case 'peer-fault':
      return [say('IKE', 1, `the peer ${event.peer} is at fault: ${event.what}`)];
    case 'retransmit':
      return [
        say('IKE', 1, `retransmit ${event.attempt} of request with message ID ${event.messageId}`),
      ];
    case 'peer-unreachable':
      return [
        say('IKE', 1, `giving up after ${event.attempts} retransmits`),
        say('IKE', 1, `peer ${event.peer} not responding`),
      ];
    case 'nat-detected':
      return natTexts(event);
    case 'weak-algorithm':
      return [say('CFG', 1, `weak algorithm ${event.algorithm} in ${event.where}`)];
    case 'policy-mismatch':
      return mismatchTexts(event);
    case 'ike-drop':
      return [say('NET', 2, `discarded a datagram from ${event.peer}: ${event.reason}`)];
    case 'path-mtu':
      return [say('ESP', 1, `path MTU to ${event.peer} is ${event.mtu}`)];
    case 'daemon':
      return [say('DMN', event.level === 'trace' ? 2 : 1, event.what)];
    default: {
      const { level, text } = clusterText(event);
      return [say('CLU', level, text)];
    }
  }
}

type Of<Kind extends Event['kind']> = Extract<Event, { kind: Kind }>;

function messageTexts(event: Of<'message'>): readonly LogText[] {
  const { exchange, response, messageId, fragments = 1, local, peer } = event;
  const what = `${exchange} ${response ? 'response' : 'request'} ${messageId}`;
  const payloads = event.payloads.map(shortPayload).join(' ');
  const content = `[ ${payloads}${payloads === '' ? '' : ' '}]`;
  const size = `${event.octets} bytes${fragments > 1 ? ` in ${fragments} packets` : ''}`;
  if (event.direction === 'received') {
    const to = local === undefined ? '' : ` to ${local}`;
    return [
      say('NET', 1, `received packet: from ${peer}${to} (${size})`),
      ...fragmentTexts(`parsed ${what}`, fragments),
      ...(fragments > 1 ? [say('ENC', 1, 'reassembled fragmented IKE message')] : []),
      say('ENC', 1, `parsed ${what} ${content}`),
    ];
  }
  const from = local === undefined ? '' : `from ${local} `;
  const sending = say('NET', 1, `sending packet: ${from}to ${peer} (${size})`);
  if (event.retransmission > 0) return [sending];
  const generating = [
    say('ENC', 1, `generating ${what} ${content}`),
    ...(fragments > 1 ? [say('ENC', 1, `splitting IKE message into ${fragments} fragments`)] : []),
    ...fragmentTexts(`generating ${what}`, fragments),
  ];
  const starts = exchange === 'IKE_SA_INIT' && !response;
  return starts
    ? [say('IKE', 0, `initiating IKE_SA ${ikeSa(event)} to ${host(peer)}`), ...generating, sending]
    : [...generating, sending];
}

/** `EF(1/3)` and so on, for a message that took several datagrams. */
function fragmentTexts(verb: string, fragments: number): readonly LogText[] {
  if (fragments === 1) return [];
  return Array.from({ length: fragments }, (_, index) =>
    say('ENC', 1, `${verb} [ EF(${index + 1}/${fragments}) ]`),
  );
}

function ikeSaUpTexts(event: Of<'ike-sa-up'>): readonly LogText[] {
  const local = event.local === undefined ? '' : host(event.local);
  const between = `${local}[${event.localId}]...${host(event.peer)}[${event.remoteId}]`;
  return [
    say('CFG', 1, `selected proposal: ${event.suite}`),
    say('IKE', 1, `authentication of '${event.remoteId}' with pre-shared key successful`),
    say('IKE', 0, `IKE_SA ${ikeSa(event)} established between ${between}`),
  ];
}

function childSaUpTexts(event: Of<'child-sa-up'>): readonly LogText[] {
  const selectors = `TS ${event.localTs} === ${event.remoteTs}`;
  return [
    say('CFG', 1, `selected proposal: ${event.suite}`),
    say(
      'IKE',
      0,
      `CHILD_SA ${childSa(event)} established with SPIs ${spis(event)} and ${selectors}`,
    ),
  ];
}

function refusedTexts(event: Of<'refused'>): readonly LogText[] {
  const first =
    event.by === 'peer'
      ? `received ${event.notify} notify error: ${event.what}`
      : `refusing with ${event.notify}: ${event.what}`;
  return [
    say('IKE', 1, first),
    ...event.transforms.map(({ type, offered, accepted }) =>
      say('CFG', 1, `${type}: offered ${words(offered)}, accepted ${words(accepted)}`),
    ),
  ];
}

function mismatchTexts(event: Of<'policy-mismatch'>): readonly LogText[] {
  const { source, destination, suppressed } = event;
  const more = suppressed === 0 ? '' : `, and ${suppressed} like it`;
  const which = `CHILD_SA ${childSa(event)} of ${event.peer}`;
  return [say('ESP', 1, `discarded ${source} to ${destination}: not for ${which}${more}`)];
}

function natTexts(event: Of<'nat-detected'>): readonly LogText[] {
  return [
    ...(event.localBehindNat
      ? [say('IKE', 1, 'local host is behind NAT, sending keep alives')]
      : []),
    ...(event.remoteBehindNat ? [say('IKE', 1, 'remote host is behind NAT')] : []),
  ];
}

function say(group: LogText['group'], level: LogText['level'], text: string): LogText {
  return { group, level, text };
}

function ikeSa({ connection, ikeSa }: IkeSubject): string {
  return `${connection}[${ikeSa}]`;
}

function childSa(event: { readonly child: string; readonly childSa: number }): string {
  return `${event.child}{${event.childSa}}`;
}

function spis(event: { readonly spiIn: string; readonly spiOut: string }): string {
  return `${event.spiIn}_i ${event.spiOut}_o`;
}

/** `192.0.2.1[500]` without its port. */
function host(endpoint: string): string {
  return endpoint.replace(/\[\d+\]$/, '');
}

function words(names: readonly string[]): string {
  return names.length === 0 ? 'nothing' : names.join(', ');
}

/** `N(NAT_DETECTION_SOURCE_IP)` as strongSwan abbreviates it. */
function shortPayload(name: string): string {
  const [, notify] = /^N\((.*)\)$/.exec(name) ?? [];
  return notify === undefined ? name : `N(${shortNotifies[notify] ?? notify})`;
}

/** Identities and the like come from peers: nothing of them may steer a terminal. */
function printable(text: string): string {
  return text.replace(/\p{C}/gu, '?');
}

const shortNotifies: Readonly<Record<string, string>> = {
  UNSUPPORTED_CRITICAL_PAYLOAD: 'CRIT',
  INVALID_IKE_SPI: 'INVAL_IKE_SPI',
  INVALID_MAJOR_VERSION: 'INVAL_MAJOR',
  INVALID_SYNTAX: 'INVAL_SYN',
  INVALID_MESSAGE_ID: 'INVAL_MID',
  INVALID_SPI: 'INVAL_SPI',
  NO_PROPOSAL_CHOSEN: 'NO_PROP',
  INVALID_KE_PAYLOAD: 'INVAL_KE',
  AUTHENTICATION_FAILED: 'AUTH_FAILED',
  SINGLE_PAIR_REQUIRED: 'SINGLE_PAIR',
  NO_ADDITIONAL_SAS: 'NO_ADD_SAS',
  INTERNAL_ADDRESS_FAILURE: 'INT_ADDR_FAIL',
  FAILED_CP_REQUIRED: 'FAIL_CP_REQ',
  TS_UNACCEPTABLE: 'TS_UNACCEPT',
  INVALID_SELECTORS: 'INVAL_SEL',
  TEMPORARY_FAILURE: 'TEMP_FAIL',
  CHILD_SA_NOT_FOUND: 'NO_CHILD_SA',
  INITIAL_CONTACT: 'INIT_CONTACT',
  SET_WINDOW_SIZE: 'WINDOW_SIZE',
  ADDITIONAL_TS_POSSIBLE: 'ADD_TS_POSS',
  IPCOMP_SUPPORTED: 'IPCOMP_SUPP',
  NAT_DETECTION_SOURCE_IP: 'NATD_S_IP',
  NAT_DETECTION_DESTINATION_IP: 'NATD_D_IP',
  USE_TRANSPORT_MODE: 'USE_TRANSP',
  HTTP_CERT_LOOKUP_SUPPORTED: 'HTTP_CERT_LOOK',
  ESP_TFC_PADDING_NOT_SUPPORTED: 'ESP_TFC_PAD_N',
  NON_FIRST_FRAGMENTS_ALSO: 'NON_FIRST_FRAG',
  MOBIKE_SUPPORTED: 'MOBIKE_SUP',
  ADDITIONAL_IP4_ADDRESS: 'ADD_4_ADDR',
  ADDITIONAL_IP6_ADDRESS: 'ADD_6_ADDR',
  NO_ADDITIONAL_ADDRESSES: 'NO_ADD_ADDR',
  UPDATE_SA_ADDRESSES: 'UPD_SA_ADDR',
  NO_NATS_ALLOWED: 'NO_NATS',
  AUTH_LIFETIME: 'AUTH_LFT',
  MULTIPLE_AUTH_SUPPORTED: 'MULT_AUTH',
  ANOTHER_AUTH_FOLLOWS: 'AUTH_FOLLOWS',
  REDIRECT_SUPPORTED: 'REDIR_SUP',
  EAP_ONLY_AUTHENTICATION: 'EAP_ONLY',
  CHILDLESS_IKEV2_SUPPORTED: 'CHDLESS_SUP',
  QUICK_CRASH_DETECTION: 'QCD',
  IKEV2_MESSAGE_ID_SYNC_SUPPORTED: 'MSG_ID_SYN_SUP',
  IKEV2_FRAGMENTATION_SUPPORTED: 'FRAG_SUP',
  SIGNATURE_HASH_ALGORITHMS: 'HASH_ALG',
};
