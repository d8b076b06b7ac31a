/**
 * `tsgw conns`: the connections that are loaded, with their children below them.
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
import { named } from './list-sas.ts';
import { table } from './table.ts';
import type { Call } from './verb.ts';

export function conns(call: Call): Promise<ExitCode> {
  return withDaemon(call, async (client) => {
    const filter = viciSection([['ike', call.options.get('ike')]]);
    const events = await client.list('list-conns', 'list-conn', filter);
    const connections = events.flatMap(named);
    if (call.switches.has('json')) {
      const values = connections.map(([name, one]) => ({ name, ...toJson(one, CONNECTION) }));
      call.terminal.out(`${JSON.stringify(values, null, 2)}\n`);
      return ExitCode.OK;
    }
    const rows = connections.flatMap(([name, one]) => [
      [name, viciText(one, 'version') ?? '', end(one, 'local'), end(one, 'remote')],
      ...named(viciSubsection(one, 'children')).map(([child, policy]) => [
        `  ${child}`,
        viciText(policy, 'mode') ?? '',
        viciTexts(policy, 'local-ts').join(' '),
        viciTexts(policy, 'remote-ts').join(' '),
      ]),
    ]);
    const columns = ['CONNECTION', 'KIND', 'LOCAL', 'REMOTE'].map((title) => ({ title }));
    call.terminal.out(table(call.terminal, columns, rows, 'no connection is loaded'));
    return ExitCode.OK;
  });
}

function end(connection: ViciSection, side: 'local' | 'remote'): string {
  const auth = viciSubsection(connection, `${side}-1`);
  const id = auth && viciText(auth, 'id');
  const addresses = viciTexts(connection, `${side}_addrs`).join(' ');
  return `${id ?? '%any'} @ ${addresses}`;
}

const CONNECTION: JsonSchema = {
  numbers: ['reauth_time', 'rekey_time', 'dpd_delay'],
  lists: {
    children: {
      nameAs: 'name',
      of: { numbers: ['rekey_time', 'rekey_bytes', 'rekey_packets'] },
    },
  },
};
