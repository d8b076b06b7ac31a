import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeTooBig } from '../../src/io/icmp-too-big.ts';
import { checksum } from '../../src/wire/checksum.ts';
import { concatOctets, fromHex, toHex } from '../../src/wire/octets.ts';

const IPV4 = '4500003800000000400100000a000001c0000201';
const QUOTED4 = '450005dc12344000401100 00c0000201c6336402';
const QUOTED6 =
  '6000000005a01140 20010db8000000000000000000000001 20010db8000000000000000000000002';
const UDP_ESP = '1194119405c80000 deadbeef 00000001';
const ESP = 'deadbeef 00000001';

describe('ICMP "fragmentation needed" (RFC 1191 §4)', () => {
  it('yields peer, SPI and MTU of UDP-encapsulated ESP', () => {
    const report = decodeTooBig(icmp('0304000000000514', QUOTED4 + UDP_ESP), 4);
    assert.ok(typeof report === 'object');
    assert.equal(toHex(report.local.octets), 'c0000201');
    assert.equal(toHex(report.remote.octets), 'c6336402');
    assert.deepEqual([report.localPort, report.remotePort], [4500, 4500]);
    assert.equal(report.udpEncapsulation, true);
    assert.equal(report.spi, 0xdeadbeef);
    assert.equal(report.mtu, 1300);
    assert.equal(toHex(report.quoted), QUOTED4.replaceAll(' ', '') + UDP_ESP.replaceAll(' ', ''));
  });

  it('yields the SPI of ESP without encapsulation, from the eight octets RFC 792 guarantees', () => {
    const report = decodeTooBig(icmp('0304000000000514', QUOTED4.replace('4011', '4032') + ESP), 4);
    assert.ok(typeof report === 'object');
    assert.deepEqual(
      [report.spi, report.udpEncapsulation, report.remotePort],
      [0xdeadbeef, false, 0],
    );
  });

  it('looks behind IP options', () => {
    const quoted = `${QUOTED4.replace('4500', '4600')}01010100${UDP_ESP}`;
    const report = decodeTooBig(icmp('0304000000000514', quoted), 4);
    assert.ok(typeof report === 'object');
    assert.equal(report.spi, 0xdeadbeef);
  });

  it('is foreign when it is another error, another protocol, IKE or a later fragment', () => {
    const udp = QUOTED4 + UDP_ESP;
    const cases = [
      ['0301000000000514', udp],
      ['0b04000000000514', udp],
      ['0304000000000514', udp.replace('4011', '4006')],
      ['0304000000000514', udp.replace('deadbeef', '00000000')],
      ['0304000000000514', udp.replace('12344000', '12340001')],
    ] as const;
    for (const [header, quoted] of cases)
      assert.equal(decodeTooBig(icmp(header, quoted), 4), 'foreign');
  });

  it('is malformed with a wrong checksum or when it ends before the SPI', () => {
    const good = icmp('0304000000000514', QUOTED4 + UDP_ESP);
    const wrong = Uint8Array.from(good);
    wrong[30] = 1;
    assert.equal(decodeTooBig(wrong, 4), 'malformed');
    for (let length = 0; length < 28 + 32; length++) {
      if (length >= 28) {
        const cut = icmp('0304000000000514', toHex(good.slice(28, length)));
        assert.equal(decodeTooBig(cut, 4), 'malformed', `${length} octets`);
      } else {
        assert.equal(decodeTooBig(good.subarray(0, length), 4), 'malformed', `${length} octets`);
      }
    }
  });
});

describe('ICMPv6 "packet too big" (RFC 4443 §3.2)', () => {
  const header = '0200000000000500';

  it('yields peer, SPI and MTU, with and without UDP', () => {
    const udp = decodeTooBig(fromHex(header + QUOTED6 + UDP_ESP), 6);
    assert.ok(typeof udp === 'object');
    assert.equal(toHex(udp.remote.octets), '20010db8000000000000000000000002');
    assert.deepEqual([udp.mtu, udp.spi, udp.remotePort], [1280, 0xdeadbeef, 4500]);
    const esp = decodeTooBig(fromHex(header + QUOTED6.replace('05a011', '05a032') + ESP), 6);
    assert.ok(typeof esp === 'object');
    assert.deepEqual([esp.mtu, esp.spi, esp.udpEncapsulation], [1280, 0xdeadbeef, false]);
  });

  it('is foreign or malformed otherwise', () => {
    assert.equal(decodeTooBig(fromHex(`01${header.slice(2)}${QUOTED6}${UDP_ESP}`), 6), 'foreign');
    assert.equal(
      decodeTooBig(fromHex(header + QUOTED6.replace('05a011', '05a03a') + ESP), 6),
      'foreign',
    );
    const whole = fromHex(header + QUOTED6 + UDP_ESP);
    for (let length = 0; length < 8 + 40 + 12; length++) {
      assert.equal(decodeTooBig(whole.subarray(0, length), 6), 'malformed', `${length} octets`);
    }
  });
});

describe('Any octets as an ICMP message', () => {
  it('decode to a report or a reason, never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120, size: 'max' }), fc.boolean(), (octets, six) => {
        const outcome = decodeTooBig(octets, six ? 6 : 4);
        assert.ok(typeof outcome === 'object' || outcome === 'malformed' || outcome === 'foreign');
      }),
      { numRuns: 300 },
    );
  });
});

/** IPv4 header, ICMP header with its checksum, and what is quoted. */
function icmp(header: string, quoted: string): Uint8Array {
  const body = fromHex(header + quoted);
  const sum = checksum(body, 0, body.length);
  body[2] = sum >>> 8;
  body[3] = sum & 0xff;
  return concatOctets(fromHex(IPV4), body);
}
