import assert from 'node:assert/strict';
import type { ConfigWarning } from '../../src/config/findings.ts';
import { ConfigError, type Section } from '../../src/config/section.ts';
import { DropReason } from '../../src/events/drop-reason.ts';
import type { Event } from '../../src/events/event.ts';
import {
  createSharedCounters,
  shareCounters,
  WorkerCounter,
} from '../../src/events/shared-counters.ts';
import { GatewayControl } from '../../src/gateway/control.ts';
import { CounterRows } from '../../src/gateway/counter-rows.ts';
import type { Outcome, SaSelector } from '../../src/ike/action.ts';
import { PolicyList } from '../../src/ipsec/policy-list.ts';
import type { ControlOutcome, PolicyView } from '../../src/vici/control.ts';
import { viciSection } from '../../src/vici/message.ts';
import { sectionFromVici } from '../../src/vici/settings.ts';
import { established } from '../support/child-sas.ts';
import { child, connection, fqdn } from '../support/connections.ts';
import type { Pair } from '../support/pair.ts';
import { sampleEvents } from '../support/sample-events.ts';
import { sites } from '../support/sites.ts';

const IDENTITY = {
  version: '0.1.0',
  sysname: 'Linux',
  release: '6.1.0',
  machine: 'x86_64',
  since: 'Nov 21 22:01:52 2026',
};
const DONE = { kind: 'done', matches: 1, terminated: 0 } as const;

/** Side a of a pair under a control, what the control asked for, and what it warned about. */
class Controlled {
  readonly pair: Pair;
  readonly control: GatewayControl;
  readonly counters = createSharedCounters(2);
  /** Of a second worker. */
  readonly others = shareCounters(this.counters);
  readonly spd = new PolicyList();
  readonly initiated: string[] = [];
  readonly terminated: { readonly selector: SaSelector; readonly force: boolean }[] = [];
  readonly rekeyed: { readonly selector: SaSelector; readonly reauthenticate: boolean }[] = [];
  readonly redirected: string[] = [];
  outcome: Outcome = DONE;
  /** Happens while an initiation is under way. */
  during: () => void = () => {};
  readonly policies = new Map<string, PolicyView>();
  readonly warnings: ConfigWarning[] = [];
  readonly resolved: string[] = [];

  constructor(pair: Pair) {
    this.pair = pair;
    const { a } = pair;
    for (const { id, localTs, remoteTs } of a.children.values()) {
      this.spd.insert({ id, action: 'protect', sa: id, localTs, remoteTs, priority: 0 });
    }
    this.control = new GatewayControl({
      pad: a.pad,
      begins: () => true,
      engine: a.engine,
      counters: [this.counters, this.others],
      spd: this.spd,
      identity: IDENTITY,
      uptimeSeconds: () => 26,
      dataPlane: () => ({
        backEnds: { evp: '3.0.19' },
        ciphers: { others: 'evp' },
        offload: 'tcp',
      }),
      socketDrops: () => ({ 'bad-icv': 1, 'icmp-malformed': 4, 'send-failed': 0 }),
      view: () => ({
        now: pair.now,
        rows: new CounterRows(this.counters),
        installedAt: () => pair.now,
        innerMtu: () => 1400,
      }),
      childSas: () => [...a.children.values()],
      paths: {
        measure: () => Promise.resolve({ kind: 'failed', what: 'nothing is measured here' }),
        measured: () => undefined,
        childSa: () => undefined,
      },
      trace: {
        device: () => ({ name: 'tsgw0', mtu: 1438 }),
        mssClamp: () => true,
        routeTo: () => 'device',
        path: () => undefined,
        reachedLimit: () => 'none',
      },
      cluster: () => undefined,
      capture: () => 'nothing is captured here',
      resolveNames: ({ name }) => {
        this.resolved.push(name);
      },
      initiate: async (name, policy) => {
        this.initiated.push(`${name}/${policy}`);
        this.during();
        return this.outcome;
      },
      terminate: async (selector, force) => {
        this.terminated.push({ selector, force });
        return DONE;
      },
      rekey: async (selector, reauthenticate) => {
        this.rekeyed.push({ selector, reauthenticate });
        return this.outcome;
      },
      redirect: async ({ selector, gateway }) => {
        this.redirected.push(`${selector.ike} to ${gateway}`);
        return DONE;
      },
      reloadSettings: () => ['gateway.port'],
      policies: {
        views: () => [...this.policies.values()],
        install: ({ name }, { name: policy, mode }) => {
          if (mode === 'drop') throw new Error('no drops here');
          const view = { child: policy, ike: name, mode: 'TUNNEL', localTs: [], remoteTs: [] };
          this.policies.set(`${name}/${policy}`, view);
        },
        uninstall: (name, policy) => this.policies.delete(`${name}/${policy}`),
        owner: (id) => (id === -1 ? { ike: 'site', child: 'lan' } : undefined),
      },
      pools: {
        views: () => [],
        load: (name) => {
          throw new ConfigError({ file: 'vici', line: 0 }, `${name} is refused`);
        },
        unload: (name) => name === 'rw',
      },
      warn: (warnings) => this.warnings.push(...warnings),
    });
  }
}

