import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import fc from 'fast-check';
import { NotConnectedError, UnknownNameError, ViciClient } from '../../src/vici/client.ts';
import type { ControlOutcome } from '../../src/vici/control.ts';
import { type ViciSection, viciSection, viciText } from '../../src/vici/message.ts';
import { encodeSegment, MAX_SEGMENT_OCTETS } from '../../src/vici/packet.ts';
import { MAX_CLIENTS, ViciServer } from '../../src/vici/server.ts';
import { MAX_REQUESTS_AHEAD } from '../../src/vici/session.ts';
import { done, FakeControl } from '../support/fake-control.ts';
import { ikeSaView, recordedCommand } from '../support/recorded-views.ts';
import { sampleEvents } from '../support/sample-events.ts';
import { TestServer, until } from '../support/vici-server.ts';

const peer = ikeSaView(recordedCommand('list-sas', 'initiator').events[0]?.message ?? {});

describe('The vici server', () => {
  let test: TestServer;

  beforeEach(async () => {
    test = await TestServer.start({ stallMilliseconds: 600 });
    test.control.views = [
      {
        name: 'peer',
        localAddrs: ['192.0.2.1'],
        remoteAddrs: ['192.0.2.2'],
        version: 'IKEv2',
        reauthSeconds: 0,
        rekeySeconds: 14_400,
        unique: 'UNIQUE_NO',
        dpdDelaySeconds: 0,
        local: { class: 'pre-shared key' },
        remote: { class: 'pre-shared key' },
        children: [
          {
            name: 'net',
            mode: 'TUNNEL',
            rekeySeconds: 3600,
            rekeyOctets: 0,
            rekeyPackets: 0,
            dpdAction: 'none',
            closeAction: 'none',
            localTs: ['dynamic'],
            remoteTs: ['dynamic'],
          },
        ],
      },
    ];
  });

  afterEach(() => test.stop());

  it('answers commands in their order', async () => {
    const client = await test.client();
    const answers = await Promise.all([
      client.request('version'),
      client.request('get-conns'),
      client.request('reload-settings'),
    ]);
    assert.deepEqual(
      answers.map((one) => [...one.keys()][0]),
      ['daemon', 'conns', 'success'],
    );
  });

  it('refuses commands and events nobody has, and goes on', async () => {
    const client = await test.client();
    await assert.rejects(client.request('nonsense'), UnknownNameError);
    await assert.rejects(
      client.listen('nonsense', () => {}),
      UnknownNameError,
    );
    assert.equal(viciText(await client.request('version'), 'daemon'), 'tsgw');
  });

  it('streams a listing only to who registered for its rows', async () => {
    test.control.sas = [peer, { ...peer, uniqueId: 2 }];
    const client = await test.client();
    assert.equal((await client.list('list-sas', 'list-sa')).length, 2);
    const other = await test.client();
    assert.deepEqual(await other.request('list-sas'), new Map());
    assert.equal((await client.list('list-sas', 'list-sa')).length, 2);
  });

  it('streams a listing of any length at the pace of the client', async () => {
    test.control.sas = Array.from({ length: 5000 }, (_, uniqueId) => ({ ...peer, uniqueId }));
    const client = await test.client();
    assert.equal((await client.list('list-sas', 'list-sa')).length, 5000);
  });

  it('cuts off who does not read an answer', async () => {
    test.control.sas = Array.from({ length: 5000 }, (_, uniqueId) => ({ ...peer, uniqueId }));
    const socket = await test.socket();
    socket.pause();
    socket.write(encodeSegment({ kind: 'register', name: 'list-sa' }));
    socket.write(encodeSegment({ kind: 'request', name: 'list-sas', message: viciSection([]) }));
    await until('the session', () => test.server.clients === 1);
    await until('its end', () => test.server.clients === 0);
  });

  it('cuts off who does not read events, and nobody else', async () => {
    const reader = await test.client();
    let heard = 0;
    await reader.listen('log', () => heard++);
    const sleeper = await test.socket();
    sleeper.pause();
    sleeper.write(encodeSegment({ kind: 'register', name: 'log' }));
    await until('both', () => test.server.clients === 2);
    await reader.request('version');
    const long = 'x'.repeat(60_000);
    let sent = 0;
    while (test.server.clients === 2 && sent < 200) {
      test.control.emit({ kind: 'daemon', level: 'notice', what: long });
      sent++;
      await until('the reader', () => heard === sent);
    }
    assert.equal(test.server.clients, 1);
    assert(sent < 100, `${sent} events of 60,000 octets were held`);
  });

  it('control-log goes to the client that initiates, as long as it does', async () => {
    let finish: (outcome: ControlOutcome) => void = () => {};
    test.control.onInitiate = () =>
      new Promise((resolve) => {
        finish = resolve;
        test.control.emit(sampleEvents.message, { ...sampleEvents.message, connection: 'other' });
      });
    const [asking, other] = [await test.client(), await test.client()];
    const lines: ViciSection[] = [];
    const elsewhere: ViciSection[] = [];
    await asking.listen('control-log', (line) => lines.push(line));
    await other.listen('control-log', (line) => elsewhere.push(line));
    const answer = asking.request('initiate', viciSection([['child', 'net']]));
    await until('the lines', () => lines.length === 3);
    test.control.emit(sampleEvents.ikeSaUp);
    finish(done(1, 0));
    assert.deepEqual([...(await answer).keys()], ['success']);
    assert.equal(lines.length, 6);
    test.control.emit(sampleEvents.childSaUp);
    await asking.request('version');
    await other.request('version');
    assert.equal(lines.length, 6);
    assert.deepEqual(elsewhere, []);
  });

  it('a client waits as long as it says; what it started goes on', async () => {
    let finished = false;
    test.control.onInitiate = () =>
      new Promise((resolve) => {
        setTimeout(() => {
          finished = true;
          resolve(done(1, 0));
        }, 100);
      });
    const client = await test.client();
    const request = viciSection([
      ['child', 'net'],
      ['timeout', 10],
    ]);
    const answer = await client.request('initiate', request);
    assert.equal(viciText(answer, 'errmsg'), "CHILD_SA 'net' not established after 10ms");
    assert.equal(finished, false);
    await until('the end', () => finished);
    assert.equal(test.control.subscribers, 1);
  });

  it('answers at once who does not want to wait', async () => {
    test.control.onInitiate = () => new Promise(() => {});
    const client = await test.client();
    const request = viciSection([
      ['child', 'net'],
      ['timeout', -1],
    ]);
    assert.equal(viciText(await client.request('initiate', request), 'success'), 'yes');
  });

  it('a fault of ours becomes a vici error and is reported', async () => {
    test.control.ikeSas = () => {
      throw new Error('impossible');
    };
    test.control.onInitiate = () => Promise.reject(new Error('unlikely'));
    const client = await test.client();
    const listing = await client.request('list-sas');
    assert.equal(viciText(listing, 'errmsg'), 'list-sas: internal error: impossible');
    const answer = await client.request('initiate', viciSection([['child', 'net']]));
    assert.equal(viciText(answer, 'errmsg'), 'initiate: internal error: unlikely');
    await client.listen('ike-updown', () => {});
    test.control.emit(sampleEvents.ikeSaUp);
    assert.equal(test.faults.length, 3);
  });

  it('an answer too long for a packet is an error, not a broken stream', async () => {
    const [view] = test.control.views;
    assert(view);
    test.control.views = Array.from({ length: 20 }, () => ({ ...view, name: 'n'.repeat(60_000) }));
    const client = await test.client();
    assert.match(viciText(await client.request('get-conns'), 'errmsg') ?? '', /octets/);
    assert.equal(viciText(await client.request('version'), 'daemon'), 'tsgw');
  });

  it('updown events go to who watches, and the SAs are remembered only meanwhile', async () => {
    test.control.sas = [peer];
    const client = await test.client();
    const heard: string[] = [];
    const stop = await client.listen('ike-updown', (one) => heard.push([...one.keys()].join(' ')));
    test.control.emit(sampleEvents.ikeSaUp);
    test.control.sas = [];
    test.control.emit(sampleEvents.ikeSaDown, sampleEvents.childSaUp);
    await client.request('version');
    await stop();
    test.control.emit(sampleEvents.ikeSaUp);
    await client.request('version');
    assert.deepEqual(heard, ['up peer', 'peer']);
  });

  it('tsgw-event carries each event', async () => {
    const client = await test.client();
    const kinds: string[] = [];
    await client.listen('tsgw-event', (one) => kinds.push(viciText(one, 'kind') ?? ''));
    test.control.emit(...Object.values(sampleEvents));
    await client.request('version');
    assert.deepEqual(
      kinds,
      Object.values(sampleEvents).map(({ kind }) => kind),
    );
  });

  it('is for the owner and its group', async () => {
    assert.equal((await stat(test.path)).mode & 0o777, 0o660);
  });

  it('turns clients away beyond the limit', async () => {
    for (let count = 0; count < MAX_CLIENTS; count++) await test.socket();
    await until('all', () => test.server.clients === MAX_CLIENTS);
    const client = await test.client();
    await assert.rejects(client.request('version'), NotConnectedError);
  });

  it('closes its clients when it closes', async () => {
    const client = await test.client();
    const waiting = client.listen('log', () => {});
    await waiting;
    await test.server.close();
    await client.closed;
    await assert.rejects(client.request('version'), NotConnectedError);
    await assert.rejects(ViciClient.connect(test.uri), NotConnectedError);
    assert.equal(test.control.subscribers, 0);
  });
});

