/**
 * `tsgw cluster status` and `tsgw cluster segments`: how the cluster looks from one of its nodes.
 */
import { type ViciSection, viciSubsection, viciText, viciTexts } from '../vici/message.ts';
import { formatSegments } from '../vici/segment-list.ts';
import { complain, withDaemon } from './daemon.ts';
import { ExitCode } from './exit-code.ts';
import { type JsonSchema, toJson } from './json.ts';
import { named } from './list-sas.ts';
import { age, table } from './table.ts';
import { paint, printable, type Terminal } from './terminal.ts';
import type { Call } from './verb.ts';

export function status(call: Call): Promise<ExitCode> {
  return withDaemon(call, async (client) => {
    const { terminal } = call;
    const answer = await client.request('tsgw-cluster-status');
    if (viciText(answer, 'success') !== 'yes') {
      complain(call, viciText(answer, 'errmsg') ?? 'the daemon does not say why not');
      return ExitCode.FAILED;
    }
    if (call.switches.has('json')) {
      const { success: _success, ...value } = toJson(answer, STATUS);
      terminal.out(`${JSON.stringify(value, null, 2)}\n`);
    } else {
      terminal.out(statusText(terminal, answer));
    }
    return ExitCode.OK;
  });
}

/** All rows as JSON; for people one row for each owner. */
export function segments(call: Call): Promise<ExitCode> {
  return withDaemon(call, async (client) => {
    const { terminal } = call;
    const about = await client.request('tsgw-cluster-status');
    if (viciText(about, 'success') !== 'yes') {
      complain(call, viciText(about, 'errmsg') ?? 'the daemon does not say why not');
      return ExitCode.FAILED;
    }
    const rows = await client.list('tsgw-cluster-segments', 'tsgw-cluster-segment');
    if (call.switches.has('json')) {
      const values = rows.map((row) => toJson(row, SEGMENT));
      terminal.out(`${JSON.stringify(values, null, 2)}\n`);
    } else {
      terminal.out(segmentsText(terminal, rows, call.switches.has('each')));
    }
    return ExitCode.OK;
  });
}

function statusText(terminal: Terminal, answer: ViciSection): string {
  const text = (name: string): string => printable(viciText(answer, name) ?? '');
  const sas = viciSubsection(answer, 'ike-sas') ?? new Map<never, never>();
  const count = (name: string): string => viciText(sas, name) ?? '0';
  const title = `cluster ${text('name')}, node ${text('node')} (${text('node-id')})`;
  const demotions = numbersOf(answer, 'demotions').map(([reason, amount]) => `${reason} ${amount}`);
  const troubles = viciTexts(answer, 'troubles').map(
    (what) => `${paint(terminal, 'red', 'trouble:')} ${printable(what)}\n`,
  );
  return [
    `${paint(terminal, 'bold', title)}: ${text('mode')} over ${text('bus')}, process ${text('sid')}\n`,
    `segments: ${text('owned')} of ${text('segments')}${aloneText(answer)}\n`,
    leaseLine(answer),
    text('synced') === 'yes'
      ? 'state: that of all nodes is here\n'
      : `state: ${paint(terminal, 'yellow', 'not here yet')}, so that it gets no segments\n`,
    `demotion: ${text('demotion')}${demotions.length === 0 ? '' : ` (${demotions.join(', ')})`}\n`,
    `IKE SAs: ${count('active')} served here, ${count('passive')} of other nodes kept, ` +
      `${count('unsynced')} unsynced; Child SAs alone: ${count('solo')}\n`,
    ...troubles,
    '\n',
    memberTable(terminal, answer),
    '\n',
    addressTable(terminal, answer),
    '\n',
    figures('figures', numbersOf(answer, 'metrics')),
    figures('dropped from the bus', numbersOf(answer, 'drops')),
  ].join('');
}

function aloneText(answer: ViciSection): string {
  return viciText(answer, 'alone') === 'yes' ? ', going on alone' : '';
}

function leaseLine(answer: ViciSection): string {
  const [left, ago] = [viciText(answer, 'lease-left'), viciText(answer, 'lease-age')];
  switch (viciText(answer, 'lease')) {
    case 'valid':
      return `lease: for ${left} ms more, answered ${ago} ms ago\n`;
    case 'unlimited':
      return viciText(answer, 'bus') === 'charon-ha'
        ? 'lease: none, as charon knows none\n'
        : 'lease: without an end, as alone = hold\n';
    default:
      return 'lease: over, so that it transmits nothing\n';
  }
}