function settings(...pairs: Parameters<typeof viciSection>[0][number][]): Section {
  return sectionFromVici(viciSection(pairs));
}

function peerSettings(startAction: string): Section {
  const net = viciSection([
    ['local_ts', ['10.1.0.0/16']],
    ['remote_ts', ['10.2.0.0/16']],
    ['start_action', startAction],
  ]);
  return settings(
    ['remote_addrs', ['192.0.2.2']],
    [
      'local',
      viciSection([
        ['auth', 'psk'],
        ['id', 'a.lab'],
      ]),
    ],
    [
      'remote',
      viciSection([
        ['auth', 'psk'],
        ['id', 'b.lab'],
      ]),
    ],
    ['children', viciSection([['net', net]])],
  );
}

describe('Connections of the control', () => {
  let test: Controlled;
  beforeEach(() => {
    test = new Controlled(sites());
  });

  it('are loaded into the PAD and listed by name', () => {
    test.control.loadConnection('branch', peerSettings('none'));
    assert.deepEqual(
      test.control.connections().map(({ name }) => name),
      ['peer', 'branch'],
    );
    assert.deepEqual(
      test.control.connections('branch').map(({ name }) => name),
      ['branch'],
    );
    assert.deepEqual(test.control.connections('nobody'), []);
    assert.deepEqual(test.initiated, []);
  });

  it('start the children whose start_action says so', () => {
    test.control.loadConnection('branch', peerSettings('start'));
    assert.deepEqual(test.initiated, ['branch/net']);
    const children = [child({ startAction: 'start' }), child({ name: 'idle' })];
    test.control.start(connection({ name: 'third', children }));
    assert.deepEqual(test.initiated, ['branch/net', 'third/net']);
    assert.deepEqual(test.resolved, ['branch', 'third'], 'their names are looked up');
  });

  it('are refused as a whole where a setting is wrong, and warned about', () => {
    assert.throws(() => test.control.loadConnection('x', settings(['colour', 'red'])), /colour/);
    assert.equal(test.control.connections('x').length, 0);
    test.control.loadConnection('branch', peerSettings('none'));
    assert.equal(test.warnings.length, 0);
    const weak = settings(...weakPairs);
    test.control.loadConnection('weak', weak);
    assert.match(test.warnings[0]?.what ?? '', /sha1/i);
  });

  it('go when they are unloaded, once', () => {
    assert.equal(test.control.unloadConnection('peer'), true);
    assert.equal(test.control.unloadConnection('peer'), false);
    assert.deepEqual(test.control.connections(), []);
  });
});

const weakPairs = [
  ['proposals', ['aes256-sha1-x25519']],
  ['remote_addrs', ['192.0.2.2']],
  ['local', viciSection([['auth', 'psk']])],
  ['remote', viciSection([['auth', 'psk']])],
] as const;

