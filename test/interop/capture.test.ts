/**
 * `tsgw capture` as tshark reads it, with strongSwan at the other end: both interfaces, what became of
 * each packet, and with the keys beside the file what is in the ESP packets.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Capture, dissect } from '../../lab/capture.ts';
import { end, launch, run, until } from '../../lab/command.ts';
import { readLog } from '../../lab/gateway.ts';
import type { PairSettings } from '../../lab/swanctl-conf.ts';
import { ping } from '../../lab/traffic.ts';
import { tsgw } from '../../lab/tsgw-process.ts';
import { impatient, type Lab, onlyTsgw, useLab } from '../support/lab.ts';

/** A `tsgw capture` that runs. */
class Running {
  readonly file: string;
  readonly #log: string;
  readonly #process: ChildProcess;

  private constructor(file: string, log: string, process: ChildProcess) {
    this.file = file;
    this.#log = log;
    this.#process = process;
  }

  static async start(lab: Lab, name: string, options: readonly string[] = []): Promise<Running> {
    const file = join(lab.topology.network.directory, `${name}.pcapng`);
    const log = `${file}.log`;
    const argv = [tsgw, 'capture', '-w', file, ...options, '--uri', lab.tsgw.swanctl.uri];
    const running = new Running(file, log, launch(argv, { logFile: log }));
    await until('the capture to begin', () => readLog(log).includes('capturing to') || undefined);
    return running;
  }

