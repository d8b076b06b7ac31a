/**
 * Draws a captured exchange the way RFC 7296 §1.2 does: initiator, responder, arrows between.
 *
 * IKE messages one by one with their payloads, ESP packets counted between them.
 */
import { type Dissected, dissect } from './capture.ts';

export interface LadderOptions {
  /** The address on the left; everything else is on the right. */
  readonly left: string;
  readonly leftName: string;
  readonly rightName: string;
  readonly keyLog?: string;
}

/** The ladder of a capture, line by line. */
export async function ladder(file: string, options: LadderOptions): Promise<string> {
  const packets = await dissect(file, {
    fields,
    filter: 'isakmp || esp || udpencap.nat_keepalive',
    ...(options.keyLog === undefined ? {} : { keyLog: options.keyLog }),
  });
  return drawLadder(packets, options);
}

/** The drawing itself, of packets dissected already. */
export function drawLadder(packets: readonly Dissected[], options: LadderOptions): string {
  const start = Number(one(packets[0], 'frame.time_relative') || 0);
  const lines = [header(options)];
  let esp = { out: 0, back: 0 };
  const flush = (): void => {
    if (esp.out + esp.back > 0) {
      lines.push(row('', `ESP: ${esp.out} packets ->, <- ${esp.back} packets`, '  '));
      esp = { out: 0, back: 0 };
    }
  };
  for (const packet of packets) {
    const rightwards = isLeft(packet, options.left);
    if (one(packet, 'isakmp.exchangetype') === '') {
      if (one(packet, 'esp.spi') !== '') {
        esp = { out: esp.out + Number(rightwards), back: esp.back + Number(!rightwards) };
      }
      continue;
    }
    flush();
    const seconds = Number(one(packet, 'frame.time_relative')) - start;
    lines.push(...message(packet, seconds, rightwards));
  }
  flush();
  return lines.join('\n');
}

function header({ leftName, rightName }: LadderOptions): string {
  const middle = ' '.repeat(Math.max(1, width - leftName.length - rightName.length + 2));
  return `${' '.repeat(margin)}${leftName}${middle}${rightName}`;
}

function message(packet: Dissected, seconds: number, rightwards: boolean): readonly string[] {
  const exchange = exchanges[one(packet, 'isakmp.exchangetype')] ?? 'exchange ?';
  const response = (Number.parseInt(one(packet, 'isakmp.flags'), 16) & 0x20) !== 0;
  const number = Number.parseInt(one(packet, 'isakmp.messageid'), 16);
  const title = `${exchange} ${response ? 'response' : 'request'} ${number}`;
  const ports = `${one(packet, 'udp.srcport')} -> ${one(packet, 'udp.dstport')}`;
  const body = wrap(payloads(packet), width - 4);
  const shaft = '-'.repeat(width - 3);
  return [
    row(`${seconds.toFixed(3)} s`, `${title}  (${ports})`, '  '),
    ...body.map((line) => row('', `  ${line}`, '  ')),
    row('', rightwards ? `${shaft}>` : `<${shaft}`, ' '),
  ];
}

/** HDR, SA, KE, Ni: what the message carries; `SK {...}` stays closed without its keys. */
function payloads(packet: Dissected): readonly string[] {
  const notifies = [...(packet.get('isakmp.notify.msgtype') ?? [])];
  const names: string[] = [];
  let sealed = false;
  for (const type of packet.get('isakmp.typepayload') ?? []) {
    const name = payloadNames[Number(type)];
    if (type === '41') {
      const notify = notifies.shift() ?? '';
      names.push(`N(${notifyNames[Number(notify)] ?? notify})`);
    } else if (type === '46' || type === '53') {
      sealed = true;
      names.push(`${name} {`);
    } else if (name !== undefined) {
      names.push(name);
    }
  }
  if (sealed) {
    names.push('}');
  }
  return names;
}