describe('Shared secrets of the control', () => {
  const octets = Uint8Array.of(1, 2, 3);
  let test: Controlled;
  beforeEach(() => {
    test = new Controlled(sites());
    test.control.clearCredentials();
  });

  it('serve the identities they are loaded for', () => {
    test.control.loadShared('one', 'IKE', octets, ['a.lab', 'b.lab']);
    const { pad } = test.pair.a;
    assert.deepEqual(test.control.sharedIds(), ['one']);
    assert.deepEqual(pad.sharedSecret(fqdn('a.lab'), fqdn('b.lab'))?.reveal(), octets);
    assert.equal(pad.sharedSecret(fqdn('x.lab'), fqdn('y.lab')), undefined);
  });

  it('go one by one or all at once', () => {
    test.control.loadShared('one', 'ike', octets, []);
    test.control.loadShared('two', 'ike', octets, []);
    test.control.loadShared('three', 'ike', octets, []);
    assert.equal(test.control.unloadShared('two'), true);
    assert.equal(test.control.unloadShared('two'), false);
    assert.deepEqual(test.control.sharedIds(), ['one', 'three']);
    test.control.clearCredentials();
    assert.deepEqual(test.control.sharedIds(), []);
  });

  it('of other kinds, with impossible owners, or empty are refused without being shown', () => {
    const refused = (load: () => void, what: RegExp) =>
      assert.throws(load, (error) => error instanceof ConfigError && what.test(error.message));
    refused(() => test.control.loadShared('one', 'EAP', octets, []), /type EAP/);
    refused(() => test.control.loadShared('one', 'ike', octets, ['@#zz']), /secrets\.one\.id/);
    refused(() => test.control.loadShared('one', 'ike', new Uint8Array(), []), /one.* is empty/);
    assert.deepEqual(test.control.sharedIds(), []);
  });
});

describe("Operators' requests to the control", () => {
  let test: Controlled;
  beforeEach(() => {
    test = new Controlled(sites());
    test.control.start(connection({ name: 'second', children: [child({ name: 'other' })] }));
  });

  it('initiate a child by name, of the connection that has it', async () => {
    assert.deepEqual(await test.control.initiate('other', undefined), DONE);
    assert.deepEqual(await test.control.initiate('net', 'peer'), DONE);
    assert.deepEqual(test.initiated, ['second/other', 'peer/net']);
  });

  it('refuse to initiate what is not there, and say what is', async () => {
    assert.deepEqual(await test.control.initiate('nat', undefined), {
      kind: 'failed',
      what: "CHILD_SA config 'nat' not found; known: net, other",
    });
    assert.deepEqual(await test.control.initiate('other', 'peer'), {
      kind: 'failed',
      what: "CHILD_SA config 'other' not found; known: net",
    });
    assert.deepEqual(await test.control.initiate(undefined, 'nobody'), {
      kind: 'failed',
      what: "IKE_SA config 'nobody' not found",
    });
    assert.deepEqual(test.initiated, []);
    assert.deepEqual(await test.control.initiate(undefined, 'peer'), DONE);
    assert.deepEqual(test.initiated, ['peer/undefined'], 'the IKE SA alone (RFC 6023)');
  });

  it('rekey exactly what was named, and wait until it is replaced', async () => {
    const up = new Controlled(established());
    const [sa] = up.control.ikeSas();
    assert.ok(sa);
    let ended: ControlOutcome | undefined;
    const rekeying = up.control.rekey({ child: 'net', ike: 'peer', reauthenticate: false });
    void rekeying.then((outcome) => {
      ended = outcome;
    });
    await Promise.resolve();
    assert.equal(ended, undefined);
    const [child] = sa.children;
    const where = { ikeSa: sa.uniqueId, childSa: 99, replaces: child?.uniqueId ?? 0 };
    up.control.publish({ ...sampleEvents.childSaRekeyed, ...where });
    assert.deepEqual(await rekeying, { kind: 'done', matches: 1, terminated: 0 });
    assert.deepEqual(up.rekeyed, [
      { selector: { ike: 'peer', child: 'net' }, reauthenticate: false },
    ]);
    up.outcome = { kind: 'failed', what: 'no matching SAs to rekey found' };
    assert.deepEqual(await up.control.rekey({ ikeId: 4, reauthenticate: true }), up.outcome);
    assert.deepEqual(up.rekeyed[1], { selector: { ikeSaId: 4 }, reauthenticate: true });
  });

  it('redirect by connection, address and identity, and say what is no selector', async () => {
    const up = new Controlled(established());
    const gateway = '192.0.2.9';
    assert.equal(up.control.redirectable({ ike: 'peer', gateway }), 1);
    assert.equal(up.control.redirectable({ ike: 'other', gateway }), 0);
    assert.equal(up.control.redirectable({ peerAddress: '192.0.2.0/24', gateway }), 1);
    assert.equal(up.control.redirectable({ peerAddress: '192.0.2.2', gateway }), 1);
    assert.equal(up.control.redirectable({ peerAddress: '192.0.2.3-192.0.2.9', gateway }), 0);
    assert.equal(up.control.redirectable({ peerId: 'b.lab', gateway }), 1);
    assert.equal(up.control.redirectable({ peerId: '*@lab', gateway }), 0);
    assert.equal(
      up.control.redirectable({ peerAddress: 'zz', gateway }),
      'invalid peer IP selector',
    );
    assert.match(
      String(up.control.redirectable({ peerId: '@#zz', gateway })),
      /^invalid peer ID selector/,
    );
    assert.equal((await up.control.redirect({ peerAddress: '%any', gateway })).kind, 'failed');
    assert.deepEqual(await up.control.redirect({ ike: 'peer', gateway }), DONE);
    assert.deepEqual(up.redirected, ['peer to 192.0.2.9']);
  });

  it('install and uninstall traps and shunts by the name of their child', () => {
    const children = [child({ name: 'trp' }), child({ name: 'blk', mode: 'drop' })];
    test.control.start(connection({ name: 'third', children }));
    assert.equal(test.control.install('trp', undefined), 'done');
    assert.equal(test.control.install('trp', 'peer'), 'not-found');
    assert.deepEqual(test.control.install('blk', 'third'), { failed: 'no drops here' });
    assert.deepEqual(
      test.control.policies().map(({ ike, child: policy }) => `${ike}/${policy}`),
      ['third/trp'],
    );
    assert.equal(test.control.uninstall('trp', 'peer'), 'not-found');
    assert.equal(test.control.uninstall('trp', undefined), 'done');
    assert.equal(test.control.uninstall('trp', undefined), 'not-found');
  });

  it('pass pools and settings on', () => {
    assert.throws(() => test.control.loadPool('rw', settings()), /rw is refused/);
    assert.equal(test.control.unloadPool('rw'), true);
    assert.deepEqual(test.control.pools(), []);
    assert.deepEqual(test.control.reloadSettings(), ['gateway.port']);
  });

  it('terminate exactly what was named', async () => {
    await test.control.terminate({ ike: 'peer', ikeId: 4, force: false });
    await test.control.terminate({ child: 'net', childId: 9, force: true });
    assert.deepEqual(test.terminated, [
      { selector: { ike: 'peer', ikeSaId: 4 }, force: false },
      { selector: { child: 'net', childSaId: 9 }, force: true },
    ]);
  });
});

