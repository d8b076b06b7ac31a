/**
 * `tsgw sas`: IKE SAs with their Child SAs below them.
 */
import {
  type ViciSection,
  viciSection,
  viciSubsection,
  viciText,
  viciTexts,
} from '../vici/message.ts';
import { withDaemon } from './daemon.ts';
import { ExitCode } from './exit-code.ts';
import { type JsonSchema, toJson } from './json.ts';
import { age, octets, table } from './table.ts';
import { printable } from './terminal.ts';
import type { Call } from './verb.ts';

export function sas(call: Call): Promise<ExitCode> {
  return withDaemon(call, async (client) => {
    const filter = viciSection([
      ['ike', call.options.get('ike')],
      ['child', call.options.get('child')],
      ['tsgw-drops', true],
    ]);
    const events = await client.list('list-sas', 'list-sa', filter);
    const ikeSas = events.flatMap(named);
    if (call.switches.has('json')) {
      const values = ikeSas.map(([connection, ikeSa]) => ({
        connection,
        ...toJson(ikeSa, IKE_SA_SCHEMA),
      }));
      call.terminal.out(`${JSON.stringify(values, null, 2)}\n`);
      return ExitCode.OK;
    }
    const rows = ikeSas.flatMap(([connection, ikeSa]) => [
      ikeSaRow(connection, ikeSa),
      ...named(viciSubsection(ikeSa, 'child-sas')).map(([, child]) => childSaRow(child)),
    ]);
    call.terminal.out(table(call.terminal, COLUMNS, rows, 'no IKE SA') + drops(ikeSas));
    return ExitCode.OK;
  });
}

/** The sub-sections of a message with their names. */
export function named(
  section: ViciSection | undefined,
): readonly (readonly [string, ViciSection])[] {
  return [...(section ?? [])].flatMap(([name, value]) =>
    value.kind === 'section' ? [[name, value.section] as const] : [],
  );
}

/** A line for each Child SA and direction that lost packets, with the reasons. */
function drops(ikeSas: readonly (readonly [string, ViciSection])[]): string {
  const children = ikeSas.flatMap(([connection, ikeSa]) =>
    named(viciSubsection(ikeSa, 'child-sas')).map(([, child]) => [connection, child] as const),
  );
  const lines = children.flatMap(([connection, child]) =>
    ['in', 'out'].flatMap((direction) => {
      const counts = viciSubsection(child, `dropped-${direction}`) ?? new Map<never, never>();
      const reasons = [...counts.keys()].map((name) => `${viciText(counts, name)} ${name}`);
      const who = `${connection}/${viciText(child, 'name')} #${viciText(child, 'uniqueid')}`;
      return reasons.length === 0 ? [] : [`${who} dropped ${direction}: ${reasons.join(', ')}`];
    }),
  );
  return lines.map((line) => `${printable(line)}\n`).join('');
}

const COLUMNS = [
  { title: 'SA' },
  { title: 'STATE' },
  { title: 'LOCAL' },
  { title: 'REMOTE' },
  { title: 'ALGORITHMS' },
  { title: 'AGE', right: true },
  { title: 'IN', right: true },
  { title: 'OUT', right: true },
];

function ikeSaRow(connection: string, ikeSa: ViciSection): readonly string[] {
  const text = (name: string): string => viciText(ikeSa, name) ?? '';
  const end = (side: string): string =>
    `${text(`${side}-id`)} @ ${text(`${side}-host`)}[${text(`${side}-port`)}]`;
  return [
    `${connection} #${text('uniqueid')}${text('initiator') === 'yes' ? '' : ' (responder)'}`,
    text('state'),
    end('local'),
    end('remote'),
    algorithms(ikeSa),
    ageOf(ikeSa, 'established'),
  ];
}

function childSaRow(child: ViciSection): readonly string[] {
  const text = (name: string): string => viciText(child, name) ?? '';
  return [
    `  ${text('name')} #${text('uniqueid')}`,
    text('state'),
    viciTexts(child, 'local-ts').join(' '),
    viciTexts(child, 'remote-ts').join(' '),
    `${algorithms(child)}${modeText(text('mode'))}${text('encap') === 'yes' ? ' in UDP' : ''}`,
    ageOf(child, 'install-time'),
    octets(Number(text('bytes-in'))),
    octets(Number(text('bytes-out'))),
  ];
}

/** A tunnel goes without saying. */
function modeText(mode: string): string {
  return mode === '' || mode === 'TUNNEL' ? '' : ` ${mode.toLowerCase()}`;
}

/** `AES_GCM_16_128/...`, of an IKE SA or a Child SA. */
export function algorithms(sa: ViciSection): string {
  const size = viciText(sa, 'encr-keysize');
  const encr = viciText(sa, 'encr-alg');
  return [
    encr === undefined ? undefined : size === undefined ? encr : `${encr}_${size}`,
    viciText(sa, 'integ-alg'),
    viciText(sa, 'prf-alg'),
    viciText(sa, 'dh-group'),
    viciText(sa, 'esn') === '1' ? 'ESN' : undefined,
  ]
    .filter((name) => name !== undefined)
    .join('/');
}

function ageOf(sa: ViciSection, name: string): string {
  const seconds = viciText(sa, name);
  return seconds === undefined ? '-' : age(Number(seconds));
}

export const CHILD_SA_SCHEMA: JsonSchema = {
  numbers: [
    'uniqueid',
    'reqid',
    'encr-keysize',
    'bytes-in',
    'packets-in',
    'use-in',
    'bytes-out',
    'packets-out',
    'use-out',
    'rekey-time',
    'life-time',
    'install-time',
  ],
  flags: ['encap', 'esn'],
  sections: { 'dropped-in': { allNumbers: true }, 'dropped-out': { allNumbers: true } },
};

export const IKE_SA_SCHEMA: JsonSchema = {
  numbers: [
    'uniqueid',
    'version',
    'local-port',
    'remote-port',
    'encr-keysize',
    'established',
    'rekey-time',
  ],
  flags: ['initiator', 'nat-local', 'nat-remote', 'nat-fake', 'nat-any'],
  lists: { 'child-sas': { of: CHILD_SA_SCHEMA } },
};
