/**
 * The keys of IKE SAs and Child SAs that two charons told each other of, against those in charon's log.
 */
import assert from 'node:assert/strict';
import { readChildAdd } from '../../../src/cluster/charon-ha/child-add.ts';
import { readIkeAdd } from '../../../src/cluster/charon-ha/ike-add.ts';
import { HaMessageType } from '../../../src/cluster/charon-ha/message.ts';
import type { HaIkeKeys } from '../../../src/cluster/charon-ha/mirrored-ike-sa.ts';
import { SecretBytes } from '../../../src/crypto/secret-bytes.ts';
import { haKeySchedule } from '../../../src/gateway/charon-ha/keys.ts';
import type { ChosenProposal } from '../../../src/ipsec/proposal.ts';
import { toHex } from '../../../src/wire/octets.ts';
import { readHaRecording, understood } from '../../support/ha-frames.ts';

const { frames, keys: logged } = readHaRecording();
const messages = frames.map(understood);
const ikeSas = messages
  .filter(({ type }) => type === HaMessageType.IKE_ADD)
  .map((message) => {
    const material = readIkeAdd(message);
    const keys = haKeySchedule.ikeKeys(material);
    assert.ok(keys);
    return { material, keys };
  });
const children = messages.filter(({ type }) => type === HaMessageType.CHILD_ADD).map(readChildAdd);

describe('Keys of SAs that charon told of', () => {
  for (const [index, what] of [
    'made by the client',
    'replaced by it',
    'replaced by us',
  ].entries()) {
    it(`of an IKE SA ${what} are charon's`, () => {
      const { keys } = ikeSas[index] ?? assert.fail();
      const names = ['skD', 'skAi', 'skAr', 'skEi', 'skEr', 'skPi', 'skPr'] as const;
      for (const name of names satisfies readonly (keyof HaIkeKeys)[]) {
        assert.equal(toHex(keys[name].reveal()), logged[name]?.[index], name);
      }
    });
  }

  for (const [index, material] of children.entries()) {
    const which = material.initiator ? 'that node began' : 'the client began';
    it(`of Child SA ${index + 1}, which ${which}, are charon's`, () => {
      const derived = haKeySchedule.childKeys(parentOf(index), material);
      assert.ok(derived);
      const [first, second] = material.initiator
        ? [derived.keysOut, derived.keysIn]
        : [derived.keysIn, derived.keysOut];
      assert.equal(toHex(first.encryption.reveal()), logged.espI?.[index]);
      assert.equal(toHex(second.encryption.reveal()), logged.espR?.[index]);
    });
  }

  it('are not derived for algorithms that are not known', () => {
    const { material } = ikeSas[1] ?? assert.fail();
    const [child] = children;
    assert.ok(child && material.rekeyed);
    const other = (type: keyof ChosenProposal, id: number, keyLength?: number) => ({
      [type]: { type: 1, id, ...(keyLength && { keyLength }) },
    });
    const changes = [
      other('encr', 99),
      other('encr', 12, 100),
      other('prf', 99),
      other('integ', 99),
      { ke: undefined },
    ];
    for (const change of changes) {
      const proposal: ChosenProposal = { ...material.proposal, ...change };
      assert.equal(
        haKeySchedule.ikeKeys({ ...material, proposal }),
        undefined,
        JSON.stringify(change),
      );
    }
    const rekeyed = { ...material.rekeyed, prf: 99 };
    assert.equal(haKeySchedule.ikeKeys({ ...material, rekeyed }), undefined);
    for (const change of [other('encr', 99), other('encr', 20, 100), { encr: undefined }]) {
      const proposal: ChosenProposal = { ...child.proposal, ...change };
      assert.equal(haKeySchedule.childKeys(parentOf(0), { ...child, proposal }), undefined);
    }
    const bare = { ...child.proposal, ...other('encr', 12, 128) };
    assert.equal(haKeySchedule.childKeys(parentOf(0), { ...child, proposal: bare }), undefined);
  });

  it('do not wipe or change what they are made of', () => {
    const { material, keys } = ikeSas[0] ?? assert.fail();
    const secret = toHex(material.sharedSecret.reveal());
    const again = haKeySchedule.ikeKeys(material);
    assert.equal(toHex((again ?? assert.fail()).skD.reveal()), toHex(keys.skD.reveal()));
    assert.equal(toHex(material.sharedSecret.reveal()), secret);
    const others = { ...material, sharedSecret: new SecretBytes(new Uint8Array(32)) };
    const different = haKeySchedule.ikeKeys(others);
    assert.notEqual(toHex((different ?? assert.fail()).skD.reveal()), toHex(keys.skD.reveal()));
  });
});

function parentOf(child: number) {
  const id = children[child]?.ikeSa;
  const found = ikeSas.find(({ material }) => material.id.responderSpi === id?.responderSpi);
  assert.ok(found);
  return { proposal: found.material.proposal, keys: found.keys };
}