describe('Listings of the control', () => {
  it('show the SAs of the engine', () => {
    const { control } = new Controlled(established());
    const [sa, ...others] = control.ikeSas();
    assert.equal(sa?.state, 'ESTABLISHED');
    assert.deepEqual(others, []);
    assert.deepEqual(
      control.sad().map(({ direction, child: name }) => `${direction} ${name}`),
      ['in net', 'out net'],
    );
    assert.deepEqual(control.policies(), []);
  });

  it('show outbound policies with the SA that protects, and inbound selectors', () => {
    const test = new Controlled(established());
    const localTs = [...test.pair.a.children.values()].flatMap((one) => one.localTs);
    test.spd.insert({ id: 99, action: 'discard', localTs, remoteTs: localTs, priority: 1 });
    const [spiIn, spiOut] = test.control.sad().map(({ spi }) => spi);
    const net = { action: 'protect', local: '10.1.0.0/16', remote: '10.2.0.0/16' };
    const owner = { child: 'net', ike: 'peer' };
    const ownNet = { local: '10.1.0.0/16', remote: '10.1.0.0/16' };
    assert.deepEqual(test.control.spd(), [
      { direction: 'out', action: 'discard', ...ownNet, child: '', ike: '', spi: '' },
      { direction: 'out', ...net, ...owner, spi: spiOut },
      { direction: 'in', ...net, ...owner, spi: spiIn },
    ]);
  });

  it('show who we are, how many SAs there are and what was dropped, by reason', () => {
    const test = new Controlled(established());
    test.counters.drops[DropReason['bad-icv']] = 2;
    test.others.drops[DropReason['no-policy']] = 1;
    test.counters.work[WorkerCounter.PACKETS_IN] = 7;
    test.others.work[WorkerCounter.HANDED_OVER] = 5;
    const spiIn = test.pair.a.children.values().next().value?.spiIn ?? 0;
    const idle = { childSas: 0, packetsIn: 0, packetsOut: 0, handedOver: 0, takenOver: 0 };
    test.control.publish({ ...sampleEvents.ikeDrop, reason: 'unknown-ike-spi' });
    assert.deepEqual(test.control.stats(), {
      ...IDENTITY,
      backEnds: { evp: '3.0.19' },
      ciphers: { others: 'evp' },
      offload: 'tcp',
      uptimeSeconds: 26,
      ikeSas: 1,
      halfOpen: 0,
      workers: [
        { ...idle, childSas: spiIn % 2 === 0 ? 1 : 0, packetsIn: 7 },
        { ...idle, childSas: spiIn % 2, handedOver: 5 },
      ],
      drops: { 'bad-icv': 3, 'icmp-malformed': 4, 'no-policy': 1, 'unknown-ike-spi': 1 },
    });
  });

  it('show the algorithms there are, each under its kind', () => {
    const { encryption, integrity, aead, prf, dh } = new Controlled(sites()).control.algorithms();
    assert.ok(encryption?.includes('AES_CBC'));
    assert.ok(aead?.includes('AES_GCM_16') && aead.includes('CHACHA20_POLY1305'));
    assert.ok(integrity?.includes('HMAC_SHA2_256_128'));
    assert.ok(prf?.includes('PRF_HMAC_SHA2_256'));
    assert.ok(dh?.includes('CURVE_25519'));
  });
});

