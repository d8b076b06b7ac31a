/**
 * Two nodes in namespaces and a strongSwan client, operated as an administrator does it: tsgw cluster,
 * swanctl, and scripts that write to the FIFO.
 *
 * The client talks to node a by an address of its own, and nobody moves an address: what is shown is what
 * becomes of segments and SAs.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLUSTER_SECRET } from '../../lab/cluster-conf.ts';
import { buildClusterNetwork, clusterAddresses, syncAddresses } from '../../lab/cluster-network.ts';
import { launch, until } from '../../lab/command.ts';
import { readLog } from '../../lab/gateway.ts';
import type { Network } from '../../lab/namespaces.ts';
import { requirePrerequisites } from '../../lab/prerequisites.ts';
import {
  ESP_PROPOSALS,
  IKE_PROPOSALS,
  identities,
  Roadwarrior,
  sharedSecret,
} from '../../lab/roadwarrior.ts';
import { TsgwProcess, tsgw } from '../../lab/tsgw-process.ts';
import { runCli } from '../../src/cli/cli.ts';
import { onlyTsgw } from '../support/lab.ts';
import { TestTerminal } from '../support/terminal.ts';

type Name = 'a' | 'b';
const NAMES = ['a', 'b'] as const;
const SEGMENTS = 16;
/** Patient: the machine of the tests has more to do than these processes. */
const TAKE_OVER_MS = 1000;
/** Of node a, on the side of clients. */
const GATEWAY = '192.0.2.1';

