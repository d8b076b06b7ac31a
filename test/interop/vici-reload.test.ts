/**
 * Safe reload and rekeying on demand: the real `swanctl --load-all` and `swanctl --rekey` under a
 * stream of pings, of which none is lost.
 */
import assert from 'node:assert/strict';
import { until } from '../../lab/command.ts';
import { type ChildSaState, events } from '../../lab/swanctl.ts';
import {
  childName,
  connectionName,
  type PairSettings,
  swanctlConf,
} from '../../lab/swanctl-conf.ts';
import { ping } from '../../lab/traffic.ts';
import { onlyTsgw, useLab } from '../support/lab.ts';

/** Another connection of the same gateways, with traffic and identities of its own. */
const other: PairSettings = {
  name: 'other',
  childName: 'side',
  identities: { g1: 'other1.lab', g2: 'other2.lab' },
  localTs: '10.77.0.0/16',
  remoteTs: '10.78.0.0/16',
};

describe('A reload', () => {
  onlyTsgw();
  const lab = useLab();
  afterEach(() => lab.clear());

  it('disturbs no SA, whatever it changes, adds or removes', async () => {
    await lab.load({}, other);
    assert.equal((await lab.initiate('initiator')).status, 0);
    await lab.carries();
    const before = await sas();
    await undisturbed(async () => {
      await reload();
      assert.deepEqual(await sas(), before, 'the same again');
      await reload({}, { ...other, proposals: 'aes128-sha512-ecp256' });
      assert.deepEqual(await sas(), before, 'another connection changed');
      await reload({ name: connectionName, child: { rekey_time: '30m' } });
      assert.deepEqual(await sas(), before, 'the child changed, the other connection is gone');
      await reload({
        proposals: 'aes128gcm16-prfsha256-x25519',
        connection: { unique: 'replace' },
      });
      assert.deepEqual(await sas(), before, 'the connection changed');
      await reload(other);
      assert.deepEqual(await sas(), before, 'the connection is gone');
      await reload({}, other);
      assert.deepEqual(await sas(), before, 'the connection is back');
    });
  });

  it('fires the start action of what is new, and not again of what is not', async () => {
    const start = { g1: { child: { start_action: 'start' } } };
    await lab.load(start, other);
    const up = await lab.tunnel();
    await reload(start, other);
    assert.equal((await lab.tunnel()).subject.uniqueId, up.subject.uniqueId);
    await reload(start, { ...other, ...start });
    await until('the second connection', async () => {
      const names = (await lab.subject.swanctl.sas()).map(({ name, state }) => `${name} ${state}`);
      return names.includes('other ESTABLISHED') || undefined;
    });
    assert.equal((await lab.tunnel()).subject.uniqueId, up.subject.uniqueId);
  });

  it('takes a changed child over when it is rekeyed', async () => {
    await lab.up('initiator');
    await reload({ child: { rekey_time: '10m', rand_time: '0' } });
    assert.ok((await rekeyTime()) > 600, 'the SA that is up keeps its times');
    await lab.subject.swanctl.must(['--rekey', '--child', childName]);
    await until('the new policy', async () => (await rekeyTime()) <= 600 || undefined);
    assert.equal((await ping(lab.topology)).lossPercent, 0);
  });

  it('leaves a connection usable whose secret came with it', async () => {
    await lab.load({});
    await reload();
    await lab.up('responder');
    await lab.carries();
    const conns = await lab.subject.swanctl.must(['--list-conns', '--raw']);
    assert.equal(events(conns, 'list-conn').length, 1);
  });

  /** Loads at the subject alone: the peer has no part in it. */
  async function reload(...pairs: readonly PairSettings[]): Promise<void> {
    const all = pairs.length === 0 ? [{}, other] : pairs;
    await lab.subject.swanctl.load(swanctlConf(lab.topology, lab.subject.node, all));
  }

  /** Seconds until the Child SA that stays is replaced. */
  async function rekeyTime(): Promise<number> {
    const [sa] = await lab.subject.swanctl.sas();
    const [child, ...others] = installed(sa?.children);
    return child === undefined || others.length > 0 ? Infinity : Number(child.raw['rekey-time']);
  }

  /** What identifies the SAs that are up at both ends. */
  async function sas(): Promise<readonly string[]> {
    const lists = await Promise.all([lab.subject, lab.peer].map(({ swanctl }) => swanctl.sas()));
    return lists.flatMap((list) =>
      list.flatMap(({ name, state, raw, children }) => [
        `${name} ${state} ${raw['initiator-spi']}`,
        ...children.map((child) => `${child.name} ${child.state} ${child.raw['spi-in']}`),
      ]),
    );
  }

  async function undisturbed(act: () => Promise<void>): Promise<void> {
    const pinging = ping(lab.topology, { count: 300, intervalSeconds: 0.01 });
    await act();
    const { sent, received } = await pinging;
    assert.equal(received, sent, `${sent - received} of ${sent} pings were lost`);
  }
});

