/**
 * The listings `policies` and `pools`: what stands without an SA, and who has which address.
 */
import { viciSection, viciSubsection, viciText, viciTexts } from '../vici/message.ts';
import { withDaemon } from './daemon.ts';
import { ExitCode } from './exit-code.ts';
import { type JsonSchema, toJson } from './json.ts';
import { named } from './list-sas.ts';
import { table } from './table.ts';
import type { Call } from './verb.ts';

export function policies(call: Call): Promise<ExitCode> {
  return withDaemon(call, async (client) => {
    const request = viciSection([
      ['trap', true],
      ['pass', true],
      ['drop', true],
      ['ike', call.options.get('ike')],
      ['child', call.options.get('child')],
    ]);
    const rows = (await client.list('list-policies', 'list-policy', request)).flatMap(named);
    if (call.switches.has('json')) {
      const values = rows.map(([, policy]) => toJson(policy, {}));
      call.terminal.out(`${JSON.stringify(values, null, 2)}\n`);
      return ExitCode.OK;
    }
    const columns = ['POLICY', 'KIND', 'LOCAL', 'REMOTE'].map((title) => ({ title }));
    const cells = rows.map(([name, policy]) => [
      name,
      KINDS[viciText(policy, 'mode') ?? ''] ?? 'trap',
      viciTexts(policy, 'local-ts').join(' '),
      viciTexts(policy, 'remote-ts').join(' '),
    ]);
    call.terminal.out(table(call.terminal, columns, cells, 'no trap and no shunt is installed'));
    return ExitCode.OK;
  });
}

export function pools(call: Call): Promise<ExitCode> {
  return withDaemon(call, async (client) => {
    const asJson = call.switches.has('json');
    const leases = call.switches.has('leases');
    const request = viciSection([
      ['name', call.operands[0]],
      ['leases', leases || asJson ? true : undefined],
    ]);
    const rows = named(await client.request('get-pools', request));
    if (asJson) {
      const values = rows.map(([name, pool]) => ({ name, ...toJson(pool, POOL) }));
      call.terminal.out(`${JSON.stringify(values, null, 2)}\n`);
      return ExitCode.OK;
    }
    const columns = [
      { title: 'POOL' },
      { title: 'FIRST' },
      { title: 'ADDRESSES', right: true },
      { title: 'ONLINE', right: true },
      { title: 'OFFLINE', right: true },
    ];
    const cells = rows.flatMap(([name, pool]) => [
      [name, ...['base', 'size', 'online', 'offline'].map((key) => viciText(pool, key) ?? '')],
      ...named(viciSubsection(pool, 'leases')).map(([, lease]) => [
        `  ${viciText(lease, 'identity')}`,
        viciText(lease, 'address') ?? '',
        '',
        viciText(lease, 'status') === 'online' ? 'yes' : '',
        viciText(lease, 'status') === 'online' ? '' : 'yes',
      ]),
    ]);
    call.terminal.out(table(call.terminal, columns, cells, 'no pool is loaded'));
    return ExitCode.OK;
  });
}

const KINDS: Readonly<Record<string, string>> = { PASS: 'pass', DROP: 'drop' };

const POOL: JsonSchema = {
  numbers: ['size', 'online', 'offline'],
  lists: { leases: { of: {} } },
};
