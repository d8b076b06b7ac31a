import assert from 'node:assert/strict';
import { TAP_WORDS, TapPoint } from '../../src/esp/captured-lot.ts';
import { DropReason } from '../../src/events/drop-reason.ts';
import type { Event } from '../../src/events/event.ts';
import { PacketCapture } from '../../src/gateway/packet-capture.ts';
import { now } from '../../src/io/clock.ts';
import type { ChildSa } from '../../src/ipsec/child-sa.ts';
import type {
  CapturedPacketView,
  CaptureHandle,
  CaptureKeyView,
  CaptureSelection,
} from '../../src/vici/capture-view.ts';
import { formatAddress } from '../../src/wire/address.ts';
import { childSa } from '../support/child-sas.ts';
import { A, B, endpoint } from '../support/pair.ts';

const ALL: CaptureSelection = { dropsOnly: false, snapLength: 65_535, keys: false };

describe('A capture of packets', () => {
  let told: string[];
  let events: Event[];
  let packets: CapturedPacketView[];
  let keys: CaptureKeyView[];
  let sas: ChildSa[];
  let room: boolean;
  let capture: PacketCapture;

  beforeEach(() => {
    told = [];
    events = [];
    packets = [];
    keys = [];
    sas = [childSa(), childSa({ id: 8, name: 'other', connection: 'second' })];
    room = true;
    capture = new PacketCapture({
      host: () => ({
        capture: (settings) => told.push(JSON.stringify(settings)),
        captureAlso: (id) => told.push(`also ${id}`),
        endCapture: () => told.push('end'),
      }),
      childSas: () => sas,
      isPeer: (connection, address) => connection === 'peer' && formatAddress(address) === B,
      nattPort: () => 4500,
      emit: (event) => events.push(event),
    });
  });

  const sink = {
    packet: (view: CapturedPacketView) => room && packets.push(view) > 0,
    key: (view: CaptureKeyView) => void keys.push(view),
  };

  function started(more: Partial<CaptureSelection> = {}): CaptureHandle {
    const handle = capture.start({ ...ALL, ...more }, sink);
    assert.ok(typeof handle !== 'string', String(handle));
    return handle;
  }

  function lot(rows: readonly (readonly number[])[], missed = 0): void {
    const octets = new Uint8Array(rows.length * 4);
    const words = Int32Array.from(rows.flat());
    assert.equal(words.length, rows.length * TAP_WORDS);
    capture.hear({ kind: 'captured', at: now(), octets, rows: words, missed });
  }

  const ike = (direction: 'in' | 'out', port: number, remote = B) =>
    capture.ike(direction, {
      local: endpoint(A, port),
      remote: endpoint(remote, port),
      octets: new Uint8Array(30),
    });

  it('asks for the packets of the Child SAs that were named, and of those that come', () => {
    started({ child: 'net', snapLength: 100, dropsOnly: true });
    capture.installing(childSa({ id: 9 }));
    capture.installing(childSa({ id: 10, name: 'other' }));
    assert.deepEqual(told, ['{"snapLength":100,"dropsOnly":true,"childSas":[7]}', 'also 9']);
    assert.deepEqual(keys, []);
  });

  it('names the SA of each packet, also of one that is gone', () => {
    started();
    sas = [];
    const bad = DropReason['bad-icv'];
    lot([
      [TapPoint.RECEIVED, 4, 1400, 7, 0xb658_3d96 | 0, bad],
      [TapPoint.READ, 4, 4, -1, 0, -1],
      [TapPoint.SENT, 4, 4, -1, 0, -2],
      [TapPoint.ANSWERED, 4, 4, -1, 0, 0],
      [TapPoint.SENT, 4, 4, -1, 0, -3],
    ]);
    const [first, ...others] = packets.map(({ octets, time, ...rest }) => rest);
    assert.deepEqual(first, {
      ...{ side: 'outer', direction: 'in', length: 1400, drop: 'bad-icv', spi: 'b6583d96' },
      ...{ ike: 'peer', child: 'net', childSa: 7, spiIn: 'b6583d96', spiOut: '55c36b9d' },
    });
    assert.deepEqual(others, [
      { side: 'inner', direction: 'out', length: 4, note: 'held' },
      { side: 'outer', direction: 'out', length: 4, note: 'bypass' },
      { side: 'inner', direction: 'in', length: 4, note: 'answer' },
      { side: 'outer', direction: 'out', length: 4, note: 'dummy' },
    ]);
    const [off] = packets.map(({ time }) => time / 1000 - Date.now());
    assert.ok(Math.abs(off ?? Infinity) < 10_000, 'the time is that of the day');
  });

  it('counts what it gave, and what nobody had room for', async () => {
    const totals = started().stop();
    const packet = [TapPoint.READ, 4, 4, -1, 0, 0];
    lot([packet, packet], 5);
    room = false;
    lot([packet]);
    capture.hear({ kind: 'capture-ended', missed: 2 });
    assert.deepEqual(await totals, { packets: 2, missed: 8 });
    assert.deepEqual(told.slice(1), ['end']);
    lot([packet]);
    assert.equal(packets.length, 2, 'it is over');
    started();
  });

  it('is one at a time', () => {
    started();
    assert.match(String(capture.start(ALL, sink)), /another capture runs already/);
  });

  it('gives keys only where they are asked for, and says so loudly', () => {
    assert.deepEqual([...started().keys()], []);
    capture.hear({ kind: 'capture-ended', missed: 0 });
    assert.ok(events.every((event) => event.kind === 'daemon' && event.level === 'notice'));
    const given = [...started({ keys: true, ike: 'peer' }).keys()];
    assert.deepEqual(
      given.map(({ ike, child, childSa: id, line }) => [ike, child, id, line?.split(',')[3]]),
      [
        ['peer', 'net', 7, '"0xb6583d96"'],
        ['peer', 'net', 7, '"0x55c36b9d"'],
      ],
    );
    assert.ok(events.some((event) => event.kind === 'daemon' && event.level === 'error'));
    capture.installing(childSa({ id: 9 }));
    capture.installing(childSa({ id: 10, connection: 'second' }));
    assert.deepEqual(
      keys.map((key) => key.childSa),
      [9, 9],
    );
  });

  it('has IKE messages with the marker of their port, where not only ESP is wanted', () => {
    ike('in', 500);
    started({ ike: 'peer' });
    ike('in', 500);
    ike('out', 4500);
    ike('in', 500, '203.0.113.9');
    assert.deepEqual(
      packets.map(({ direction, length, note }) => [direction, length, note]),
      [
        ['in', 20 + 8 + 30, 'ike'],
        ['out', 20 + 8 + 4 + 30, 'ike'],
      ],
    );
    for (const more of [{ dropsOnly: true }, { child: 'net' }, { spi: 1 }]) {
      capture.hear({ kind: 'capture-ended', missed: 0 });
      started(more);
      ike('in', 500);
    }
    assert.equal(packets.length, 2);
  });
});
