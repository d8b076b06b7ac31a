/**
 * IKE SAs begun anew (RFC 7296 §2.8.3): peers prove themselves again, and the tunnel stays. What a
 * responder can ask for is AUTH_LIFETIME (RFC 4478).
 */
import assert from 'node:assert/strict';
import { until } from '../../lab/command.ts';
import { connectionName } from '../../lab/swanctl-conf.ts';
import { ping } from '../../lab/traffic.ts';
import { impatient, type Lab, useLab } from '../support/lab.ts';
import { counters, more, settled, underStream } from '../support/tunnel-life.ts';

const soon = { reauth_time: '2s', rand_time: '0s', over_time: '60s' };
const never = { reauth_time: '0s' };

describe('Reauthentication (RFC 7296 §2.8.3)', () => {
  describe('by make before break', () => {
    const lab = useLab({ peerSettings: { ...impatient, makeBeforeBreak: true } });
    afterEach(() => lab.clear());

    for (const who of ['subject', 'peer'] as const) {
      it(`loses nothing under 1000 packets a second each way, begun by the ${who}`, async () => {
        await lab.up(who === 'subject' ? 'initiator' : 'responder', {
          [lab.subjectNode]: { connection: who === 'subject' ? soon : never },
          [lab.peerNode]: { connection: who === 'peer' ? soon : never },
        });
        const before = await counters(lab.subject);
        await underStream(lab, async () => {
          const requests = who === 'subject' ? 'ike-init-out-req' : 'ike-init-in-req';
          const begunTwice = async () =>
            more(before, await counters(lab.subject))(requests) >= 2 || undefined;
          await until('IKE SAs begun anew', begunTwice, 15_000, 200);
        });
        await until('a time between two', () => alone(lab), 15_000);
        assert.equal((await ping(lab.topology)).lossPercent, 0);
      });
    }

    it('loses nothing when the operator asks for it', async () => {
      await lab.up('initiator');
      const first = await lab.tunnel();
      await underStream(lab, async () => {
        await lab.subject.swanctl.must(['--rekey', '--ike', connectionName, '--reauth']);
        await until('another IKE SA alone', async () => {
          const sas = await lab.subject.swanctl.sas();
          const spis = sas.map(({ raw }) => raw['initiator-spi']);
          return (
            (sas.length === 1 && !spis.includes(first.subject.raw['initiator-spi'])) || undefined
          );
        });
      });
      await settled(lab);
    });
  });
});

describe('Reauthentication by a peer that breaks before it makes', () => {
  const lab = useLab();
  afterEach(() => lab.clear());

  it('ends with the tunnel up again', async () => {
    await lab.up('responder', {
      [lab.subjectNode]: { connection: never },
      [lab.peerNode]: { connection: soon },
    });
    const before = await counters(lab.subject);
    await until('the second time', async () => {
      const counted = more(before, await counters(lab.subject));
      return counted('ike-init-in-req') >= 2 || undefined;
    });
    await until('pings to come back', async () => {
      return (await ping(lab.topology, { waitSeconds: 0.5 })).lossPercent === 0 || undefined;
    });
  });
});

describe('AUTH_LIFETIME (RFC 4478)', () => {
  const lab = useLab({ peerSettings: { ...impatient, makeBeforeBreak: true } });
  afterEach(() => lab.clear());

  it('is asked for by us, and the peer begins anew in time', async () => {
    await lab.up('responder', {
      [lab.subjectNode]: { connection: soon },
      [lab.peerNode]: { connection: never },
    });
    assert.match(lab.peer.log(), /received AUTH_LIFETIME of 2s, scheduling reauthentication in 2s/);
    const before = await counters(lab.subject);
    await until('the peer to begin anew', async () => {
      const counted = more(before, await counters(lab.subject));
      return counted('ike-auth-in-req') >= 1 || undefined;
    });
    await until('the old IKE SA to go', () => alone(lab), 15_000);
    assert.equal((await ping(lab.topology)).lossPercent, 0);
  });
});

async function alone(lab: Lab): Promise<true | undefined> {
  const counts = [(await lab.subject.swanctl.sas()).length, (await lab.peer.swanctl.sas()).length];
  return counts.every((count) => count === 1) || undefined;
}
