/**
 * Codecs of what a shared address says and hears on a link: round trips, truncation, hostile octets. What
 * others make of them is in `interop/shared-address-frames.test.ts`.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeArp, encodeArp } from '../../../src/cluster/virtual-address/arp.ts';
import {
  decodeFrame,
  encodeFrame,
  formatHardwareAddress,
  groupHardwareAddress,
  parseHardwareAddress,
  solicitedNodeGroup,
} from '../../../src/cluster/virtual-address/ethernet.ts';
import { decodeProbe, encodeProbe } from '../../../src/cluster/virtual-address/flooding-probe.ts';
import {
  decodeNeighbourMessage,
  encodeNeighbourMessage,
  type NeighbourMessage,
} from '../../../src/cluster/virtual-address/neighbour-discovery.ts';
import {
  formatAddress,
  type IpAddress,
  ipAddress,
  parseAddress,
} from '../../../src/wire/address.ts';
import { checksum, sumPseudoHeader } from '../../../src/wire/checksum.ts';
import { writeU16 } from '../../../src/wire/field.ts';
import { MalformedError } from '../../../src/wire/octets.ts';

const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const four = octets(4).map(ipAddress);
const hardware = octets(6);
const unicast = octets(16).map((value) =>
  ipAddress(Uint8Array.from(value, (one, at) => (at === 0 ? 0x20 : one))),
);

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

const SOLICITATION: NeighbourMessage = {
  kind: 'solicitation',
  source: address('fe80::1'),
  destination: address('ff02::1:ff00:64'),
  target: address('2001:db8::64'),
  hardwareAddress: Uint8Array.of(2, 0, 0, 0, 0, 1),
};

/** The packet with one octet set, and its ICMPv6 checksum right again. */
function patched(packet: Uint8Array, at: number, value: number): Uint8Array {
  const copy = packet.slice();
  copy[at] = value;
  const length = copy.length - 40;
  writeU16(copy, 42, 0);
  writeU16(copy, 42, checksum(copy, 40, length, sumPseudoHeader(copy, 8, 16, 58, length)));
  return copy;
}

describe('Hardware addresses', () => {
  it('are read as they are printed', () => {
    fc.assert(
      fc.property(hardware, (one) => {
        assert.deepEqual(parseHardwareAddress(formatHardwareAddress(one)), one);
      }),
    );
    for (const wrong of ['01:00:5e:00:00', '01:00:5e:00:00:2', '1:2:3:4:5:6', 'x']) {
      assert.equal(parseHardwareAddress(wrong), undefined);
    }
  });

  it('of groups are those of RFC 1112 §6.4 and RFC 2464 §7', () => {
    const of = (text: string) => formatHardwareAddress(groupHardwareAddress(address(text)));
    assert.equal(of('224.0.0.13'), '01:00:5e:00:00:0d');
    assert.equal(of('239.129.2.3'), '01:00:5e:01:02:03');
    assert.equal(of('ff02::1:ff28:9c5a'), '33:33:ff:28:9c:5a');
    // RFC 4291 §2.7.1 has this example.
    const group = solicitedNodeGroup(address('4037::01:800:200e:8c6c'));
    assert.equal(formatAddress(group), 'ff02::1:ff0e:8c6c');
  });

  it('frames come back as they were', () => {
    fc.assert(
      fc.property(
        hardware,
        hardware,
        fc.integer({ min: 0, max: 0xffff }),
        octets(60),
        (destination, source, type, payload) => {
          const frame = { destination, source, type, payload };
          assert.deepEqual(decodeFrame(encodeFrame(frame)), frame);
        },
      ),
    );
    assert.throws(() => decodeFrame(new Uint8Array(13)), MalformedError);
  });
});

