import assert from 'node:assert/strict';
import type { EspPolicy } from '../../src/esp/esp-sa-table.ts';
import { Policies, type Trigger } from '../../src/gateway/policies.ts';
import type { Outcome } from '../../src/ike/action.ts';
import type { AddressMatch, SelectorTemplate } from '../../src/ipsec/connection.ts';
import { PolicyList } from '../../src/ipsec/policy-list.ts';
import { formatSelector } from '../../src/ipsec/traffic-selector.ts';
import { OPAQUE } from '../../src/wire/flow.ts';
import { child, connection, network } from '../support/connections.ts';
import { A, B, endpoint } from '../support/pair.ts';

const PEER: readonly AddressMatch[] = [{ kind: 'address', address: endpoint(B).address }];
const DYNAMIC: SelectorTemplate = { kind: 'dynamic', protocol: 6, startPort: 22, endPort: 22 };
const DONE: Outcome = { kind: 'done', matches: 1, terminated: 0 };
const site = connection({ remoteAddresses: PEER });

describe('Policies without an SA', () => {
  let told: string[];
  let said: string[];
  let initiated: string[];
  let spd: PolicyList;
  let local: string;
  let outcome: Outcome;
  let policies: Policies;

  beforeEach(() => {
    [told, said, initiated] = [[], [], []];
    spd = new PolicyList();
    local = A;
    outcome = DONE;
    const host = {
      installPolicy: ({ id, action, localTs, remoteTs, priority }: EspPolicy) => {
        const ends = [localTs, remoteTs].map((some) => some.map(formatSelector).join());
        told.push(`${id} ${action} ${ends.join(' === ')} ${priority}`);
      },
      removePolicy: (id: number) => told.push(`${id} goes`),
    };
    policies = new Policies({
      spd,
      host: () => host,
      path: async () => {
        if (local === '') throw new Error('no route');
        return { local: endpoint(local), remote: endpoint(B) };
      },
      initiate: async (name, childName, { local: from, remote }: Trigger) => {
        initiated.push(`${name}/${childName} ${formatSelector(from)} ${formatSelector(remote)}`);
        return outcome;
      },
      say: (level, what) => said.push(`${level} ${what}`),
    });
  });

  function listed(): readonly string[] {
    return spd.rows().map(({ entry }) => `${entry.id} ${entry.action}`);
  }

  it('are traps, bypasses and discards, as children ask for them', () => {
    policies.install(site, child({ priority: 7 }));
    policies.install(site, child({ name: 'lan', mode: 'pass' }));
    policies.install(site, child({ name: 'none', mode: 'drop' }));
    assert.deepEqual(told, [
      '-1 trap 10.1.0.0/16 === 10.2.0.0/16 7',
      '-2 bypass 10.1.0.0/16 === 10.2.0.0/16 0',
      '-3 discard 10.1.0.0/16 === 10.2.0.0/16 0',
    ]);
    const ends = { localTs: ['10.1.0.0/16'], remoteTs: ['10.2.0.0/16'] };
    assert.deepEqual(policies.views(), [
      { child: 'net', ike: 'peer', mode: 'TUNNEL', ...ends },
      { child: 'lan', ike: 'peer', mode: 'PASS', ...ends },
      { child: 'none', ike: 'peer', mode: 'DROP', ...ends },
    ]);
    assert.deepEqual(listed(), ['-1 trap', '-2 bypass', '-3 discard']);
    assert.deepEqual(policies.owner(-2), { ike: 'peer', child: 'lan' });
    assert.equal(policies.owner(5), undefined);
  });

  it('go, and say so when there is none', () => {
    policies.install(site, child());
    assert.equal(policies.uninstall('peer', 'lan'), false);
    assert.equal(policies.uninstall('other', 'net'), false);
    assert.equal(policies.uninstall('peer', 'net'), true);
    assert.equal(policies.uninstall('peer', 'net'), false);
    assert.deepEqual(told.slice(1), ['-1 goes']);
    assert.deepEqual([policies.views(), listed()], [[], []]);
  });

  it('stay as they are when installed again, and are replaced when they changed', () => {
    policies.install(site, child());
    policies.install(site, child());
    assert.equal(told.length, 1);
    policies.install(site, child({ remoteTs: [network('10.3.0.0/16')] }));
    assert.deepEqual(told.slice(1), ['-1 goes', '-2 trap 10.1.0.0/16 === 10.3.0.0/16 0']);
    assert.deepEqual(listed(), ['-2 trap']);
  });

  it('have every address for `dynamic` in a shunt, and list it as written', () => {
    policies.install(site, child({ mode: 'pass', localTs: [DYNAMIC] }));
    assert.deepEqual(told, ['-1 bypass 0.0.0.0/0[tcp/22],::/0[tcp/22] === 10.2.0.0/16 0']);
    assert.deepEqual(policies.views()[0]?.localTs, ['dynamic[tcp/22]']);
  });

  it('have the addresses of the connection for `dynamic` in a trap, and follow them', async () => {
    policies.install(site, child({ localTs: [DYNAMIC], remoteTs: [DYNAMIC] }));
    assert.deepEqual(policies.views()[0]?.localTs, ['dynamic[tcp/22]']);
    await new Promise(setImmediate);
    const trap = (from: string) => `trap ${from}/32[tcp/22] === ${B}/32[tcp/22] 0`;
    assert.deepEqual(told, [`-1 ${trap(A)}`]);
    assert.deepEqual(policies.views()[0]?.remoteTs, [`${B}/32[tcp/22]`]);
    policies.refresh();
    local = '203.0.113.9';
    policies.refresh();
    await new Promise(setImmediate);
    assert.deepEqual(told.slice(1), [`-1 ${trap('203.0.113.9')}`]);
    assert.deepEqual(listed(), ['-1 trap']);
  });

  it('wait for addresses that are not known, and not after they went', async () => {
    local = '';
    policies.install(site, child({ localTs: [DYNAMIC] }));
    await new Promise(setImmediate);
    assert.deepEqual(said, ['error the trap of net waits for addresses: no route']);
    local = A;
    policies.refresh();
    policies.uninstall('peer', 'net');
    await new Promise(setImmediate);
    assert.deepEqual([told, listed()], [[], []]);
  });

  it('need an address to initiate to, where they are traps', () => {
    assert.throws(() => policies.install(connection(), child()), /connection peer has no remote/);
    policies.install(connection(), child({ mode: 'drop' }));
    assert.equal(policies.views().length, 1);
  });

  it('initiate their child with the packet that asked', async () => {
    policies.install(site, child());
    const [from, to] = [endpoint('10.1.0.10').address, endpoint('10.2.0.10').address];
    const flow = { local: from, remote: to, protocol: 17, localPort: 40_000, remotePort: 53 };
    const acquire = { kind: 'acquire', policy: -1, flow } as const;
    await policies.acquire(acquire);
    await policies.acquire({ ...acquire, policy: -9 });
    outcome = { kind: 'timeout', what: 'the peer is silent' };
    const later = { ...flow, protocol: OPAQUE, localPort: OPAQUE, remotePort: OPAQUE };
    await policies.acquire({ ...acquire, flow: later });
    assert.deepEqual(initiated, [
      'peer/net 10.1.0.10/32[udp/40000] 10.2.0.10/32[udp/53]',
      'peer/net 10.1.0.10/32 10.2.0.10/32',
    ]);
    assert.deepEqual(
      said.filter((line) => !line.startsWith('debug')),
      ['notice traffic of peer/net has no SA: the peer is silent'],
    );
  });
});