describe('A cluster of two tsgw, operated', function () {
  this.timeout(60_000);
  onlyTsgw();
  let network: Network;
  let nodes: Readonly<Record<Name, TsgwProcess>>;
  let client: Roadwarrior;
  let watched: string;

  before(async () => {
    requirePrerequisites();
    network = await buildClusterNetwork(NAMES);
    nodes = { a: new TsgwProcess(network, 'a'), b: new TsgwProcess(network, 'b') };
    client = new Roadwarrior(network);
    await Promise.all([start('a'), start('b'), startClient()]);
    watched = join(network.directory, 'watched');
    const uri = ['--vici', nodes.b.swanctl.uri];
    launch([tsgw, 'cluster', 'watch', '--json', ...uri], { logFile: watched });
    await until('both to have their share', async () => {
      const [a, b] = [await status('a'), await status('b')];
      return (a.owned === 8 && b.owned === 8) || undefined;
    });
  });

  after(async () => {
    await Promise.all([nodes?.a.kill(), nodes?.b.kill()]);
    network?.destroy();
  });

  it('shows the other node, and takes all segments from it', async () => {
    const printed = await nodes.a.cli(['cluster', 'status', '--json']);
    const { members, lease, synced }: Status = JSON.parse(printed.stdout);
    assert.deepEqual(
      members.map(({ name, state, owned }) => [name, state, owned]),
      [
        ['a', 'self', 8],
        ['b', 'up', 8],
      ],
    );
    assert.deepEqual([lease, synced], ['valid', true]);
    assert.match(await cluster('a', 'take', 'all'), /^16 segments are here after \d+ ms\n$/);
    assert.equal((await status('a')).owned, SEGMENTS);
    assert.match(await cluster('b', 'status'), /^segments: 0 of 16$/m);
  });

  it('has the SAs of a client at both nodes, at one of them PASSIVE', async () => {
    await client.connect();
    const known = async () => (await stateAt('b')) === 'PASSIVE' || undefined;
    await until('the other node to know the client', known);
    assert.equal(await stateAt('a'), 'ESTABLISHED');
    const [here, there] = [await status('a'), await status('b')];
    assert.deepEqual([here['ike-sas'].active, here['ike-sas'].passive], [1, 0]);
    assert.deepEqual([there['ike-sas'].active, there['ike-sas'].passive], [0, 1]);
    const { metrics } = here;
    assert.ok((metrics.changes ?? 0) > 0 && (metrics['lag-p99'] ?? 0) > 0);
    assert.ok((metrics['lag-p50'] ?? 0) <= (metrics['lag-p99'] ?? 0));
    const rows = await segments('a');
    const [one] = rows.filter((row) => row['ike-sas'] === 1);
    assert.equal(one?.['child-sas'], 1);
    // Of its segment, and of no other.
    assert.equal(rows.filter((row) => row['child-sas'] > 0).length, 1);
  });

  it('gives new keys to the SAs of a segment', async () => {
    const before = await client.rekeyed();
    assert.match(await cluster('a', 'rekey', 'all'), /^1 Child SAs rekeyed in \d+ ms\n$/);
    const seen = async () => (await client.rekeyed()) > before || undefined;
    await until('the client to see it', seen);
  });

  it('gives a segment away, and by a line in the FIFO another', async () => {
    await takeAll();
    const [empty = 0, other = 0] = (await segments('a'))
      .filter((row) => row['ike-sas'] === 0)
      .map(({ segment }) => segment);
    assert.match(await cluster('a', 'give', String(empty), 'b'), /^1 segment is with b after/);
    writeFileSync(join(nodes.a.directory, 'tsgw.ha'), `-${other + 1}\n`);
    const given = async () => (await segments('b'))[other]?.here || undefined;
    await until('the script to be obeyed', given);
    assert.deepEqual(
      (await segments('b')).filter(({ here }) => here).map(({ segment }) => segment),
      [empty, other],
    );
  });

  it('drains a node with no SA lost, and says how long it took', async () => {
    const spis = await client.ikeSpis();
    await takeAll();
    assert.match(await cluster('a', 'drain'), /^drained of \d+ segments in \d+ ms\n$/);
    assert.deepEqual([await stateAt('a'), await stateAt('b')], ['PASSIVE', 'ESTABLISHED']);
    assert.equal((await status('a')).demotions.drain, 240);
    await cluster('a', 'undrain');
    await takeAll();
    assert.deepEqual([await stateAt('a'), await stateAt('b')], ['ESTABLISHED', 'PASSIVE']);
    assert.equal(await client.ikeSpis(), spis);
  });

  it('takes over from a node that falls silent, which has nothing when it wakes', async () => {
    await takeAll();
    await cluster('a', 'simulate-failure', 'stop', '--seconds', '2.5', '--yes');
    const takenOver = async () => events().find(({ kind }) => kind === 'cluster-take-over');
    const { node, count, milliseconds } = await until('the take-over', takenOver);
    assert.deepEqual([node, count], ['a', SEGMENTS]);
    assert.ok(
      Number(milliseconds) >= TAKE_OVER_MS && Number(milliseconds) < 2 * TAKE_OVER_MS,
      `${milliseconds} ms`,
    );
    assert.equal(await stateAt('b'), 'ESTABLISHED');
    const isBack = async () => (await status('b')).members[0]?.state === 'up' || undefined;
    await until('it to be back', isBack);
    assert.equal(await stateAt('a'), 'PASSIVE');
    const kinds = new Set(events().map(({ kind }) => kind));
    for (const kind of ['cluster-node-down', 'cluster-node-up', 'cluster-alone']) {
      assert.ok(kinds.has(kind), [...kinds].join(' '));
    }
  });

  it('crashes at once when it is told to', async () => {
    const exited = new Promise((resolve) => nodes.a.process().once('exit', resolve));
    await cluster('a', 'simulate-failure', 'crash', '--yes');
    await exited;
    const seen = async () => (await status('b')).members[0]?.state === 'silent' || undefined;
    await until('the other to notice', seen);
    assert.match(await cluster('b', 'declare-dead', 'a', '--yes'), /^a counts as dead\n$/);
    const hasAll = async () => (await status('b')).owned === SEGMENTS || undefined;
    await until('the other to have all', hasAll);
    const { status: code, stderr } = await nodes.b.cli(['cluster', 'drain']);
    assert.equal(code, 1);
    assert.equal(stderr, 'tsgw: nobody is there to have the 16 segments: a is gone\n');
  });

  async function start(name: Name): Promise<void> {
    const program = ['sh', '-c', OWN_STATE, nodes[name].directory, tsgw, 'run'];
    await nodes[name].start(configuration(name, nodes[name].directory), program);
  }

  async function startClient(): Promise<void> {
    await client.start({
      local: clusterAddresses.client.ipv4,
      gateway: GATEWAY,
      remoteTs: clusterAddresses.lanNet,
    });
  }

  /** `tsgw cluster ...` at a node, without a process for each word. */
  async function cluster(name: Name, ...words: readonly string[]): Promise<string> {
    const terminal = new TestTerminal({ TSGW_URI: nodes[name].swanctl.uri });
    const code = await runCli(['cluster', ...words], terminal);
    assert.equal(code, 0, `tsgw cluster ${words.join(' ')}: ${terminal.stderr}`);
    return terminal.stdout;
  }

  /** A process that did not run for long gave up what it was given: it is given again. */
  async function takeAll(): Promise<void> {
    await until('node a to have all', async () => {
      await cluster('a', 'take', 'all');
      return (await status('a')).owned === SEGMENTS || undefined;
    });
  }

  async function status(name: Name): Promise<Status> {
    return JSON.parse(await cluster(name, 'status', '--json'));
  }

  async function segments(name: Name): Promise<readonly Segment[]> {
    return JSON.parse(await cluster(name, 'segments', '--json'));
  }

  async function stateAt(name: Name): Promise<string | undefined> {
    const [sa] = await nodes[name].swanctl.sas();
    return sa?.state;
  }

  function events(): readonly Readonly<Record<string, unknown>>[] {
    const lines = readLog(watched).split('\n');
    return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  }
});

