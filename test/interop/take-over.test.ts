/**
 * A tsgw dies, another goes on from the octets of its snapshots with the same addresses, and strongSwan
 * notices nothing: same IKE SA, its questions answered, its rekeys too.
 */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { until } from '../../lab/command.ts';
import type { IkeSaState } from '../../lab/swanctl.ts';
import { childName, connectionName, type PairSettings } from '../../lab/swanctl-conf.ts';
import { ping } from '../../lab/traffic.ts';
import { impatient, onlyTsgw, roles, useLab } from '../support/lab.ts';

const program = resolve('build/test/support/followed-gateway.js');

/** What was replaced is gone soon; who does not answer may be on its way back. */
const prompt = { ...impatient, deleteRekeyedDelaySeconds: 1, retransmitTries: 12 };

describe('A tsgw that goes on for another (RFC 6027)', () => {
  onlyTsgw();
  const lab = useLab({ peerSettings: prompt });
  const file = () => join(lab.topology.network.directory, 'snapshots');
  let sid = 0;

  /** The next node, following what the file has. */
  async function start(): Promise<void> {
    await lab.tsgw.start(prompt, [process.execPath, program, String(++sid), file()]);
  }

  /** The node dies; the next one has its SAs as PASSIVE, with the configuration loaded. */
  async function standby(pair: PairSettings): Promise<IkeSaState> {
    await lab.tsgw.kill();
    await start();
    await lab.load(pair);
    const [sa, ...more] = await lab.subject.swanctl.sas();
    assert.ok(sa && more.length === 0);
    return sa;
  }

  async function takeOver(signal: 'SIGUSR2' | 'SIGHUP' = 'SIGUSR2'): Promise<void> {
    lab.tsgw.process().kill(signal);
    await until('the IKE SA to be active', async () => {
      const [sa] = await lab.subject.swanctl.sas();
      return sa?.state === 'ESTABLISHED' || undefined;
    });
  }

  const spisOf = ({ raw }: IkeSaState) => [raw['initiator-spi'], raw['responder-spi']];

  beforeEach(async () => {
    await lab.subject.stop();
    rmSync(file(), { force: true });
    await start();
  });
  afterEach(() => lab.clear());

  for (const role of roles) {
    it(`is PASSIVE, then active, and the tunnel stays, as ${role}`, async () => {
      const pair = { connection: { dpd_delay: '1s' } };
      const first = await lab.up(role, pair);
      await lab.carries({ count: 1 });
      const passive = await standby(pair);
      assert.equal(passive.state, 'PASSIVE');
      assert.deepEqual(spisOf(passive), spisOf(first.subject));
      assert.equal(passive.children.length, 1);
      await takeOver();
      // Nobody told it how far ESP had counted: it replaced the Child SA before it sent anything.
      await until('one Child SA at both ends', async () => {
        const [subject] = await lab.subject.swanctl.sas();
        const [peer] = await lab.peer.swanctl.sas();
        const single = [subject, peer].every((sa) => sa?.children.length === 1);
        return single || undefined;
      });
      await lab.carries({ count: 2 });
      const after = await lab.tunnel();
      assert.deepEqual(spisOf(after.peer), spisOf(first.peer), 'the same IKE SA');
      assert.equal(after.peer.uniqueId, first.peer.uniqueId);
      const { peer } = await lab.tunnel();
      const checks = () => lab.peer.log().split('INFORMATIONAL response').length;
      const before = checks();
      await until('checks whether the other is alive, answered', async () => {
        return checks() > before + 3 || undefined;
      });
      assert.deepEqual(spisOf((await lab.tunnel()).peer), spisOf(peer));
    });
  }

  it('answers what strongSwan asked while nobody was there, after two deaths too', async () => {
    const pair = {};
    const before = await lab.up('responder', pair);
    await standby(pair);
    // The request is out, and repeated until somebody is there.
    const rekeyed = lab.peer.swanctl.call(['--rekey', '--child', childName]);
    await rekeyed;
    await takeOver();
    await until('a Child SA that is not the first', async () => {
      const [sa] = await lab.peer.swanctl.sas();
      const [child, ...more] = sa?.children ?? [];
      const other = child && child.raw['spi-in'] !== before.peerChild.raw['spi-in'];
      return (other && more.length === 0) || undefined;
    });
    await standby(pair);
    await takeOver();
    await until('one Child SA at both ends', async () => {
      const all = [await lab.subject.swanctl.sas(), await lab.peer.swanctl.sas()];
      return all.every(([sa]) => sa?.children.length === 1) || undefined;
    });
    const echo = await ping(lab.topology, { count: 5 });
    assert.equal(echo.received, 5);
    assert.deepEqual(spisOf((await lab.tunnel()).peer), spisOf(before.peer));
  });

  it('rekeys, and is rekeyed, as if it had been there from the beginning', async () => {
    await lab.up('initiator');
    await standby({});
    await takeOver();
    await until('one Child SA at both ends', async () => {
      const all = [await lab.subject.swanctl.sas(), await lab.peer.swanctl.sas()];
      return all.every(([sa]) => sa?.children.length === 1) || undefined;
    });
    const before = await lab.tunnel();
    await lab.peer.swanctl.must(['--rekey', '--child', childName]);
    await until('the Child SA to be another', async () => {
      const [sa] = await lab.peer.swanctl.sas();
      const [child, ...more] = sa?.children ?? [];
      const other = child && child.raw['spi-in'] !== before.peerChild.raw['spi-in'];
      return (other && more.length === 0) || undefined;
    });
    await lab.carries({ count: 2 });
    for (const gateway of [lab.peer, lab.subject]) {
      const [last] = await lab.peer.swanctl.sas();
      await gateway.swanctl.must(['--rekey', '--ike', connectionName]);
      await until('another IKE SA', async () => {
        const [sa, ...more] = await lab.peer.swanctl.sas();
        const other = sa && last && spisOf(sa)[0] !== spisOf(last)[0];
        return (other && more.length === 0) || undefined;
      });
    }
    await lab.carries({ count: 2 });
  });

  it('asks strongSwan where it stands after it missed something (RFC 6311)', async () => {
    const pair = { connection: { dpd_delay: '1s' } };
    const before = await lab.up('responder', pair);
    const heard = readFileSync(file());
    const checks = () => lab.peer.log().split('INFORMATIONAL response').length;
    const first = checks();
    await until('exchanges that the next node will not hear of', async () => {
      return checks() > first + 4 || undefined;
    });
    await lab.tsgw.kill();
    writeFileSync(file(), heard);
    await standby(pair);
    await takeOver('SIGHUP');
    // It passes over the first questions: they name ids that it has seen.
    await until('strongSwan to say where it stands', async () => {
      return lab.peer.log().includes('responder requested MID sync') || undefined;
    });
    await until('one Child SA at both ends, another one', async () => {
      const all = [await lab.subject.swanctl.sas(), await lab.peer.swanctl.sas()];
      const [child] = all[1]?.[0]?.children ?? [];
      const other = child && child.raw['spi-in'] !== before.peerChild.raw['spi-in'];
      return (other && all.every(([sa]) => sa?.children.length === 1)) || undefined;
    });
    await lab.carries({ count: 2 });
    await lab.peer.swanctl.must(['--rekey', '--child', childName]);
    assert.deepEqual(spisOf((await lab.peer.swanctl.sas())[0]!), spisOf(before.peer));
  });
});