describe('swanctl --rekey', () => {
  onlyTsgw();
  const lab = useLab();
  afterEach(() => lab.clear());

  for (const by of ['subject', 'peer'] as const) {
    it(`by the ${by} replaces SAs under traffic and loses no packet`, async () => {
      await lab.up('initiator');
      await lab.carries();
      const pinging = ping(lab.topology, { count: 300, intervalSeconds: 0.01 });
      for (const what of ['ike', 'child', 'ike', 'child'] as const) await rekeyed(by, what);
      const { sent, received } = await pinging;
      assert.equal(received, sent, `${sent - received} of ${sent} pings were lost`);
    });
  }

  it('makes IKE SAs anew with --reauth', async () => {
    await lab.up('initiator');
    await rekeyed('subject', 'ike', '--reauth');
    await lab.carries();
  });

  it('counts what it did as charon does', async () => {
    await lab.subject.swanctl.must(['--counters', '--reset']);
    await lab.up('initiator');
    await lab.subject.swanctl.must(['--rekey', '--ike', connectionName]);
    await until('the rekeying to be counted', async () => {
      const counters = await lab.subject.swanctl.must(['--counters', '--raw']);
      return /ike-rekey-init=1 ike-rekey-resp=0 child-rekey=0 /.test(counters) || undefined;
    });
    await lab.peer.swanctl.must(['--rekey', '--child', childName]);
    await until('the other rekeying to be counted', async () => {
      const counters = await lab.subject.swanctl.must(['--counters', '--raw']);
      return /ike-rekey-init=1 ike-rekey-resp=0 child-rekey=1 /.test(counters) || undefined;
    });
  });

  async function rekeyed(by: 'subject' | 'peer', what: 'ike' | 'child', ...more: string[]) {
    const before = (await spis())[what];
    const name = what === 'ike' ? connectionName : childName;
    await lab[by].swanctl.must(['--rekey', `--${what}`, name, ...more]);
    await until(`the new SA (${what})`, async () => {
      const now = (await spis())[what];
      return (now !== undefined && now !== before) || undefined;
    });
  }

  /** The SPIs of the only SAs that stay; undefined while there are more. */
  async function spis(): Promise<{ readonly ike?: string; readonly child?: string }> {
    const up = (await lab.subject.swanctl.sas()).filter(({ state }) => state === 'ESTABLISHED');
    const [sa] = up;
    const [child, ...more] = installed(sa?.children);
    if (sa === undefined || up.length > 1 || child === undefined || more.length > 0) return {};
    return { ike: `${sa.raw['initiator-spi']}`, child: `${child.raw['spi-in']}` };
  }
});

function installed(children: readonly ChildSaState[] = []): readonly ChildSaState[] {
  return children.filter(({ state }) => state === 'INSTALLED');
}
