import assert from 'node:assert/strict';
import { SentSpis } from '../../src/io/sent-spis.ts';
import { parseAddress } from '../../src/wire/address.ts';

function address(text: string) {
  const parsed = parseAddress(text);
  assert.ok(parsed);
  return parsed;
}

const HERE = address('192.0.2.2');
const THERE = address('2001:db8::2');

describe('SPIs that we send with', () => {
  it('are those of a peer, until the Child SA goes', () => {
    const sent = new SentSpis();
    sent.add(1, 0xc000_0001, HERE);
    assert.ok(sent.find(0xc000_0001, HERE) !== undefined);
    assert.ok(sent.find(0xc000_0001 | 0, HERE) !== undefined, 'as a packet shows it');
    assert.ok(
      sent.find(0xc000_0001, THERE) === undefined && sent.find(0xc000_0002, HERE) === undefined,
    );
    sent.remove(1);
    sent.remove(1);
    assert.ok(sent.find(0xc000_0001, HERE) === undefined);
  });

  it('move with the peer', () => {
    const sent = new SentSpis();
    sent.add(1, 5000, HERE);
    sent.move(1, THERE);
    sent.move(2, THERE);
    assert.ok(sent.find(5000, THERE) !== undefined && sent.find(5000, HERE) === undefined);
    sent.remove(1);
    assert.ok(sent.find(5000, THERE) === undefined);
  });
});