describe('The socket of the vici server', () => {
  let test: TestServer;

  beforeEach(async () => {
    test = await TestServer.start();
  });
  afterEach(() => test.stop());

  it('is not taken from a daemon that answers', async () => {
    const second = new ViciServer({ control: new FakeControl() });
    await assert.rejects(second.listen(test.uri), /another daemon answers/);
    assert.equal(viciText(await (await test.client()).request('version'), 'daemon'), 'tsgw');
  });

  it('of a killed process is replaced', async () => {
    const path = `${test.directory}/killed.vici`;
    const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    assert((await stat(path)).isSocket());
    const server = new ViciServer({ control: new FakeControl() });
    await server.listen(`unix://${path}`);
    const client = await ViciClient.connect(`unix://${path}`);
    assert.equal(viciText(await client.request('version'), 'daemon'), 'tsgw');
    client.close();
    await server.close();
  });

  it('is not put in the place of another file', async () => {
    const path = `${test.directory}/file`;
    await writeFile(path, 'kept');
    const server = new ViciServer({ control: new FakeControl() });
    await assert.rejects(server.listen(`unix://${path}`), /is no socket/);
    assert.equal((await stat(path)).size, 4);
  });

  it('may be a TCP port', async () => {
    const port = await test.server.listen('tcp://127.0.0.1:0');
    const client = await ViciClient.connect(`tcp://127.0.0.1:${port}`);
    assert.equal(viciText(await client.request('version'), 'daemon'), 'tsgw');
    client.close();
  });

  it('an address that is none is refused', async () => {
    await assert.rejects(test.server.listen('/run/tsgw.vici'), /write unix:/);
    await assert.rejects(ViciClient.connect('/run/tsgw.vici'), /write unix:/);
  });
});

