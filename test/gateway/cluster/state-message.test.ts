/** What nodes say to one another about IKE SAs, as octets. */
import assert from 'node:assert/strict';
import {
  decodeStateMessage,
  encodeStateMessage,
  partsOf,
  type StateMessage,
} from '../../../src/gateway/cluster/state-message.ts';
import { spi } from '../../../src/ipsec/spi.ts';
import { MalformedError, toHex } from '../../../src/wire/octets.ts';
import { plainSnapshot } from '../../support/snapshots.ts';

const ONE = plainSnapshot();
const BUNDLE = { snapshots: [ONE], gone: [{ spi: ONE.spiI, epoch: 3, order: 2 ** 40 }] };

const MESSAGES: readonly StateMessage[] = [
  { kind: 'put', sid: 0x8001, position: 2 ** 40, bundle: BUNDLE, yielded: false },
  { kind: 'put', sid: 0x8001, position: 1, bundle: BUNDLE, yielded: true },
  {
    kind: 'reserve',
    ...{ sid: 3, position: 12 },
    reservations: [{ spiIn: spi(0xfffffff0), epoch: 2 ** 45, upTo: { high: 1, low: 0xffffffff } }],
  },
  { kind: 'reserve', sid: 3, position: undefined, reservations: [] },
  { kind: 'edges', sid: 3, edges: Uint32Array.of(0xc0000001, 0, 77, 0xc0000002, 1, 0xffffffff) },
  { kind: 'ack', sid: 1, of: 0x8001, position: 7, refused: [] },
  { kind: 'ack', sid: 1, of: 0x8001, position: 7, refused: [5, 2 ** 33] },
  { kind: 'snapshot-request', sid: 1, whole: true },
  { kind: 'snapshot-request', sid: 1, whole: false },
  { kind: 'snapshot-chunk', sid: 1, age: 86_400_000, bundle: BUNDLE },
  { kind: 'snapshot-end', sid: 1, whole: true, position: 0, synced: false, owns: [] },
  {
    kind: 'snapshot-end',
    ...{ sid: 1, whole: false, position: 9, synced: true },
    owns: [{ segment: 4095, epoch: 2 ** 50 }],
  },
];

describe('Messages about IKE SAs', () => {
  for (const message of MESSAGES) {
    const title = Object.keys(message).filter((name) => Object(message)[name] === true);
    it(`${message.kind} ${title.join(' ')} come back as they were`, () => {
      const encoded = encodeStateMessage(message);
      const decoded = decodeStateMessage(encoded);
      assert.ok(decoded);
      assert.equal(decoded.kind, message.kind);
      assert.equal(toHex(encodeStateMessage(decoded).body), toHex(encoded.body));
      if (!('bundle' in message)) assert.deepEqual(decoded, message);
    });

    it(`${message.kind} ${title.join(' ')} cut anywhere or changed anywhere end nobody`, () => {
      const { type, body } = encodeStateMessage(message);
      let refused = 0;
      const read = (octets: Uint8Array) => {
        try {
          decodeStateMessage({ type, body: octets });
        } catch (error) {
          assert.ok(error instanceof MalformedError, String(error));
          refused++;
        }
      };
      for (let length = 0; length < body.length; length++) read(body.subarray(0, length));
      assert.ok(refused > 0);
      for (let at = 0; at < body.length; at++) {
        const changed = body.slice();
        changed[at] = (changed[at] ?? 0) ^ 0x81;
        read(changed);
      }
    });
  }

  it('leaves messages of others alone', () => {
    assert.equal(decodeStateMessage({ type: 2, body: new Uint8Array(0) }), undefined);
  });

  it('cuts what is too much for one message between IKE SAs', () => {
    const snapshots = Array.from({ length: 20 }, () => ONE);
    const parts = partsOf({ snapshots, gone: BUNDLE.gone });
    assert.equal(parts.flatMap((one) => one.snapshots).length, 20);
    assert.equal(parts.flatMap((one) => one.gone).length, 1);
    assert.ok(parts.every((one) => one.snapshots.length <= 8));
    assert.deepEqual(partsOf({ snapshots: [], gone: [] }), []);
  });
});
