/**
 * Every verb of the real swanctl against our vici server, over a gateway that only remembers.
 *
 * What swanctl prints is compared with what it printed against strongSwan's daemon. Needs the
 * swanctl program and nothing else: no root, no network.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChildSaView } from '../../src/vici/control.ts';
import { done } from '../support/fake-control.ts';
import {
  connectionView,
  ikeSaView,
  poolViews,
  recordedCommand,
  recordedOutputs,
  recordedRekeying,
} from '../support/recorded-views.ts';
import { sampleEvents } from '../support/sample-events.ts';
import { TestServer, until } from '../support/vici-server.ts';

const program = '/usr/sbin/swanctl';

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe('swanctl 5.9.8 against our vici server', () => {
  let test: TestServer;
  const recorded = recordedOutputs();

  before(() => {
    assert.ok(existsSync(program), `${program} is missing: install strongswan-swanctl`);
  });

  beforeEach(async () => {
    test = await TestServer.start();
    await writeFile(join(test.directory, 'strongswan.conf'), 'swanctl {\n  load = openssl\n}\n');
  });

  afterEach(() => test.stop());

  /** Runs swanctl; `during` may act as soon as it is connected, and end it. */
  function swanctl(
    argv: readonly string[],
    during?: (end: () => void) => Promise<void>,
  ): Promise<Ran> {
    return new Promise((resolve, reject) => {
      const child = execFile(
        program,
        [...argv, '--uri', test.uri],
        {
          timeout: 8000,
          env: {
            STRONGSWAN_CONF: join(test.directory, 'strongswan.conf'),
            SWANCTL_DIR: test.directory,
          },
        },
        (error, stdout, stderr) => {
          const code = typeof error?.code === 'number' ? error.code : error === null ? 0 : -1;
          resolve({ code, stdout, stderr });
        },
      );
      during?.(() => child.kill('SIGINT')).catch(reject);
    });
  }

  /** SPIs, counts and times differ from run to run; everything else must not. */
  function shape(text: string): string {
    return text
      .replace(/\b([0-9a-f]{16}|[0-9a-f]{8})(?![0-9a-f])/g, 'SPI')
      .replace(/ +\d+ (bytes|packets)/g, ' N $1')
      .replace(/\d+s\b/g, 'Ns')
      .replace(/=\d+/g, '=N');
  }

  function showConnections(): void {
    test.control.views = recordedCommand('list-conns').events.map(({ message }) =>
      connectionView(message),
    );
  }

  function showSas(): void {
    const unused = ({ useInSeconds, useOutSeconds, ...child }: ChildSaView): ChildSaView => child;
    test.control.sas = recordedCommand('list-sas', 'two children, traffic').events.map(
      ({ message }) => {
        const view = ikeSaView(message);
        return { ...view, children: view.children.map(unused) };
      },
    );
  }

  it('--list-sas prints the same', async () => {
    showSas();
    for (const argv of [['--list-sas'], ['--list-sas', '--raw']]) {
      const { code, stdout, stderr } = await swanctl(argv);
      assert.equal(code, 0, stderr);
      assert.equal(shape(stdout), shape(recorded[argv.join(' ')] ?? ''));
    }
    assert.match(
      (await swanctl(['--list-sas', '--ike', 'nope', '--raw'])).stdout,
      /^list-sas reply \{\}/,
    );
  });

  it('--list-conns prints the same', async () => {
    showConnections();
    for (const argv of [['--list-conns'], ['--list-conns', '--raw']]) {
      const { code, stdout, stderr } = await swanctl(argv);
      assert.equal(code, 0, stderr);
      assert.equal(stdout, recorded[argv.join(' ')]);
    }
  });

  it('--list-pols prints the same', async () => {
    test.control.shunts = [
      {
        child: 'net',
        ike: 'peer',
        mode: 'TUNNEL',
        localTs: ['10.1.0.0/16'],
        remoteTs: ['10.2.0.0/16'],
      },
    ];
    for (const argv of [['--list-pols'], ['--list-pols', '--raw']]) {
      const { code, stdout } = await swanctl(argv);
      assert.equal(code, 0);
      assert.equal(stdout, recorded[argv.join(' ')]);
    }
  });

  it('--counters prints the same', async () => {
    for (const argv of [['--counters'], ['--counters', '--raw']]) {
      const { code, stdout } = await swanctl(argv);
      assert.equal(code, 0);
      assert.equal(stdout, recorded[argv.join(' ')]);
    }
    assert.equal((await swanctl(['--counters', '--name', 'nope'])).code, 1);
    assert.equal((await swanctl(['--counters', '--reset', '--name', 'peer'])).code, 0);
    assert.deepEqual(test.control.calls, ['reset-counters peer']);
  });

  it('--stats prints the same lines, but for the C heap', async () => {
    const { code, stdout } = await swanctl(['--stats']);
    assert.equal(code, 0);
    const names = (text: string): readonly string[] =>
      text.split('\n').map((line) => line.replace(/:.*/, ''));
    const theirs = names(recorded['--stats'] ?? '').filter((name) => name !== 'mallinfo');
    assert.deepEqual(names(stdout), theirs);
    assert.match(stdout, /^uptime: 26 seconds, since Nov 21 21:40:47 2026\n/);
  });

  it('--version --daemon names us', async () => {
    const { code, stdout } = await swanctl(['--version', '--daemon']);
    assert.equal(code, 0);
    assert.equal(stdout, 'strongSwan 0.1.0 tsgw (Linux, 6.18.0, x86_64)\n');
    const raw = await swanctl(['--version', '--daemon', '--raw']);
    const keys = (text: string): string => text.replace(/=[^ }]*/g, '');
    assert.equal(keys(raw.stdout), keys(recorded['--version --daemon --raw'] ?? ''));
  });

  it('--list-algs, --list-certs, --list-authorities, --list-pools succeed', async () => {
    const algorithms = await swanctl(['--list-algs']);
    assert.equal(algorithms.code, 0);
    assert.match(algorithms.stdout, /^encryption:\n {2}AES_CBC\[tsgw\]\n/);
    for (const verb of ['--list-certs', '--list-authorities', '--list-pools']) {
      const { code, stdout, stderr } = await swanctl([verb]);
      assert.deepEqual([code, stdout, stderr], [0, '', ''], verb);
    }
  });

  it('--initiate prints the exchange as strongSwan does', async () => {
    showConnections();
    test.control.onInitiate = async () => {
      test.control.emit(sampleEvents.message, sampleEvents.received, sampleEvents.childSaUp);
      return done(1, 0);
    };
    const { code, stdout, stderr } = await swanctl(['--initiate', '--child', 'net']);
    assert.equal(code, 0, stderr);
    assert.equal(
      stdout,
      '[IKE] initiating IKE_SA peer[1] to 192.0.2.2\n' +
        '[ENC] generating IKE_SA_INIT request 0 [ SA KE No N(NATD_S_IP) N(NATD_D_IP) ]\n' +
        '[NET] sending packet: from 192.0.2.1[500] to 192.0.2.2[500] (328 bytes)\n' +
        '[NET] received packet: from 192.0.2.2[500] to 192.0.2.1[500] (248 bytes)\n' +
        '[ENC] parsed IKE_SA_INIT response 0 [ SA KE No ]\n' +
        '[CFG] selected proposal: ESP:AES_GCM_16_128/NO_EXT_SEQ\n' +
        '[IKE] CHILD_SA net{1} established with SPIs b6583d96_i 55c36b9d_o and TS 10.1.0.0/16 === 10.2.0.0/16\n' +
        'initiate completed successfully\n',
    );
  });

  it('--initiate fails with the reason', async () => {
    showConnections();
    test.control.onInitiate = async () => {
      test.control.emit(sampleEvents.refused);
      return { kind: 'refused', what: 'no proposal fits' };
    };
    const { code, stdout, stderr } = await swanctl(['--initiate', '--child', 'net']);
    assert.equal(code, 1);
    assert.match(stdout, /^\[CFG\] ENCR: offered AES_CBC_128, accepted AES_CBC_256/m);
    assert.equal(stderr, "initiate failed: establishing CHILD_SA 'net' failed: no proposal fits\n");
    const unknown = await swanctl(['--initiate', '--child', 'nope']);
    assert.equal(unknown.stderr, "initiate failed: CHILD_SA config 'nope' not found\n");
    test.control.onInitiate = () => new Promise(() => {});
    const late = await swanctl(['--initiate', '--child', 'net', '--timeout', '1']);
    assert.match(late.stderr, /not established after 1000ms/);
  });

  it('--terminate by child, by connection, by number, and of what is not there', async () => {
    showSas();
    for (const argv of [
      ['--child', 'cbc'],
      ['--ike', 'peer'],
      ['--ike-id', '1'],
      ['--child-id', '2'],
    ]) {
      const { code, stdout, stderr } = await swanctl(['--terminate', ...argv]);
      assert.equal(code, 0, stderr);
      assert.equal(stdout, 'terminate completed successfully\n');
    }
    assert.equal(test.control.calls.length, 4);
    const none = await swanctl(['--terminate', '--child', 'nope', '--raw']);
    assert.equal(none.stdout, recorded['--terminate --child nope --raw']);
  });

  it('--rekey prints the same', async () => {
    showSas();
    const child = await swanctl(['--rekey', '--child', 'net']);
    assert.equal(child.stdout, recorded['--rekey --child net']);
    for (const argv of [
      ['--ike', 'peer'],
      ['--ike', 'peer', '--reauth'],
      ['--ike-id', '1'],
      ['--child-id', '2'],
    ]) {
      assert.equal((await swanctl(['--rekey', ...argv])).code, 0, argv.join(' '));
    }
    assert.deepEqual(test.control.calls, [
      'rekey {"child":"net","reauthenticate":false}',
      'rekey {"ike":"peer","reauthenticate":false}',
      'rekey {"ike":"peer","reauthenticate":true}',
      'rekey {"ikeId":1,"reauthenticate":false}',
      'rekey {"childId":2,"reauthenticate":false}',
    ]);
    const none = await swanctl(['--rekey', '--child', 'nope']);
    assert.equal(none.code, 1);
    assert.equal(none.stderr, 'rekey failed: no matching SAs to rekey found\n');
  });

  it('--redirect, --install and --uninstall reach the gateway and say what it refuses', async () => {
    const argvs = [
      ['--redirect', '--ike', 'peer', '--gateway', '192.0.2.9'],
      ['--redirect', '--peer-ip', '192.0.2.0/24', '--gateway', 'gw.example'],
      ['--redirect', '--peer-id', '*@lab', '--gateway', '2001:db8::9'],
      ['--install', '--child', 'net', '--ike', 'peer'],
      ['--uninstall', '--child', 'net'],
    ];
    for (const argv of argvs) {
      const { code, stderr } = await swanctl(argv);
      assert.equal(code, 0, `${argv} ${stderr}`);
    }
    assert.deepEqual(test.control.calls, [
      'redirect {"ike":"peer","gateway":"192.0.2.9"}',
      'redirect {"peerAddress":"192.0.2.0/24","gateway":"gw.example"}',
      'redirect {"peerId":"*@lab","gateway":"2001:db8::9"}',
      'install net peer',
      'uninstall net undefined',
    ]);
    test.control.redirected = 0;
    test.control.policyOutcome = 'not-found';
    for (const [argv, said] of [
      [argvs[0], 'redirect failed: no matching SAs to redirect found\n'],
      [argvs[3], 'install failed: configuration name not found\n'],
      [argvs[4], "uninstall failed: policy 'net' not found\n"],
    ] as const) {
      const { code, stderr } = await swanctl(argv ?? []);
      assert.deepEqual([code, stderr], [1, said]);
    }
  });

  it('--list-pools shows pools, and who has their addresses', async () => {
    const { commands } = recordedRekeying();
    const pools = commands.find(({ what }) => what === 'leases after')?.response;
    assert.ok(pools);
    test.control.addressPools = poolViews(pools);
    const { code, stdout } = await swanctl(['--list-pools']);
    assert.equal(code, 0);
    assert.match(stdout, /^rw +10\.3\.0\.0 +1 \/ 0 \/ 6$/m);
    const leases = await swanctl(['--list-pools', '--leases']);
    assert.match(leases.stdout, /^ +10\.3\.0\.1 +online +'g1\.lab'$/m);
  });

  it('--reload-settings and --flush-certs succeed', async () => {
    for (const verb of ['--reload-settings', '--flush-certs']) {
      assert.equal((await swanctl([verb])).code, 0, verb);
    }
  });

  it('--log prints what happens', async () => {
    const { stdout } = await swanctl(['--log'], async (end) => {
      await until('swanctl', () => test.server.clients === 1);
      for (let count = 0; count < 20; count++) {
        test.control.emit(sampleEvents.message);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      end();
    });
    assert.match(stdout, /^01\[IKE\] initiating IKE_SA peer\[1\] to 192\.0\.2\.2$/m);
  });

  it('--monitor-sa prints SAs that come and go', async () => {
    showSas();
    const { stdout } = await swanctl(['--monitor-sa'], async (end) => {
      await until('swanctl', () => test.server.clients === 1);
      for (let count = 0; count < 20; count++) {
        test.control.emit(sampleEvents.ikeSaUp, sampleEvents.childSaUp);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      end();
    });
    assert.match(stdout, /^peer: #1, ESTABLISHED, IKEv2/m);
    assert.match(stdout, /^ {2}net: #1, reqid 1, INSTALLED, TUNNEL-in-UDP/m);
  });

  describe('with a swanctl.conf', () => {
    const file =
      'connections {\n  peer {\n    version = 2\n    local_addrs = 192.0.2.1\n' +
      '    remote_addrs = 192.0.2.2\n    proposals = aes256-sha256-x25519\n' +
      '    local {\n      auth = psk\n      id = a.lab\n    }\n    remote {\n      auth = psk\n' +
      '      id = b.lab\n    }\n    children {\n      net {\n        local_ts = 10.1.0.0/16\n' +
      '      }\n    }\n  }\n}\n' +
      'secrets {\n  ike-1 {\n    id-a = a.lab\n    id-b = b.lab\n    secret = 0x00ff80\n  }\n}\n';

    it('--load-all loads connections and secrets', async () => {
      await writeFile(join(test.directory, 'swanctl.conf'), file);
      const { code, stdout, stderr } = await swanctl(['--load-all']);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /loaded ike secret 'ike-1'/);
      assert.match(stdout, /successfully loaded 1 connections, 0 unloaded/);
      assert.deepEqual(test.control.calls, ['load-shared ike-1 ike', 'load-conn peer']);
      assert.deepEqual(test.control.secrets.get('ike-1'), {
        data: Uint8Array.of(0, 0xff, 0x80),
        owners: 'a.lab b.lab',
      });
      const connection = test.control.loaded.get('peer');
      assert.deepEqual([...(connection?.sections.keys() ?? [])], ['local', 'remote', 'children']);
    });

    it('--load-all unloads what the file does not have any more', async () => {
      await writeFile(join(test.directory, 'swanctl.conf'), file);
      showConnections();
      test.control.secrets.set('old', { data: new Uint8Array(), owners: '' });
      const { code, stdout } = await swanctl(['--load-all']);
      assert.equal(code, 0);
      assert.match(stdout, /successfully loaded 1 connections, 0 unloaded|unloaded/);
      assert(test.control.calls.includes('unload-shared old'));
      assert(test.control.calls.includes('unload-conn any'));
    });

    it('--load-conns, --load-creds --clear, --load-pools, --load-authorities', async () => {
      await writeFile(join(test.directory, 'swanctl.conf'), file);
      for (const argv of [
        ['--load-conns'],
        ['--load-creds', '--clear', '--noprompt'],
        ['--load-pools'],
        ['--load-authorities'],
      ]) {
        const { code, stderr } = await swanctl(argv);
        assert.equal(code, 0, `${argv} ${stderr}`);
      }
      assert.deepEqual(test.control.calls, [
        'load-conn peer',
        'clear-creds',
        'load-shared ike-1 ike',
      ]);
    });

    it('an option that is refused is named', async () => {
      await writeFile(
        join(test.directory, 'swanctl.conf'),
        file.replace('version = 2', 'wersion = 2'),
      );
      const { code, stderr } = await swanctl(['--load-conns']);
      assert.notEqual(code, 0);
      assert.match(stderr, /loading connection 'peer' failed: unknown key wersion/);
    });

    it('pools are loaded; a pool or a key that is refused says the reason', async () => {
      await writeFile(
        join(test.directory, 'swanctl.conf'),
        `${file}pools {\n  rw {\n    addrs = 10.3.0.0/24\n  }\n}\n`,
      );
      assert.equal((await swanctl(['--load-pools'])).code, 0);
      assert.deepEqual(test.control.calls, ['load-pool rw']);
      await writeFile(join(test.directory, 'swanctl.conf'), `${file}pools {\n  rw {\n  }\n}\n`);
      const pools = await swanctl(['--load-pools']);
      assert.notEqual(pools.code, 0);
      assert.match(pools.stderr, /loading pool 'rw' failed: missing addrs for pool 'rw'/);
      await mkdir(join(test.directory, 'x509'));
      await writeFile(join(test.directory, 'x509', 'peer.crt'), 'not read by swanctl');
      const creds = await swanctl(['--load-creds', '--noprompt']);
      assert.match(creds.stderr, /certificates come later/);
    });
  });
});
