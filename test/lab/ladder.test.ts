import assert from 'node:assert/strict';
import { drawLadder } from '../../lab/ladder.ts';

const options = { left: '192.0.2.1', leftName: 'tsgw', rightName: 'strongSwan' };

describe('The ladder of a capture', () => {
  it('draws messages with their payloads and counts ESP between them', () => {
    const drawn = drawLadder(
      [
        packet('192.0.2.1', '10.5', { exchange: '34', flags: '0x08', payloads: '33,34,40' }),
        packet('192.0.2.2', '10.502', { exchange: '34', flags: '0x20', payloads: '33,34,40' }),
        packet('192.0.2.1', '10.6', { spi: '0x1' }),
        packet('192.0.2.2', '10.7', { spi: '0x2' }),
        packet('192.0.2.1', '10.8', { spi: '0x1' }),
        packet('192.0.2.2', '11', {
          exchange: '37',
          flags: '0x00',
          payloads: '46,41,42',
          notify: '16390',
        }),
      ],
      options,
    );
    const lines = drawn.split('\n').map((line) => line.replaceAll(/ +/g, ' ').trim());
    assert.deepEqual(
      lines.filter((line) => !/[<>-]{9}/.test(line)),
      [
        'tsgw strongSwan',
        '0.000 s | IKE_SA_INIT request 0 (500 -> 500) |',
        '| SA KE Nonce |',
        '0.002 s | IKE_SA_INIT response 0 (500 -> 500) |',
        '| SA KE Nonce |',
        '| ESP: 2 packets ->, <- 1 packets |',
        '0.500 s | INFORMATIONAL request 0 (500 -> 500) |',
        '| SK { N(COOKIE) D } |',
      ],
    );
    const arrows = lines.filter((line) => /-{9}/.test(line)).map((line) => line.includes('->'));
    assert.deepEqual(arrows, [true, false, false]);
  });

  it('is only its head when nothing was captured', () => {
    assert.equal(drawLadder([], options).split('\n').length, 1);
  });
});

interface Fields {
  readonly exchange?: string;
  readonly flags?: string;
  readonly payloads?: string;
  readonly notify?: string;
  readonly spi?: string;
}

function packet(source: string, time: string, fields: Fields): Map<string, readonly string[]> {
  return new Map(
    Object.entries({
      'frame.time_relative': time,
      'ip.src': source,
      'udp.srcport': '500',
      'udp.dstport': '500',
      'isakmp.exchangetype': fields.exchange,
      'isakmp.flags': fields.flags,
      'isakmp.messageid': fields.exchange === undefined ? undefined : '0x00000000',
      'isakmp.typepayload': fields.payloads,
      'isakmp.notify.msgtype': fields.notify,
      'esp.spi': fields.spi,
    }).map(([name, value]) => [name, value === undefined ? [] : value.split(',')]),
  );
}
