/** The coordinator's messages on the wire: round trips, lengths, truncations, mutations. */
import assert from 'node:assert/strict';
import { MAX_OVERTAKING_OCTETS } from '../../src/cluster/bus/channel.ts';
import {
  decodeCoordinatorMessage,
  encodeCoordinatorMessage,
} from '../../src/cluster/coordinator-codec.ts';
import type {
  CoordinatorMessage,
  HeartbeatMessage,
} from '../../src/cluster/coordinator-message.ts';
import { MalformedError } from '../../src/wire/octets.ts';
import { seededNumbers } from '../support/seeded-random.ts';

const SENDER = { node: 64, sid: 65_535 };
const SEGMENTS = [
  { segment: 0, epoch: 1 },
  { segment: 255, epoch: Number.MAX_SAFE_INTEGER },
];

const HEARTBEAT: HeartbeatMessage = {
  kind: 'heartbeat',
  ...SENDER,
  counter: 2 ** 40,
  view: [1, 2, 63],
  claims: [
    { segment: 3, epoch: 7, owned: true, settled: false, after: undefined },
    { segment: 4, epoch: 5000, owned: false, settled: false, after: { epoch: 4999, sid: 3 } },
    { segment: 255, epoch: 5, owned: true, settled: true, after: undefined },
  ],
  advert: { demotion: 1050, advbase: 255, advskew: 254 },
  legs: { wan: true, lan: false, sync: true },
  load: 17,
  alone: false,
  contact: true,
  synced: false,
};

const MESSAGES: readonly CoordinatorMessage[] = [
  {
    kind: 'hello',
    ...SENDER,
    boot: 5,
    nonce: 0xffff_ffff,
    version: 1,
    oldestVersion: 1,
    capabilities: ['esn', 'snapshot'],
    configuration: [
      { name: 'segments', digest: '00ff', weight: 'protocol' },
      { name: 'esp-proposals', digest: '1234', weight: 'policy' },
      { name: 'comment', digest: '', weight: 'advice' },
    ],
    yourBoot: 4,
    yourNonce: 1,
  },
  HEARTBEAT,
  { ...HEARTBEAT, claims: [], view: [] },
  {
    kind: 'lease',
    ...SENDER,
    to: 77,
    counter: 9,
    refused: [{ segment: 3, epoch: 8, standing: { epoch: 9, sid: 4 }, isOwned: true }],
    precedence: [{ segment: 4, epoch: 8, previous: { epoch: 7, sid: 6 } }],
    applied: [{ sid: 5, position: 123_456 }],
  },
  { kind: 'bye', ...SENDER },
  { kind: 'segment-give', ...SENDER, batch: 1, segments: SEGMENTS },
  { kind: 'segment-take', ...SENDER, batch: 2, segments: SEGMENTS },
  { kind: 'segment-take', ...SENDER, batch: undefined, segments: [] },
  {
    kind: 'segment-freeze',
    ...SENDER,
    batch: 3,
    pinned: true,
    segments: SEGMENTS,
    state: Uint8Array.of(1, 2, 3),
  },
  { kind: 'segment-done', ...SENDER, batch: 4, segments: SEGMENTS },
];

describe('Messages of the coordinator', () => {
  for (const message of MESSAGES) {
    it(`come back as they went: ${message.kind}`, () => {
      const encoded = encodeCoordinatorMessage(message);
      assert.deepEqual(decodeCoordinatorMessage(encoded), message);
    });

    it(`cut short or changed are malformed or another message: ${message.kind}`, () => {
      const { type, body } = encodeCoordinatorMessage(message);
      const next = seededNumbers(body.length);
      for (let length = 0; length < body.length; length++) {
        survives({ type, body: body.subarray(0, length) });
        const changed = body.slice();
        changed[length] = Math.floor(next() * 256);
        survives({ type, body: changed });
      }
      assert.throws(
        () => decodeCoordinatorMessage({ type, body: body.subarray(0, 4) }),
        MalformedError,
      );
    });
  }

  it('fit into one datagram with 256 claims', () => {
    const claims = Array.from({ length: 256 }, (_, segment) => {
      return {
        segment,
        epoch: 2 ** 44 + 7 * segment,
        owned: true,
        settled: true,
        after: undefined,
      };
    });
    const { body } = encodeCoordinatorMessage({ ...HEARTBEAT, claims });
    assert.ok(body.length <= MAX_OVERTAKING_OCTETS, `${body.length} octets`);
  });

  it('of other rooms are left to them', () => {
    assert.equal(decodeCoordinatorMessage({ type: 5, body: new Uint8Array(0) }), undefined);
  });

  it('refuse a node and a segment that cannot be', () => {
    const encoded = encodeCoordinatorMessage({ kind: 'bye', node: 65, sid: 1 });
    assert.throws(() => decodeCoordinatorMessage(encoded), /node 65/);
    const segments = [{ segment: 4096, epoch: 1 }];
    const give = encodeCoordinatorMessage({ kind: 'segment-give', ...SENDER, batch: 1, segments });
    assert.throws(() => decodeCoordinatorMessage(give), /segment 4096 of at most 4096/);
  });
});

function survives(message: Parameters<typeof decodeCoordinatorMessage>[0]): void {
  try {
    decodeCoordinatorMessage(message);
  } catch (error) {
    assert.ok(error instanceof MalformedError, String(error));
  }
}
