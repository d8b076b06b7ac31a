/**
 * OpenIKED as IKE peer. It carries no data here (lab/ike-peer.ts): what is looked at is whether
 * both ends hold the same SAs.
 */
import assert from 'node:assert/strict';
import { until } from '../../lab/command.ts';
import { OpenIked } from '../../lab/openiked.ts';
import { useIkePeerLab } from '../support/ike-peer-lab.ts';
import { comeAndGo, probed, refuse } from '../support/ike-peer-rules.ts';
import { impatient, roles } from '../support/lab.ts';

/** Its Linux build has no AES-GCM and no SHA2-256 for ESP. */
const usual = { espProposals: 'aes256-sha512' };
/** Nothing the subject would take. */
const esp = 'enc aes-128 auth hmac-sha1 group none noesn';
const initiation = ['--initiate', '--child', 'net'];

describe('SAs with OpenIKED (RFC 7296 §1.2, §1.4.1)', () => {
  const lab = useIkePeerLab((topology) => new OpenIked(topology, 'g2'), { usual });
  comeAndGo(lab);

  it('are gone when the subject deletes the IKE SA that the peer began', async () => {
    await lab.up('responder');
    await lab.subject.swanctl.must(['--terminate', '--ike', 'peer']);
    await lab.empty();
  });

  for (const role of roles) {
    it(`are kept when the peer gives a sign of life, as ${role}`, async () => {
      await probed(lab, role, { prober: 'subject', pair: { connection: { dpd_delay: '1s' } } });
    });
  }
});

describe('What OpenIKED and the subject do not have in common', () => {
  const lab = useIkePeerLab((topology) => new OpenIked(topology, 'g2'), {
    usual,
    settings: { ...impatient, retransmitTries: 2 },
  });
  refuse(lab, [
    {
      what: 'refuses a wrong pre-shared key',
      peer: { secret: 'another secret' },
      told: /AUTH/,
      heard: /authentication failed notification from peer/,
    },
    {
      what: 'refuses another IKE proposal',
      peer: { ike: 'enc aes-256 prf hmac-sha2-512 auth hmac-sha2-512 group ecp256' },
      told: /NO_PROP/,
      heard: /sa_free: no proposal chosen/,
    },
  ]);

  it('is no IKE SA either when it is the ESP proposal, as initiator', async () => {
    await lab.load({ peer: { esp } });
    const { status, stdout, stderr } = await lab.subject.swanctl.call(initiation);
    assert.notEqual(status, 0);
    assert.match(`${stdout}${stderr}`, /NO_PROP/);
    await lab.empty();
  });

  // It drops its IKE SA without a word: ours must not stand for ever.
  it('is an IKE SA given up by liveness when it is the ESP proposal, as responder', async () => {
    await lab.load({ peer: { esp }, subject: { connection: { dpd_delay: '1s' } } });
    const before = lab.subject.log().length;
    await lab.initiate('responder');
    await until('the IKE SA to come up and go again', () => {
      const since = lab.subject.log().slice(before);
      return (since.includes('ike-sa-up') && since.includes('ike-sa-down')) || undefined;
    });
    await lab.empty();
  });
});
