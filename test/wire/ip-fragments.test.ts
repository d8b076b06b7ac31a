import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Endpoint } from '../../src/wire/address.ts';
import { readU16, readU32 } from '../../src/wire/field.ts';
import { createFlow, FlowFault, Fragment, readFlow } from '../../src/wire/flow.ts';
import { udpInFragments } from '../../src/wire/ip-fragments.ts';
import { ipv4ChecksumOk } from '../../src/wire/ipv4.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import { octetsOf, upperChecksum } from '../support/inner-packets.ts';

function end(text: string, port: number): Endpoint {
  const octets = octetsOf(text);
  return { address: { family: octets.length === 4 ? 4 : 6, octets }, port };
}

const ENDS = {
  4: [end('192.0.2.1', 4500), end('192.0.2.2', 4501)],
  6: [end('2001:db8::1', 4500), end('2001:db8::2', 4501)],
} as const;

/** What a receiver makes of them: the IP header of the first and all their payloads in a row. */
function together(fragments: readonly Uint8Array[], six: boolean): Uint8Array {
  const headers = six ? 48 : 20;
  const [first] = fragments;
  assert.ok(first);
  const header = first.slice(0, six ? 40 : 20);
  return concatOctets(header, ...fragments.map((one) => one.subarray(headers)));
}

describe('A UDP datagram in fragments (RFC 791 §3.2, RFC 8200 §4.5)', () => {
  const data = fc.uint8Array({ minLength: 0, maxLength: 3000 });
  for (const family of [4, 6] as const) {
    it(`is the datagram again, with a right checksum, IPv${family}`, () => {
      const [from, to] = ENDS[family];
      fc.assert(
        fc.property(data, fc.integer({ min: 1280, max: 1500 }), (octets, most) => {
          const fragments = udpInFragments(from, to, octets, { identification: 0x1234, most });
          const whole = together(fragments, family === 6);
          const at = family === 6 ? 40 : 20;
          assert.deepEqual(whole.slice(at + 8), octets);
          assert.deepEqual(
            [readU16(whole, at), readU16(whole, at + 2), readU16(whole, at + 4)],
            [4500, 4501, 8 + octets.length],
          );
          assert.equal(upperChecksum(whole, at, 17), 0);
        }),
      );
    });

    it(`goes in packets of the length asked for, each where it belongs, IPv${family}`, () => {
      const [from, to] = ENDS[family];
      const octets = new Uint8Array(2600).fill(7);
      const fragments = udpInFragments(from, to, octets, { identification: 0x1234, most: 1280 });
      const flow = createFlow();
      let next = 0;
      for (const [index, fragment] of fragments.entries()) {
        assert.ok(fragment.length <= 1280);
        assert.equal(readFlow(fragment, 0, fragment.length, flow), FlowFault.NONE);
        assert.equal(flow.identification, 0x1234);
        const last = index === fragments.length - 1;
        assert.equal(flow.fragment, index === 0 ? Fragment.FIRST : Fragment.LATER);
        if (index > 0) assert.equal(flow.fragmentEdge, next);
        next += fragment.length - (family === 6 ? 48 : 20);
        const flags = family === 6 ? readU32(fragment, 40) & 1 : (readU16(fragment, 6) >>> 13) & 1;
        assert.equal(flags, last ? 0 : 1);
        if (family === 4) assert.ok(ipv4ChecksumOk(fragment, 0));
      }
      assert.equal(fragments.length, 3);
    });
  }
});
