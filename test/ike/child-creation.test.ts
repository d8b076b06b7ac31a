import assert from 'node:assert/strict';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { type ChildOrigin, createChildSa } from '../../src/ike/child-creation.ts';
import type { ChildFeatures } from '../../src/ike/child-features.ts';
import type { AgreedChild } from '../../src/ike/child-negotiation.ts';
import type { HeldChild } from '../../src/ike/held-child.ts';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import { type ChildKeying, childKeymat } from '../../src/ike/keys.ts';
import type { Turn } from '../../src/ike/turn.ts';
import type { ChosenProposal, Transform } from '../../src/ipsec/proposal.ts';
import { spi } from '../../src/ipsec/spi.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import { established, heldChild, onlyIkeSa, securedOf, selector } from '../support/child-sas.ts';
import { AES_CBC_256, AES_GCM_256, child, SHA2_256 } from '../support/connections.ts';
import { actionsOf, eventsOf, turnAt } from '../support/turns.ts';

const SPI_IN = spi(0xc000_0001);
const SPI_OUT = spi(0xc000_0002);
const NONCES: ChildKeying = {
  nonceI: new Uint8Array(32).fill(1),
  nonceR: new Uint8Array(16).fill(2),
};

function agreed(transforms: Partial<ChosenProposal>, policy = child()): AgreedChild {
  return {
    kind: 'agreed',
    policy,
    proposal: { number: 1, protocol: 3, spi: new Uint8Array(), ...transforms },
    spiOut: SPI_OUT,
    localTs: [selector('10.1.0.0/16'), selector('10.3.0.0/16')],
    remoteTs: [selector('10.2.0.0/16')],
  };
}

/** Made by the initiator of an exchange with these nonces. */
function make(
  turn: Turn,
  sa: IkeSa,
  one: AgreedChild,
  changes: Partial<ChildOrigin> = {},
): HeldChild {
  return createChildSa(turn, sa, securedOf(sa), {
    agreed: one,
    features: PLAIN,
    spiIn: SPI_IN,
    keying: NONCES,
    initiator: true,
    outbound: 'now',
    ...changes,
  });
}

const PLAIN: ChildFeatures = { nonFirstFragments: false, tfcPadding: true };
const NONE: Transform = { type: 3, id: 0 };
const ESN: Transform = { type: 5, id: 1 };

