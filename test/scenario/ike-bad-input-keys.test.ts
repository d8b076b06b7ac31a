import assert from 'node:assert/strict';
import { KEY_EXCHANGE_ALGORITHMS } from '../../src/crypto/algorithms.ts';
import { TransformType } from '../../src/crypto/transform.ts';
import { ExchangeType, type Payload } from '../../src/ike/message/message.ts';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import { statusNotify } from '../../src/ike/payload-access.ts';
import { ProtocolId } from '../../src/ipsec/proposal.ts';
import {
  AES_CBC_256,
  AES_GCM_256,
  child,
  connection,
  ECP_256,
  espProposal,
  ikeProposal,
  NO_ESN,
  PRF_SHA2_256,
  SHA2_256,
  X25519,
} from '../support/connections.ts';
import {
  childAnswer,
  childRequest,
  ikeProposalWith,
  ikeRekeyRequest,
} from '../support/hostile-offers.ts';
import { assertEnded, HostilePeer, type Reaction, responses } from '../support/hostile-peer.ts';
import type { Pair } from '../support/pair.ts';
import { rekey, tunnel } from '../support/rekeying.ts';
import { unusablePublicValues } from '../support/unusable-public-values.ts';

const { CREATE_CHILD_SA, INFORMATIONAL } = ExchangeType;
const NEW_SPI = new Uint8Array(8).fill(7);

/** Every key exchange method we have, X25519 first. */
const methods = KEY_EXCHANGE_ALGORITHMS.map(({ id }) => ({ type: TransformType.KE, id }));
const everyMethod = connection({
  proposals: [ikeProposal(AES_CBC_256, SHA2_256, PRF_SHA2_256, X25519, ...methods)],
  children: [child({ closeAction: 'start' })],
});

describe('A public value that no honest peer sends (RFC 6989 §2.5, RFC 7748 §6)', () => {
  const values = unusablePublicValues();
  const notOfLength = values.filter(({ method }) => method === X25519.id);

  for (const { id, name } of KEY_EXCHANGE_ALGORITHMS) {
    const ofMethod = { type: TransformType.KE, id };
    const unusable = values.filter(({ method }) => method === id);

    it(`${name}: INVALID_SYNTAX, and the IKE SA goes`, () => {
      assert.ok(unusable.length >= 6);
      for (const { method, what, data } of unusable) {
        const ke: Payload = { kind: 'KE', method, data };
        const esp = child({ proposals: [espProposal(AES_GCM_256, ofMethod, NO_ESN)] });
        const ike = ikeProposal(AES_CBC_256, SHA2_256, PRF_SHA2_256, ofMethod);
        const offer = ikeProposalWith(NEW_SPI, 1, connection({ proposals: [ike] }));
        for (const request of [
          childRequest(0xc000_0001, esp, [ke]),
          ikeRekeyRequest([offer], ke),
        ]) {
          const pair = tunnel(everyMethod);
          const hostile = new HostilePeer(pair);
          const reaction = hostile.request(CREATE_CHILD_SA, request);
          assert.deepEqual(responses(reaction), ['[N(INVALID_SYNTAX)]'], what);
          assertEnded(pair, what);
          assert.deepEqual(pair.b.reinitiated, ['peer/net'], 'close_action');
        }
      }
    });
  }

  it('in an answer: the IKE SA is deleted, and nothing stays drawn', () => {
    for (const { method, what, data } of notOfLength) {
      const ke: Payload = { kind: 'KE', method, data };
      const policy = child({
        proposals: [espProposal(AES_GCM_256, X25519, NO_ESN)],
        closeAction: 'start',
      });
      const ike = ikeProposalWith(NEW_SPI, 1);
      const transforms = ike.transforms.filter(({ id }) => id !== ECP_256.id);
      for (const [rekeyed, answer] of [
        ['child', childAnswer(0xc000_0001, policy, [ke])],
        ['ike', ikeRekeyRequest([{ ...ike, transforms }], ke)],
      ] as const) {
        const pair = tunnel(connection({ children: [policy] }));
        const hostile = new HostilePeer(pair);
        rekey(pair, pair.b, rekeyed, 9);
        const about = { exchangeType: CREATE_CHILD_SA, id: 0, isResponse: true };
        assertDeletes(pair, hostile, hostile.send(about, answer), `${rekeyed} ${what}`);
      }
    }
  });
});

/** The victim deleted the IKE SA; with the answer nothing of it is left. */
function assertDeletes(
  pair: Pair,
  hostile: HostilePeer,
  { answers }: Reaction,
  about: string,
): void {
  const [request, ...others] = answers;
  assert.ok(request && others.length === 0 && !request.header.isResponse, about);
  assert.deepEqual(
    request.payloads.map((one) => one.kind === 'DELETE' && one.protocol),
    [ProtocolId.IKE],
    about,
  );
  assert.equal(pair.b.established, 0, about);
  assert.deepEqual(pair.b.reinitiated, ['peer/net'], about);
  hostile.send({ exchangeType: INFORMATIONAL, id: 1, isResponse: true }, []);
  assertEnded(pair, about);
}

describe('INVALID_SYNTAX (RFC 7296 §2.21.3)', () => {
  it('as an answer ends the IKE SA at both ends; who keeps it all the same is told', () => {
    for (const what of ['child', 'ike'] as const) {
      const pair = tunnel(connection({ children: [child({ closeAction: 'start' })] }));
      const hostile = new HostilePeer(pair);
      rekey(pair, pair.b, what, 9);
      const about = { exchangeType: CREATE_CHILD_SA, id: 0, isResponse: true };
      const reaction = hostile.send(about, [statusNotify(NotifyType.INVALID_SYNTAX)]);
      assertDeletes(pair, hostile, reaction, what);
    }
  });

  it('as our answer ends it too, whatever was under way', () => {
    for (const what of ['child', 'ike', undefined] as const) {
      const pair = tunnel();
      const hostile = new HostilePeer(pair);
      if (what) rekey(pair, pair.b, what, 9);
      const eap: Payload = { kind: 'EAP', message: new Uint8Array(4) };
      const reaction = hostile.request(INFORMATIONAL, [eap]);
      assert.deepEqual(responses(reaction), ['[N(INVALID_SYNTAX)]'], what);
      assertEnded(pair, what ?? 'nothing');
    }
  });

  it('as our answer to a rekey takes along the IKE SA that competes with it', () => {
    const pair = tunnel();
    const hostile = new HostilePeer(pair);
    rekey(pair, pair.b, 'ike', 9);
    const competing = ikeRekeyRequest([ikeProposalWith(NEW_SPI)]);
    assert.deepEqual(responses(hostile.request(CREATE_CHILD_SA, competing)), ['[SA No KE]']);
    assert.equal(pair.b.established, 2);
    hostile.request(INFORMATIONAL, [{ kind: 'EAP', message: new Uint8Array(4) }]);
    assert.deepEqual(
      pair.b.engine.ikeSas().map(({ state }) => state.name),
      ['AwaitingDeleteResponse'],
    );
  });
});
