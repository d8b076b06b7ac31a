/**
 * `tsgw cluster ...`: what an operator tells a node of a cluster to do, and following what happens in it.
 */
import {
  type ViciContent,
  type ViciSection,
  viciSection,
  viciSubsection,
  viciText,
} from '../vici/message.ts';
import { complain, withDaemon } from './daemon.ts';
import { eventSchema } from './event-schema.ts';
import { ExitCode, outcomeExitCode } from './exit-code.ts';
import { type JsonSchema, toJson } from './json.ts';
import { printable } from './terminal.ts';
import type { Call } from './verb.ts';

type Pairs = readonly (readonly [string, ViciContent])[];

/** How long an order is waited for, in seconds, where nobody says it. */
export const ORDER_TIMEOUT = 10;
export const DRAIN_TIMEOUT = 60;

export function take(call: Call): Promise<ExitCode> {
  return order(call, 'take', [['segments', call.operands]]);
}

export function give(call: Call): Promise<ExitCode> {
  return order(call, 'give', [
    ['segments', call.operands.slice(0, -1)],
    ['node', call.operands.at(-1)],
  ]);
}

export function rekey(call: Call): Promise<ExitCode> {
  return order(call, 'rekey', [['segments', call.operands]]);
}

export function unpin(call: Call): Promise<ExitCode> {
  return order(call, 'unpin');
}

export function drain(call: Call): Promise<ExitCode> {
  return order(call, 'drain', [], DRAIN_TIMEOUT);
}

export function undrain(call: Call): Promise<ExitCode> {
  return order(call, 'undrain');
}

export function demote(call: Call): Promise<ExitCode> {
  return order(call, 'demote', [['amount', call.operands[0]]]);
}

export function resync(call: Call): Promise<ExitCode> {
  return order(call, 'resync');
}

export function rotateKey(call: Call): Promise<ExitCode> {
  return order(call, 'rotate-key');
}

export function probe(call: Call): Promise<ExitCode> {
  return order(call, 'probe');
}

export function declareDead(call: Call): Promise<ExitCode> {
  const [node = ''] = call.operands;
  if (!call.switches.has('yes')) {
    complain(
      call,
      `if ${node} runs after all, clients are served twice for a while: make sure that it does not, then add --yes`,
    );
    return Promise.resolve(ExitCode.USAGE);
  }
  return order(call, 'declare-dead', [['node', node]]);
}

export function simulateFailure(call: Call): Promise<ExitCode> {
  const [failure = ''] = call.operands;
  const seconds = call.options.get('seconds') ?? '10';
  if (!/^\d{1,3}(\.\d{1,3})?$/.test(seconds)) {
    complain(call, '--seconds needs a number up to 600');
    return Promise.resolve(ExitCode.USAGE);
  }
  if (!call.switches.has('yes')) {
    complain(call, `${failure} interrupts this node: add --yes where that is meant`);
    return Promise.resolve(ExitCode.USAGE);
  }
  return order(call, 'simulate-failure', [
    ['failure', failure],
    ['milliseconds', Math.round(Number(seconds) * 1000)],
    ['confirmed', true],
  ]);
}

export async function watch(call: Call): Promise<ExitCode> {
  const { terminal, switches } = call;
  return withDaemon(call, async (client) => {
    // Without a cluster nothing would ever be shown.
    const status = await client.request('tsgw-cluster-status');
    if (viciText(status, 'success') !== 'yes') {
      complain(call, viciText(status, 'errmsg') ?? 'the daemon does not say why not');
      return ExitCode.FAILED;
    }
    if (switches.has('json')) {
      await client.listen('tsgw-event', (event) => {
        if (!viciText(event, 'kind')?.startsWith('cluster-')) return;
        const { line: _line, ...fields } = toJson(event, eventSchema);
        terminal.out(`${JSON.stringify({ time: new Date().toISOString(), ...fields })}\n`);
      });
    } else {
      await client.listen('log', (event) => {
        if (viciText(event, 'group') !== 'CLU') return;
        const time = new Date().toISOString().slice(11, 23);
        terminal.out(`${time}  ${printable(viciText(event, 'msg') ?? '')}\n`);
      });
    }
    const ended = await Promise.race([
      terminal.interrupted().then(() => 'interrupted' as const),
      client.closed.then(() => 'closed' as const),
    ]);
    if (ended === 'interrupted') return ExitCode.OK;
    complain(call, `the daemon at ${call.uri} closed the connection`);
    return ExitCode.NOT_CONNECTED;
  });
}

/** Tells the daemon and says what came of it. */
async function order(
  call: Call,
  kind: string,
  more: Pairs = [],
  timeout = ORDER_TIMEOUT,
): Promise<ExitCode> {
  const seconds = call.options.get('timeout') ?? String(timeout);
  if (!/^\d{1,5}(\.\d{1,3})?$/.test(seconds)) {
    complain(call, '--timeout needs a number of seconds');
    return ExitCode.USAGE;
  }
  const request = viciSection([
    ['order', kind],
    ...more,
    ['timeout', Math.round(Number(seconds) * 1000)],
  ]);
  return withDaemon(call, async (client) => {
    const { terminal } = call;
    const answer = await client.request('tsgw-cluster-order', request);
    if (viciText(answer, 'success') !== 'yes') {
      complain(call, viciText(answer, 'errmsg') ?? 'the daemon does not say why not');
      return outcomeExitCode(viciText(answer, 'tsgw-outcome'));
    }
    if (call.switches.has('json')) {
      const { success: _success, ...value } = toJson(answer, OUTCOME);
      terminal.out(`${JSON.stringify(value, null, 2)}\n`);
    } else {
      terminal.out(outcomeText(answer));
    }
    return ExitCode.OK;
  });
}

function outcomeText(answer: ViciSection): string {
  const nodes = viciSubsection(answer, 'nodes');
  const lines = [...(nodes?.keys() ?? [])].map(
    (node) => `  ${node}: ${viciText(nodes ?? new Map(), node) ?? ''}`,
  );
  return [viciText(answer, 'what') ?? 'done', ...lines]
    .map((line) => `${printable(line)}\n`)
    .join('');
}

const OUTCOME: JsonSchema = { numbers: ['milliseconds'] };
