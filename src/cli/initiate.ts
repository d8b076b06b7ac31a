/**
 * `tsgw initiate`, `tsgw terminate` and `tsgw rekey`: an operation of the daemon, shown while it
 * runs.
 */
import type { ViciClient } from '../vici/client.ts';
import { type ViciSection, viciSection, viciText } from '../vici/message.ts';
import { complain, withDaemon } from './daemon.ts';
import { ExitCode, outcomeExitCode } from './exit-code.ts';
import { ladderLines } from './ladder.ts';
import { named } from './list-sas.ts';
import type { Call } from './verb.ts';
import { adviceLines } from './why.ts';

export async function initiate(call: Call): Promise<ExitCode> {
  const child = call.operands[0] ?? call.options.get('child');
  const ike = call.options.get('ike');
  const timeout = timeoutMilliseconds(call);
  if (timeout === undefined) return wrong(call, '--timeout needs a number of seconds');
  if (child === undefined && ike === undefined) {
    return wrong(call, 'name a child, or a connection with --ike');
  }
  return withDaemon(call, async (client) => {
    const connections = await connectionsOf(client, child, ike);
    const request = viciSection([
      ['child', child],
      ['ike', ike],
      ['timeout', timeout],
      ['loglevel', -1],
    ]);
    const mine = (event: ViciSection): boolean =>
      connections.has(viciText(event, 'connection') ?? '');
    const answer = await shown(call, client, mine, () => client.request('initiate', request));
    const code = ended(call, answer, 'established');
    if (code !== ExitCode.OK) await advise(call, client, connections);
    return code;
  });
}

/** What would mend the failure, from the daemon's memory of the connections that may be meant. */
async function advise(
  { terminal }: Call,
  client: ViciClient,
  connections: ReadonlySet<string>,
): Promise<void> {
  const rows = await client.list('tsgw-why', 'tsgw-why-row');
  const last = rows.find((row) => connections.has(viciText(row, 'connection') ?? ''));
  if (last && Number(viciText(last, 'seconds-ago')) <= RECENT_SECONDS) {
    terminal.out(
      adviceLines(terminal, last)
        .map((line) => `${line}\n`)
        .join(''),
    );
  }
}

/** Older failures were those of another attempt. */
const RECENT_SECONDS = 2;

export async function terminate(call: Call): Promise<ExitCode> {
  const { switches } = call;
  const timeout = timeoutMilliseconds(call);
  if (timeout === undefined) return wrong(call, '--timeout needs a number of seconds');
  const selector = selectorOf(call);
  if (selectsNothing(selector)) return wrong(call, NAME_ONE);
  return withDaemon(call, async (client) => {
    const numbers = new Set(await ikeSaNumbers(client, new Map(selector)));
    const request = viciSection([
      ...selector,
      ['force', switches.has('force') ? true : undefined],
      ['timeout', timeout],
      ['loglevel', -1],
    ]);
    const mine = (event: ViciSection): boolean => numbers.has(viciText(event, 'ike-sa') ?? '');
    const answer = await shown(call, client, mine, () => client.request('terminate', request));
    return ended(call, answer, `terminated ${viciText(answer, 'terminated') ?? 'no'} SAs`);
  });
}

export async function rekey(call: Call): Promise<ExitCode> {
  const { switches } = call;
  const timeout = timeoutMilliseconds(call);
  if (timeout === undefined) return wrong(call, '--timeout needs a number of seconds');
  const selector = selectorOf(call);
  if (selectsNothing(selector)) return wrong(call, NAME_ONE);
  return withDaemon(call, async (client) => {
    const ikeSas = await listedIkeSas(client, new Map(selector));
    const numbers = new Set(ikeSas.map(({ number }) => number));
    const connections = new Set(ikeSas.map(({ connection }) => connection));
    const reauth = switches.has('reauth');
    const request = viciSection([
      ...selector,
      ['reauth', reauth ? true : undefined],
      ['timeout', timeout],
      ['loglevel', -1],
    ]);
    // A rekeyed IKE SA goes on under another number, a reauthenticated one as another SA.
    const mine = (event: ViciSection): boolean =>
      numbers.has(viciText(event, 'ike-sa') ?? '') ||
      (viciText(event, 'kind') === 'ike-sa-rekeyed' &&
        numbers.has(viciText(event, 'replaces') ?? '')) ||
      (reauth && connections.has(viciText(event, 'connection') ?? ''));
    const answer = await shown(call, client, mine, () => client.request('rekey', request));
    return ended(call, answer, `rekeyed ${viciText(answer, 'matches') ?? 'no'} SAs`);
  });
}

