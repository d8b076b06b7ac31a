/**
 * A failure in plain words: what happened, what it means, and what to write at either end.
 *
 * Works from the event alone, so that it says the same about what is over as about what happens now.
 * One function per kind of failure; which is whose stands in `explain`.
 */
import { notifyName } from '../events/alert.ts';
import type { FailureView } from '../vici/control.ts';
import type { Instant } from '../wire/instant.ts';
import type { Advice, Refusal } from './advice.ts';
import { authenticationAdvice, refusedAuthenticationAdvice } from './authentication-advice.ts';
import type { Failure, FailureEvent } from './failure-history.ts';
import { proposalAdvice, refusedProposalAdvice, selectorAdvice } from './negotiation-advice.ts';

/** The failure as `tsgw why` shows it. */
export function failureView(failure: Failure, now: Instant): FailureView {
  const { event, alert, peer, identity, at, count } = failure;
  const connection = 'connection' in event ? event.connection : '';
  const child = event.kind === 'refused' ? event.child : undefined;
  return {
    secondsAgo: Math.max(0, Math.floor((now - at) / 1000)),
    count,
    alert,
    peer,
    ...(identity !== undefined && { identity }),
    ...(connection !== '' && { connection }),
    ...(child !== undefined && { child }),
    ...explain(event),
    transforms: event.kind === 'refused' ? event.transforms : [],
  };
}

export function explain(event: FailureEvent): Advice {
  switch (event.kind) {
    case 'refused':
      return refusalAdvice(event);
    case 'authentication-failed':
      return event.by === 'us' ? authenticationAdvice(event) : refusedAuthenticationAdvice(event);
    case 'peer-unreachable':
      return silenceAdvice(event);
    case 'peer-fault':
      return {
        what: `a message of the peer is malformed: ${event.what}`,
        why: 'it is authenticated, so this is a fault of its program and not an attack',
        here: [],
        there: ['look for a newer version of its program, and report this line to its maker'],
      };
    case 'alert':
      return { what: event.what, why: ALERT_MEANINGS[event.alert] ?? '', here: [], there: [] };
    case 'ike-drop':
      return {
        what: 'the peer began and never authenticated: IKE_SA_INIT was answered, no IKE_AUTH came',
        why:
          'its IKE_AUTH is lost on the way, most often because UDP port 4500 is blocked or because ' +
          'IP fragments of a large message are dropped; or it did not like our answer',
        here: ['let UDP port 4500 in, and IP fragments with it'],
        there: ['turn IKE fragmentation (RFC 7383) on, and look into its log'],
      };
  }
}

function refusalAdvice(event: Refusal): Advice {
  const notify = notifyName(event.notify);
  switch (notify) {
    case 'NO_PROPOSAL_CHOSEN':
    case 'INVALID_KE_PAYLOAD':
      return event.by === 'us' ? proposalAdvice(event) : refusedProposalAdvice(event);
    case 'TS_UNACCEPTABLE':
    case 'SINGLE_PAIR_REQUIRED':
      return selectorAdvice(event);
    default: {
      const [why, here, there]: Meaning = NOTIFY_MEANINGS[notify] ?? ['the notify says no more'];
      return {
        what: `${event.by === 'us' ? 'we' : 'the peer'} answered ${notify}: ${event.what}`,
        why,
        here: here === undefined ? [] : [here],
        there: there === undefined ? [] : [there],
      };
    }
  }
}

