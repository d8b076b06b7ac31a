/**
 * Walks the table of `support/bad-input.ts`: every message in every state, with everything that can be
 * wrong with one payload or notify of it.
 */
import assert from 'node:assert/strict';
import { spiOctets } from '../../src/ike/child-negotiation.ts';
import { encodeMessage, encodePayloads } from '../../src/ike/message/codec.ts';
import { isErrorNotify } from '../../src/ike/message/notify-types.ts';
import { ProtocolId } from '../../src/ipsec/proposal.ts';
import { MESSAGES, STATES } from '../support/bad-input.ts';
import { type Case, casesOf } from '../support/bad-input-cases.ts';
import { baselineOf } from '../support/bad-input-samples.ts';
import { world } from '../support/bad-input-worlds.ts';
import { type HostilePeer, holdings, type Reaction, responses } from '../support/hostile-peer.ts';
import { rawSeal } from '../support/raw-seal.ts';

const table = STATES.map((state) => ({ state, cases: [...casesOf(state)] }));
const total = table.reduce((sum, { cases }) => sum + cases.length, 0);

describe(`Bad input, ${total} cases (RFC 7296 §2.21)`, function () {
  this.timeout(120_000);
  for (const { state, cases } of table) {
    it(`has the answer of the table: ${state}, ${cases.length} cases`, () => {
      const wrong: string[] = [];
      let hostile: HostilePeer | undefined;
      for (const one of cases) {
        hostile ??= world(state);
        const stays = run(hostile, one, wrong);
        if (!stays) hostile = undefined;
        if (wrong.length >= 20) break;
      }
      assert.deepEqual(wrong, []);
    });
  }
});

/** Sends it and holds what came against the table. False: the state is another now. */
function run(hostile: HostilePeer, one: Case, wrong: string[]): boolean {
  const about = `${one.message} ${one.direction}, ${one.what}`;
  try {
    return check(hostile, one, about);
  } catch (error) {
    wrong.push(`${about}: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

function check(hostile: HostilePeer, one: Case, about: string): boolean {
  const { victim } = hostile;
  const before = holdings(victim);
  const reaction = send(hostile, one);
  assertNothingLeaks(hostile, about);
  switch (one.expected) {
    case 'handled':
    case 'echoed':
      assert.equal(responses(reaction).length, 1, `${about}: answered once`);
      if (one.expected === 'echoed') assert.match(responses(reaction)[0] ?? '', /COOKIE2/, about);
      assert.ok(!reaction.answers.some(isRefusal), `${about}: ${responses(reaction)}`);
      assert.ok(hostile.victimSa, `${about}: the IKE SA stays`);
      if (one.message === 'new Child SA') deleteNewest(hostile);
      else if (one.message !== 'INFORMATIONAL') return false;
      assert.deepEqual(holdings(victim), before, `${about}: no side effect`);
      return true;
    case 'taken':
      return false;
    case 'deleted':
    case 'ended':
      assert.ok(isGone(hostile), `${about}: the IKE SA goes`);
      if (one.expected === 'ended') assert.deepEqual(responses(reaction), ['[]'], about);
      else assert.ok(reaction.answers.some(isDelete), `${about}: ${names(reaction)}`);
      return false;
    default:
      return assertPlain(hostile, one.expected, { reaction, before, about });
  }
}

/** What a request made is deleted again. */
function deleteNewest(hostile: HostilePeer): void {
  const newest = [...hostile.victim.children.values()].at(-1);
  assert.ok(newest);
  const spis = [spiOctets(newest.spiOut)];
  const { exchangeType } = MESSAGES.INFORMATIONAL;
  hostile.request(exchangeType, [{ kind: 'DELETE', protocol: ProtocolId.ESP, spiSize: 4, spis }]);
}

function assertPlain(
  hostile: HostilePeer,
  expected: string,
  { reaction, before, about }: { reaction: Reaction; before: readonly string[]; about: string },
): boolean {
  if (expected.startsWith('drop ')) {
    assert.deepEqual(names(reaction), [], `${about}: not answered`);
    const last = reaction.events.at(-1);
    assert.ok(last?.kind === 'ike-drop', `${about}: ${last?.kind}`);
    assert.equal(last.reason, expected.slice('drop '.length), about);
  } else {
    assert.deepEqual(responses(reaction), [`[${expected.replace('!', '')}]`], about);
  }
  if (expected.endsWith('!')) {
    assert.equal(hostile.victimSa, undefined, `${about}: the IKE SA is gone`);
    return false;
  }
  assert.deepEqual(holdings(hostile.victim), before, `${about}: no side effect`);
  return true;
}

function send(hostile: HostilePeer, { message, direction, spoil, about: changes }: Case): Reaction {
  const { exchangeType, sealed } = MESSAGES[message];
  const isResponse = direction === 'response';
  const awaited = hostile.victim.engine.ikeSas()[0]?.window.inFlight?.header.messageId;
  const about = {
    exchangeType,
    isResponse,
    ...(isResponse && { id: awaited ?? 0 }),
    ...changes,
  };
  const { payloads, clear = [], patch } = spoil(baselineOf(hostile, message, direction));
  const { first, octets } = encodePayloads(payloads);
  const chain = patch?.(octets) ?? octets;
  return hostile.deliver(about, (header) => {
    if (sealed) return rawSeal(header, first, chain, hostile.keys.sealing, clear);
    const whole = encodeMessage({ header, payloads });
    whole.set(chain, whole.length - chain.length);
    return whole;
  });
}

/** SPIs are taken by Child SAs, and by those that our requests out would make. */
function assertNothingLeaks({ victim }: HostilePeer, about: string): void {
  const sas = victim.engine.ikeSas();
  const held = sas.reduce((sum, { children }) => sum + children.size, 0);
  const coming = sas.filter(({ state, inFlight }) => {
    if (state.name === 'AwaitingIkeAuthResponse') return state.spiIn !== undefined;
    return inFlight?.kind === 'create-child' && inFlight.attempt !== undefined;
  });
  assert.equal(victim.engine.inboundSpis, held + coming.length, `${about}: SPIs`);
  assert.equal(victim.children.size, held, `${about}: what is installed is held`);
  assert.ok(victim.engine.halfOpen <= 1, about);
}

function isGone({ victimSa }: HostilePeer): boolean {
  return victimSa === undefined || victimSa.state.name === 'AwaitingDeleteResponse';
}

function isRefusal({ payloads }: Reaction['answers'][number]): boolean {
  return payloads.some((one) => one.kind === 'NOTIFY' && isErrorNotify(one.type));
}

function isDelete({ header, payloads }: Reaction['answers'][number]): boolean {
  return !header.isResponse && payloads.some(({ kind }) => kind === 'DELETE');
}

function names({ answers }: Reaction): readonly string[] {
  return answers.map(({ payloads }) => payloads.map(({ kind }) => kind).join(' '));
}
