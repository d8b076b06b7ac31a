import assert from 'node:assert/strict';
import { parseAddressMatch, parseSelector, protocolNumber } from '../../src/config/addresses.ts';
import { editDistance, nearestName } from '../../src/config/nearest-name.ts';
import {
  parseBoolean,
  parseDecimal,
  parseInteger,
  parseSeconds,
  parseSecret,
  parseWord,
} from '../../src/config/values.ts';
import { formatAddress } from '../../src/wire/address.ts';
import { fault, setting } from './reading.ts';

describe('swanctl.conf values', () => {
  it('reads eight words as truth, whatever their case', () => {
    for (const text of ['yes', 'true', 'enabled', '1', 'Yes'])
      assert.equal(parseBoolean(setting(text)), true);
    for (const text of ['no', 'false', 'disabled', '0', 'NO'])
      assert.equal(parseBoolean(setting(text)), false);
    assert.equal(
      fault(() => parseBoolean(setting('on'))),
      'swanctl.conf:7: key = on: write yes or no',
    );
  });

  it('reads times in seconds, minutes, hours and days', () => {
    const times = {
      '90': 90,
      '90s': 90,
      '5m': 300,
      '4h': 14_400,
      '1d': 86_400,
      '1 H': 3600,
      '0x10': 16,
    };
    for (const [text, seconds] of Object.entries(times)) {
      assert.equal(parseSeconds(setting(text)), seconds, text);
    }
    for (const text of ['', '-1', '1.5h', '1h30m', '5 x', '1w', 'h', '99999999999']) {
      assert.match(
        fault(() => parseSeconds(setting(text))),
        /write a time such as/,
        text,
      );
    }
    assert.match(
      fault(() => parseSeconds(setting('25000d'))),
      /at most 2147483647 seconds/,
    );
  });

  it('reads whole numbers within their bounds', () => {
    assert.equal(parseInteger(setting('0x1F4'), 0, 65_535), 500);
    assert.equal(parseInteger(setting('65535'), 0, 65_535), 65_535);
    for (const text of ['65536', '-1', '1e3', '', 'x', '0x', '1.0', '1'.repeat(30)]) {
      assert.match(
        fault(() => parseInteger(setting(text), 0, 65_535)),
        /write a whole number from 0 to 65535/,
        text,
      );
    }
  });

  it('reads decimal fractions', () => {
    assert.equal(parseDecimal(setting('1.8'), 1, 10), 1.8);
    for (const text of ['0.9', '11', '1,8', '.5', 'NaN', '1e1']) {
      assert.match(
        fault(() => parseDecimal(setting(text), 1, 10)),
        /write a number from 1 to 10/,
      );
    }
  });

  it('names the nearest word', () => {
    const words = { none: 0, start: 1 };
    assert.equal(parseWord(setting('Start'), words), 1);
    assert.equal(
      fault(() => parseWord(setting('strat'), words)),
      'swanctl.conf:7: key = strat: write one of none, start; did you mean start?',
    );
    assert.match(
      fault(() => parseWord(setting('constructor'), words)),
      /none, start$/,
    );
  });

  it('reads secrets as text, hex and Base64', () => {
    const reveal = (text: string) => Buffer.from(parseSecret(setting(text)).reveal()).toString();
    assert.equal(reveal('päss word'), 'päss word');
    assert.equal(reveal('0x616263'), 'abc');
    assert.equal(reveal('0sYWJj'), 'abc');
    assert.equal(reveal('0sYWI='), 'ab');
    assert.equal(reveal('0sYWI'), 'ab');
  });

  it('never quotes a secret', () => {
    for (const text of ['0x616', '0xzz', '0sYWJjZ', '0sa!', '']) {
      const message = fault(() => parseSecret(setting(text)));
      assert.match(message, /^swanctl\.conf:7: key (= \.\.\.:|is empty:)/);
    }
  });

  it('measures how far two words are apart', () => {
    assert.equal(editDistance('', 'abc'), 3);
    assert.equal(editDistance('abc', ''), 3);
    assert.equal(editDistance('ac', 'abc'), 1);
    assert.equal(editDistance('abc', 'ac'), 1);
    assert.equal(editDistance('kitten', 'sitting'), 3);
    assert.equal(nearestName('prposals', ['proposals', 'pools']), 'proposals');
    assert.equal(nearestName('xyz', ['proposals', 'pools']), undefined);
    assert.equal(nearestName('a', ['b', 'c']), undefined);
  });
});

describe('swanctl.conf addresses', () => {
  it('reads any address, of both families or one', () => {
    assert.deepEqual(parseAddressMatch(setting('%any')), { kind: 'any' });
    assert.deepEqual(parseAddressMatch(setting('%any4')), { kind: 'any', family: 4 });
    assert.deepEqual(parseAddressMatch(setting('%any6')), { kind: 'any', family: 6 });
  });

  it('reads an address, a prefix, a range and a name', () => {
    const kinds: Readonly<Record<string, string>> = {
      '192.0.2.1': 'address',
      '2001:db8::1': 'address',
      '192.0.2.0/24': 'prefix',
      '192.0.2.1-192.0.2.9': 'range',
      '2001:db8::1 - 2001:db8::9': 'range',
      'gw.example.org': 'name',
      'gw-1.example.org.': 'name',
      localhost: 'name',
    };
    for (const [text, kind] of Object.entries(kinds)) {
      assert.equal(parseAddressMatch(setting(text)).kind, kind, text);
    }
  });

  it('refuses what is no address and no name', () => {
    for (const text of [
      '300.1.2.3',
      '10.1.2',
      'foo bar',
      '%defaultroute',
      'a..b',
      '-a',
      '::1%eth0',
    ]) {
      assert.match(
        fault(() => parseAddressMatch(setting(text))),
        /write %any, an address/,
        text,
      );
    }
    assert.match(
      fault(() => parseAddressMatch(setting('10.0.0.0/33'))),
      /write a prefix/,
    );
    assert.match(
      fault(() => parseAddressMatch(setting('10.0.0.9-10.0.0.1'))),
      /write the lower address first/,
    );
    assert.match(
      fault(() => parseAddressMatch(setting('10.0.0.9-::1'))),
      /one family/,
    );
  });
});

