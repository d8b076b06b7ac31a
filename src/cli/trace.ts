/**
 * `tsgw trace`: what would become of a packet, step by step (RFC 4301 §5.1, §5.2).
 */
import { type ViciSection, viciSubsection, viciText, viciTexts } from '../vici/message.ts';
import { traceRequest } from '../vici/trace.ts';
import { parseTraceQuestion, type TraceWords } from '../vici/trace-question.ts';
import { complain, withDaemon } from './daemon.ts';
import { ExitCode } from './exit-code.ts';
import { type JsonSchema, toJson } from './json.ts';
import { CHILD_SA_SCHEMA, IKE_SA_SCHEMA, named } from './list-sas.ts';
import { table } from './table.ts';
import { paint, printable, type Terminal } from './terminal.ts';
import { carrierLines, forwardingLine, texts } from './trace-carrier.ts';
import type { Call } from './verb.ts';

export async function trace(call: Call): Promise<ExitCode> {
  const [source = '', destination = '', traffic = ''] = call.operands;
  const words: TraceWords = {
    source,
    destination,
    traffic,
    sourcePort: call.options.get('source-port'),
    size: call.options.get('size'),
    dontFragment: call.switches.has('df'),
    inbound: call.switches.has('inbound'),
  };
  const question = parseTraceQuestion(words);
  if (typeof question === 'string') {
    complain(call, question);
    return ExitCode.USAGE;
  }
  return withDaemon(call, async (client) => {
    const { terminal } = call;
    const answer = await client.request('tsgw-trace', traceRequest(words));
    if (viciText(answer, 'success') !== 'yes') {
      complain(call, viciText(answer, 'errmsg') ?? 'the daemon does not say why not');
      return ExitCode.FAILED;
    }
    if (call.switches.has('json')) {
      const { success: _success, ...value } = toJson(answer, TRACE);
      terminal.out(`${JSON.stringify(value, null, 2)}\n`);
    } else {
      terminal.out(explained(terminal, answer));
    }
    return ExitCode.OK;
  });
}

function explained(terminal: Terminal, answer: ViciSection): string {
  const inbound = viciText(answer, 'direction') === 'in';
  const steps = inbound ? inboundSteps(terminal, answer) : outboundSteps(terminal, answer);
  const verdict = texts(viciSubsection(answer, 'verdict'));
  const advice = viciTexts(viciSubsection(answer, 'verdict') ?? new Map(), 'next');
  return `${[
    paint(terminal, 'bold', packetLine(answer)),
    ...steps.flatMap(([title, lines], at) => [
      '',
      paint(terminal, 'bold', `${at + 1}. ${title}`),
      ...lines.map((line) => `   ${line}`.trimEnd()),
    ]),
    '',
    ...viciTexts(answer, 'notes').map((note) => `note: ${printable(note)}`),
    paint(terminal, OUTCOMES[verdict('outcome')] ?? 'red', verdict('what')),
    ...advice.map((one) => `${paint(terminal, 'green', 'next:')} ${printable(one)}`),
  ].join('\n')}\n`;
}

type Step = readonly [title: string, lines: readonly string[]];

function outboundSteps(terminal: Terminal, answer: ViciSection): readonly Step[] {
  const device = texts(viciSubsection(answer, 'device'));
  const carried = carrierLines(answer);
  const action = viciText(answer, 'action') ?? '';
  return [
    [
      'The device (RFC 4301 §5.1 step 1)',
      [
        ROUTES[device('route')] ?? '',
        `${device('name')} takes up to ${device('mtu')} octets, and one SPD is for all that comes`,
      ],
    ],
    ['The policies, in the order of look-up (step 2)', policyLines(terminal, answer)],
    [
      `${ACTIONS[action] ?? action} (step 3)`,
      [...(carried.length > 0 ? carried : [UNCARRIED[action] ?? '']), ...otherLines(answer)],
    ],
    ...(carried.length === 0 ? [] : [['The way out (step 4)', [forwardingLine(answer)]] as const]),
  ];
}

function inboundSteps(terminal: Terminal, answer: ViciSection): readonly Step[] {
  return [
    [
      'How it arrives (RFC 4301 §5.2 steps 1 to 3)',
      ['in ESP, by the SPI of one of these SAs, in UDP or as IP protocol 50'],
    ],
    [
      'The selectors of the SAs (step 4)',
      [...policyLines(terminal, answer), ...carrierLines(answer)],
    ],
  ];
}