describe('Failures in the control', () => {
  it('are remembered as the events tell them, under the peer of the IKE SA', () => {
    const { control } = new Controlled(established());
    const [sa] = control.ikeSas();
    assert.ok(sa);
    const where = { ikeSa: sa.uniqueId, connection: 'peer', peer: '192.0.2.2[500]' };
    control.publish({ ...sampleEvents.refused, ...where, child: 'net' });
    for (const name of ['192.0.2.2', 'b.lab', 'peer', undefined]) {
      assert.deepEqual(
        control.failures(name).map(({ alert, identity }) => [alert, identity]),
        [['proposal-mismatch-child', 'b.lab']],
        name,
      );
    }
    assert.deepEqual(control.failures('192.0.2.3'), []);
  });

  it('tell of an attempt that ended without an event', async () => {
    const test = new Controlled(sites());
    test.outcome = { kind: 'failed', what: 'the peer asked for 4 restarts of IKE_SA_INIT' };
    await test.control.initiate('net', 'peer');
    await test.control.initiate('net', 'peer');
    const [failure, ...others] = test.control.failures('peer');
    assert.deepEqual(others, []);
    assert.equal(failure?.alert, 'initiation-failed');
    assert.equal(failure.what, test.outcome.what);
    assert.deepEqual([failure.peer, failure.count], ['%any', 2]);
  });

  it('tell of one with an event what the event says', async () => {
    const test = new Controlled(sites());
    test.outcome = { kind: 'failed', what: 'no address' };
    test.during = () =>
      test.control.publish({ ...sampleEvents.alert, alert: 'peer-addr-failed', ikeSa: 0 });
    await test.control.initiate('net', 'peer');
    assert.deepEqual(
      test.control.failures('peer').map(({ alert }) => alert),
      ['peer-addr-failed'],
    );
  });
});

describe('Events of the control', () => {
  it('reach every subscriber until it leaves, and are counted', () => {
    const { control } = new Controlled(sites());
    const heard: Event[] = [];
    const leave = control.subscribe((event) => heard.push(event));
    control.publish(sampleEvents.message);
    leave();
    control.publish(sampleEvents.message);
    assert.deepEqual(heard, [sampleEvents.message]);
    assert.deepEqual(control.counters('peer'), { peer: { 'ike-init-out-req': 2 } });
    control.resetCounters('peer');
    assert.deepEqual(control.counters(), { '': { 'ike-init-out-req': 2 } });
  });
});
