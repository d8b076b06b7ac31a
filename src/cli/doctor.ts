/**
 * `tsgw doctor mtu`: what the path to a peer carries, and what to set.
 */
import { type ViciSection, viciSection, viciSubsection, viciText } from '../vici/message.ts';
import { complain, withDaemon } from './daemon.ts';
import { ExitCode, outcomeExitCode } from './exit-code.ts';
import { type JsonSchema, toJson } from './json.ts';
import { named } from './list-sas.ts';
import { table } from './table.ts';
import { paint, printable, type Terminal } from './terminal.ts';
import type { Call } from './verb.ts';
import { adviceLines } from './why.ts';

export async function doctor(call: Call): Promise<ExitCode> {
  const [topic = '', peer = ''] = call.operands;
  const ikeId = call.options.get('ike-id');
  if (topic !== 'mtu') {
    complain(call, `${topic}: the doctor examines mtu, as in tsgw doctor mtu ${peer}`);
    return ExitCode.USAGE;
  }
  if (ikeId !== undefined && !/^[1-9]\d{0,8}$/.test(ikeId)) {
    complain(call, '--ike-id needs a number from 1');
    return ExitCode.USAGE;
  }
  return withDaemon(call, async (client) => {
    const { terminal } = call;
    const request = viciSection([
      ['peer', peer],
      ['ike-id', ikeId],
    ]);
    const answer = await client.request('tsgw-doctor-mtu', request);
    if (viciText(answer, 'success') !== 'yes') {
      complain(call, viciText(answer, 'errmsg') ?? 'the daemon does not say why not');
      return outcomeExitCode(viciText(answer, 'tsgw-outcome'));
    }
    if (call.switches.has('json')) {
      const { success: _success, ...value } = toJson(answer, MTU);
      terminal.out(`${JSON.stringify(value, null, 2)}\n`);
    } else {
      terminal.out(explained(terminal, answer));
    }
    return ExitCode.OK;
  });
}

function explained(terminal: Terminal, answer: ViciSection): string {
  const text = (name: string): string => printable(viciText(answer, name) ?? '');
  const seconds = (Number(text('milliseconds')) / 1000).toFixed(1);
  const lost = viciText(answer, 'lost');
  const found =
    lost === undefined
      ? `carries ${text('outer-mtu')} octets, the most that was tried`
      : `carries ${text('outer-mtu')} octets and loses packets of ${lost}`;
  const children = named(viciSubsection(answer, 'children')).map(([, child]) => child);
  const cell = (child: ViciSection, name: string): string => viciText(child, name) ?? '-';
  return [
    paint(
      terminal,
      'bold',
      `${text('remote')} (${text('remote-id')}), connection ${text('connection')}, IKE SA ${text('ike-id')}\n`,
    ),
    `the path from ${text('local')} ${found}; believed before: ${text('before')}\n`,
    `${text('probes')} probes, ${text('losses')} of them too long, in ${seconds} s\n\n`,
    table(
      terminal,
      [
        { title: 'CHILD' },
        { title: 'ID', right: true },
        { title: 'INNER MTU', right: true },
        { title: 'MSS IPV4', right: true },
        { title: 'MSS IPV6', right: true },
      ],
      children.map((child) =>
        ['name', 'uniqueid', 'inner-mtu', 'mss-ipv4', 'mss-ipv6'].map((name) => cell(child, name)),
      ),
      'no child is up',
    ),
    '\nwhat to set\n',
    ...adviceLines(terminal, answer).map((line) => `${line}\n`),
  ].join('');
}

const MTU: JsonSchema = {
  numbers: ['ike-id', 'before', 'outer-mtu', 'lost', 'probes', 'losses', 'milliseconds'],
  lists: { children: { of: { numbers: ['uniqueid', 'inner-mtu', 'mss-ipv4', 'mss-ipv6'] } } },
};
