import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  decodeViciMessage,
  encodeViciMessage,
  MAX_VICI_DEPTH,
  octetsToText,
  textToOctets,
  type ViciSection,
  type ViciValue,
  viciOctets,
  viciSection,
  viciSubsection,
  viciText,
  viciTexts,
} from '../../src/vici/message.ts';
import { fromHex, MalformedError, toHex } from '../../src/wire/octets.ts';
import { viciMessages } from './arbitraries.ts';

/** key1 = value1, section1 { sub-section { key2 = value2 } list1 [ item1, item2 ] }, as charon's README encodes it. */
const README =
  '03046b657931000676616c756531' +
  '010873656374696f6e31' +
  '010b7375622d73656374696f6e03046b657932000676616c75653202' +
  '04056c697374310500056974656d310500056974656d3206' +
  '02';

describe('vici message', () => {
  it('decodes and encodes the example of the protocol description', () => {
    const message = decodeViciMessage(fromHex(README));
    assert.equal(viciText(message, 'key1'), 'value1');
    const section = viciSubsection(message, 'section1') ?? new Map();
    assert.deepEqual([...section.keys()], ['sub-section', 'list1']);
    assert.deepEqual(viciTexts(section, 'list1'), ['item1', 'item2']);
    assert.equal(toHex(encodeViciMessage(message)), README);
  });

  it('builds from pairs: yes and no, decimal numbers, nothing for undefined', () => {
    const message = viciSection([
      ['success', true],
      ['initiator', false],
      ['matches', 12],
      ['errmsg', undefined],
      ['names', ['a', 'b']],
      ['raw', Uint8Array.of(0xff)],
      ['inner', viciSection([['key', 'ü']])],
    ]);
    assert.deepEqual(
      [...message.keys()],
      ['success', 'initiator', 'matches', 'names', 'raw', 'inner'],
    );
    assert.equal(viciText(message, 'success'), 'yes');
    assert.equal(viciText(message, 'initiator'), 'no');
    assert.equal(viciText(message, 'matches'), '12');
    assert.deepEqual(viciOctets(message, 'raw'), Uint8Array.of(0xff));
    assert.equal(viciText(viciSubsection(message, 'inner') ?? new Map(), 'key'), 'ü');
    assert.deepEqual(decodeViciMessage(encodeViciMessage(message)), message);
  });

  it('reads a single value as a list of one and an absent list as empty', () => {
    const message = viciSection([['one', 'x']]);
    assert.deepEqual(viciTexts(message, 'one'), ['x']);
    assert.deepEqual(viciTexts(message, 'none'), []);
    assert.equal(viciText(message, 'none'), undefined);
  });

  it('keeps octets that are no text', () => {
    assert.equal(octetsToText(Uint8Array.of(0x61, 0xff)), 'a\ufffd');
    const message = viciSection([['data', Uint8Array.of(0x30, 0x82, 0xff, 0)]]);
    assert.deepEqual(
      viciOctets(decodeViciMessage(encodeViciMessage(message)), 'data'),
      Uint8Array.of(0x30, 0x82, 0xff, 0),
    );
  });

  const malformed: readonly (readonly [string, string, RegExp])[] = [
    ['an element code of 0', '00', /element code 0/],
    ['an element code of 7', '07', /element code 7/],
    ['a list item outside a list', '050000', /element code 5/],
    ['a list end outside a list', '06', /element code 6/],
    ['a section end too many', '02', /no section is open/],
    ['a section left open', '010161', /1 sections are still open/],
    ['a key inside a list', '040161030162000006', /element code 3 inside a list/],
    ['a section inside a list', '04016101016206', /element code 1 inside a list/],
    ['a name twice', '0301610000' + '0301610000', /"a" stands twice/],
    ['a name that is not UTF-8', '0301ff0000', /not UTF-8/],
    ['a value longer than the message', '03016100ff61', /255 octets needed, 1 present/],
    [
      'sections nested too deep',
      '010161'.repeat(MAX_VICI_DEPTH + 1) + '02'.repeat(MAX_VICI_DEPTH + 1),
      /deeper than 32/,
    ],
  ];
  for (const [name, hex, what] of malformed) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => decodeViciMessage(fromHex(hex)),
        (error) => error instanceof MalformedError && what.test(error.what),
      );
    });
  }

  it('accepts sections nested to the limit, both ways', () => {
    const hex = '010161'.repeat(MAX_VICI_DEPTH) + '02'.repeat(MAX_VICI_DEPTH);
    assert.equal(toHex(encodeViciMessage(decodeViciMessage(fromHex(hex)))), hex);
  });

  it('refuses to encode what the lengths cannot say', () => {
    assert.throws(() => encodeViciMessage(viciSection([['n'.repeat(256), 'v']])), RangeError);
    assert.throws(() => encodeViciMessage(viciSection([['n', 'v'.repeat(65536)]])), RangeError);
    let deep: ViciSection = new Map<string, ViciValue>();
    for (let depth = 0; depth <= MAX_VICI_DEPTH; depth++) deep = viciSection([['a', deep]]);
    assert.throws(() => encodeViciMessage(deep), RangeError);
  });

  it('decodes what it encoded, to the same octets', () => {
    fc.assert(
      fc.property(viciMessages, (message) => {
        const octets = encodeViciMessage(message);
        const decoded = decodeViciMessage(octets);
        assert.deepEqual(decoded, message);
        assert.deepEqual(encodeViciMessage(decoded), octets);
      }),
      { numRuns: 200 },
    );
  });

  it('refuses each truncation that cuts an element or leaves a section open', () => {
    const whole = fromHex(README);
    const complete: number[] = [];
    for (let length = 0; length < whole.length; length++) {
      try {
        decodeViciMessage(whole.subarray(0, length));
        complete.push(length);
      } catch (error) {
        assert.ok(error instanceof MalformedError);
      }
    }
    assert.deepEqual(complete, [0, 14]);
  });

  it('answers any octets with a message that encodes back, or MalformedError', () => {
    const mutated = fc
      .tuple(fc.nat({ max: README.length / 2 - 1 }), fc.integer({ min: 0, max: 255 }))
      .map(([at, octet]) => {
        const octets = fromHex(README);
        octets[at] = octet;
        return octets;
      });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 80 })), (octets) => {
        try {
          assert.deepEqual(encodeViciMessage(decodeViciMessage(octets)), octets);
        } catch (error) {
          assert.ok(error instanceof MalformedError, String(error));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('names the octet at which it stopped', () => {
    assert.throws(
      () => decodeViciMessage(fromHex('0301610000ff'), 10),
      (error) => error instanceof MalformedError && error.at === 16,
    );
    assert.equal(octetsToText(textToOctets('\ufeffa')), '\ufeffa');
  });
});