function memberTable(terminal: Terminal, answer: ViciSection): string {
  const rows = named(viciSubsection(answer, 'members')).map(([name, member]) => {
    const text = (key: string): string => viciText(member, key) ?? '-';
    const legs = ['wan', 'lan', 'sync'].filter((leg) => viciText(member, leg) === 'yes');
    const told = viciText(member, 'wan') === undefined;
    const heard = viciText(member, 'heard');
    return [
      name,
      text('node-id'),
      viciText(member, 'alone') === 'yes' ? `${text('state')}, alone` : text('state'),
      text('owned'),
      text('weight'),
      text('demotion'),
      told ? '-' : `${text('advbase')}/${text('advskew')}`,
      told ? '-' : legs.join(' ') || 'none',
      heard === undefined ? '-' : heardText(Number(heard)),
      told ? '-' : text('synced'),
      viciTexts(member, 'differences').join(', ') || '-',
    ];
  });
  const right = new Set(['ID', 'SEGMENTS', 'WEIGHT', 'DEMOTION', 'HEARD']);
  const titles = ['NODE', 'ID', 'STATE', 'SEGMENTS', 'WEIGHT', 'DEMOTION', 'ADVERT', 'LEGS'];
  const columns = [...titles, 'HEARD', 'IN STEP', 'DIFFERS'].map((title) => ({
    title,
    right: right.has(title),
  }));
  return table(terminal, columns, rows, 'no node');
}

function heardText(milliseconds: number): string {
  return milliseconds < 10_000 ? `${milliseconds} ms` : age(Math.floor(milliseconds / 1000));
}

function addressTable(terminal: Terminal, answer: ViciSection): string {
  const rows = named(viciSubsection(answer, 'addresses')).map(([address, row]) => [
    address,
    ...['name', 'device', 'side', 'here', 'master', 'mac'].map((key) => viciText(row, key) ?? '-'),
  ]);
  const columns = ['ADDRESS', 'NAME', 'DEVICE', 'SIDE', 'HERE', 'NODE', 'MAC'].map((title) => ({
    title,
  }));
  return table(terminal, columns, rows, 'no address is shared');
}

function figures(title: string, all: readonly (readonly [string, number])[]): string {
  const shown = all.filter(([, value]) => value !== 0);
  if (shown.length === 0) return `${title}: nothing\n`;
  return `${title}:\n${shown.map(([name, value]) => `  ${value} ${printable(name)}\n`).join('')}`;
}

function numbersOf(answer: ViciSection, name: string): readonly (readonly [string, number])[] {
  const section = viciSubsection(answer, name) ?? new Map<never, never>();
  return [...section.keys()].map((key) => [key, Number(viciText(section, key))]);
}

/** One row for each owner, or for each segment. */
function segmentsText(terminal: Terminal, rows: readonly ViciSection[], each: boolean): string {
  const number = (row: ViciSection, name: string): number => Number(viciText(row, name) ?? '0');
  const byOwner = new Map<string, ViciSection[]>();
  for (const row of rows) {
    const owner = viciText(row, 'owner') ?? '';
    const key = each ? `${number(row, 'segment')}` : owner;
    byOwner.set(key, [...(byOwner.get(key) ?? []), row]);
  }
  const cells = [...byOwner.values()].map((some) => {
    const sum = (name: string): string =>
      `${some.reduce((all, row) => all + number(row, name), 0)}`;
    const epochs = some.map((row) => number(row, 'epoch'));
    const owner = some[0] && viciText(some[0], 'owner');
    const here = some[0] && viciText(some[0], 'here') === 'yes';
    return [
      owner === undefined ? 'nobody' : `${owner}${here ? ' (here)' : ''}`,
      `${some.length}`,
      `${Math.max(...epochs)}`,
      sum('ike-sas'),
      sum('child-sas'),
      formatSegments(some.map((row) => number(row, 'segment'))),
    ];
  });
  const titles = ['OWNER', 'COUNT', 'EPOCH', 'IKE SAS', 'CHILD SAS', 'SEGMENTS'];
  const columns = titles.map((title) => ({
    title,
    right: title !== 'OWNER' && title !== 'SEGMENTS',
  }));
  return table(terminal, columns, cells, 'no segment');
}

const STATUS: JsonSchema = {
  numbers: ['node-id', 'sid', 'segments', 'owned', 'lease-age', 'lease-left', 'demotion'],
  flags: ['alone', 'synced'],
  sections: {
    demotions: { allNumbers: true },
    'ike-sas': { allNumbers: true },
    metrics: { allNumbers: true },
    drops: { allNumbers: true },
  },
  lists: {
    members: {
      nameAs: 'name',
      of: {
        numbers: [
          'node-id',
          'sid',
          'owned',
          'weight',
          'demotion',
          'advbase',
          'advskew',
          'load',
          'heard',
          'applied',
        ],
        optionalFlags: ['alone', 'synced', 'wan', 'lan', 'sync'],
      },
    },
    addresses: { nameAs: 'address', of: { flags: ['here'] } },
  },
};

const SEGMENT: JsonSchema = {
  numbers: ['segment', 'epoch', 'ike-sas', 'child-sas'],
  flags: ['here'],
};
