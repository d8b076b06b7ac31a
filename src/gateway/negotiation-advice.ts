/**
 * Advice on refused negotiations: proposals (RFC 7296 §2.7) and traffic selectors (§2.9).
 *
 * Names the one edit at either end that would have let this very negotiation through.
 */
import { keywordOf, writtenProposal } from '../config/proposal-text.ts';
import { notifyName } from '../events/alert.ts';
import type { Advice, Refusal } from './advice.ts';
import { hostOf } from './failure-history.ts';

/** We refused the peer's proposals: what it offers is known, and what we accept. */
export function proposalAdvice(event: Refusal): Advice {
  if (event.accepted?.length === 0 && event.child === undefined) return strangerAdvice(event);
  const persona = PERSONAS.find(({ fits }) => fits(event));
  return {
    what: `we refused ${subject(event)} (${notifyName(event.notify)}): ${event.what}`,
    why: [...event.transforms.map(difference), ...(persona ? [persona.guess] : [])].join('; '),
    here: acceptEdit(event),
    there: [...offerEdit(event), ...(persona ? [persona.mend] : [])],
  };
}

/** There is no connection whose proposals it could meet. */
function strangerAdvice(event: Refusal): Advice {
  const peer = hostOf(event.peer);
  return {
    what: `we refused the IKE SA (${notifyName(event.notify)}): ${event.what}`,
    why: `no connection has addresses that fit: none with ${peer} in remote_addrs, or none for the address it came to`,
    here: [`write remote_addrs = ${peer} into the connection that is meant for it, or %any`],
    there: [],
  };
}

/** The peer refused ours, and does not say what it would have accepted. */
export function refusedProposalAdvice(event: Refusal): Advice {
  const offered = writtenList(event.offered ?? []);
  return {
    what: `the peer refused ${subject(event)} (${notifyName(event.notify)})`,
    why: `none of what we offered is among what it accepts, and it does not say what that is: ${offered.join(', ') || event.what}`,
    here: [
      `write ${key(event)} = default to offer all there is, or what the peer is configured for`,
    ],
    there: [
      ...(offered.length === 0 ? [] : [`let it accept one of: ${offered.join(', ')}`]),
      'its log says what it accepts; where tsgw runs there, tsgw why with our address does',
    ],
  };
}

/** TS_UNACCEPTABLE and SINGLE_PAIR_REQUIRED, by either end. Selectors stand ours first. */
export function selectorAdvice(event: Refusal): Advice {
  const notify = notifyName(event.notify);
  const offered = pairOf(event.offered);
  const accepted = pairOf(event.accepted);
  if (notify === 'SINGLE_PAIR_REQUIRED') {
    return {
      what: `${who(event)} refused ${subject(event)} (${notify})`,
      why: 'the end that refused takes one pair of addresses in each Child SA',
      here: ['write one child for each pair of subnets, each with one local_ts and one remote_ts'],
      there: [],
    };
  }
  if (event.by === 'us') {
    return {
      what: `we refused ${subject(event)} (${notify}): ${event.what}`,
      why: 'no packet is both in what it asks for and in what the child allows',
      here: offered ? [`write local_ts = ${offered.local} and remote_ts = ${offered.remote}`] : [],
      there: accepted ? [mirrored(accepted)] : [],
    };
  }
  return {
    what: `the peer refused the traffic selectors of ${subject(event)} (${notify}): ${event.what}`,
    why: 'no packet is both in what we asked for and in what its policy allows',
    here: ['write into local_ts and remote_ts what the peer is configured for, seen from our end'],
    there: offered ? [mirrored(offered)] : [],
  };
}

function who(event: Refusal): string {
  return event.by === 'us' ? 'we' : 'the peer';
}

function subject({ child }: Refusal): string {
  return child === undefined ? 'the IKE SA' : `child ${child}`;
}

/** Where in swanctl.conf the proposals stand. */
function key({ child, connection }: Refusal): string {
  if (child !== undefined) return `esp_proposals of child ${child}`;
  return connection === ''
    ? 'proposals of the connection for this peer'
    : `proposals of connection ${connection}`;
}

