/**
 * The SA behind a traced packet in plain words: who carries it, with what figures, and the outer
 * packet octet by octet.
 */
import { type ViciSection, viciSubsection, viciText } from '../vici/message.ts';
import { algorithms } from './list-sas.ts';
import { age, octets } from './table.ts';
import { printable } from './terminal.ts';

/** Nothing where no SA carries the packet. */
export function carrierLines(answer: ViciSection): readonly string[] {
  const carrier = viciSubsection(answer, 'carrier');
  const childSa = viciSubsection(answer, 'child-sa');
  if (!carrier || !childSa) return [];
  const direction = viciText(answer, 'direction') === 'in' ? 'in' : 'out';
  return [
    childLine(childSa),
    ...ikeLines(viciSubsection(answer, 'ike-sa')),
    sequenceLine(texts(viciSubsection(carrier, 'sequence')), direction),
    limitLine(texts(viciSubsection(carrier, 'limits'))),
    ...sizeLines(carrier, direction, modeOf(childSa)),
  ];
}

/** Where the outer packet goes. */
export function forwardingLine(answer: ViciSection): string {
  const carrier = viciSubsection(answer, 'carrier') ?? new Map();
  const text = texts(viciSubsection(carrier, 'encapsulation'));
  const udp = text('protocol') === 'udp';
  const [from, to] = (['local', 'remote'] as const).map((end) =>
    udp ? `${text(end)}[${text(`${end}-port`)}]` : text(end),
  );
  const df = text('dont-fragment') === 'yes' ? ', not to be fragmented' : '';
  return `${udp ? 'ESP in UDP' : 'ESP as IP protocol 50'} from ${from} to ${to}${df}`;
}

/** The values of a section by key, fit to be printed; nothing where there is none. */
export function texts(section: ViciSection | undefined): (name: string) => string {
  return (name) => printable((section && viciText(section, name)) ?? '');
}

function childLine(childSa: ViciSection): string {
  const text = texts(childSa);
  const mode = modeOf(childSa) === 'tunnel' ? '' : `, ${modeOf(childSa)} mode`;
  const ends = text('life-time') === '' ? '' : `, ends in ${age(Number(text('life-time')))}`;
  return (
    `Child SA ${text('name')} #${text('uniqueid')} ${text('state')}${mode}, SPI in ${text('spi-in')} out ` +
    `${text('spi-out')}, ${printable(algorithms(childSa))}, for ${age(Number(text('install-time')))}${ends}`
  );
}

/** `tunnel` where nothing is said. */
function modeOf(childSa: ViciSection): string {
  return texts(childSa)('mode').toLowerCase() || 'tunnel';
}

function ikeLines(ikeSa: ViciSection | undefined): readonly string[] {
  if (!ikeSa) return [];
  const text = texts(ikeSa);
  return [
    `IKE SA ${text('connection')} #${text('uniqueid')} ${text('state')}, ${text('local-id')} === ` +
      `${text('remote-id')}, SPIs ${text('initiator-spi')} ${text('responder-spi')}`,
  ];
}

function sequenceLine(text: (name: string) => string, direction: 'in' | 'out'): string {
  const last = Number(text('last'));
  const bits = Number(text('bits'));
  const percent = (last / 2 ** bits) * 100;
  const share = percent < 0.1 ? 'less than 0.1' : percent.toFixed(1);
  const used = last === 0 ? 'none used yet' : `${share} % used`;
  if (direction === 'out') return `sequence number ${last + 1} is next, of ${bits} bits: ${used}`;
  const size = text('replay-window');
  const window = size === '0' ? 'no replay window' : `window of ${size}`;
  return `sequence number ${last} is the newest, of ${bits} bits; ${window}`;
}

function limitLine(text: (name: string) => string): string {
  const of = (unit: 'packets' | 'octets', show: (count: number) => string): readonly string[] => {
    const hard = Number(text(`hard-${unit}`));
    if (hard === 0) return [];
    return [`${show(Number(text(unit)))} of ${show(hard)}${unit === 'packets' ? ' packets' : ''}`];
  };
  const limits = [...of('packets', String), ...of('octets', octets)];
  if (limits.length === 0) return 'no limit in octets or packets';
  const reached = text('reached') === 'none' ? '' : `; its ${text('reached')} limit is reached`;
  return `limits: ${limits.join(', ')}${reached}`;
}

function sizeLines(carrier: ViciSection, direction: 'in' | 'out', mode: string): readonly string[] {
  const path = texts(viciSubsection(carrier, 'path-mtu'));
  const since = age(Number(path('seconds')));
  const how = path('learned') === 'yes' ? `learned ${since} ago` : `assumed for ${since}`;
  const mss = viciText(carrier, 'mss');
  return [
    ...(direction === 'out' ? budgetLines(texts(viciSubsection(carrier, 'budget')), mode) : []),
    `the path carries ${path('octets')} octets, ${how}`,
    `largest inner packet: ${viciText(carrier, 'inner-mtu')} octets`,
    ...(mss === undefined ? [] : [`the MSS of a SYN becomes ${mss} at most`]),
  ];
}

/** In the order of the packet. */
function budgetLines(text: (name: string) => string, mode: string): readonly string[] {
  const rows = [
    ['outer-ip', 'outer IP header'],
    ['udp', 'UDP header'],
    ['esp-header', 'ESP header: SPI, sequence number'],
    ['iv', 'IV'],
    ['inner', mode === 'tunnel' ? 'inner packet' : 'inner packet, less its IP header'],
    ['tfc-padding', 'TFC padding: hides how long it is'],
    ['padding', 'padding'],
    ['trailer', 'pad length, next header'],
    ['icv', 'ICV'],
    ['total', 'octets outside'],
  ] as const;
  return rows
    .map(([name, what]) => [text(name), what] as const)
    .filter(([count]) => count !== '0')
    .map(([count, what]) => `${count.padStart(7)}  ${what}`);
}