function packetLine(answer: ViciSection): string {
  const packet = texts(viciSubsection(answer, 'packet'));
  const port = packet('source-port');
  const size = packet('size');
  return [
    `${packet('source')} -> ${packet('destination')} ${packet('traffic')}`,
    port && `from port ${port}${packet('source-port-assumed') === 'yes' ? ' (assumed)' : ''}`,
    size !== '0' &&
      `${size} octets${packet('size-assumed') === 'yes' ? ' (the most that passes whole)' : ''}`,
    packet('dont-fragment') === 'yes' && 'not to be fragmented',
    viciText(answer, 'direction') === 'in' && 'from the tunnel',
  ]
    .filter((part) => part)
    .join(', ');
}

function policyLines(terminal: Terminal, answer: ViciSection): readonly string[] {
  const policies = named(viciSubsection(answer, 'policies')).map(([, policy]) => policy);
  const inbound = viciText(answer, 'direction') === 'in';
  const columns = [
    { title: inbound ? 'CHILD SA' : 'POLICY' },
    { title: inbound ? 'SPI' : 'ACTION' },
    { title: 'LOCAL' },
    { title: 'REMOTE' },
    ...(inbound ? [] : [{ title: 'PRIORITY', right: true }]),
    { title: 'FITS' },
  ];
  const rows = policies.map((policy) => {
    const text = texts(policy);
    const misses = viciTexts(policy, 'misses').join(', ');
    return [
      [text('ike'), text('child')].filter((name) => name !== '').join('/') || '-',
      text(inbound ? 'spi' : 'action'),
      text('local'),
      text('remote'),
      ...(inbound ? [] : [text('priority')]),
      text('fits') === 'yes' ? 'yes' : `no: ${misses}`,
    ];
  });
  const all = Number(viciText(answer, 'all') ?? 0);
  const passed = Number(viciText(answer, 'passed') ?? 0);
  const unlisted = passed - policies.filter((one) => viciText(one, 'fits') !== 'yes').length;
  const empty = inbound ? 'no SA is there' : 'there is no policy';
  return [
    ...table(terminal, columns, rows, empty).trimEnd().split('\n'),
    ...(unlisted > 0 ? [`and ${unlisted} of ${all} that are further from it`] : []),
  ];
}

function otherLines(answer: ViciSection): readonly string[] {
  return named(viciSubsection(answer, 'others')).map(([, other]) => {
    const text = texts(other);
    return `beside it ${text('ike')}/${text('child')} #${text('uniqueid')} ${text('state')}: ${text('why')}`;
  });
}

/** RFC 4301 §4.4.1, and what there is besides. */
const ACTIONS: Readonly<Record<string, string>> = {
  protect: 'PROTECT',
  bypass: 'BYPASS',
  discard: 'DISCARD',
  trap: 'A trap',
  none: 'No policy',
};

/** What each means where no SA carries the packet. */
const UNCARRIED: Readonly<Record<string, string>> = {
  protect: 'its SA is going',
  bypass: 'the packet leaves as it is',
  discard: 'the packet is dropped',
  trap: 'the packet waits while IKE sets its SA up',
  none: 'what no policy covers is dropped (RFC 4301 §4.4.1)',
};

const ROUTES: Readonly<Record<string, string>> = {
  device: 'the route to it leads there',
  elsewhere: 'the route to it leads elsewhere: no policy is asked',
  nowhere: 'there is no route to it: no policy is asked',
};

const OUTCOMES: Readonly<Record<string, 'green' | 'yellow'>> = {
  sent: 'green',
  accepted: 'green',
  fragmented: 'yellow',
  held: 'yellow',
  bypassed: 'yellow',
};

const TRACE: JsonSchema = {
  numbers: ['passed', 'all'],
  sections: {
    packet: {
      numbers: ['source-port', 'size'],
      flags: ['source-port-assumed', 'size-assumed', 'dont-fragment'],
    },
    device: { numbers: ['mtu'] },
    'child-sa': CHILD_SA_SCHEMA,
    'ike-sa': IKE_SA_SCHEMA,
    carrier: {
      numbers: ['inner-mtu', 'mss'],
      sections: {
        encapsulation: { numbers: ['local-port', 'remote-port'], flags: ['dont-fragment'] },
        'path-mtu': { numbers: ['octets', 'seconds'], flags: ['learned'] },
        budget: { allNumbers: true },
        sequence: { allNumbers: true },
        limits: {
          numbers: [
            ...['packets', 'octets', 'soft-packets', 'hard-packets', 'soft-octets', 'hard-octets'],
          ],
        },
      },
    },
  },
  lists: {
    policies: { of: { numbers: ['priority'], flags: ['fits'] } },
    others: { of: { numbers: ['uniqueid'] } },
  },
};
