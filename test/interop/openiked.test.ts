/**
 * OpenIKED as IKE peer. It carries no data here (lab/ike-peer.ts): what is looked at is whether
 * both ends hold the same SAs.
 */
import assert from 'node:assert/strict';
import { until } from '../../lab/command.ts';
import { OpenIked } from '../../lab/openiked.ts';
import { useIkePeerLab } from '../support/ike-peer-lab.ts';
import {
  answerProbes,
  comeAndGo,
  goesOn,
  probed,
  refuse,
  replaceChildren,
} from '../support/ike-peer-rules.ts';
import { impatient, onlyTsgw, roles } from '../support/lab.ts';

/** Its Linux build has no AES-GCM and no SHA2-256 for ESP. */
const usual = { espProposals: 'aes256-sha512' };
/** Nothing the subject would take. */
const esp = 'enc aes-128 auth hmac-sha1 group none noesn';
const initiation = ['--initiate', '--child', 'net'];

describe('OpenIKED as IKE peer', () => {
  const lab = useIkePeerLab((topology) => new OpenIked(topology, 'g2'), { usual });

  describe('SAs (RFC 7296 §1.2, §1.4.1)', () => {
    comeAndGo(lab);
    answerProbes(lab);

    it('are gone when the subject deletes the IKE SA that the peer began', async () => {
      await lab.up('responder');
      await lab.subject.swanctl.must(['--terminate', '--ike', 'peer']);
      await lab.empty();
    });

    it('are kept when the peer gives a sign of life', async () => {
      const pair = { connection: { dpd_delay: '1s' } };
      await probed(lab, 'initiator', { prober: 'subject', pair });
    });
  });

  describe('what both do not have in common (RFC 7296 §2.7, §2.9, §2.21)', () => {
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

    it('has no IKE SA either when it is the ESP proposal', async () => {
      await lab.load({ peer: { esp } });
      const { status, stdout, stderr } = await lab.subject.swanctl.call(initiation);
      assert.notEqual(status, 0);
      assert.match(`${stdout}${stderr}`, /NO_PROP/);
      await lab.empty();
    });
  });

  describe('selectors wider than those asked for (RFC 7296 §2.9)', () => {
    onlyTsgw();

    it('are refused', async () => {
      await lab.load({ subject: { remoteTs: '10.2.0.0/24' } });
      const { status, stdout, stderr } = await lab.subject.swanctl.call(initiation);
      assert.notEqual(status, 0);
      assert.match(`${stdout}${stderr}`, /widened the selectors/);
      await lab.empty();
    });
  });

  describe('Child SAs (RFC 7296 §1.3.3, §2.8)', () => {
    const both = { firsts: ['subject', 'peer'], tidy: true } as const;
    replaceChildren(lab, { ...both, how: 'without key exchange' });
    replaceChildren(lab, {
      ...both,
      how: 'with key exchange',
      subject: { espProposals: 'aes256-sha512-x25519' },
      peer: { esp: 'enc aes-256 auth hmac-sha2-512 group curve25519 noesn' },
    });
  });

  describe('IKE SAs (RFC 7296 §1.3.2, §2.8)', () => {
    /** In seconds of iked, of which ten are one. */
    const shortLived = { peer: { further: ['ikelifetime 15'] } };

    // Not of one the peer began: iked never answers the Delete then.
    it('are replaced by the subject, and go on', async () => {
      const before = await lab.up('initiator');
      await lab.subject.swanctl.must(['--rekey', '--ike', 'peer']);
      await lab.ikeSaReplaced(before);
      await goesOn(lab);
    });

    for (const role of roles) {
      it(`are replaced by the peer, as ${role}`, async () => {
        const before = await lab.up(role, shortLived);
        await lab.ikeSaReplaced(before);
      });

      const first = role === 'initiator' ? 'subject' : 'peer';
      it(`are replaced by both at once, the ${first} heard first, as ${role}`, async () => {
        const before = await lab.up(role, shortLived);
        await lab.crossing(first, async () => {
          await lab.subject.swanctl.must(['--rekey', '--ike', 'peer']);
        });
        const { raw } = before.subject;
        await lab.decided((now) => now.raw['initiator-spi'] !== raw['initiator-spi']);
        await goesOn(lab);
      });
    }
  });
});

describe('OpenIKED that drops its IKE SA without a word', () => {
  onlyTsgw();
  const settings = { ...impatient, retransmitTries: 2 };
  const lab = useIkePeerLab((topology) => new OpenIked(topology, 'g2'), { usual, settings });

  it('is given up by liveness', async () => {
    // It does so when we refuse the Child SA.
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