type Selector = readonly (readonly [string, string | undefined])[];

const NAME_ONE = 'name a child, or an SA with --ike, --ike-id or --child-id';

function selectorOf({ operands, options }: Call): Selector {
  return [
    ['child', operands[0] ?? options.get('child')],
    ['ike', options.get('ike')],
    ['child-id', options.get('child-id')],
    ['ike-id', options.get('ike-id')],
  ];
}

function selectsNothing(selector: Selector): boolean {
  return selector.every(([, value]) => value === undefined);
}

/** Prints the ladder of the events that are `mine` while `act` runs. */
async function shown(
  call: Call,
  client: ViciClient,
  mine: (event: ViciSection) => boolean,
  act: () => Promise<ViciSection>,
): Promise<ViciSection> {
  const start = performance.now();
  const stop = await client.listen('tsgw-event', (event) => {
    if (!mine(event)) return;
    const seconds = (performance.now() - start) / 1000;
    call.terminal.out(ladderLines(call.terminal, event, seconds));
  });
  try {
    return await act();
  } finally {
    await stop();
  }
}

function ended(call: Call, answer: ViciSection, done: string): ExitCode {
  if (viciText(answer, 'success') === 'yes') {
    call.terminal.out(`${done}\n`);
    return ExitCode.OK;
  }
  complain(call, viciText(answer, 'errmsg') ?? 'failed, and the daemon does not say why');
  return outcomeExitCode(viciText(answer, 'tsgw-outcome'));
}

/** The connections that may be meant. */
async function connectionsOf(
  client: ViciClient,
  child: string | undefined,
  ike: string | undefined,
): Promise<ReadonlySet<string>> {
  const events = await client.list('list-conns', 'list-conn', viciSection([['ike', ike]]));
  const names = events.flatMap(named).flatMap(([name, connection]) => {
    const children = connection.get('children');
    const has = children?.kind === 'section' && children.section.has(child ?? '');
    return child === undefined || has ? [name] : [];
  });
  return new Set(names);
}

async function ikeSaNumbers(
  client: ViciClient,
  selector: ReadonlyMap<string, string | undefined>,
): Promise<readonly string[]> {
  return (await listedIkeSas(client, selector)).map(({ number }) => number);
}

/** The IKE SAs that may be meant: those with a child that fits, where one is named. */
async function listedIkeSas(
  client: ViciClient,
  selector: ReadonlyMap<string, string | undefined>,
): Promise<readonly { readonly connection: string; readonly number: string }[]> {
  const byChild = selector.get('child') ?? selector.get('child-id');
  const events = await client.list('list-sas', 'list-sa', viciSection([...selector]));
  return events.flatMap(named).flatMap(([connection, ikeSa]) => {
    const children = ikeSa.get('child-sas');
    const has = children?.kind === 'section' && children.section.size > 0;
    const number = viciText(ikeSa, 'uniqueid') ?? '';
    return byChild === undefined || has ? [{ connection, number }] : [];
  });
}

/** 0, waiting for ever, where nothing is said; undefined where it is no number. */
function timeoutMilliseconds({ options }: Call): number | undefined {
  const text = options.get('timeout') ?? '0';
  return /^\d{1,6}(\.\d{1,3})?$/.test(text) ? Math.round(Number(text) * 1000) : undefined;
}

async function wrong(call: Call, what: string): Promise<ExitCode> {
  complain(call, what);
  return ExitCode.USAGE;
}
