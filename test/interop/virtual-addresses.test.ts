/**
 * Virtual addresses (RFC 7296 §2.19): clients of strongSwan at a pool of ours, and we as a client at
 * a pool of strongSwan's. What the pool says is read with the real swanctl.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { until } from '../../lab/command.ts';
import type { Gateway } from '../../lab/gateway.ts';
import { hostAddress } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { type Lab, onlyTsgw, useLab } from '../support/lab.ts';

const secrets = `secrets { ike-1 { secret = "a secret only the lab knows" } }`;

/** A connection named after its client, which wants these addresses. */
function client(lab: Lab, at: Gateway, name: string, vips: string): string {
  const gateway = at === lab.peer ? lab.subject : lab.peer;
  const behind = gateway.node === 'g1' ? '10.1.0.0/16, 2001:db8:1::/64' : '10.2.0.0/16';
  return `connections { ${name} {
    version = 2
    local_addrs = ${lab.address(at)}
    remote_addrs = ${lab.address(gateway)}
    proposals = aes256-sha256-x25519
    ${vips === '' ? '' : `vips = ${vips}`}
    local { auth = psk
      id = ${name} }
    remote { auth = psk
      id = gateway.lab }
    children { ${name} { remote_ts = ${behind}
        esp_proposals = aes128gcm16 } } } }`;
}

