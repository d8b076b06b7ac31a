/**
 * Every verb of `swanctl --help`, run by the real swanctl against tsgw and against charon: the same
 * success or failure, and what is printed has the same shape.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { end, launch, run, until } from '../../lab/command.ts';
import { type Gateway, readLog } from '../../lab/gateway.ts';
import { parseRaw, type RawSection, type RawValue } from '../../lab/swanctl.ts';
import { childName, connectionName, swanctlConf } from '../../lab/swanctl-conf.ts';
import { ViciClient } from '../../src/vici/client.ts';
import { useLab } from '../support/lab.ts';
import { type Tree, treeOf } from '../support/recorded-views.ts';

type Argv = readonly string[];

/** What each verb is tried with, while one SA is up. */
const TRIED: Readonly<Record<string, readonly Argv[]>> = {
  '--counters': [[], ['--all'], ['--name', connectionName], ['--name', 'nobody'], ['--reset']],
  '--initiate': [
    ['--child', 'nobody'],
    ['--ike', 'nobody'],
  ],
  '--terminate': [
    ['--child', 'nobody'],
    ['--ike-id', '999'],
  ],
  '--rekey': [
    ['--child', 'nobody'],
    ['--child', childName],
    ['--ike', connectionName],
    ['--ike', connectionName, '--reauth'],
  ],
  '--redirect': [
    ['--ike', 'nobody', '--gateway', '192.0.2.9'],
    ['--peer-ip', 'zz', '--gateway', '192.0.2.9'],
  ],
  '--install': [['--child', 'nobody']],
  '--uninstall': [['--child', 'nobody']],
  '--list-sas': [[], ['--noblock'], ['--ike', 'nobody'], ['--child', childName]],
  '--list-pols': [[], ['--trap'], ['--child', 'nobody']],
  '--list-authorities': [[]],
  '--list-conns': [[]],
  '--list-certs': [[]],
  '--list-pools': [[], ['--leases'], ['--name', 'rw'], ['--name', 'nobody']],
  '--list-algs': [[]],
  '--flush-certs': [[]],
  '--load-all': [['--noprompt']],
  '--load-authorities': [[]],
  '--load-conns': [[]],
  '--load-creds': [['--noprompt'], ['--noprompt', '--clear']],
  '--load-pools': [[]],
  '--version': [[], ['--daemon']],
  '--stats': [[]],
  '--reload-settings': [[]],
  '--help': [[]],
};
/** Those that print until they are ended have tests of their own. */
const STREAMS: Readonly<Record<string, RegExp>> = {
  '--log': /child/i,
  '--monitor-sa': /child-updown/,
};

