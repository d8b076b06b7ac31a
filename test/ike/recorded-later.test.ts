/** CREATE_CHILD_SA and INFORMATIONAL as strongSwan writes them, opened, held against the rules, encoded again. */
import { strict as assert } from 'node:assert';
import { decodePayloads, encodePayloads } from '../../src/ike/message/codec.ts';
import { checkPayloads, exchangeName, payloadName } from '../../src/ike/message/payload-rules.ts';
import { readRecordedLater } from './recording-later.ts';

describe('Recorded strongswan-create-child-sa.json', () => {
  const recorded = readRecordedLater();

  it('has every use of CREATE_CHILD_SA and of Delete', () => {
    const ladders = recorded.map(({ header, payloads }) => {
      const direction = header.isResponse ? 'response' : 'request';
      return `${exchangeName(header.exchangeType)} ${direction} ${payloads.map(payloadName).join(' ')}`;
    });
    for (const one of [
      'CREATE_CHILD_SA request N(REKEY_SA) SA No KE TSi TSr',
      'CREATE_CHILD_SA request SA No KE TSi TSr',
      'CREATE_CHILD_SA request SA No KE',
      'CREATE_CHILD_SA response SA No KE TSi TSr',
      'CREATE_CHILD_SA response SA No KE',
      'INFORMATIONAL request D',
      'INFORMATIONAL response D',
    ]) {
      assert.ok(ladders.includes(one), one);
    }
  });

  for (const { header, payloads } of recorded) {
    const { exchangeType, isResponse } = header;
    const direction = isResponse ? 'response' : 'request';
    it(`${exchangeName(exchangeType)} ${direction} [${payloads.map(payloadName).join(' ')}] fits the rules`, () => {
      assert.deepEqual(checkPayloads(exchangeType, isResponse, true, payloads), { kind: 'ok' });
      const { first, octets } = encodePayloads(payloads);
      assert.deepEqual(decodePayloads(first, octets), payloads);
    });
  }
});
