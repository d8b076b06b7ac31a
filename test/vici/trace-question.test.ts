import assert from 'node:assert/strict';
import { parseTraceQuestion, type TraceWords } from '../../src/vici/trace-question.ts';
import { formatAddress } from '../../src/wire/address.ts';
import { addressFromWords, OPAQUE } from '../../src/wire/flow.ts';

const FOUR = { source: '10.1.0.5', destination: '10.2.0.9' };
const SIX = { source: '2001:db8:1::5', destination: '2001:db8:2::9' };

function ask(traffic: string, changes: Partial<TraceWords> = {}) {
  return parseTraceQuestion({ ...FOUR, traffic, dontFragment: false, inbound: false, ...changes });
}

/** Protocol, source port and destination port. */
function looksLike(traffic: string, changes: Partial<TraceWords> = {}): readonly number[] {
  const question = ask(traffic, changes);
  if (typeof question === 'string') assert.fail(question);
  const { protocol, sourcePort, destinationPort } = question.flow;
  return [protocol, sourcePort, destinationPort];
}

describe('The packet of tsgw trace', () => {
  it('is read as policies see packets (RFC 4301 §4.4.1.1)', () => {
    assert.deepEqual(looksLike('tcp/443'), [6, 49_152, 443]);
    assert.deepEqual(looksLike('TCP/https'), [6, 49_152, 443]);
    assert.deepEqual(looksLike('udp/53', { sourcePort: '1000' }), [17, 1000, 53]);
    assert.deepEqual(looksLike('tcp'), [6, OPAQUE, OPAQUE]);
    assert.deepEqual(looksLike('icmp'), [1, 0x800, 0x800]);
    assert.deepEqual(looksLike('icmp/3(4)'), [1, 0x304, 0x304]);
    assert.deepEqual(looksLike('47'), [47, OPAQUE, OPAQUE]);
    assert.deepEqual(looksLike('gre'), [47, OPAQUE, OPAQUE]);
    assert.deepEqual(looksLike('any'), [OPAQUE, OPAQUE, OPAQUE]);
    assert.deepEqual(looksLike('icmp', SIX), [58, 0x8000, 0x8000]);
    assert.deepEqual(looksLike('icmpv6/129', SIX), [58, 0x8100, 0x8100]);
  });

  it('has its addresses, its size and what it was asked with', () => {
    const question = ask('tcp/443', { ...SIX, size: '1400', inbound: true });
    if (typeof question === 'string') assert.fail(question);
    const { flow } = question;
    assert.equal(formatAddress(addressFromWords(flow.family, flow.source)), SIX.source);
    assert.equal(formatAddress(addressFromWords(flow.family, flow.destination)), SIX.destination);
    const { size, dontFragment, inbound, sourcePortAssumed } = question;
    assert.deepEqual([size, dontFragment, inbound], [1400, false, true]);
    assert.equal(flow.totalLength, 1400);
    assert.equal(sourcePortAssumed, true);
  });

  const wrong: readonly (readonly [string, Partial<TraceWords>, RegExp])[] = [
    ['tpc/443', {}, /^tpc\/443 is no protocol: write tcp\/443, .*; did you mean tcp\?$/],
    ['', {}, /^ is no protocol/],
    ['tcp/1/2', {}, /is no protocol/],
    ['256', {}, /is no protocol/],
    ['tcp/65536', {}, /^tcp\/65536: 65536 is no port/],
    ['any/443', {}, /a port is one of a protocol/],
    ['gre/5', {}, /protocol 47 has no ports/],
    ['icmp/999999', {}, /no ICMP type/],
    ['icmp/8', SIX, /is ICMP of IPv4: between IPv6 addresses write ipv6-icmp\/128/],
    ['icmpv6', {}, /is ICMP of IPv6: between IPv4 addresses write icmp\/8/],
    ['tcp/443', { source: '10.1.0' }, /^10\.1\.0 is no address/],
    ['tcp/443', { destination: 'host.example' }, /^host\.example is no address/],
    ['tcp/443', { source: SIX.source }, /of two families/],
    ['47', { sourcePort: '5' }, /a source port is one of tcp or udp, not of 47/],
    ['tcp/443', { sourcePort: 'x' }, /^x is no port/],
    ['tcp/443', { size: '39' }, /^39 octets: such a packet has from 40 to 65535/],
    ['udp/53', { ...SIX, size: '47' }, /from 48 to 65535/],
    ['any', { size: '65536' }, /from 20 to 65535/],
    ['any', { size: '-1' }, /from 20/],
  ];
  for (const [traffic, changes, what] of wrong) {
    it(`is refused with what is wrong: ${traffic} ${JSON.stringify(changes)}`, () => {
      const refusal = ask(traffic, changes);
      assert.equal(typeof refusal, 'string');
      assert.match(String(refusal), what);
    });
  }
});
