/**
 * What messages of charon mean, and that they are written back as charon wrote them.
 */
import assert from 'node:assert/strict';
import { HaCondition } from '../../../src/cluster/charon-ha/attribute.ts';
import { readChildAdd, writeChildAdd } from '../../../src/cluster/charon-ha/child-add.ts';
import { readIkeAdd, writeIkeAdd } from '../../../src/cluster/charon-ha/ike-add.ts';
import { readIkeUpdate, writeIkeUpdate } from '../../../src/cluster/charon-ha/ike-update.ts';
import {
  encodeHaMessage,
  type HaMessage,
  HaMessageType,
} from '../../../src/cluster/charon-ha/message.ts';
import { formatAddress, formatEndpoint } from '../../../src/wire/address.ts';
import { MalformedError, toHex } from '../../../src/wire/octets.ts';
import { readHaRecording, understood } from '../../support/ha-frames.ts';

const messages = readHaRecording().frames.map(understood);

describe('IKE_ADD', () => {
  const adds = of(HaMessageType.IKE_ADD);

  it('says what keys are made of, and is written back', () => {
    assert.equal(adds.length, 3);
    for (const message of adds) same(writeIkeAdd(3, readIkeAdd(message)), message);
    const [first, second, third] = adds.map(readIkeAdd);
    assert.ok(first && second && third);
    assert.equal(first.rekeyed, undefined);
    assert.equal(first.id.initiator, false);
    assert.deepEqual(first.proposal.encr, { type: 1, id: 12, keyLength: 128 });
    assert.equal(first.sharedSecret.length, 32);
    assert.equal(formatEndpoint(first.remote), '192.168.77.100[500]');
    assert.equal(second.rekeyed?.id.responderSpi, first.id.responderSpi);
    assert.equal(third.rekeyed?.id.responderSpi, second.id.responderSpi);
    assert.equal(third.id.initiator, true);
  });

  it('is malformed without what it needs', () => {
    const [, rekeyed] = adds;
    assert.ok(rekeyed);
    for (const name of ['IKE_ID', 'NONCE_I', 'NONCE_R', 'SECRET', 'REMOTE_ADDR', 'OLD_SKD']) {
      assert.throws(() => readIkeAdd(without(rekeyed, name)), {
        name: 'MalformedError',
        what: `IKE_ADD without ${name}`,
      });
    }
  });
});

describe('CHILD_ADD', () => {
  const adds = of(HaMessageType.CHILD_ADD);

  it('says what a Child SA is, and is written back', () => {
    assert.equal(adds.length, 5);
    for (const message of adds) same(writeChildAdd(3, readChildAdd(message)), message);
    const all = adds.map(readChildAdd);
    assert.deepEqual(
      all.map(({ initiator }) => initiator),
      [false, false, true, false, true],
    );
    const [first] = all;
    assert.equal(first?.mode, 'tunnel');
    assert.equal(first.sharedSecret, undefined);
    assert.equal(first.name, 'net');
    const selectors = [...first.localTs, ...first.remoteTs].map(({ selector }) =>
      [selector.range.first, selector.range.last].map(formatAddress).join('-'),
    );
    assert.deepEqual(selectors, ['10.2.0.0-10.2.0.255', '10.3.0.1-10.3.0.1']);
  });

  it('is malformed without what it needs', () => {
    const [first] = adds;
    assert.ok(first);
    for (const name of ['IKE_ID', 'INITIATOR', 'INBOUND_SPI', 'OUTBOUND_SPI', 'NONCE_I']) {
      assert.throws(() => readChildAdd(without(first, name)), MalformedError, name);
    }
  });
});

describe('IKE_UPDATE', () => {
  const updates = of(HaMessageType.IKE_UPDATE);

  it('says who the ends are, and is written back', () => {
    assert.equal(updates.length, 4);
    for (const message of updates) same(writeIkeUpdate(3, readIkeUpdate(message)), message);
    const [first, second] = updates.map(readIkeUpdate);
    assert.equal(first?.connection, 'rw');
    assert.equal(first.local && formatEndpoint(first.local), '192.168.77.5[4500]');
    assert.ok((first.conditions ?? 0) & HaCondition.NAT_ANY);
    assert.equal(first.remoteVips, undefined);
    assert.equal(second?.connection, undefined);
    assert.deepEqual(second?.remoteVips?.map(formatAddress), ['10.3.0.1']);
  });

  it('of version 5 sends its bits in two halves, of which we know the first', () => {
    const [first] = updates.map(readIkeUpdate);
    assert.ok(first?.conditions);
    const message = writeIkeUpdate(5, first);
    const halves = message.attributes.filter(({ name }) => name === 'CONDITIONS');
    assert.deepEqual(
      halves.map(({ value }) => value),
      [first.conditions, 0x8000_0000],
    );
    assert.deepEqual(readIkeUpdate(message), first);
  });
});

function of(type: HaMessageType): readonly HaMessage[] {
  return messages.filter((message) => message.type === type);
}

function without(message: HaMessage, name: string): HaMessage {
  const attributes = message.attributes.filter((attribute) => attribute.name !== name);
  assert.ok(attributes.length < message.attributes.length, name);
  return { ...message, attributes };
}

function same(one: HaMessage, other: HaMessage): void {
  assert.equal(toHex(encodeHaMessage(one)), toHex(encodeHaMessage(other)));
}