function difference({ type, offered, accepted }: Refusal['transforms'][number]): string {
  const list = (names: readonly string[]): string => names.join(' or ') || 'nothing';
  if (type === 'KE' && isNone(offered)) {
    return `it offers no key exchange (PFS) and we ask for ${list(accepted)}`;
  }
  if (type === 'KE' && isNone(accepted)) {
    return `it wants a key exchange (PFS) with ${list(offered)} and we offer none`;
  }
  return `${type}: it offers ${list(offered)}, we accept ${list(accepted)}`;
}

function isNone(names: readonly string[]): boolean {
  return names.every((name) => name === 'NONE');
}

/** What to add here so that one of its proposals is accepted. */
function acceptEdit(event: Refusal): readonly string[] {
  const candidates = (event.offered ?? []).map(writtenProposal);
  const good = candidates.find((one) => one.kind === 'written');
  if (good?.kind === 'written') return [`add ${good.text} to ${key(event)}${weakness(good.text)}`];
  const [bad] = candidates;
  if (bad?.kind === 'refused') {
    return [`nothing: all that it offers needs ${bad.name}, which is not to be had: ${bad.why}`];
  }
  const words = event.transforms.flatMap(({ offered }) => offered.flatMap(wordOf).slice(0, 1));
  if (words.length === 0) return [];
  return [`add a proposal with ${words.join('-')} to ${key(event)}${weakness(words.join('-'))}`];
}

/** What to add at the peer so that we accept. */
function offerEdit(event: Refusal): readonly string[] {
  const written = writtenList(event.accepted ?? []);
  if (written.length > 0) return [`let it offer ${written.join(', or ')}`];
  const needs = event.transforms.map(({ type, accepted }) => `${type} ${accepted.join(' or ')}`);
  return needs.length === 0 ? [] : [`let it offer ${needs.join(', and ')}`];
}

function writtenList(proposals: readonly string[]): readonly string[] {
  return proposals.map(writtenProposal).flatMap((one) => (one.kind === 'written' ? one.text : []));
}

function wordOf(name: string): readonly string[] {
  const word = keywordOf(name);
  return word === undefined ? [] : [word];
}

/** RFC 8247 §2, RFC 8221 §5: what is kept for old peers only. */
function weakness(text: string): string {
  return /\b(sha1|3des|modp1024|modp1536|md5)\b/.test(text)
    ? ' (weak: RFC 8247 advises against it; better change the peer)'
    : '';
}

interface SelectorPair {
  readonly local: string;
  readonly remote: string;
}

/** `10.1.0.0/16 10.3.0.0/16 === 10.2.0.0/16`: lists, ours first. */
function pairOf(texts: readonly string[] | undefined): SelectorPair | undefined {
  const [local, remote] = (texts?.[0] ?? '').split(' === ');
  if (!local || !remote) return undefined;
  return { local: local.replaceAll(' ', ', '), remote: remote.replaceAll(' ', ', ') };
}

/** The same policy as the peer writes it. */
function mirrored({ local, remote }: SelectorPair): string {
  return `let its local side be ${remote} and its remote side ${local}`;
}

interface Persona {
  readonly guess: string;
  readonly mend: string;
  fits(event: Refusal): boolean;
}

/** Clients known by what they offer where nobody configured them. */
const PERSONAS: readonly Persona[] = [
  {
    guess: 'this is what the VPN client of Windows offers where nobody changed it',
    mend:
      'on Windows: Set-VpnConnectionIPsecConfiguration -ConnectionName NAME ' +
      '-AuthenticationTransformConstants GCMAES256 -CipherTransformConstants GCMAES256 ' +
      '-EncryptionMethod GCMAES256 -IntegrityCheckMethod SHA384 -DHGroup ECP384 ' +
      '-PfsGroup ECP384 -Force, and here aes256gcm16-prfsha384-ecp384; or set NegotiateDH2048_AES256 to 1 in its registry',
    fits: (event) =>
      event.child === undefined &&
      keyExchanges(event).length > 0 &&
      keyExchanges(event).every((name) => name === 'MODP_1024'),
  },
];

function keyExchanges({ transforms }: Refusal): readonly string[] {
  return transforms.find(({ type }) => type === 'KE')?.offered ?? [];
}
