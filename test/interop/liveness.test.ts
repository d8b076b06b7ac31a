import assert from 'node:assert/strict';
import { until } from '../../lab/command.ts';
import { childName, connectionName } from '../../lab/swanctl-conf.ts';
import { ping } from '../../lab/traffic.ts';
import { impatient, roles, useLab } from '../support/lab.ts';

const settings = { ...impatient, retransmitTries: 2 };

describe('A peer that goes away (RFC 7296 §2.4, §1.4.1)', () => {
  const lab = useLab({ subjectSettings: settings });
  afterEach(() => lab.clear());

  for (const role of roles) {
    it(`is noticed when it was killed, and the tunnel is cleared, as ${role}`, async () => {
      await lab.up(role, { connection: { dpd_delay: '1s' }, child: { dpd_action: 'clear' } });
      await lab.carries();
      await lab.peer.kill();
      await until(
        'the subject to give the peer up',
        async () => (await lab.subject.swanctl.sas()).length === 0 || undefined,
        15_000,
        200,
      );
      await lab.peer.start(impatient);
      const echo = await ping(lab.topology, { count: 2, waitSeconds: 0.5 });
      assert.equal(echo.received, 0, 'nothing passes after the SAs are gone');
    });

    it(`is called again when it was killed and dpd_action says restart, as ${role}`, async () => {
      await lab.up(role, { connection: { dpd_delay: '1s' }, child: { dpd_action: 'restart' } });
      const first = (await lab.tunnel()).subject.raw['initiator-spi'];
      await lab.peer.kill();
      await lab.peer.start(impatient);
      // What the killed charon knew is gone; its configuration has to be loaded again.
      await lab.load({ connection: { dpd_delay: '1s' }, child: { dpd_action: 'restart' } });
      await until(
        'a new tunnel',
        async () => {
          const sas = await lab.subject.swanctl.sas();
          return sas.some(
            (sa) =>
              sa.raw['initiator-spi'] !== first &&
              sa.state === 'ESTABLISHED' &&
              sa.children.length === 1,
          )
            ? true
            : undefined;
        },
        20_000,
        200,
      );
      await lab.carries();
    });

    it(`is believed when it deletes the IKE SA, as ${role}`, async () => {
      await lab.up(role);
      await lab.carries();
      await lab.peer.swanctl.must(['--terminate', '--ike', connectionName]);
      await lab.empty();
    });

    it(`is believed when it deletes the Child SA, as ${role}`, async () => {
      await lab.up(role);
      await lab.peer.swanctl.must(['--terminate', '--child', childName]);
      await until('the Child SA to go and the IKE SA to stay', async () => {
        const sas = await lab.subject.swanctl.sas();
        return (sas.length === 1 && sas[0]?.children.length === 0) || undefined;
      });
      const echo = await ping(lab.topology, { count: 2, waitSeconds: 0.5 });
      assert.equal(echo.received, 0);
    });

    it(`is told when the subject deletes the IKE SA, as ${role}`, async () => {
      await lab.up(role);
      await lab.subject.swanctl.must(['--terminate', '--ike', connectionName]);
      await lab.empty();
    });

    it(`is told when the subject deletes the Child SA, as ${role}`, async () => {
      await lab.up(role);
      await lab.subject.swanctl.must(['--terminate', '--child', childName]);
      await until('the Child SA to go at the peer', async () => {
        const sas = await lab.peer.swanctl.sas();
        return (sas.length === 1 && sas[0]?.children.length === 0) || undefined;
      });
    });

    it(`is told when the subject ends, as ${role}`, async () => {
      await lab.up(role);
      await lab.subject.stop();
      await until(
        'the peer to have no SA',
        async () => (await lab.peer.swanctl.sas()).length === 0 || undefined,
      );
      await lab.subject.start(settings);
    });
  }
});
