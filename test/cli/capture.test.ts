import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCli } from '../../src/cli/cli.ts';
import type { CapturedPacketView, CaptureSink } from '../../src/vici/capture-view.ts';
import { TestTerminal } from '../support/terminal.ts';
import { TestServer, until } from '../support/vici-server.ts';

const PACKET: CapturedPacketView = {
  time: 1_795_000_000_123_456,
  side: 'inner',
  direction: 'out',
  octets: Uint8Array.of(0x45, 1, 2, 3),
  length: 4,
  ike: 'peer',
  child: 'net',
  childSa: 3,
  spiIn: 'c0000001',
  spiOut: 'c0000002',
};
const LINE = '"IPv4","192.0.2.1","192.0.2.2","0xc0000002","NULL","","NULL",""';

describe('tsgw capture', () => {
  let test: TestServer;
  let terminal: TestTerminal;
  let file: string;
  let sink: CaptureSink | undefined;
  let missed: number;

  beforeEach(async () => {
    test = await TestServer.start();
    terminal = new TestTerminal({ TSGW_URI: test.uri });
    file = join(test.directory, 'x.pcapng');
    sink = undefined;
    missed = 0;
    test.control.onCapture = (given) => {
      sink = given;
      return {
        keys: () => [
          { ike: 'peer', child: 'net', childSa: 3, line: LINE },
          { ike: 'peer', child: 'chacha', childSa: 4 },
          { ike: 'peer', child: 'chacha', childSa: 5 },
        ],
        stop: () => Promise.resolve({ packets: 1, missed }),
      };
    };
  });
  afterEach(() => test.stop());

  function tsgw(...argv: readonly string[]): Promise<number> {
    return runCli(['capture', ...argv], terminal);
  }

  const captured = () => readFileSync(file).toString('latin1');

  it('ends after so many packets, and says how many were missed', async () => {
    missed = 5;
    const ended = tsgw('-w', file, '--count', '2', '--drops', '--ike', 'peer', '--spi', 'c0000001');
    await until('the capture to begin', () => sink !== undefined);
    for (let packet = 0; packet < 3; packet++) sink?.packet({ ...PACKET, drop: 'bad-icv' });
    assert.equal(await ended, 0);
    assert.equal(
      terminal.stderr,
      `capturing to ${file} until 2 packets are there, Ctrl-C\n2 packets captured, 5 missed\n`,
    );
    const said =
      'connection=peer child=net child-sa=3 spi-in=c0000001 spi-out=c0000002 drop=bad-icv';
    assert.equal(captured().split(said).length - 1, 2);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(test.control.calls, [
      'capture {"ike":"peer","spi":3221225473,"dropsOnly":true,"snapLength":65535,"keys":false}',
    ]);
  });

  it('ends when it is interrupted, and when the daemon goes', async () => {
    const ended = tsgw('--write', file);
    await until('it to say so', () => terminal.stderr.includes('until Ctrl-C'));
    terminal.interrupt();
    assert.equal(await ended, 0);
    const other = tsgw('-w', file);
    await until('it to say so', () => terminal.stderr.split('capturing').length === 3);
    await test.server.close();
    assert.equal(await other, 1);
    assert.match(terminal.stderr, /closed the connection\n0 packets captured\n$/);
  });

  it('writes keys beside the file for their owner, and says what that means', async () => {
    const ended = tsgw('-w', file, '--keys');
    await until('it to say so', () => terminal.stderr.includes('capturing'));
    sink?.key({ ike: 'peer', child: 'net', childSa: 6, line: LINE.replace('2"', '6"') });
    terminal.interrupt();
    assert.equal(await ended, 0);
    const keys = join(`${file}.keys`, 'esp_sa');
    assert.equal(readFileSync(keys, 'utf8'), `${LINE}\n${LINE.replace('2"', '6"')}\n`);
    assert.equal(statSync(keys).mode & 0o777, 0o600);
    assert.equal(statSync(`${file}.keys`).mode & 0o777, 0o700);
    assert.match(readFileSync(join(`${file}.keys`, 'preferences'), 'utf8'), /decode: TRUE/);
    assert.match(terminal.stderr, /whoever reads .*\.keys reads all traffic/);
    assert.equal(terminal.stderr.split('no keys of peer/chacha').length, 2, 'said once');
    assert.match(terminal.stderr, /WIRESHARK_CONFIG_DIR=.*x\.pcapng\.keys wireshark .*x\.pcapng/);
  });

  it('leaves nothing behind when the daemon refuses', async () => {
    test.control.onCapture = () => 'another capture runs already';
    assert.equal(await tsgw('-w', file, '--keys'), 1);
    assert.match(terminal.stderr, /another capture runs already/);
    assert.ok(!existsSync(file) && !existsSync(join(`${file}.keys`, 'esp_sa')));
  });

  it('empties a file that was there', async () => {
    writeFileSync(file, 'x'.repeat(5000), { mode: 0o644 });
    const ended = tsgw('-w', file);
    await until('it to say so', () => terminal.stderr.includes('capturing'));
    terminal.interrupt();
    assert.equal(await ended, 0);
    assert.ok(captured().length < 500);
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  it('says what is wrong with the call', async () => {
    for (const [argv, says] of [
      [[], /needs -w FILE/],
      [['-w'], /--write needs a FILE/],
      [['-w', '-', '--keys'], /--keys needs -w FILE/],
      [['-w', file, '--count', '0'], /--count needs a number from 1/],
      [['-w', file, '--seconds', 'x'], /--seconds needs a number/],
      [['-w', file, '--snaplen', '-5'], /--snaplen needs a/],
    ] as const) {
      terminal.stderr = '';
      assert.equal(await tsgw(...argv), 2, argv.join(' '));
      assert.match(terminal.stderr, says);
    }
    assert.equal(await tsgw('-w', join(test.directory, 'no', 'x')), 1);
    assert.match(terminal.stderr, /ENOENT/);
    assert.deepEqual(test.control.calls, []);
  });
});