describe('Every verb of swanctl', () => {
  const lab = useLab();
  before(async () => {
    for (const { swanctl, node } of [lab.subject, lab.peer]) {
      const pools = 'pools {\n  rw {\n    addrs = 10.3.0.0/29\n    dns = 10.2.0.53\n  }\n}\n';
      await swanctl.load(swanctlConf(lab.topology, node, [{}]) + pools);
    }
    const { status, stdout, stderr } = await lab.initiate('initiator');
    assert.equal(status, 0, `${stdout}${stderr}`);
  });

  it('is tried here', async () => {
    const { stdout } = await run(['swanctl', '--help'], { mayFail: true });
    const verbs = [...stdout.matchAll(/^ +swanctl (--[a-z-]+)/gm)].map(([, verb]) => verb);
    assert.ok(verbs.length > 20, stdout);
    const tried = [...Object.keys(TRIED), ...Object.keys(STREAMS)];
    assert.deepEqual(verbs.toSorted(), tried.toSorted());
  });

  for (const [verb, argvs] of Object.entries(TRIED)) {
    for (const argv of argvs) {
      it(`${[verb, ...argv].join(' ')} ends and prints as with charon`, async () => {
        const [own, charons] = [await tried(lab.subject), await tried(lab.peer)];
        assert.equal(own.status, charons.status, `${own.said}\n${charons.said}`);
        assert.deepEqual(own.shape, charons.shape);

        async function tried({ swanctl }: Gateway) {
          const raw = verb === '--help' ? [] : ['--raw'];
          const { status, stdout, stderr } = await swanctl.call([verb, ...argv, ...raw]);
          await settled();
          return { status, said: `${stdout}${stderr}`, shape: shapes(stdout) };
        }
      });
    }
  }

  for (const [verb, awaited] of Object.entries(STREAMS)) {
    it(`${verb} prints what comes and goes in the shape charon prints it`, async () => {
      const own = await watched(lab.subject, verb, awaited);
      const charons = await watched(lab.peer, verb, awaited);
      // Which messages, tasks and SAs there are at that moment differs; what they look like does not.
      const of = (text: string) =>
        new Set(shapes(text).filter((key) => !/tasks-|ikesa-/.test(key)));
      assert.deepEqual([...of(own)].toSorted(), [...of(charons)].toSorted());
    });
  }

  it('the streams of rekeying have the shape charon gives them', async () => {
    const heard = { subject: new Map<string, Tree>(), peer: new Map<string, Tree>() };
    const clients: ViciClient[] = [];
    try {
      for (const end of ['subject', 'peer'] as const) {
        const client = await ViciClient.connect(lab[end].swanctl.uri);
        clients.push(client);
        for (const name of ['ike-rekey', 'child-rekey']) {
          await client.listen(name, (message) => heard[end].set(name, treeOf(message)));
        }
      }
      for (const selector of [
        ['--ike', connectionName],
        ['--child', childName],
      ]) {
        await lab.subject.swanctl.must(['--rekey', ...selector]);
        const name = selector[0] === '--ike' ? 'ike-rekey' : 'child-rekey';
        const [own, charons] = await until(`${name} at both ends`, () => {
          const both = [heard.subject.get(name), heard.peer.get(name)];
          return both.every((one) => one !== undefined) ? both : undefined;
        });
        // Whoever asked has an IKE SA that is being rekeyed, without times; the other one just has it.
        const differs = /tasks-|-time=|established=|peer\/old\/state=/;
        const of = (tree: Tree | undefined) =>
          treeShape(tree ?? {}, name).filter((key) => !differs.test(key));
        assert.deepEqual(of(own), of(charons));
      }
    } finally {
      for (const client of clients) client.close();
    }
  });

  /** A rekeying of one end is over before the other end is asked for its own. */
  async function settled(): Promise<void> {
    for (const { swanctl, node } of [lab.subject, lab.peer]) {
      await until(`one Child SA at ${node}`, async () => {
        const sas = await swanctl.sas();
        const states = sas.flatMap(({ children }) => children.map(({ state }) => state));
        return (
          (sas.length === 1 &&
            states.filter((state) => state === 'INSTALLED').length === 1 &&
            states.every((state) => state === 'INSTALLED' || state === 'DELETED')) ||
          undefined
        );
      });
    }
  }

  /** What a verb prints while a Child SA goes and comes. */
  async function watched({ swanctl, node }: Gateway, verb: string, awaited: RegExp) {
    const logFile = join(lab.topology.network.directory, `${node}${verb}.log`);
    const watcher = launch(['swanctl', verb, '--raw', '--uri', swanctl.uri], { logFile });
    try {
      await until(`${verb} to print what happens at ${node}`, async () => {
        await lab.subject.swanctl.call(['--terminate', '--child', childName]);
        await lab.initiate('initiator');
        return awaited.test(readLog(logFile)) || undefined;
      });
    } finally {
      await end(watcher, 'SIGINT');
    }
    return readLog(logFile);
  }
});

/** The keys of every line of `--raw` output, in order; of values only those that are names. */
function shapes(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => {
    // A stream that is ended may end within a line.
    const [, name, content] = /^([a-z-]+ (?:event|reply)) (\{.*\})$/.exec(line) ?? [];
    if (name === undefined || content === undefined) return [];
    return shape(parseRaw(content), name);
  });
}

function shape(section: RawSection, path: string): readonly string[] {
  return [path, ...Object.entries(section).flatMap(([key, value]) => entry(path, key, value))];
}

function entry(path: string, key: string, value: RawValue): readonly string[] {
  // The C heap, and algorithms of kinds that IKE and ESP do not use.
  if (['mallinfo', 'hasher', 'xof', 'kdf', 'drbg', 'rng', 'nonce-gen'].includes(key)) return [];
  // Each end is the initiator's or the responder's, and sees a NAT of its own.
  if (/^(initiator|nat-(local|remote|fake|any))$/.test(key)) return [];
  const name = `${path}/${key.replace(/-\d+$/, '-#')}`;
  if (typeof value === 'string') {
    return [`${name}=${/^[A-Z][A-Z_0-9]*$/.test(value) || key === 'success' ? value : ''}`];
  }
  if (isList(value)) return [`${name}[]`];
  return path.startsWith('list-algs') || path.startsWith('get-algorithms')
    ? [name]
    : shape(value, name);
}

function isList(value: RawSection | readonly string[]): value is readonly string[] {
  return Array.isArray(value);
}

/** The same of a message that came as one. */
function treeShape(tree: Tree, path: string): readonly string[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    if (typeof value === 'string' || Array.isArray(value)) return entry(path, key, value);
    return treeShape(Object.fromEntries(Object.entries(value)), `${path}/${key}`);
  });
}
