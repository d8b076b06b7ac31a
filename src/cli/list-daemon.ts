/**
 * The listings of the daemon itself: `status`, `sad`, `spd`.
 */
import { type ViciSection, viciSubsection, viciText } from '../vici/message.ts';
import { withDaemon } from './daemon.ts';
import { ExitCode } from './exit-code.ts';
import { type JsonSchema, toJson } from './json.ts';
import { age, octets, table } from './table.ts';
import { paint, printable, type Terminal } from './terminal.ts';
import type { Call } from './verb.ts';

export function status(call: Call): Promise<ExitCode> {
  return withDaemon(call, async (client) => {
    const { terminal } = call;
    const answer = await client.request('tsgw-status');
    const text = (name: string): string => printable(viciText(answer, name) ?? '');
    if (call.switches.has('json')) {
      terminal.out(`${JSON.stringify(toJson(answer, STATUS), null, 2)}\n`);
      return ExitCode.OK;
    }
    const drops = toJson(viciSubsection(answer, 'drops') ?? new Map(), { allNumbers: true });
    const reasons = Object.entries(drops).map(([reason, count]) => `  ${count} ${reason}\n`);
    const title = `tsgw ${text('version')}`;
    terminal.out(
      `${paint(terminal, 'bold', title)} on ${text('sysname')} ${text('release')} ${text('machine')}\n` +
        `up ${age(Number(text('uptime')))}, since ${text('since')}\n` +
        `IKE SAs: ${text('ike-sas')}, of which half open: ${text('half-open')}\n` +
        cipherLines(answer) +
        `super-packets: ${text('offload')}\n` +
        workerLines(terminal, answer) +
        (reasons.length === 0 ? 'dropped: nothing\n' : `dropped:\n${reasons.join('')}`),
    );
    return ExitCode.OK;
  });
}

/** A row for each thread that moves packets. */
function workerLines(terminal: Terminal, answer: ViciSection): string {
  const workers = viciSubsection(answer, 'workers') ?? new Map<never, never>();
  const rows = [...workers.keys()].map((worker) => {
    const one = viciSubsection(workers, worker) ?? new Map<never, never>();
    return [worker, ...WORKER_COLUMNS.map((name) => viciText(one, name) ?? '')];
  });
  const titles = ['worker', ...WORKER_COLUMNS];
  const columns = titles.map((title) => ({ title: title.toUpperCase(), right: true }));
  return table(terminal, columns, rows, 'no worker');
}

const WORKER_COLUMNS = ['child-sas', 'packets-in', 'packets-out', 'handed-over', 'taken-over'];

/** One line for each library: its version, and the ciphers it is used for, all where it is alone. */
function cipherLines(answer: ViciSection): string {
  const [libraries, ciphers] = ['back-ends', 'ciphers'].map((name) => {
    const section = viciSubsection(answer, name) ?? new Map<never, never>();
    return [...section.keys()].map((key) => [key, viciText(section, key) ?? ''] as const);
  });
  const lines = (libraries ?? []).map(([name, version]) => {
    const used = (ciphers ?? []).filter(([, by]) => by === name).map(([cipher]) => cipher);
    const named = libraries?.length === 1 ? 'all' : byFamily(used).join(', ') || 'none';
    return `ciphers by ${name} ${version}: ${named}`;
  });
  return lines.map((line) => `${printable(line)}\n`).join('');
}

/** Names that differ in the length of the key only become one: `aes-128/256-gcm`. */
function byFamily(names: readonly string[]): readonly string[] {
  const families = new Map<string, string[]>();
  for (const name of names) {
    const [, bits = ''] = /^aes-(\d+)-/.exec(name) ?? [];
    const family = name.replace(bits, '*');
    families.set(family, [...(families.get(family) ?? []), bits]);
  }
  return [...families].map(([family, bits]) => family.replace('*', bits.join('/')));
}

export function sad(call: Call): Promise<ExitCode> {
  return withDaemon(call, async (client) => {
    const rows = await client.list('tsgw-sad', 'tsgw-sad-row');
    if (call.switches.has('json')) return json(call, rows, SAD);
    const columns = [
      { title: 'SPI' },
      { title: 'DIR' },
      { title: 'CHILD SA' },
      { title: 'LOCAL' },
      { title: 'REMOTE' },
      { title: 'ENCAP' },
      { title: 'ALGORITHMS' },
      { title: 'SEQUENCE', right: true },
      { title: 'WINDOW', right: true },
      { title: 'PACKETS', right: true },
      { title: 'OCTETS', right: true },
      { title: 'DROPS', right: true },
      { title: 'REPLAYS', right: true },
      { title: 'BAD ICV', right: true },
      { title: 'MTU', right: true },
    ];
    const cells = rows.map((row) => {
      const text = (name: string): string => viciText(row, name) ?? '';
      const algorithms = [text('encr'), text('integ'), text('esn') === 'yes' ? 'ESN' : ''];
      return [
        text('spi'),
        text('direction'),
        `${text('ike')}/${text('child')}`,
        text('local'),
        text('remote'),
        text('encapsulation'),
        algorithms.filter((name) => name !== '').join('/'),
        text('sequence'),
        text('direction') === 'in' ? text('replay-window') : '-',
        text('packets'),
        octets(Number(text('octets'))),
        text('drops'),
        text('replays'),
        text('bad-icvs'),
        text('mtu'),
      ];
    });
    call.terminal.out(table(call.terminal, columns, cells, 'no SA is installed'));
    return ExitCode.OK;
  });
}

export function spd(call: Call): Promise<ExitCode> {
  return withDaemon(call, async (client) => {
    const rows = await client.list('tsgw-spd', 'tsgw-spd-row');
    if (call.switches.has('json')) return json(call, rows, {});
    const columns = ['DIR', 'ACTION', 'LOCAL', 'REMOTE', 'CHILD SA', 'SPI'].map((title) => ({
      title,
    }));
    const cells = rows.map((row) => {
      const text = (name: string): string => viciText(row, name) ?? '';
      return [
        text('direction'),
        text('action'),
        text('local'),
        text('remote'),
        text('ike') === '' && text('child') === '' ? '-' : `${text('ike')}/${text('child')}`,
        text('spi') || '-',
      ];
    });
    call.terminal.out(table(call.terminal, columns, cells, 'no policy is installed'));
    return ExitCode.OK;
  });
}

function json(call: Call, rows: readonly ViciSection[], schema: JsonSchema): ExitCode {
  const values = rows.map((row) => toJson(row, schema));
  call.terminal.out(`${JSON.stringify(values, null, 2)}\n`);
  return ExitCode.OK;
}

const STATUS: JsonSchema = {
  numbers: ['uptime', 'ike-sas', 'half-open'],
  sections: { drops: { allNumbers: true } },
  lists: { workers: { nameAs: 'worker', of: { allNumbers: true } } },
};

const SAD: JsonSchema = {
  numbers: [
    'sequence',
    'replay-window',
    'packets',
    'octets',
    'drops',
    'replays',
    'bad-icvs',
    'mtu',
  ],
  flags: ['esn'],
};
