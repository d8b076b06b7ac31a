import assert from 'node:assert/strict';
import { captureSelection } from '../../src/vici/capture.ts';
import type { CapturedPacketView, CaptureSink } from '../../src/vici/capture-view.ts';
import { ViciClient } from '../../src/vici/client.ts';
import { type ViciSection, viciOctets, viciSection, viciText } from '../../src/vici/message.ts';
import { TestServer, until } from '../support/vici-server.ts';

const PACKET: CapturedPacketView = {
  time: 1_795_000_000_123_456,
  side: 'outer',
  direction: 'in',
  octets: Uint8Array.of(0x45, 0, 0xff),
  length: 1400,
  spi: 'c0000001',
  drop: 'bad-icv',
};

describe('A capture over vici', () => {
  let test: TestServer;
  let client: ViciClient;
  let sink: CaptureSink | undefined;
  let stopped: number;

  beforeEach(async () => {
    test = await TestServer.start();
    client = await test.client();
    stopped = 0;
    sink = undefined;
    test.control.onCapture = (given) => {
      sink = given;
      return {
        keys: () => [{ ike: 'peer', child: 'net', childSa: 1, line: '"IPv4"' }],
        stop: () => {
          stopped++;
          return Promise.resolve({ packets: 1, missed: 7 });
        },
      };
    };
  });
  afterEach(() => test.stop());

  const start = (on: ViciClient, more: Parameters<typeof viciSection>[0] = []) =>
    on.request('tsgw-capture-start', viciSection(more));

  it('gives keys, packets and at the end how many there were', async () => {
    const packets: ViciSection[] = [];
    const keys: ViciSection[] = [];
    await client.listen('tsgw-captured', (packet) => packets.push(packet));
    await client.listen('tsgw-capture-key', (key) => keys.push(key));
    assert.equal(viciText(await start(client, [['keys', true]]), 'success'), 'yes');
    assert.equal(sink?.packet(PACKET), true);
    sink?.key({ ike: 'peer', child: 'net', childSa: 2 });
    const totals = await client.request('tsgw-capture-stop');
    assert.deepEqual([viciText(totals, 'packets'), viciText(totals, 'missed')], ['1', '7']);
    const [packet] = packets;
    assert.ok(packet && packets.length === 1);
    const shown = ['time', 'side', 'direction', 'length', 'spi', 'drop', 'note', 'child-sa'];
    assert.deepEqual(
      shown.map((name) => viciText(packet, name)),
      ['1795000000123456', 'outer', 'in', '1400', 'c0000001', 'bad-icv', undefined, undefined],
    );
    assert.deepEqual([...(viciOctets(packet, 'octets') ?? [])], [0x45, 0, 0xff]);
    assert.deepEqual(
      keys.map((key) => [viciText(key, 'child-sa'), viciText(key, 'line')]),
      [
        ['1', '"IPv4"'],
        ['2', undefined],
      ],
    );
  });

  it('loses packets rather than the client that reads too slowly', async () => {
    const socket = await test.socket();
    socket.pause();
    const register = [0, 0, 0, 15, 3, 13, ...new TextEncoder().encode('tsgw-captured')];
    const name = new TextEncoder().encode('tsgw-capture-start');
    socket.write(Uint8Array.from([...register, 0, 0, 0, 2 + name.length, 0, name.length, ...name]));
    await until('the capture to begin', () => sink !== undefined);
    const large = { ...PACKET, octets: new Uint8Array(60_000) };
    let taken = 0;
    while (sink?.packet(large) === true) assert.ok(++taken < 100, 'what waits is bounded');
    assert.ok(taken > 1, `${taken}`);
    assert.equal(test.server.clients, 2, 'the client stays');
    assert.equal(stopped, 0);
  });

  it('ends with its client', async () => {
    await start(client);
    client.close();
    await until('the capture to end', () => stopped === 1);
  });

  it('is one a client, and stops only where it runs', async () => {
    assert.match(viciText(await client.request('tsgw-capture-stop'), 'errmsg') ?? '', /does not/);
    await start(client);
    assert.match(viciText(await start(client), 'errmsg') ?? '', /captures already/);
    test.control.onCapture = () => 'another capture runs already';
    const other = await test.client();
    assert.match(viciText(await start(other), 'errmsg') ?? '', /another/);
  });

  it('gives no keys over TCP, where anybody may listen', async () => {
    const port = await test.server.listen('tcp://127.0.0.1:0');
    const remote = await ViciClient.connect(`tcp://127.0.0.1:${port}`);
    try {
      const answer = await start(remote, [['keys', true]]);
      assert.match(viciText(answer, 'errmsg') ?? '', /unix socket only/);
      assert.equal(viciText(await start(remote), 'success'), 'yes');
    } finally {
      remote.close();
    }
  });

  it('takes an SPI as it is listed, and a sensible length', () => {
    const of = (name: string, value: string) => captureSelection(viciSection([[name, value]]));
    assert.deepEqual(captureSelection(viciSection([])), {
      dropsOnly: false,
      snapLength: 65_535,
      keys: false,
    });
    for (const text of ['c00000ab', '0xc00000ab', 'C00000AB']) {
      const selection = of('spi', text);
      assert.ok(typeof selection !== 'string');
      assert.equal(selection.spi, 0xc000_00ab);
    }
    for (const text of ['', 'peer', '0x1_', '123456789']) {
      assert.match(String(of('spi', text)), /is no SPI: write eight hex digits/, text);
    }
    for (const text of ['0', '19', '65536', '-1', '9999999', 'all']) {
      assert.match(String(of('snaplen', text)), /is none of 20 to 65535/, text);
    }
  });
});
