/**
 * libreswan as IKE peer. It carries no data here (lab/ike-peer.ts): what is looked at is whether
 * both ends hold the same SAs.
 */
import assert from 'node:assert/strict';
import { Libreswan } from '../../lab/libreswan.ts';
import { useIkePeerLab } from '../support/ike-peer-lab.ts';
import { comeAndGo, probed, refuse } from '../support/ike-peer-rules.ts';
import { roles } from '../support/lab.ts';

describe('SAs with libreswan (RFC 7296 §1.2, §1.4.1)', () => {
  const lab = useIkePeerLab((topology) => new Libreswan(topology, 'g2'));
  comeAndGo(lab);

  for (const role of roles) {
    it(`are the same ones without UDP encapsulation, as ${role}`, async () => {
      const { subject } = await lab.up(role, { peer: { further: ['encapsulation=auto'] } });
      assert.deepEqual(
        subject.children.map(({ encap }) => encap),
        [false],
      );
    });

    it(`are kept when the peer asks for a sign of life, as ${role}`, async () => {
      const ask = async () => {
        const [ikeSa] = await lab.peer.sas();
        assert.ok(ikeSa !== undefined);
        await lab.peer.probe(ikeSa);
      };
      await probed(lab, role, { prober: 'peer', ask });
    });

    it(`are kept when the peer gives a sign of life, as ${role}`, async () => {
      await probed(lab, role, { prober: 'subject', pair: { connection: { dpd_delay: '1s' } } });
    });
  }

  it('come back at once when the subject deletes the IKE SA that the peer began', async () => {
    const first = await lab.up('responder');
    await lab.subject.swanctl.must(['--terminate', '--ike', 'peer']);
    await lab.eventually(
      'another IKE SA',
      ({ subject }) => subject.raw['initiator-spi'] !== first.subject.raw['initiator-spi'],
    );
    await lab.agreed();
  });
});

describe('What libreswan and the subject do not have in common', () => {
  const lab = useIkePeerLab((topology) => new Libreswan(topology, 'g2'));
  refuse(lab, [
    {
      what: 'refuses a wrong pre-shared key',
      peer: { secret: 'another secret' },
      told: /AUTH/,
      heard: /rejected by peer: AUTHENTICATION_FAILED/,
    },
    {
      what: 'refuses another IKE proposal',
      peer: { ike: 'aes256-sha2_512;dh19' },
      told: /NO_PROP/,
      heard: /NO_PROPOSAL_CHOSEN notification/,
    },
  ]);

  it('leaves an IKE SA without a Child SA when it is the ESP proposal, as initiator', async () => {
    await lab.load({ peer: { esp: 'aes256-sha2_512' } });
    const { status } = await lab.subject.swanctl.call(['--initiate', '--child', 'net']);
    assert.notEqual(status, 0);
    await lab.agreed(0);
  });

  it('leaves an IKE SA without a Child SA when it is the ESP proposal, as responder', async () => {
    await lab.load({ peer: { esp: 'aes256-sha2_512' } });
    await lab.initiate('responder');
    await lab.agreed(0);
  });
});
