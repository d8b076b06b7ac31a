import assert from 'node:assert/strict';
import { createChildSa } from '../../src/ike/child-creation.ts';
import type { AgreedChild } from '../../src/ike/child-negotiation.ts';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import type { Secured } from '../../src/ike/ike-sa-state.ts';
import { childKeymat } from '../../src/ike/keys.ts';
import type { ChosenProposal, Transform } from '../../src/ipsec/proposal.ts';
import { spi } from '../../src/ipsec/spi.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import { established, onlyIkeSa, selector } from '../support/child-sas.ts';
import { AES_CBC_256, AES_GCM_256, child, SHA2_256 } from '../support/connections.ts';
import { actionsOf, eventsOf, turnAt } from '../support/turns.ts';

const SPI_IN = spi(0xc000_0001);
const SPI_OUT = spi(0xc000_0002);

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

function securedOf(sa: IkeSa): Secured {
  assert.ok(sa.secured);
  return sa.secured;
}

const NONE: Transform = { type: 3, id: 0 };
const ESN: Transform = { type: 5, id: 1 };

describe('A new Child SA (RFC 7296 §2.17)', () => {
  it('is installed in its IKE SA, and announced', () => {
    const sa = onlyIkeSa(established().a);
    const turn = turnAt(0);
    const made = createChildSa(turn, sa, securedOf(sa), agreed({ encr: AES_GCM_256 }), SPI_IN);
    assert.equal(sa.children.get(made.id), made);
    assert.deepEqual(
      actionsOf(turn, 'install-child-sa').map((one) => one.childSa),
      [made],
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
    const ofInitiator = createChildSa(turnAt(0), a, securedOf(a), cbc, SPI_IN);
    const ofResponder = createChildSa(turnAt(0), b, securedOf(b), cbc, SPI_IN);
    const { suite, keys, nonceI, nonceR } = securedOf(a);
    const keymat = childKeymat(suite, keys, nonceI, nonceR, 128);
    const { keysOut, keysIn } = ofInitiator;
    const inOrder = [keysOut.encryption, keysOut.integrity, keysIn.encryption, keysIn.integrity];
    assert.deepEqual(concatOctets(...inOrder.map((key) => key.reveal())), keymat);
    assert.deepEqual(ofResponder.keysIn.encryption.reveal(), keysOut.encryption.reveal());
    assert.deepEqual(ofResponder.keysOut.integrity.reveal(), keysIn.integrity.reveal());
  });

  it('has no integrity where none was chosen by name, and ESN only when chosen', () => {
    const sa = onlyIkeSa(established().a);
    const make = (transforms: Partial<ChosenProposal>) =>
      createChildSa(turnAt(0), sa, securedOf(sa), agreed(transforms), SPI_IN);
    const aead = make({ encr: AES_GCM_256, integ: NONE, esn: ESN });
    assert.equal(aead.integ, undefined);
    assert.equal(aead.esn, true);
    assert.equal(make({ encr: AES_GCM_256 }).esn, false);
    assert.deepEqual(make({ encr: AES_CBC_256, integ: SHA2_256 }).integ, SHA2_256);
  });

  it('keeps the reqid of its policy, or gets one that stays', () => {
    const sa = onlyIkeSa(established().a);
    const turn = turnAt(0);
    const make = (reqid: number) =>
      createChildSa(
        turn,
        sa,
        securedOf(sa),
        agreed({ encr: AES_GCM_256 }, child({ reqid })),
        SPI_IN,
      );
    assert.equal(make(77).reqid, 77);
    const [first, second] = [make(0), make(0)];
    assert.equal(first.reqid, second.reqid);
    assert.notEqual(first.id, second.id);
  });

  it('goes in UDP where its IKE SA does', () => {
    const sa = onlyIkeSa(established().a);
    for (const udpEncapsulation of [false, true]) {
      const turn = turnAt(0);
      const secured = { ...securedOf(sa), udpEncapsulation };
      const made = createChildSa(turn, sa, secured, agreed({ encr: AES_GCM_256 }), SPI_IN);
      assert.equal(made.udpEncapsulation, udpEncapsulation);
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
      priority: 9,
    });
    const made = createChildSa(
      turnAt(0),
      sa,
      securedOf(sa),
      agreed({ encr: AES_GCM_256 }, policy),
      SPI_IN,
    );
    const { replayWindow, copyDf, copyEcn, copyDscp, priority, local, remote } = made;
    assert.deepEqual(
      { replayWindow, copyDf, copyEcn, copyDscp, priority },
      { replayWindow: 64, copyDf: false, copyEcn: false, copyDscp: 'yes', priority: 9 },
    );
    assert.deepEqual([local, remote], [sa.local, sa.remote]);
  });

  it('is never made without encryption: that was not to be accepted', () => {
    const sa = onlyIkeSa(established().a);
    const make = () => createChildSa(turnAt(0), sa, securedOf(sa), agreed({}), SPI_IN);
    assert.throws(make, /without encryption/);
  });
});