function wrap(words: readonly string[], limit: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of words) {
    if (line !== '' && line.length + word.length + 1 > limit) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return line === '' ? lines : [...lines, line];
}

function row(time: string, text: string, gap: string): string {
  return `${time.padStart(margin - 1)} |${gap}${text.padEnd(width - gap.length)}|`;
}

function isLeft(packet: Dissected, left: string): boolean {
  return one(packet, 'ip.src') === left || one(packet, 'ipv6.src') === left;
}

function one(packet: Dissected | undefined, field: string): string {
  return packet?.get(field)?.[0] ?? '';
}

const margin = 11;
const width = 64;

const fields = [
  'frame.time_relative',
  'ip.src',
  'ipv6.src',
  'udp.srcport',
  'udp.dstport',
  'isakmp.exchangetype',
  'isakmp.flags',
  'isakmp.messageid',
  'isakmp.typepayload',
  'isakmp.notify.msgtype',
  'esp.spi',
];

const exchanges: Readonly<Record<string, string>> = {
  34: 'IKE_SA_INIT',
  35: 'IKE_AUTH',
  36: 'CREATE_CHILD_SA',
  37: 'INFORMATIONAL',
};

/** IKEv2 Payload Types (RFC 7296 §3.2), in the notation of §1.2. */
const payloadNames: Readonly<Record<number, string>> = {
  33: 'SA',
  34: 'KE',
  35: 'IDi',
  36: 'IDr',
  37: 'CERT',
  38: 'CERTREQ',
  39: 'AUTH',
  40: 'Nonce',
  42: 'D',
  43: 'V',
  44: 'TSi',
  45: 'TSr',
  46: 'SK',
  47: 'CP',
  48: 'EAP',
  53: 'SKF',
};

/** The notify messages a run in the lab may show. */
const notifyNames: Readonly<Record<number, string>> = {
  1: 'UNSUPPORTED_CRITICAL_PAYLOAD',
  4: 'INVALID_IKE_SPI',
  5: 'INVALID_MAJOR_VERSION',
  7: 'INVALID_SYNTAX',
  9: 'INVALID_MESSAGE_ID',
  11: 'INVALID_SPI',
  14: 'NO_PROPOSAL_CHOSEN',
  17: 'INVALID_KE_PAYLOAD',
  24: 'AUTHENTICATION_FAILED',
  34: 'SINGLE_PAIR_REQUIRED',
  35: 'NO_ADDITIONAL_SAS',
  36: 'INTERNAL_ADDRESS_FAILURE',
  37: 'FAILED_CP_REQUIRED',
  38: 'TS_UNACCEPTABLE',
  39: 'INVALID_SELECTORS',
  43: 'TEMPORARY_FAILURE',
  44: 'CHILD_SA_NOT_FOUND',
  16384: 'INITIAL_CONTACT',
  16385: 'SET_WINDOW_SIZE',
  16386: 'ADDITIONAL_TS_POSSIBLE',
  16387: 'IPCOMP_SUPPORTED',
  16388: 'NAT_DETECTION_SOURCE_IP',
  16389: 'NAT_DETECTION_DESTINATION_IP',
  16390: 'COOKIE',
  16391: 'USE_TRANSPORT_MODE',
  16393: 'REKEY_SA',
  16394: 'ESP_TFC_PADDING_NOT_SUPPORTED',
  16395: 'NON_FIRST_FRAGMENTS_ALSO',
  16396: 'MOBIKE_SUPPORTED',
  16404: 'MULTIPLE_AUTH_SUPPORTED',
  16406: 'REDIRECT_SUPPORTED',
  16417: 'EAP_ONLY_AUTHENTICATION',
  16418: 'CHILDLESS_IKEV2_SUPPORTED',
  16420: 'IKEV2_MESSAGE_ID_SYNC_SUPPORTED',
  16430: 'IKEV2_FRAGMENTATION_SUPPORTED',
  16431: 'SIGNATURE_HASH_ALGORITHMS',
};