describe('ARP (RFC 826)', () => {
  it('comes back as it was, with the padding of its frame or without', () => {
    fc.assert(
      fc.property(
        hardware,
        four,
        hardware,
        four,
        fc.nat(3),
        (senderHardware, sender, targetHardware, target, operation) => {
          const packet = { operation, senderHardware, sender, targetHardware, target };
          const encoded = encodeArp(packet);
          assert.equal(encoded.length, 28);
          assert.deepEqual(decodeArp(encoded), packet);
          assert.deepEqual(decodeArp(Uint8Array.from([...encoded, ...new Uint8Array(18)])), packet);
          for (let length = 0; length < 28; length++) {
            assert.throws(() => decodeArp(encoded.subarray(0, length)), MalformedError);
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  it('is of Ethernet and IPv4', () => {
    const packet = encodeArp({
      operation: 1,
      senderHardware: new Uint8Array(6),
      sender: address('192.0.2.1'),
      targetHardware: new Uint8Array(6),
      target: address('192.0.2.2'),
    });
    for (const at of [1, 3, 4, 5]) {
      const wrong = packet.map((octet, index) => (index === at ? octet + 1 : octet));
      assert.throws(() => decodeArp(wrong), /ARP (for|with)/, `octet ${at}`);
    }
  });
});

describe('Neighbour discovery (RFC 4861 §4.3, §4.4, §7.1)', () => {
  const solicitation = fc.record(
    {
      kind: fc.constant('solicitation' as const),
      source: unicast,
      destination: unicast,
      target: unicast,
      hardwareAddress: fc.option(hardware, { nil: undefined }),
    },
    { noNullPrototype: true },
  );
  const advertisement = fc.record(
    {
      kind: fc.constant('advertisement' as const),
      source: unicast,
      destination: unicast,
      target: unicast,
      hardwareAddress: fc.option(hardware, { nil: undefined }),
      router: fc.boolean(),
      solicited: fc.boolean(),
      override: fc.boolean(),
    },
    { noNullPrototype: true },
  );

  it('comes back as it was', () => {
    fc.assert(
      fc.property(fc.oneof(solicitation, advertisement), (message) => {
        assert.deepEqual(decodeNeighbourMessage(encodeNeighbourMessage(message)), message);
      }),
    );
  });

  it('is refused at every length but its own', () => {
    const packet = encodeNeighbourMessage(SOLICITATION);
    for (let length = 0; length < packet.length; length++) {
      const cut = packet.subarray(0, length);
      assert.throws(() => decodeNeighbourMessage(cut), MalformedError, `${length} octets`);
    }
  });

  it('is passed over where it is something else', () => {
    const packet = encodeNeighbourMessage(SOLICITATION);
    assert.equal(decodeNeighbourMessage(patched(packet, 40, 128)), undefined, 'an echo request');
    const udp = packet.map((octet, at) => (at === 6 ? 17 : octet));
    assert.equal(decodeNeighbourMessage(udp), undefined);
  });

  it('is not believed from beyond the link, with a code, a wrong sum, or of a group', () => {
    const packet = encodeNeighbourMessage(SOLICITATION);
    const cases: readonly (readonly [string, Uint8Array, RegExp])[] = [
      ['hop limit', packet.map((octet, at) => (at === 7 ? 254 : octet)), /hop limit 254/],
      ['code', patched(packet, 41, 1), /with code 1/],
      ['sum', packet.map((octet, at) => (at === 50 ? octet ^ 1 : octet)), /checksum/],
      ['group', patched(packet, 48, 0xff), /of a group/],
      ['option of no length', patched(packet, 65, 0), /option of length 0/],
      ['version', packet.map((octet, at) => (at === 0 ? 0x40 : octet)), /IPv4 in an IPv6/],
    ];
    for (const [name, wrong, why] of cases) {
      assert.throws(() => decodeNeighbourMessage(wrong), why, name);
    }
  });

  it('is not believed from nobody where it could not be', () => {
    const nobody = { ...SOLICITATION, source: address('::') };
    const without = { ...nobody, hardwareAddress: undefined };
    assert.deepEqual(decodeNeighbourMessage(encodeNeighbourMessage(without)), without);
    assert.throws(() => decodeNeighbourMessage(encodeNeighbourMessage(nobody)), /says where it is/);
    const direct = { ...without, destination: address('2001:db8::64') };
    assert.throws(() => decodeNeighbourMessage(encodeNeighbourMessage(direct)), /asks one host/);
  });

  it('is not solicited where everybody is told', () => {
    const told = { ...SOLICITATION, router: true, solicited: true, override: true };
    const message = encodeNeighbourMessage({ ...told, kind: 'advertisement' });
    assert.throws(() => decodeNeighbourMessage(message), /solicited by a group/);
  });

  it('lets nothing but MalformedError escape, whatever the octets', () => {
    const packet = encodeNeighbourMessage(SOLICITATION);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(71), fc.nat(255)), { maxLength: 4 }), (changes) => {
        const wrong = packet.slice();
        for (const [at, value] of changes) wrong[at] = value;
        try {
          decodeNeighbourMessage(patched(wrong, 44, 0));
        } catch (error) {
          assert.ok(error instanceof MalformedError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('The probe of flooding', () => {
  for (const [from, to] of [
    ['192.0.2.1', '192.0.2.100'],
    ['fe80::1', '2001:db8::64'],
  ] as const) {
    it(`comes back as it was, from ${from}`, () => {
      fc.assert(
        fc.property(octets(16), fc.integer({ min: 1, max: 64 }), (nonce, node) => {
          const probe = { node, nonce, to: address(to) };
          const packet = encodeProbe(probe, address(from));
          assert.deepEqual(decodeProbe(packet), probe);
          assert.deepEqual(decodeProbe(Uint8Array.from([...packet, 0, 0, 0])), probe, 'padded');
          for (let length = 0; length < packet.length; length++) {
            assert.equal(decodeProbe(packet.subarray(0, length)), undefined);
          }
        }),
        { numRuns: 20 },
      );
    });
  }

  it('is not what only looks like it', () => {
    const probe = { node: 1, nonce: new Uint8Array(16), to: address('192.0.2.100') };
    const packet = encodeProbe(probe, address('192.0.2.1'));
    for (const at of [9, 23, 28, 57]) {
      assert.equal(
        decodeProbe(packet.map((octet, index) => (index === at ? octet ^ 1 : octet))),
        undefined,
      );
    }
  });
});
