/**
 * `tsgw why`: the last failures with a peer, in plain words.
 */
import {
  type ViciSection,
  viciSection,
  viciSubsection,
  viciText,
  viciTexts,
} from '../vici/message.ts';
import { complain, withDaemon } from './daemon.ts';
import { ExitCode } from './exit-code.ts';
import { type JsonSchema, toJson } from './json.ts';
import { transformLines } from './ladder.ts';
import { age } from './table.ts';
import { paint, printable, type Terminal } from './terminal.ts';
import type { Call } from './verb.ts';

/** Failures that are shown where nobody says how many. */
const SHOWN = 5;

export async function why(call: Call): Promise<ExitCode> {
  const [peer] = call.operands;
  const last = call.options.get('last');
  if (last !== undefined && !/^[1-9]\d{0,5}$/.test(last)) {
    complain(call, '--last needs a number from 1');
    return ExitCode.USAGE;
  }
  return withDaemon(call, async (client) => {
    const { terminal } = call;
    const all = await client.list('tsgw-why', 'tsgw-why-row', viciSection([['peer', peer]]));
    if (call.switches.has('json')) {
      const rows = all.slice(0, last === undefined ? all.length : Number(last));
      terminal.out(
        `${JSON.stringify(
          rows.map((row) => toJson(row, FAILURE)),
          null,
          2,
        )}\n`,
      );
      return ExitCode.OK;
    }
    const rows = all.slice(0, Number(last ?? SHOWN));
    terminal.out(rows.map((row) => explained(terminal, row)).join('\n') || nothing(peer));
    if (rows.length < all.length)
      terminal.out(`\n${all.length - rows.length} older: --last says how many\n`);
    return ExitCode.OK;
  });
}

function nothing(peer: string | undefined): string {
  return peer === undefined
    ? 'nothing failed since the daemon started\n'
    : `nothing failed with ${printable(peer)} that is still remembered: tsgw log shows what happens now\n`;
}

/** Who, when and what in two lines; then what it means and what to do. */
function explained(terminal: Terminal, row: ViciSection): string {
  const text = (name: string): string => printable(viciText(row, name) ?? '');
  const who = [
    text('peer'),
    text('identity') && `(${text('identity')})`,
    text('connection') && `connection ${text('connection')}`,
    text('child') && `child ${text('child')}`,
  ].filter((part) => part !== '');
  const count = text('count') === '1' ? '' : `, ${text('count')} times`;
  const title = `${who.join(' ')}, ${age(Number(text('seconds-ago')))} ago${count}: ${text('alert')}`;
  return `${[
    paint(terminal, 'bold', title),
    `  ${text('what')}`,
    ...(text('why') === '' ? [] : [`  ${text('why')}`]),
    ...transformLines(viciSubsection(row, 'transforms')).map((line) => `    ${line}`),
    ...adviceLines(terminal, row),
  ].join('\n')}\n`;
}

/** What to do at either end. */
export function adviceLines(terminal: Terminal, row: ViciSection): readonly string[] {
  const lines = (key: string, label: string): readonly string[] =>
    viciTexts(row, key).map((one) => `  ${paint(terminal, 'green', label)} ${printable(one)}`);
  return [...lines('here', 'here:     '), ...lines('there', 'the peer: ')];
}

const FAILURE: JsonSchema = { numbers: ['seconds-ago', 'count'] };
