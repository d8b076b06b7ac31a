/**
 * An exchange as it happens, one line per event: messages out and in with their payloads, what was
 * agreed, and where it went wrong which side refused what.
 */
import { type ViciSection, viciSubsection, viciText, viciTexts } from '../vici/message.ts';
import { named } from './list-sas.ts';
import { paint, printable, type Terminal } from './terminal.ts';

/** The lines of one `tsgw-event`, with the seconds since the ladder began. */
export function ladderLines(terminal: Terminal, event: ViciSection, seconds: number): string {
  const [first, ...more] = sentence(terminal, event);
  if (first === undefined) return '';
  const time = paint(terminal, 'dim', seconds.toFixed(3).padStart(8));
  const indent = ' '.repeat(8);
  return [`${time}  ${first}`, ...more.map((line) => `${indent}  ${line}`), ''].join('\n');
}

function sentence(terminal: Terminal, event: ViciSection): readonly string[] {
  return viciText(event, 'kind') === 'message'
    ? [message(event)]
    : [...saSentence(terminal, event), ...faultSentence(terminal, event)];
}

/** SAs that come, go, move and take one another's place. */
function saSentence(terminal: Terminal, event: ViciSection): readonly string[] {
  const text = (name: string): string => printable(viciText(event, name) ?? '');
  switch (text('kind')) {
    case 'ike-sa-up':
      return [
        paint(terminal, 'green', `IKE SA #${text('ike-sa')} ${text('connection')} is up`),
        `${text('local-id')} === ${text('remote-id')}, ${text('suite')}`,
      ];
    case 'child-sa-up':
      return [
        paint(terminal, 'green', `Child SA ${text('child')} #${text('child-sa')} is up`),
        `${text('local-ts')} === ${text('remote-ts')}, ${text('suite')}`,
        `SPI in ${text('spi-in')}, out ${text('spi-out')}${modeText(text('mode'))}${text('encapsulation') === 'udp' ? ', in UDP' : ''}`,
      ];
    case 'ike-sa-down':
      return [`IKE SA #${text('ike-sa')} ${text('connection')} is down: ${text('reason')}`];
    case 'child-sa-down':
      return [`Child SA ${text('child')} #${text('child-sa')} is down: ${text('reason')}`];
    case 'child-sa-rekeyed':
      return [
        paint(terminal, 'green', `Child SA ${text('child')} #${text('child-sa')} is up`),
        `it replaces #${text('replaces')}, ${text('suite')}`,
        `SPI in ${text('spi-in')}, out ${text('spi-out')}${modeText(text('mode'))}`,
      ];
    case 'ike-sa-rekeyed':
      return [
        paint(terminal, 'green', `IKE SA #${text('ike-sa')} ${text('connection')} is up`),
        `it replaces #${text('replaces')}, ${text('suite')}`,
      ];
    case 'ike-sa-moved':
      return [`moved to ${text('local')} - ${text('peer')}: ${text('why')}`];
    case 'redirected':
      return [
        text('by') === 'us'
          ? `the peer is sent to ${text('gateway')}`
          : `the peer sends us to ${text('gateway')}`,
      ];
    case 'virtual-addresses':
      return [
        text('to') === 'us'
          ? `the peer gives us ${text('addresses')}`
          : `the peer gets ${text('addresses')}`,
      ];
    case 'nat-detected':
      return [`NAT: ${natSides(event)}`];
    default:
      return [];
  }
}

/** What went wrong, or will. */
function faultSentence(terminal: Terminal, event: ViciSection): readonly string[] {
  const text = (name: string): string => printable(viciText(event, name) ?? '');
  const bad = (line: string): string => paint(terminal, 'red', line);
  switch (text('kind')) {
    case 'alert':
      return [paint(terminal, 'yellow', `${text('alert')}: ${text('what')}`)];
    case 'retransmit':
      return [`no answer to request ${text('message-id')}: sending it again (${text('attempt')})`];
    case 'peer-unreachable':
      return [bad(`${text('peer')} did not answer ${text('attempts')} transmissions`)];
    case 'refused':
      return refusal(event).map((line, index) => (index === 0 ? bad(line) : line));
    case 'authentication-failed':
      return [bad(`${whose(event)} the authentication: ${text('what')}`)];
    case 'peer-fault':
      return [bad(`the peer is at fault: ${text('what')}`)];
    case 'weak-algorithm':
      return [paint(terminal, 'yellow', `weak: ${text('algorithm')} in ${text('where')}`)];
    default:
      return [];
  }
}

/** `──► IKE_SA_INIT request 0  SA KE No  (328 octets)`, `(3420 octets in 3 fragments)` */
function message(event: ViciSection): string {
  const text = (name: string): string => printable(viciText(event, name) ?? '');
  const arrow = text('direction') === 'sent' ? '──►' : '◄──';
  const title = `${text('exchange')} ${text('response') === 'yes' ? 'response' : 'request'} ${text('message-id')}`;
  const payloads = viciTexts(event, 'payloads').map(printable).join(' ');
  const again = text('retransmission') === '0' ? '' : `, retransmission ${text('retransmission')}`;
  const fragments = text('fragments') === '' ? '' : ` in ${text('fragments')} fragments`;
  const size = `${text('octets')} octets${fragments}${again}`;
  return `${arrow} ${title.padEnd(26)} ${payloads || '(empty)'}  (${size})`;
}

/** Which side refused what; offered against accepted, transform by transform. */
export function refusal(event: ViciSection): readonly string[] {
  const text = (name: string): string => printable(viciText(event, name) ?? '');
  const transforms = transformLines(viciSubsection(event, 'transforms'));
  return [
    `${whose(event)} with ${text('notify')}: ${text('what')}`,
    ...transforms,
    ...(text('by') === 'peer' && transforms.length === 0
      ? ['the peer does not say what it would accept: its log or its configuration does']
      : []),
  ];
}

/** Offered against accepted, two lines for each transform type. */
export function transformLines(section: ViciSection | undefined): readonly string[] {
  const transforms = named(section);
  const width = Math.max(...transforms.map(([type]) => type.length), 0);
  const list = (one: ViciSection, name: string): string =>
    viciTexts(one, name).map(printable).join(', ') || 'nothing';
  return transforms.flatMap(([type, one]) => [
    `${printable(type).padEnd(width)}  offered  ${list(one, 'offered')}`,
    `${' '.repeat(width)}  accepted ${list(one, 'accepted')}`,
  ]);
}

function whose(event: ViciSection): string {
  return viciText(event, 'by') === 'us' ? 'we refused' : 'the peer refused';
}

function natSides(event: ViciSection): string {
  const sides = [
    viciText(event, 'local-behind-nat') === 'yes' ? 'we are' : '',
    viciText(event, 'remote-behind-nat') === 'yes' ? 'the peer is' : '',
  ].filter((side) => side !== '');
  return sides.length === 0 ? 'none between us' : `${sides.join(' and ')} behind one`;
}

/** A tunnel goes without saying. */
function modeText(mode: string): string {
  return mode === '' ? '' : `, ${mode} mode`;
}
