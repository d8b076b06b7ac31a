/**
 * What strongSwan says after IKE_AUTH, changed by a seed and sealed with the right keys: nothing but a
 * message that is good after all has an effect, and the two honest ends go on as before.
 */
import assert from 'node:assert/strict';
import { spiOctets } from '../../src/ike/child-negotiation.ts';
import { encodePayloads } from '../../src/ike/message/codec.ts';
import { ExchangeType, type Payload } from '../../src/ike/message/message.ts';
import { isErrorNotify, NotifyType } from '../../src/ike/message/notify-types.ts';
import { ProtocolId } from '../../src/ipsec/proposal.ts';
import { type RecordedLater, readRecordedLater } from '../ike/recording-later.ts';
import {
  AES_GCM_256,
  child,
  connection,
  espProposal,
  ikeProposal,
  NO_ESN,
  network,
  PRF_SHA2_256,
  X25519,
} from '../support/connections.ts';
import { HostilePeer, holdings, type Reaction, responses } from '../support/hostile-peer.ts';
import { type Chain, mutate } from '../support/mutations.ts';
import {
  assertAgreement,
  rekey,
  deleteChild as terminateChild,
  tunnel,
} from '../support/rekeying.ts';
import { seededNumbers } from '../support/seeded-random.ts';

const MESSAGES = 2000;

const AES_GCM_128 = { ...AES_GCM_256, keyLength: 128 };
const ANY = [network('0.0.0.0/0')];
/** What the recorded messages ask for is granted. */
const open = connection({
  proposals: [ikeProposal(AES_GCM_128, PRF_SHA2_256, X25519)],
  children: [
    child({
      proposals: [espProposal(AES_GCM_128, X25519, NO_ESN), espProposal(AES_GCM_128, NO_ESN)],
      localTs: ANY,
      remoteTs: ANY,
    }),
  ],
});

const recorded = readRecordedLater();

/** The payloads with the SPIs of this IKE SA where they name one. */
function adapted(payloads: readonly Payload[], { victimSa }: HostilePeer): readonly Payload[] {
  const [held] = victimSa?.children.values() ?? [];
  const spi = held ? spiOctets(held.childSa.spiOut) : new Uint8Array(4);
  return payloads.map((one) => {
    if (one.kind === 'NOTIFY' && one.type === NotifyType.REKEY_SA) return { ...one, spi };
    return one.kind === 'DELETE' && one.protocol === ProtocolId.ESP ? { ...one, spis: [spi] } : one;
  });
}

/** Was there an answer that says that all is well? */
function succeeded({ answers }: Reaction): boolean {
  return answers.some(
    ({ header, payloads }) =>
      header.isResponse &&
      !payloads.some((one) => one.kind === 'NOTIFY' && isErrorNotify(one.type)),
  );
}

/** SPIs are taken by Child SAs, and by one that a request out would make. */
function assertNoSpiLeaks({ victim }: HostilePeer, about: string): void {
  const coming = victim.engine
    .ikeSas()
    .filter(({ inFlight }) => inFlight?.kind === 'create-child' && inFlight.attempt).length;
  assert.equal(victim.engine.inboundSpis, victim.children.size + coming, `${about}: SPIs`);
}

describe('Messages of strongSwan with anything changed inside their seal', () => {
  const chance = seededNumbers(7296);
  const chains: readonly Chain[] = recorded.map(({ payloads }) => encodePayloads(payloads));
  const requests = recorded.filter(({ header }) => !header.isResponse);
  const answers = recorded.filter(({ header }) => header.isResponse);
  const seen = { good: 0, refused: 0, fatal: 0, answers: 0, rekeys: 0 };

  it(`have an effect only where they are good after all: ${MESSAGES} messages`, function () {
    this.timeout(60_000);
    let hostile: HostilePeer | undefined;
    for (let round = 0; round < MESSAGES; round++) {
      hostile ??= new HostilePeer(tunnel(open, { seed: 1 + (round % 7) }));
      const stays = round % 5 === 0 ? answer(hostile, round) : ask(hostile, round);
      if (!stays) hostile = undefined;
    }
    for (const [what, count] of Object.entries(seen)) assert.ok(count > 50, `${count} ${what}`);
  });

  it('the recorded messages themselves are granted', () => {
    for (const { header, payloads } of recorded) {
      if (header.isResponse) continue;
      const hostile = new HostilePeer(tunnel(open));
      const reaction = hostile.request(header.exchangeType, adapted(payloads, hostile));
      assert.ok(succeeded(reaction), `${responses(reaction)}`);
      const creates = header.exchangeType === ExchangeType.CREATE_CHILD_SA;
      assert.equal(hostile.victim.seen('refused').length, 0, `${creates}`);
    }
  });

  function spoilt({ payloads }: RecordedLater, hostile: HostilePeer): Chain {
    return mutate(encodePayloads(adapted(payloads, hostile)), chains, chance);
  }

  /** False where the IKE SA is another, or none, from now on. */
  function ask(hostile: HostilePeer, round: number): boolean {
    const { victim } = hostile;
    const message = requests[Math.floor(chance() * requests.length)] ?? assert.fail();
    const { first, octets } = spoilt(message, hostile);
    const before = holdings(victim);
    const { exchangeType } = message.header;
    const reaction = hostile.sendOctets({ exchangeType }, first, octets);
    const [response = ''] = responses(reaction);
    const about = `message ${round}, ${response}`;
    assertNoSpiLeaks(hostile, about);
    if (response === '[N(INVALID_SYNTAX)]') {
      seen.fatal++;
      assert.deepEqual(holdings(victim), ['0 SPIs'], about);
      return false;
    }
    if (succeeded(reaction)) {
      seen.good++;
      return JSON.stringify(holdings(victim)) === JSON.stringify(before);
    }
    seen.refused++;
    assert.deepEqual(holdings(victim), before, about);
    if (seen.refused % 5 !== 0) return true;
    seen.rekeys += 5;
    assertRekeys(hostile, about);
    return false;
  }

  /** As the answer to a request of the victim: it may be believed, or end the IKE SA, and leaks nothing. */
  function answer(hostile: HostilePeer, round: number): boolean {
    const { victim, pair } = hostile;
    const message = answers[Math.floor(chance() * answers.length)] ?? assert.fail();
    const { exchangeType } = message.header;
    const ofIkeSa = message.payloads.length === 3;
    if (exchangeType === ExchangeType.CREATE_CHILD_SA) {
      rekey(pair, victim, ofIkeSa ? 'ike' : 'child', round);
    } else terminateChild(pair, victim, round);
    const id = hostile.victimSa?.window.inFlight?.header.messageId ?? assert.fail();
    const { first, octets } = spoilt(message, hostile);
    hostile.sendOctets({ exchangeType, isResponse: true, id }, first, octets);
    seen.answers++;
    assertNoSpiLeaks(hostile, `answer ${round}`);
    return false;
  }

  /** The victim rekeys with the honest end, which knows nothing of all that. */
  function assertRekeys({ pair, victim }: HostilePeer, about: string): void {
    pair.translate = (flight) => flight;
    rekey(pair, victim, 'child', 9);
    pair.run(pair.now + 10_000);
    rekey(pair, victim, 'ike', 10);
    pair.run(pair.now + 70_000);
    assert.equal(victim.seen('child-sa-rekeyed').length, 1, about);
    assert.equal(victim.seen('ike-sa-rekeyed').length, 1, about);
    assertAgreement(pair, 1, about);
  }
});