  /** Ends it, or waits until it ended by itself; answers what it said. */
  async stop(): Promise<string> {
    if (this.#process.exitCode === null) await end(this.#process, 'SIGINT');
    return readLog(this.#log);
  }

  async ended(): Promise<string> {
    await until('the capture to end', () => this.#process.exitCode !== null || undefined);
    assert.equal(this.#process.exitCode, 0, readLog(this.#log));
    return readLog(this.#log);
  }

  /** One packet a line: what tshark makes of these fields, with the keys where there are any. */
  async read(...fields: readonly string[]): Promise<readonly (readonly string[])[]> {
    const { stdout, stderr } = await run(
      [
        ...['tshark', '-n', '-r', this.file, '-T', 'fields', '-E', 'occurrence=a'],
        ...fields.flatMap((field) => ['-e', field]),
      ],
      { env: { WIRESHARK_CONFIG_DIR: `${this.file}.keys`, HOME: join(this.file, '..') } },
    );
    assert.doesNotMatch(stderr, /damaged|corrupt|malformed|cut short/i);
    assert.doesNotMatch(stdout, /malformed/i);
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t'));
  }
}

const WHERE = ['frame.interface_name', 'frame.comment'] as const;

describe('A capture by tsgw beside strongSwan (tshark)', () => {
  onlyTsgw();
  const lab = useLab();
  afterEach(() => lab.clear());

  for (const [name, pair] of [
    ['AES-GCM', { espProposals: 'aes128gcm16' }],
    ['AES-CBC, IPv6', { espProposals: 'aes256-sha256', outer: 'ipv6', inner: 'ipv6' }],
  ] as const satisfies readonly (readonly [string, PairSettings])[]) {
    it(`has every packet twice, inside and outside, and opens with its keys: ${name}`, () =>
      opens(pair));
  }

  async function opens(pair: PairSettings): Promise<void> {
    const family = pair.inner ?? 'ipv4';
    // An SA that is up before the capture begins, and one that comes while it runs.
    await lab.up('initiator', pair);
    const running = await Running.start(lab, `pings-${family}`, [
      ...['--keys', '--count', '24', '--child', 'net'],
    ]);
    await ping(lab.topology, { family, count: 3 });
    await lab.clear();
    await lab.initiate('initiator');
    await ping(lab.topology, { family, count: 3 });
    assert.match(await running.ended(), /^24 packets captured$/m);
    const { subjectChild } = await lab.tunnel();

    const ip = family === 'ipv4' ? 'ip' : 'ipv6';
    const packets = await running.read(
      ...WHERE,
      `${ip}.dst`,
      'esp.icv_good',
      'icmp.type',
      'icmpv6.type',
    );
    const outer = packets.filter(([side]) => side === 'outer');
    assert.equal(outer.length, 12);
    assert.deepEqual([...new Set(packets.map(([side]) => side))].sort(), ['inner', 'outer']);
    const [request, reply] = family === 'ipv4' ? ['8', '0'] : ['128', '129'];
    for (const [side, , , icv, ...types] of packets) {
      assert.ok(types.includes(request) || types.includes(reply), `${side}: ${types}`);
      if (side === 'outer') assert.equal(icv, '1', 'the ICV is good');
    }
    // The addresses of both headers, outside first.
    const to = family === 'ipv4' ? '10.2.0.10' : '2001:db8:2::10';
    const requests = packets.filter(([, , , , ...types]) => types.includes(request));
    assert.deepEqual(
      requests.map(([side, , addresses]) => [side, addresses]),
      Array.from({ length: 6 }, () => [
        ['inner', to],
        ['outer', `${lab.address(lab.peer, pair.outer ?? 'ipv4')},${to}`],
      ]).flat(),
    );
    const last = packets.at(-1)?.[1] ?? '';
    assert.equal(
      last.replace(/child-sa=\d+/, 'child-sa=N'),
      `connection=peer child=net child-sa=N spi-in=${subjectChild.raw['spi-in']} spi-out=${subjectChild.raw['spi-out']}`,
    );
    const { stdout } = await run(['capinfos', '-M', running.file]);
    assert.match(stdout, /^Number of packets: +24$/m);
    assert.match(stdout, /^Number of interfaces in file: 2$/m);
    assert.equal(stdout.match(/Encapsulation = Raw IP/g)?.length, 2, stdout);
    for (const file of [running.file, `${running.file}.keys/esp_sa`]) {
      assert.equal(statSync(file).mode & 0o777, 0o600, file);
    }
  }

  for (const outer of ['ipv4', 'ipv6'] as const) {
    it(`has the IKE messages that are on the wire, ${outer}`, async () => {
      const wire = await Capture.start(lab.topology.network, lab.subjectNode);
      const running = await Running.start(lab, `ike-${outer}`);
      await lab.up('initiator', { outer });
      await lab.clear();
      await running.stop();
      const addresses = outer === 'ipv4' ? ['ip.src', 'ip.dst'] : ['ipv6.src', 'ipv6.dst'];
      const message = ['isakmp.exchangetype', 'isakmp.messageid', 'isakmp.flag_r'];
      const fields = [...addresses, 'udp.srcport', 'udp.dstport', 'udp.length', ...message];
      const seen = (await running.read(...fields)).filter((one) => one[5] !== '');
      const passed = await dissect(await wire.stop(), { fields, filter: 'isakmp' });
      assert.deepEqual(
        seen,
        passed.map((packet) => fields.map((field) => packet.get(field)?.[0] ?? '')),
      );
      assert.ok(seen.length >= 6, 'IKE_SA_INIT, IKE_AUTH and the Delete');
      const ports = new Set(seen.map(([, , source]) => source));
      assert.deepEqual([...ports].sort(), ['4500', '500']);
    });
  }

  it('shows a stream as the device and the wire have it', async () => {
    await lab.up('initiator');
    const running = await Running.start(lab, 'stream', ['--snaplen', '80']);
    const { octets } = await lab.transfer({ octets: 300_000 });
    const said = await running.stop();
    assert.match(said, /packets captured/);
    const packets = await running.read(...WHERE, 'frame.cap_len', 'frame.len', 'tcp.len');
    assert.ok(packets.every(([, , captured]) => Number(captured) <= 80));
    const inside = packets
      .filter(([side]) => side === 'inner')
      .reduce((sum, [, , , , length]) => sum + Number(length || 0), 0);
    assert.ok(inside >= octets, `${inside} of ${octets} octets were seen inside`);
    const missed = Number(/, (\d+) missed/.exec(said)?.[1] ?? 0);
    assert.equal(missed, 0);
  });

  it('has only what was dropped, and why', async () => {
    await lab.up('initiator');
    const running = await Running.start(lab, 'drops', ['--drops', '--count', '3']);
    await ping(lab.topology, { count: 2 });
    const { network } = lab.topology;
    const to = lab.address(lab.subject);
    const { subjectChild } = await lab.tunnel();
    // An SPI nobody has; and one of ours, with an ICV of nobody's.
    const spis = ['c0ffee00', subjectChild.raw['spi-in'] ?? ''];
    const script = [
      'import socket,sys',
      's=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)',
      `[s.sendto(bytes.fromhex(x+"0000ffff")+bytes(64),("${to}",4500)) for x in ${JSON.stringify(spis)}]`,
    ].join('\n');
    await network.exec('g2', ['python3', '-c', script]);
    // Inside, what no policy covers although the route leads there.
    await network.exec('g1', ['ip', 'addr', 'add', '10.9.0.1/32', 'dev', 'lo']);
    await network.exec('g1', ['ping', '-c1', '-W1', '-I', '10.9.0.1', '10.2.0.10'], {
      mayFail: true,
    });
    assert.match(await running.ended(), /^3 packets captured$/m);
    const seen = await running.read(...WHERE, 'ip.src', 'esp.spi');
    assert.deepEqual(
      seen.map(([side, said = '', source, spi]) => [
        side,
        said.replace(/child-sa=\d+ spi-in=\w+ spi-out=\w+/, 'SA'),
        source,
        spi,
      ]),
      [
        ['outer', 'drop=unknown-spi', '192.0.2.2', '0xc0ffee00'],
        [
          'outer',
          'connection=peer child=net SA drop=bad-icv',
          '192.0.2.2',
          `0x${subjectChild.raw['spi-in']}`,
        ],
        ['inner', 'drop=no-policy', '10.9.0.1', ''],
      ],
    );
    const [{ 'child-sas': children }] = JSON.parse((await lab.tsgw.cli(['sas', '--json'])).stdout);
    assert.deepEqual(
      [children[0]['dropped-in'], children[0]['dropped-out']],
      [{ 'bad-icv': 1 }, {}],
    );
  });

  it('has only the SA that was asked for', async () => {
    await lab.up('initiator');
    const wrong = await lab.tsgw.cli(['capture', '-w', '/dev/null', '--child', 'nte']);
    assert.equal(wrong.status, 1);
    assert.match(wrong.stderr, /no child nte; known: peer\/net/);
    const { subjectChild } = await lab.tunnel();
    const spi = `0x${subjectChild.raw['spi-out']}`;
    const running = await Running.start(lab, 'filtered', ['--spi', spi, '--ike', 'peer']);
    await ping(lab.topology, { count: 2 });
    const other = await lab.tsgw.cli(['capture', '-w', '/dev/null']);
    assert.match(other.stderr, /another capture runs already/);
    await running.stop();
    const packets = await running.read(...WHERE);
    assert.equal(packets.length, 8);
    assert.ok(
      packets.every(([, said = '']) => said.includes(`spi-out=${subjectChild.raw['spi-out']}`)),
    );
    assert.ok(readFileSync(running.file).length > 0);
  });
});

describe('A capture over two workers (tshark)', () => {
  onlyTsgw();
  const lab = useLab({ subjectSettings: { ...impatient, own: { workers: '2' } } });
  afterEach(() => lab.clear());

  it('has each packet once, whichever worker it came to', async () => {
    await lab.up('initiator');
    const running = await Running.start(lab, 'workers', ['--ike', 'peer']);
    // Flows of their own: the device gives them to either worker.
    for (let flow = 0; flow < 6; flow++) await ping(lab.topology, { count: 1 });
    assert.match(await running.stop(), /^24 packets captured$/m);
    const packets = await running.read(...WHERE, 'icmp.ident', 'esp.sequence');
    const idents = packets.filter(([side]) => side === 'inner').map(([, , ident]) => ident);
    assert.deepEqual([idents.length, new Set(idents).size], [12, 6]);
    const numbers = packets.filter(([side]) => side === 'outer').map(([, , , number]) => number);
    assert.deepEqual([numbers.length, new Set(numbers).size], [12, 6]);
  });
});