describe('swanctl.conf traffic selectors', () => {
  /** `first-last[protocol/start-end]`, as the selector was understood. */
  function understood(text: string): string {
    const template = parseSelector(setting(text));
    const { range, ...upper } =
      template.kind === 'fixed' ? template.selector : { range: undefined, ...template };
    const { protocol, startPort, endPort } = upper;
    const addresses = range
      ? `${formatAddress(range.first)}-${formatAddress(range.last)}`
      : 'dynamic';
    return `${addresses}[${protocol}/${startPort}-${endPort}]`;
  }

  const selectors: Readonly<Record<string, string>> = {
    dynamic: 'dynamic[0/0-65535]',
    'dynamic[udp/1701]': 'dynamic[17/1701-1701]',
    '10.1.0.0/16': '10.1.0.0-10.1.255.255[0/0-65535]',
    '10.1.0.1/16': '10.1.0.0-10.1.255.255[0/0-65535]',
    '10.1.0.1': '10.1.0.1-10.1.0.1[0/0-65535]',
    '10.1.0.3-10.1.0.7[17]': '10.1.0.3-10.1.0.7[17/0-65535]',
    'fec0::1/64': 'fec0::-fec0::ffff:ffff:ffff:ffff[0/0-65535]',
    '0.0.0.0/0': '0.0.0.0-255.255.255.255[0/0-65535]',
    '10.1.0.0/16[tcp/80]': '10.1.0.0-10.1.255.255[6/80-80]',
    '10.1.0.0/16[tcp/http]': '10.1.0.0-10.1.255.255[6/80-80]',
    '10.1.0.0/16 [ TCP / 80 ]': '10.1.0.0-10.1.255.255[6/80-80]',
    '10.1.0.1[udp/1000-2000]': '10.1.0.1-10.1.0.1[17/1000-2000]',
    '10.1.0.1[sctp/opaque]': '10.1.0.1-10.1.0.1[132/65535-0]',
    '10.1.0.1[/80]': '10.1.0.1-10.1.0.1[0/80-80]',
    '10.1.0.1[any/any]': '10.1.0.1-10.1.0.1[0/0-65535]',
    '10.1.0.1[udp/ipsec-nat-t]': '10.1.0.1-10.1.0.1[17/4500-4500]',
    '10.1.0.1[gre]': '10.1.0.1-10.1.0.1[47/0-65535]',
    '10.1.0.1[]': '10.1.0.1-10.1.0.1[0/0-65535]',
    '10.1.0.1[0x11/0x50]': '10.1.0.1-10.1.0.1[17/80-80]',
    '10.1.0.1[icmp]': '10.1.0.1-10.1.0.1[1/0-65535]',
    '10.1.0.1[icmp/8]': '10.1.0.1-10.1.0.1[1/2048-2048]',
    '10.1.0.1[icmp/2048]': '10.1.0.1-10.1.0.1[1/2048-2048]',
    '10.1.0.1[icmp/3(4)]': '10.1.0.1-10.1.0.1[1/772-772]',
    '10.1.0.1[icmp/3-3(255)]': '10.1.0.1-10.1.0.1[1/768-1023]',
    '::1[ipv6-icmp/128]': '::1-::1[58/32768-32768]',
  };
  for (const [text, expected] of Object.entries(selectors)) {
    it(`reads ${text}`, () => assert.equal(understood(text), expected));
  }

  const refused: Readonly<Record<string, RegExp>> = {
    '%dynamic': /write dynamic or a subnet/,
    '10.1/16': /write dynamic or a subnet/,
    '10.1.0.0/16[tcp': /write dynamic or a subnet/,
    '10.1.0.0/16]tcp[': /write dynamic or a subnet/,
    '10.1.0.9-10.1.0.7': /write the lower address first/,
    '10.1.0.0/16[tpc/80]': /tpc is no protocol: .*; did you mean tcp\?$/,
    '10.1.0.0/16[256]': /256 is no protocol/,
    '10.1.0.0/16[tcp/80/90]': /tcp is no protocol/,
    '10.1.0.0/16[tcp/65536]': /65536 is no port/,
    '10.1.0.0/16[tcp/90-80]': /90-80 is no port/,
    '10.1.0.0/16[tcp/80-90-100]': /is no port/,
    '10.1.0.0/16[tcp/80-]': /is no port/,
    '10.1.0.0/16[tcp/wwwx]': /wwwx is no port/,
    '10.1.0.0/16[icmp/65536]': /no ICMP type/,
    '10.1.0.0/16[icmp/8(256)]': /no ICMP type/,
    '10.1.0.0/16[icmp/300(1)]': /no ICMP type/,
    '10.1.0.0/16[icmp/9-8]': /no ICMP type/,
    '': /write dynamic or a subnet/,
  };
  for (const [text, what] of Object.entries(refused)) {
    it(`refuses ${text || 'nothing'}`, () => {
      assert.match(
        fault(() => parseSelector(setting(text))),
        what,
      );
    });
  }

  it('knows protocols by name and number', () => {
    assert.equal(protocolNumber('ESP'), 50);
    assert.equal(protocolNumber('255'), 255);
    assert.equal(protocolNumber('nope'), undefined);
  });
});
