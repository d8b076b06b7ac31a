/**
 * The verbs of `tsgw` against a running daemon, their `--json` and their exit codes.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alive, end, type Finished, launch, run, until } from '../../lab/command.ts';
import { readLog } from '../../lab/gateway.ts';
import {
  childName,
  connectionName,
  type PairSettings,
  swanctlConf,
} from '../../lab/swanctl-conf.ts';
import { tsgw } from '../../lab/tsgw-process.ts';
import { impatient, onlyTsgw, type Role, useLab } from '../support/lab.ts';

/** The exit codes of the command line. */
const code = { ok: 0, failed: 1, usage: 2, notConnected: 3, refused: 4, auth: 5, timeout: 6 };

describe('The tsgw command line', () => {
  onlyTsgw();
  const lab = useLab();
  afterEach(() => lab.clear());

  it('initiates, lists and terminates', async () => {
    await lab.load({});
    const initiated = await lab.tsgw.cli(['initiate', childName]);
    ended(initiated, code.ok);
    assert.match(initiated.stdout, /IKE_SA_INIT/, 'each exchange is shown');
    assert.match(initiated.stdout, /IKE_AUTH/);
    await lab.carries();

    const terminated = await lab.tsgw.cli(['terminate', '--ike', connectionName]);
    ended(terminated, code.ok);
    await lab.empty();
  });

  for (const verb of ['status', 'sas', 'spd', 'sad', 'conns']) {
    it(`shows ${verb} for people and as JSON`, async () => {
      await lab.up('initiator');
      await lab.carries();
      const shown = await lab.tsgw.cli([verb]);
      ended(shown, code.ok);
      assert.notEqual(shown.stdout.trim(), '');
      const json = await lab.tsgw.cli([verb, '--json']);
      ended(json, code.ok);
      const value: unknown = JSON.parse(json.stdout);
      assert.equal(typeof value, 'object');
      if (verb === 'status') {
        // The peer has just taken and sent packets that this library ciphered.
        assert.match(shown.stdout, /^ciphers by ipsec-mb 1\.3\.0: aes-128/m);
        assert.match(json.stdout, /"aes-128-gcm": "ipsec-mb"/);
      } else {
        assert.match(json.stdout, new RegExp(`"(${connectionName}|${childName})"`));
      }
    });
  }

  it('lists the SPIs the peer lists', async () => {
    const { subjectChild } = await lab.up('initiator');
    const { stdout } = await lab.tsgw.cli(['sad', '--json']);
    assert.match(stdout, new RegExp(String(subjectChild.raw['spi-in'])));
    assert.match(stdout, new RegExp(String(subjectChild.raw['spi-out'])));
  });

  it('follows the log', async () => {
    await lab.load({});
    const { network } = lab.topology;
    const logFile = join(network.directory, 'cli-log.txt');
    const log = launch([tsgw, 'log', '--vici', lab.tsgw.swanctl.uri], { logFile });
    try {
      await until('the log to be followed', async () => {
        await lab.initiate('initiator');
        await lab.clear();
        return readLog(logFile).includes('child-sa-up') || undefined;
      });
      assert.ok(alive(log));
    } finally {
      await end(log, 'SIGINT');
    }
  });

  it('ends 0 for version and help, 2 for a verb that does not exist', async () => {
    ended(await run([tsgw, 'version'], { mayFail: true }), code.ok);
    ended(await run([tsgw, 'help'], { mayFail: true }), code.ok);
    ended(await run([tsgw, 'dance'], { mayFail: true }), code.usage);
    ended(await run([tsgw, 'sas', '--dance'], { mayFail: true }), code.usage);
  });

  it('ends 3 when no daemon listens', async () => {
    const nowhere = `unix://${join(lab.topology.network.directory, 'nobody.vici')}`;
    ended(await run([tsgw, 'sas', '--vici', nowhere], { mayFail: true }), code.notConnected);
  });

  it('ends 4 and says offered against accepted when the proposals do not meet', async () => {
    await lab.load({
      g1: { proposals: 'aes128-sha256-x25519' },
      g2: { proposals: 'aes256-sha512-modp4096' },
    });
    const finished = await lab.tsgw.cli(['initiate', childName]);
    ended(finished, code.refused);
    assert.match(`${finished.stdout}${finished.stderr}`, /NO_PROPOSAL_CHOSEN/);
    assert.match(`${finished.stdout}${finished.stderr}`, /AES_CBC.128/);
  });

  it('ends 5 when the secrets differ', async () => {
    await lab.load({ g1: { secret: 'one secret' }, g2: { secret: 'another secret' } });
    const finished = await lab.tsgw.cli(['initiate', childName]);
    ended(finished, code.auth);
    const said = `${finished.stdout}${finished.stderr}${lab.tsgw.log()}`;
    assert.doesNotMatch(said, /one secret/, 'no secret is printed');
  });

  it('ends 6 when nobody answers', async () => {
    await lab.load({});
    await lab.peer.kill();
    ended(await lab.tsgw.cli(['initiate', childName]), code.timeout);
    await lab.peer.start(impatient);
  });

  it('rekeys a child and shows what replaced what', async () => {
    await lab.up('initiator');
    const finished = await lab.tsgw.cli(['rekey', childName]);
    ended(finished, code.ok);
    assert.match(finished.stdout, /CREATE_CHILD_SA request/);
    assert.match(finished.stdout, /it replaces #\d+, ESP:AES_GCM_16_128/);
    ended(await lab.tsgw.cli(['rekey', 'nobody']), code.failed);
  });

  it('lists policies and pools, and nothing where there is none', async () => {
    for (const verb of ['policies', 'pools']) {
      ended(await lab.tsgw.cli([verb]), code.ok);
      const json = await lab.tsgw.cli([verb, '--json']);
      ended(json, code.ok);
      assert.ok(Array.isArray(JSON.parse(json.stdout)), verb);
    }
  });

  /** What is wrong, who starts, what `tsgw why` calls it, and the next step it names. */
  const mistakes: readonly (readonly [string, PairSettings, Role, string, RegExp])[] = [
    [
      'an IKE proposal of the peer that we do not accept',
      { g1: { proposals: 'aes256-sha256-x25519' }, g2: { proposals: 'aes128-sha512-modp3072' } },
      'responder',
      'proposal-mismatch-ike',
      /add aes128-sha512-prfsha512-modp3072 to proposals of connection peer/,
    ],
    [
      'IKE proposals of ours that the peer does not accept',
      { g1: { proposals: 'aes256-sha256-x25519' }, g2: { proposals: 'aes128-sha512-modp3072' } },
      'initiator',
      'proposal-mismatch-ike',
      /let it accept one of: aes256-sha256-prfsha256-x25519/,
    ],
    [
      'an ESP proposal of the peer that we do not accept',
      { g1: { espProposals: 'aes128gcm16' }, g2: { espProposals: 'aes256-sha256' } },
      'responder',
      'proposal-mismatch-child',
      /add aes256-sha256 to esp_proposals of child net/,
    ],
    [
      'ESP proposals of ours that the peer does not accept',
      { g1: { espProposals: 'aes128gcm16' }, g2: { espProposals: 'aes256-sha256' } },
      'initiator',
      'proposal-mismatch-child',
      /let it accept one of: aes128gcm16/,
    ],
    [
      'selectors of the peer that do not meet ours',
      { g2: { localTs: '10.99.0.0/16' } },
      'responder',
      'ts-mismatch',
      /write local_ts = 10\.1\.0\.0\/16 and remote_ts = 10\.99\.0\.0\/16/,
    ],
    [
      'selectors of ours that do not meet the peer',
      { g1: { remoteTs: '10.99.0.0/16' } },
      'initiator',
      'ts-mismatch',
      /let its local side be 10\.99\.0\.0\/16 and its remote side 10\.1\.0\.0\/16/,
    ],
    [
      'another secret at the peer',
      { g1: { secret: 'one secret' }, g2: { secret: 'another secret' } },
      'responder',
      'peer-auth-failed',
      /different shared secrets for g1\.lab and g2\.lab/,
    ],
    [
      'a secret that the peer does not accept',
      { g1: { secret: 'one secret' }, g2: { secret: 'another secret' } },
      'initiator',
      'local-auth-failed',
      /check local\.id \(g1\.lab\) and remote\.id \(g2\.lab\)/,
    ],
  ];
  for (const [what, pair, role, alert, step] of mistakes) {
    it(`why explains ${what}`, async () => {
      await lab.load(pair);
      await lab.initiate(role);
      const why = await lab.tsgw.cli(['why', lab.address(lab.peer), '--last', '1']);
      ended(why, code.ok);
      assert.match(why.stdout, new RegExp(`: ${alert}$`, 'm'));
      assert.match(why.stdout, step);
      assert.doesNotMatch(why.stdout, /one secret/);
      const json = await lab.tsgw.cli(['why', '--json', '--last', '1']);
      assert.equal(JSON.parse(json.stdout)[0].alert, alert);
    });
  }

  it('why explains an identity nobody knows, by that identity', async () => {
    const identities = { g1: 'g1.lab', g2: 'stranger.lab' };
    await lab.load({});
    await lab.peer.swanctl.load(swanctlConf(lab.topology, lab.peer.node, [{ identities }]));
    await lab.initiate('responder');
    const why = await lab.tsgw.cli(['why', 'stranger.lab']);
    ended(why, code.ok);
    assert.match(why.stdout, /: peer-auth-failed$/m);
    assert.match(why.stdout, /write remote \{ id = stranger\.lab \}/);
  });

  it('why explains a peer that does not answer', async () => {
    await lab.load({});
    await lab.peer.kill();
    await lab.initiate('initiator');
    const why = await lab.tsgw.cli(['why', connectionName, '--last', '1']);
    assert.match(why.stdout, /: peer-init-unreachable$/m);
    assert.match(why.stdout, /UDP port 500/);
    await lab.peer.start(impatient);
  });

  it('lets reload-settings put in force what needs no restart, and say what does', async () => {
    const { swanctl, node } = lab.tsgw;
    const file = join(lab.topology.network.directory, `${node}-tsgw`, 'tsgw.conf');
    const before = readFileSync(file, 'utf8');
    try {
      writeFileSync(file, before.replace('gateway {', 'gateway {\n  max_children = 3\n'));
      assert.match(await swanctl.must(['--reload-settings', '--raw']), /\{success=yes\}/);
      writeFileSync(file, before.replace('gateway {', 'gateway {\n  port = 1500\n'));
      const waiting = await swanctl.must(['--reload-settings', '--raw']);
      assert.match(waiting, /success=yes tsgw-restart=\[gateway\.port\]/);
      writeFileSync(file, before.replace('gateway {', 'gateway {\n  prot = 1500\n'));
      const { status, stdout, stderr } = await swanctl.call(['--reload-settings']);
      assert.notEqual(status, 0);
      assert.match(`${stdout}${stderr}`, /gateway\.prot: unknown key; did you mean port\?/);
    } finally {
      writeFileSync(file, before);
    }
  });

  it('checks a file: 0 when it is good, else 1 with file, line and the nearest known key', async () => {
    const { directory } = lab.topology.network;
    const file = join(directory, 'check.conf');
    const good = swanctlConf(lab.topology, 'g1', [{}]);
    writeFileSync(file, good);
    ended(await run([tsgw, 'check', file], { mayFail: true }), code.ok);
    writeFileSync(file, good.replace('esp_proposals', 'esp_proposal'));
    const line = good.split('\n').findIndex((text) => text.includes('esp_proposals')) + 1;
    const finished = await run([tsgw, 'check', file], { mayFail: true });
    ended(finished, code.failed);
    const said = `${finished.stdout}${finished.stderr}`;
    assert.ok(said.includes(`${file}:${line}`), said);
    assert.match(said, /esp_proposals/);
  });
});

function ended({ status, stdout, stderr }: Finished, wanted: number): void {
  assert.equal(status, wanted, `${stdout}${stderr}`);
}
