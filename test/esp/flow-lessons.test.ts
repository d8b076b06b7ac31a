import assert from 'node:assert/strict';
import {
  type Batch,
  createBatch,
  HEADROOM,
  VNET_HEADER_OCTETS,
  WORDS,
  Word,
} from '../../src/esp/batch.ts';
import { FlowLessons } from '../../src/esp/flow-lessons.ts';
import { instant } from '../../src/wire/instant.ts';
import { icmpPacket, tcpPacket, udpPacket } from '../support/inner-packets.ts';

const NOW = instant(1000);

function readsOf(...packets: readonly Uint8Array[]): Batch {
  const batch = createBatch(packets.length, 2048);
  for (const [row, packet] of packets.entries()) {
    batch.arena.set(packet, batch.words[row * WORDS + Word.OFFSET] ?? 0);
    batch.words[row * WORDS + Word.LENGTH] = packet.length;
  }
  return batch;
}

/** The lessons, without the header of the device. */
function taught(lessons: FlowLessons): readonly Uint8Array[] {
  const { arena, words } = lessons.batch;
  return Array.from({ length: lessons.count }, (_, row) => {
    const offset = words[row * WORDS + Word.OFFSET] ?? 0;
    return arena.slice(offset, offset + (words[row * WORDS + Word.LENGTH] ?? 0));
  });
}

describe('Lessons for the queues of the TUN device', () => {
  const four = udpPacket('10.1.0.10', '10.2.0.10', 100);
  const six = udpPacket('2001:db8:1::a', '2001:db8:2::a', 100);

  it('are the heads of packets, cut behind the ports, without an offload', () => {
    const lessons = new FlowLessons();
    lessons.batch.arena.fill(0xff);
    lessons.learn(readsOf(four, six), 2, NOW);
    assert.deepEqual(taught(lessons), [four.subarray(0, 28), six.subarray(0, 48)]);
    const header = lessons.batch.arena.subarray(HEADROOM - VNET_HEADER_OCTETS, HEADROOM);
    assert.deepEqual(header, new Uint8Array(VNET_HEADER_OCTETS));
  });

  it('are given once a while for each flow', () => {
    const lessons = new FlowLessons();
    const other = tcpPacket('10.1.0.10', '10.2.0.10', 0x10);
    lessons.learn(readsOf(four, four, other), 3, NOW);
    assert.equal(lessons.count, 2);
    lessons.clear();
    lessons.learn(readsOf(four), 1, instant(NOW + 199));
    assert.equal(lessons.count, 0);
    lessons.learn(readsOf(four), 1, instant(NOW + 200));
    assert.equal(lessons.count, 1);
  });

  it('are not given of what has no ports, or nothing that could be missing', () => {
    const empty = udpPacket('10.1.0.10', '10.2.0.10', 0);
    const fragment = Uint8Array.from(four);
    fragment[7] = 1;
    const first = Uint8Array.from(four);
    first[6] = 0x20;
    const none = [
      empty,
      fragment,
      first,
      icmpPacket('10.1.0.10', '10.2.0.10', 8),
      new Uint8Array(19),
    ];
    const lessons = new FlowLessons();
    lessons.learn(readsOf(...none), none.length, NOW);
    assert.deepEqual(taught(lessons), []);
  });

  it('are few at a time', () => {
    const flows = Array.from({ length: 30 }, (_, host) =>
      udpPacket('10.1.0.10', `10.2.0.${host}`, 10),
    );
    const lessons = new FlowLessons();
    lessons.learn(readsOf(...flows), flows.length, NOW);
    assert.equal(lessons.count, 8);
  });
});