function silenceAdvice(event: Extract<FailureEvent, { kind: 'peer-unreachable' }>): Advice {
  const what = `${event.peer} did not answer ${event.attempts} transmissions`;
  if (event.exchange === 'IKE_SA_INIT') {
    return {
      what: `${what} of IKE_SA_INIT`,
      why:
        'the address is wrong, nothing runs there, a firewall drops UDP port 500 on the way, or the ' +
        'peer does not want to talk to this address',
      here: [
        'check remote_addrs, and whether UDP ports 500 and 4500 may leave and their answers return',
      ],
      there: ['check that it runs, listens on that address, and lets UDP ports 500 and 4500 in'],
    };
  }
  if (event.exchange === 'IKE_AUTH') {
    return {
      what: `${what} of IKE_AUTH, although it answered IKE_SA_INIT`,
      why:
        'UDP port 4500 is blocked where port 500 is not, or the IP fragments of a large message are ' +
        'lost on the way',
      here: [
        'let UDP port 4500 through; write fragmentation = yes, or a smaller gateway.fragment_size',
      ],
      there: ['let UDP port 4500 in, and look into its log: it may have dropped what it got'],
    };
  }
  return {
    what: `${what}: the IKE SA is gone`,
    why: 'the peer or the path to it went away, or the peer started again and forgot the SA',
    here: [
      'write dpd_delay so that this is noticed early, and dpd_action = restart so that it comes back',
    ],
    there: [],
  };
}

type Meaning = readonly [why: string, here?: string | undefined, there?: string];

/** Error notifies that need no look at the configuration (RFC 7296 §3.10.1). */
const NOTIFY_MEANINGS: Readonly<Record<string, Meaning>> = {
  NO_ADDITIONAL_SAS: [
    'the end that refused holds as many SAs for this peer as it may',
    'raise gateway.max_children or gateway.max_ike_sas_per_identity, or let fewer children share an IKE SA',
    'let fewer children share an IKE SA, or raise its own limit',
  ],
  TEMPORARY_FAILURE: [
    'both ends changed the same SA at one time; it is tried again and needs no one to act',
  ],
  CHILD_SA_NOT_FOUND: [
    'the Child SA was gone when its rekeying arrived; it needs no one to act unless it repeats',
  ],
  INTERNAL_ADDRESS_FAILURE: [
    'no virtual address was left, or none of the family that was asked for',
    'add addresses to the pools of the connection: tsgw pools shows who has them',
    'ask for addresses (vips) of a family that its pools have',
  ],
  FAILED_CP_REQUIRED: [
    'the gateway gives virtual addresses and was not asked for one',
    'write vips = 0.0.0.0 where we are the client; where we are the gateway, remove pools',
    'let the client ask for a virtual address',
  ],
  INVALID_SYNTAX: ['a message was malformed for the end that refused it'],
  UNSUPPORTED_CRITICAL_PAYLOAD: [
    'a payload that must be understood is not known to the end that refused it',
  ],
  INVALID_MAJOR_VERSION: [
    'one end speaks IKEv1 only (RFC 9395 deprecates it)',
    undefined,
    'let it use IKEv2',
  ],
};

/** Alerts that say themselves what happened. */
const ALERT_MEANINGS: Readonly<Record<string, string>> = {
  'ts-narrowed':
    'the peer takes less traffic into the tunnel than we asked for; the rest is not protected',
  'ike-sa-expired':
    'the IKE SA ended before it could be replaced: traffic stopped until another was up',
  'unique-replace':
    'another IKE SA of the same identity came up, and unique = replace keeps only the newest',
  'unique-keep': 'an IKE SA of the same identity is up, and unique = keep lets no other in',
  'vip-failure': 'no virtual address could be given; tsgw pools shows who has them',
  'proposal-mismatch-child':
    'IKE_AUTH carries no key exchange for the Child SA, so that this shows at the first rekey only: the tunnel is up now and will go down then',
  'lifetime-mismatch':
    'the two ends mean different times; the shorter one counts, and whoever has it acts',
  'mode-declined':
    'without the consent of both ends a Child SA is a tunnel: traffic is protected all the same, in packets that are larger by a header',
  'feature-declined':
    'what concerns how packets look needs the consent of the peer; without it they go as they are',
  'initiation-failed': 'it was given up before the two ends came to negotiate anything',
  'peer-addr-failed': 'a name in remote_addrs has no address, or no route leads there',
  'keep-on-child-sa-failure': 'the IKE SA stays up without the Child SA that was wanted',
};