/** A gateway for whoever knows the secret, and its pools. */
function gateway(lab: Lab, at: Gateway, pools: string): string {
  const ours = at.node === 'g1' ? '10.1.0.0/16, 2001:db8:1::/64' : '10.2.0.0/16';
  const names = [...pools.matchAll(/(\w+) \{/g)].map(([, name]) => name);
  return `connections { rw {
    version = 2
    local_addrs = ${lab.address(at)}
    remote_addrs = %any
    proposals = aes256-sha256-x25519
    pools = ${names.join(', ')}
    local { auth = psk
      id = gateway.lab }
    remote { auth = psk }
    children { net { local_ts = ${ours}
        esp_proposals = aes128gcm16 } } } }
  pools { ${pools} }
  ${secrets}`;
}

async function loadClients(
  lab: Lab,
  at: Gateway,
  clients: Readonly<Record<string, string>>,
): Promise<void> {
  const texts = Object.entries(clients).map(([name, vips]) => client(lab, at, name, vips));
  await at.swanctl.load(`${texts.join('\n')}\n${secrets}`);
}

async function connect({ swanctl }: Gateway, name: string): Promise<void> {
  const { status, stdout, stderr } = await swanctl.call(['--initiate', '--child', name]);
  assert.equal(status, 0, `${stdout}${stderr}`);
}

/** Virtual addresses of the connection's only IKE SA, as one end lists them. */
async function vips(
  { swanctl }: Gateway,
  which: { readonly identity: string } | { readonly name: string },
  side: 'local-vips' | 'remote-vips',
): Promise<unknown> {
  const sas = (await swanctl.sas()).filter(({ name, raw, state }) =>
    state === 'ESTABLISHED' && 'name' in which
      ? name === which.name
      : 'identity' in which && raw['remote-id'] === which.identity,
  );
  assert.equal(sas.length, 1, `${sas.length} IKE SAs`);
  return sas[0]?.raw[side];
}

/** What `swanctl --list-pools --leases` prints, blanks made one. */
async function pools({ swanctl }: Gateway): Promise<readonly string[]> {
  const text = await swanctl.must(['--list-pools', '--leases']);
  return text
    .split('\n')
    .map((line) => line.trim().replace(/ +/g, ' '))
    .filter((line) => line !== '');
}

/** Pings from a gateway's own node; answers how many came back of ten. */
async function pinged(lab: Lab, from: Gateway, source: string, to: string): Promise<number> {
  return (await ping(lab.topology, { from: from.node, source, to, count: 10 })).received;
}

describe('A gateway with pools', () => {
  const lab = useLab();
  afterEach(() => lab.clear());

  const dual = `rw { addrs = 10.3.0.0/29
      dns = 10.1.0.53 }
    six { addrs = 2001:db8:3::/64 }`;

  it('gives each client an address of its own, both families, and reaches it', async () => {
    await lab.subject.swanctl.load(gateway(lab, lab.subject, dual));
    await loadClients(lab, lab.peer, { alice: '0.0.0.0, ::', bob: '0.0.0.0' });
    for (const name of ['alice', 'bob']) await connect(lab.peer, name);
    const given = ['10.3.0.1', '2001:db8:3::1'];
    assert.deepEqual(await vips(lab.peer, { name: 'alice' }, 'local-vips'), given);
    assert.deepEqual(await vips(lab.subject, { identity: 'alice' }, 'remote-vips'), given);
    assert.deepEqual(await vips(lab.subject, { identity: 'bob' }, 'remote-vips'), ['10.3.0.2']);
    assert.equal(await pinged(lab, lab.peer, '10.3.0.1', hostAddress('h1', 'ipv4')), 10);
    assert.equal(await pinged(lab, lab.peer, '10.3.0.2', hostAddress('h1', 'ipv4')), 10);
    assert.equal(await pinged(lab, lab.peer, '2001:db8:3::1', hostAddress('h1', 'ipv6')), 10);
    assert.deepEqual([...(await pools(lab.subject))].sort(), [
      "10.3.0.1 online 'alice'",
      "10.3.0.2 online 'bob'",
      "2001:db8:3::1 online 'alice'",
      'rw 10.3.0.0 2 / 0 / 6',
      'six 2001:db8:3:: 1 / 0 / 2147483646',
    ]);
  });

  it('keeps a client its address, through rekeying and while it is away', async () => {
    await lab.subject.swanctl.load(gateway(lab, lab.subject, 'away { addrs = 10.3.1.0/29 }'));
    await loadClients(lab, lab.peer, { carol: '0.0.0.0', dave: '0.0.0.0' });
    await connect(lab.peer, 'carol');
    await lab.peer.swanctl.must(['--rekey', '--ike', 'carol']);
    await until('the client to have one IKE SA again', async () => {
      const sas = await lab.peer.swanctl.sas();
      return (sas.length === 1 && sas[0]?.uniqueId !== '1') || undefined;
    });
    assert.deepEqual(await pools(lab.subject), [
      'away 10.3.1.0 1 / 0 / 6',
      "10.3.1.1 online 'carol'",
    ]);
    await lab.peer.swanctl.must(['--terminate', '--ike', 'carol']);
    assert.deepEqual(await pools(lab.subject), [
      'away 10.3.1.0 0 / 1 / 6',
      "10.3.1.1 offline 'carol'",
    ]);
    for (const name of ['dave', 'carol']) await connect(lab.peer, name);
    assert.deepEqual(await vips(lab.peer, { name: 'carol' }, 'local-vips'), ['10.3.1.1']);
    assert.deepEqual(await vips(lab.peer, { name: 'dave' }, 'local-vips'), ['10.3.1.2']);
    assert.equal(await pinged(lab, lab.peer, '10.3.1.1', hostAddress('h1', 'ipv4')), 10);
  });

  it('refuses a client when no address is left, and one that asks for none', async () => {
    await lab.subject.swanctl.load(gateway(lab, lab.subject, 'small { addrs = 10.3.2.9 }'));
    await loadClients(lab, lab.peer, { erin: '0.0.0.0', frank: '0.0.0.0', grace: '' });
    await connect(lab.peer, 'erin');
    const refusals = { frank: 'INTERNAL_ADDRESS_FAILURE', grace: 'FAILED_CP_REQUIRED' };
    for (const [name, notify] of Object.entries(refusals)) {
      const { status } = await lab.peer.swanctl.call(['--initiate', '--child', name]);
      assert.notEqual(status, 0, name);
      assert.match(lab.peer.log(), new RegExp(`received ${notify} notify, no CHILD_SA built`));
    }
    const states = (await lab.peer.swanctl.sas()).map(({ name, state, children }) => [
      name,
      state,
      children.length,
    ]);
    assert.deepEqual(states.sort(), [
      ['erin', 'ESTABLISHED', 1],
      ['frank', 'ESTABLISHED', 0],
      ['grace', 'ESTABLISHED', 0],
    ]);
    await lab.peer.swanctl.must(['--terminate', '--ike', 'erin']);
    await lab.peer.swanctl.must(['--terminate', '--ike', 'frank']);
    await connect(lab.peer, 'frank');
    assert.deepEqual(await pools(lab.subject), [
      'small 10.3.2.9 1 / 0 / 1',
      "10.3.2.9 online 'frank'",
    ]);
  });

  it('does not let go of a pool that is in use', async () => {
    await lab.subject.swanctl.load(gateway(lab, lab.subject, 'busy { addrs = 10.3.3.0/29 }'));
    await loadClients(lab, lab.peer, { heidi: '0.0.0.0' });
    await connect(lab.peer, 'heidi');
    const other = gateway(lab, lab.subject, 'busy { addrs = 10.3.3.0/28 }');
    await assert.rejects(
      lab.subject.swanctl.load(other),
      /vici pool busy has online leases, unable to replace/,
    );
    const none = gateway(lab, lab.subject, 'idle { addrs = 10.3.4.0/29 }');
    await lab.subject.swanctl.load(none);
    const { stderr } = await lab.subject.swanctl.call(['--load-pools']);
    assert.match(stderr, /unloading pool 'busy' failed: busy has online leases, unable to unload/);
    assert.ok((await pools(lab.subject)).includes("10.3.3.1 online 'heidi'"));
    await lab.peer.swanctl.must(['--terminate', '--ike', 'heidi']);
    await lab.subject.swanctl.must(['--load-pools']);
    assert.deepEqual(await pools(lab.subject), ['idle 10.3.4.0 0 / 0 / 6']);
  });
});

describe('A client of strongSwan’s pool', () => {
  const lab = useLab();
  afterEach(() => lab.clear());

  const pool = `client { addrs = 10.3.5.0/29
    dns = 10.2.0.53 }`;

  it('uses the address it is given, and no longer than it has it', async () => {
    await lab.peer.swanctl.load(gateway(lab, lab.peer, pool));
    await loadClients(lab, lab.subject, { tess: '0.0.0.0' });
    await connect(lab.subject, 'tess');
    assert.deepEqual(await vips(lab.subject, { name: 'tess' }, 'local-vips'), ['10.3.5.1']);
    assert.deepEqual(await vips(lab.peer, { identity: 'tess' }, 'remote-vips'), ['10.3.5.1']);
    assert.match(await addresses(lab), / 10\.3\.5\.1\/32 /);
    assert.equal(await pinged(lab, lab.subject, '10.3.5.1', hostAddress('h2', 'ipv4')), 10);
    await lab.subject.swanctl.must(['--terminate', '--ike', 'tess']);
    assert.doesNotMatch(await addresses(lab), /10\.3\.5\./);
    assert.deepEqual(await pools(lab.peer), [
      'client 10.3.5.0 0 / 1 / 6',
      "10.3.5.1 offline 'tess'",
    ]);
  });

  describe('of its own', () => {
    onlyTsgw();

    it('has the address on the device, as the source of what starts here, and its name server', async () => {
      await lab.peer.swanctl.load(gateway(lab, lab.peer, pool));
      await loadClients(lab, lab.subject, { tess: '0.0.0.0' });
      await connect(lab.subject, 'tess');
      const { network } = lab.topology;
      const { stdout: device } = await network.exec(lab.subjectNode, [
        'ip',
        '-o',
        'address',
        'show',
        'dev',
        'tsgw0',
      ]);
      assert.match(device, / 10\.3\.5\.1\/32 /);
      const to = hostAddress('h2', 'ipv4');
      const { stdout: route } = await network.exec(lab.subjectNode, ['ip', 'route', 'get', to]);
      assert.match(route, /dev tsgw0 .*src 10\.3\.5\.1 /);
      const resolver = () => readFileSync(lab.tsgw.resolvConf, 'utf8');
      assert.equal(resolver(), 'nameserver 10.2.0.53 # by tsgw\n');
      await lab.subject.swanctl.must(['--terminate', '--ike', 'tess']);
      assert.equal(resolver(), '');
      assert.doesNotMatch(await addresses(lab), /10\.3\.5\./);
    });

    it('keeps the address when it proves itself again, and its traffic goes on', async () => {
      await lab.peer.swanctl.load(gateway(lab, lab.peer, pool));
      await loadClients(lab, lab.subject, { tess: '0.0.0.0' });
      await connect(lab.subject, 'tess');
      const [before] = await lab.subject.swanctl.sas();
      const stream = ping(lab.topology, {
        ...{ from: lab.subjectNode, source: '10.3.5.1', to: hostAddress('h2', 'ipv4') },
        ...{ count: 200, intervalSeconds: 0.01 },
      });
      await lab.subject.swanctl.must(['--rekey', '--ike', 'tess', '--reauth']);
      await until('the old IKE SA to be gone', async () => {
        const sas = await lab.subject.swanctl.sas();
        return (sas.length === 1 && sas[0]?.uniqueId !== before?.uniqueId) || undefined;
      });
      // What charon sends on the new Child SA before we know of it, or late on the old, is lost.
      const { received } = await stream;
      assert.ok(received >= 160, `${received} of 200 came back`);
      assert.deepEqual(await vips(lab.subject, { name: 'tess' }, 'local-vips'), ['10.3.5.1']);
      assert.match(await addresses(lab), / 10\.3\.5\.1\/32 /);
    });
  });
});

/** All addresses at the subject's node. */
async function addresses({ topology, subjectNode }: Lab): Promise<string> {
  const { stdout } = await topology.network.exec(subjectNode, ['ip', '-o', 'address', 'show']);
  return stdout;
}