interface Status {
  readonly owned: number;
  readonly lease: string;
  readonly synced: boolean;
  readonly demotions: Readonly<Record<string, number>>;
  readonly 'ike-sas': Readonly<Record<string, number>>;
  readonly metrics: Readonly<Record<string, number>>;
  readonly members: readonly {
    readonly name: string;
    readonly state: string;
    readonly owned: number;
  }[];
}

interface Segment {
  readonly segment: number;
  readonly here: boolean;
  readonly 'ike-sas': number;
  readonly 'child-sas': number;
}

/** Each process of `ip netns exec` has mounts of its own. */
const OWN_STATE =
  'mkdir -p "$0/lib" && mount --bind "$0/lib" /var/lib && mount -t tmpfs tmpfs /run && exec "$@"';

function configuration(self: Name, directory: string): string {
  const members = NAMES.map((name) => `${name} { addrs = ${syncAddresses(name).join(', ')} }`);
  return `gateway { resolv_conf = no }
cluster {
  self = ${self}
  secret = ${CLUSTER_SECRET}
  mode = forward
  segments = ${SEGMENTS}
  fifo = ${join(directory, 'tsgw.ha')}
  timers {
    lease = 800ms
    takeover = ${TAKE_OVER_MS}ms
  }
  nodes {
    ${members.join('\n    ')}
  }
}
connections {
  rw {
    version = 2
    remote_addrs = %any
    proposals = ${IKE_PROPOSALS}
    pools = rw
    local { auth = psk; id = ${identities.gateway} }
    remote { auth = psk; id = ${identities.client} }
    children { net { local_ts = ${clusterAddresses.lanNet}; esp_proposals = ${ESP_PROPOSALS} } }
  }
}
${sharedSecret}
pools { rw { addrs = ${clusterAddresses.pool} } }
`
    .replaceAll('; ', '\n')
    .replace(/ \{ (?=\S)/g, ' {\n')
    .replace(/ \}(?= |$)/gm, '\n}');
}