describe('A new Child SA (RFC 7296 §2.17)', () => {
  it('is installed in its IKE SA, and announced', () => {
    const sa = onlyIkeSa(established().a);
    const turn = turnAt(0);
    const made = make(turn, sa, agreed({ encr: AES_GCM_256 }));
    assert.equal(sa.children.get(made.childSa.id), made);
    assert.deepEqual(
      actionsOf(turn, 'install-child-sa').map((one) => one.childSa),
      [made.childSa],
    );
    const [up] = eventsOf(turn, 'child-sa-up');
    assert.equal(up?.spiIn, 'c0000001');
    assert.equal(up?.spiOut, 'c0000002');
    assert.equal(up?.localTs, '10.1.0.0/16 10.3.0.0/16');
    assert.equal(up?.suite, 'ESP:AES_GCM_16_256');
    assert.equal(up?.encapsulation, 'none');
    assert.equal(up?.connection, 'peer');
  });

  it('takes the keys that both ends derive: initiator to responder first', () => {
    const pair = established();
    const [a, b] = [onlyIkeSa(pair.a), onlyIkeSa(pair.b)];
    const cbc = agreed({ encr: AES_CBC_256, integ: SHA2_256 });
    const { childSa: ofInitiator } = make(turnAt(0), a, cbc);
    const { childSa: ofResponder } = make(turnAt(0), b, cbc, { initiator: false });
    const keymat = childKeymat(securedOf(a), NONCES, 128);
    const { keysOut, keysIn } = ofInitiator;
    const inOrder = [keysOut.encryption, keysOut.integrity, keysIn.encryption, keysIn.integrity];
    assert.deepEqual(concatOctets(...inOrder.map((key) => key.reveal())), keymat);
    assert.deepEqual(ofResponder.keysIn.encryption.reveal(), keysOut.encryption.reveal());
    assert.deepEqual(ofResponder.keysOut.integrity.reveal(), keysIn.integrity.reveal());
  });

  it('has no integrity where none was chosen by name, and ESN only when chosen', () => {
    const sa = onlyIkeSa(established().a);
    const made = (transforms: Partial<ChosenProposal>) =>
      make(turnAt(0), sa, agreed(transforms)).childSa;
    const aead = made({ encr: AES_GCM_256, integ: NONE, esn: ESN });
    assert.equal(aead.integ, undefined);
    assert.equal(aead.esn, true);
    assert.equal(made({ encr: AES_GCM_256 }).esn, false);
    assert.deepEqual(made({ encr: AES_CBC_256, integ: SHA2_256 }).integ, SHA2_256);
  });

  it('keeps the reqid of its policy, or gets one that stays', () => {
    const sa = onlyIkeSa(established().a);
    const turn = turnAt(0);
    const made = (reqid: number, changes: Partial<ChildOrigin> = {}) =>
      make(turn, sa, agreed({ encr: AES_GCM_256 }, child({ reqid })), changes).childSa;
    assert.equal(made(77).reqid, 77);
    const [first, second] = [made(0), made(0)];
    assert.equal(first.reqid, second.reqid);
    assert.notEqual(first.id, second.id);
    assert.equal(made(77, { replaces: heldChild({ reqid: 5 }) }).reqid, 5);
  });

  it('goes in UDP where its IKE SA does', () => {
    const sa = onlyIkeSa(established().a);
    for (const udpEncapsulation of [false, true]) {
      const turn = turnAt(0);
      const secured = { ...securedOf(sa), udpEncapsulation };
      const { childSa } = createChildSa(turn, sa, secured, {
        agreed: agreed({ encr: AES_GCM_256 }),
        features: PLAIN,
        spiIn: SPI_IN,
        keying: NONCES,
        initiator: true,
        outbound: 'now',
      });
      assert.equal(childSa.udpEncapsulation, udpEncapsulation);
      const [up] = eventsOf(turn, 'child-sa-up');
      assert.equal(up?.encapsulation, udpEncapsulation ? 'udp' : 'none');
    }
  });

  it('takes over what its policy says about packets', () => {
    const sa = onlyIkeSa(established().a);
    const policy = child({
      replayWindow: 64,
      copyDf: false,
      copyEcn: false,
      copyDscp: 'yes',
      icmpErrors: false,
      priority: 9,
    });
    const { childSa } = make(turnAt(0), sa, agreed({ encr: AES_GCM_256 }, policy));
    const { replayWindow, copyDf, copyEcn, copyDscp, priority, local, remote } = childSa;
    assert.deepEqual(
      { replayWindow, copyDf, copyEcn, copyDscp, priority },
      { replayWindow: 64, copyDf: false, copyEcn: false, copyDscp: 'yes', priority: 9 },
    );
    assert.equal(childSa.icmpErrors, false);
    assert.deepEqual([local, remote], [sa.local, sa.remote]);
  });

  it('pads as its policy says where the peer takes it, and takes what was agreed on', () => {
    const sa = onlyIkeSa(established().a);
    const policy = child({ tfcPadding: 512, dummyPackets: 3 });
    const one = agreed({ encr: AES_GCM_256 }, policy);
    const made = (features: ChildFeatures, mode?: 'transport') => {
      const offer = { ...one, ...(mode && { mode }) };
      const { childSa } = make(turnAt(0), sa, offer, { features });
      const { tfcPadding, dummyPackets, nonFirstFragments } = childSa;
      return [tfcPadding, dummyPackets, nonFirstFragments];
    };
    assert.deepEqual(made({ nonFirstFragments: false, tfcPadding: true }), [512, 3, false]);
    assert.deepEqual(made({ nonFirstFragments: true, tfcPadding: false }), [0, 3, true]);
    const both = { nonFirstFragments: false, tfcPadding: true };
    assert.deepEqual(made(both, 'transport'), [0, 3, false], 'what has no header has no padding');
  });

  it('is never made without encryption: that was not to be accepted', () => {
    const sa = onlyIkeSa(established().a);
    assert.throws(() => make(turnAt(0), sa, agreed({})), /without encryption/);
  });

  it('counts to the limits of its policy, the soft ones less a random part', () => {
    const sa = onlyIkeSa(established().a);
    const { lifetime } = child();
    const octets = { rekey: 1000, life: 1200, random: 500 };
    const packets = { rekey: 0, life: 0, random: 0 };
    const policy = child({ lifetime: { ...lifetime, octets, packets } });
    const turn = turnAt(0);
    const limits = [1, 2, 3].map(
      () => make(turn, sa, agreed({ encr: AES_GCM_256 }, policy)).childSa.limits,
    );
    for (const one of limits) {
      assert.ok(Number.isInteger(one.softOctets), `${one.softOctets}`);
      assert.ok(one.softOctets >= 500 && one.softOctets <= 1000, `${one.softOctets}`);
      assert.deepEqual([one.hardOctets, one.softPackets, one.hardPackets], [1200, 0, 0]);
    }
    assert.equal(new Set(limits.map(({ softOctets }) => softOctets)).size, 3);
  });
});

describe('A Child SA in place of another (RFC 7296 §1.3.3, §2.17)', () => {
  it('is announced as that, and sends when it is told to', () => {
    const sa = onlyIkeSa(established().a);
    const turn = turnAt(0);
    const replaces = heldChild({ id: 70 });
    const made = make(turn, sa, agreed({ encr: AES_GCM_256 }), {
      replaces,
      outbound: 'after-inbound',
    });
    assert.deepEqual([made.childSa.outbound, made.waitsForPeer], ['after-inbound', true]);
    assert.equal(make(turn, sa, agreed({ encr: AES_GCM_256 })).waitsForPeer, false);
    const [rekeyed] = eventsOf(turn, 'child-sa-rekeyed');
    assert.deepEqual([rekeyed?.replaces, rekeyed?.childSa], [70, made.childSa.id]);
    assert.equal(eventsOf(turn, 'child-sa-up').length, 1, 'only of the other one');
  });

  it('is keyed with a key exchange of its own, whose secret is forgotten', () => {
    const sa = onlyIkeSa(established().a);
    const sharedSecret = new SecretBytes(new Uint8Array(32).fill(9));
    const keymat = childKeymat(securedOf(sa), { ...NONCES, sharedSecret }, 72);
    const { childSa } = make(turnAt(0), sa, agreed({ encr: AES_GCM_256 }), {
      keying: { ...NONCES, sharedSecret },
    });
    const { keysOut, keysIn } = childSa;
    const cut = [keysOut.encryption.reveal(), keysIn.encryption.reveal()];
    assert.deepEqual(concatOctets(...cut), keymat);
    assert.notDeepEqual(keymat, childKeymat(securedOf(sa), NONCES, 72));
    assert.deepEqual(sharedSecret.reveal(), new Uint8Array(32));
  });
});