describe('Hostile octets on the vici socket', () => {
  let test: TestServer;

  before(async () => {
    test = await TestServer.start();
  });
  after(() => test.stop());

  /** Sends octets and answers what came back before the server closed. */
  async function sent(octets: Uint8Array): Promise<number> {
    const socket = connect(test.path);
    let received = 0;
    socket.on('data', (data) => {
      received += data.length;
    });
    socket.on('error', () => {});
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.end(octets);
    await closed;
    return received;
  }

  const closing: readonly (readonly [string, readonly number[]])[] = [
    ['a segment of no octets', [0, 0, 0, 0]],
    ['a segment larger than allowed', [0, 8, 0, 1]],
    ['a segment of 4 GiB', [255, 255, 255, 255]],
    ['an unknown packet type', [0, 0, 0, 1, 9]],
    ['a name longer than the packet', [0, 0, 0, 3, 0, 9, 65]],
    ['a message that ends in its middle', [0, 0, 0, 5, 0, 1, 65, 3, 4]],
    ['a section that is not open', [0, 0, 0, 4, 0, 1, 65, 2]],
    ['a packet only a server sends', [0, 0, 0, 1, 5]],
  ];
  for (const [what, octets] of closing) {
    it(`${what} closes the connection`, async () => {
      const socket = await test.socket();
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.write(Uint8Array.from(octets));
      await closed;
    });
  }

  it('requests sent far ahead close the connection', async () => {
    const socket = await test.socket();
    test.control.onTerminate = () => new Promise(() => {});
    test.control.sas = [peer];
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const request = viciSection([['ike', 'peer']]);
    const waits = encodeSegment({ kind: 'request', name: 'terminate', message: request });
    for (let count = 0; count < MAX_REQUESTS_AHEAD + 2; count++) socket.write(waits);
    await closed;
  });

  it('a segment announced and never sent costs nobody else anything', async () => {
    const socket = await test.socket();
    socket.write(Uint8Array.of(0, 7, 255, 255, 0));
    assert.equal(MAX_SEGMENT_OCTETS, 0x8_0000);
    const client = await test.client();
    assert.equal(viciText(await client.request('version'), 'daemon'), 'tsgw');
  });

  it('random octets are closed or answered, and the server lives', async () => {
    const header = (octets: Uint8Array): Uint8Array =>
      Uint8Array.from([0, 0, octets.length >> 8, octets.length & 0xff, ...octets]);
    const start = fc.constantFrom(
      [0, 7, ...Buffer.from('version')],
      [0, 9, ...Buffer.from('load-conn')],
      [3, 3, ...Buffer.from('log')],
      [],
    );
    await fc.assert(
      fc.asyncProperty(start, fc.uint8Array({ maxLength: 60 }), async (name, rest) => {
        await sent(header(Uint8Array.from([...name, ...rest, 0].slice(0, -1))));
      }),
      { numRuns: 100 },
    );
    assert.deepEqual(test.faults, []);
    const client = await test.client();
    assert.equal(viciText(await client.request('version'), 'daemon'), 'tsgw');
  });
});
