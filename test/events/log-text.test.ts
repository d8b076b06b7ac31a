import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Event } from '../../src/events/event.ts';
import { ikeSubject, logTexts } from '../../src/events/log-text.ts';
import { recordedOutputs } from '../support/recorded-views.ts';
import { sampleEvents } from '../support/sample-events.ts';

function said(event: Event): readonly string[] {
  return logTexts(event).map(({ group, text }) => `[${group}] ${text}`);
}

describe('Sentences in the manner of strongSwan', () => {
  const printed = (recordedOutputs()['--initiate --child net'] ?? '').split('\n');

  for (const name of ['message', 'received', 'ikeSaUp', 'childSaUp'] as const) {
    it(`are those that strongSwan printed: ${name}`, () => {
      const withoutExtensions = printed.map((line) =>
        line.replace(/( N\((FRAG|HASH|REDIR|CHDLESS|MULT|NATD)_(SUP|ALG|AUTH)\))+/, ''),
      );
      const ours = said(sampleEvents[name]);
      const theirs = withoutExtensions.map((line) =>
        name === 'received' ? line.replace(' N(NATD_S_IP) N(NATD_D_IP)', '') : line,
      );
      for (const line of ours) assert(theirs.includes(line), `${line}\n${theirs.join('\n')}`);
    });
  }

  it('a message sent again is sent, not generated', () => {
    const again = { ...sampleEvents.message, retransmission: 1 };
    assert.deepEqual(said(again), [
      '[NET] sending packet: from 192.0.2.1[500] to 192.0.2.2[500] (328 bytes)',
    ]);
  });

  it('a message in fragments tells each and the whole (RFC 7383)', () => {
    const fragments = { octets: 900, fragments: 2, exchange: 'IKE_AUTH', messageId: 1 };
    const payloads = ['IDi', 'AUTH'];
    assert.deepEqual(said({ ...sampleEvents.message, ...fragments, payloads }), [
      '[ENC] generating IKE_AUTH request 1 [ IDi AUTH ]',
      '[ENC] splitting IKE message into 2 fragments',
      '[ENC] generating IKE_AUTH request 1 [ EF(1/2) ]',
      '[ENC] generating IKE_AUTH request 1 [ EF(2/2) ]',
      '[NET] sending packet: from 192.0.2.1[500] to 192.0.2.2[500] (900 bytes in 2 packets)',
    ]);
    assert.deepEqual(said({ ...sampleEvents.received, ...fragments, payloads }), [
      '[NET] received packet: from 192.0.2.2[500] to 192.0.2.1[500] (900 bytes in 2 packets)',
      '[ENC] parsed IKE_AUTH response 1 [ EF(1/2) ]',
      '[ENC] parsed IKE_AUTH response 1 [ EF(2/2) ]',
      '[ENC] reassembled fragmented IKE message',
      '[ENC] parsed IKE_AUTH response 1 [ IDi AUTH ]',
    ]);
  });

  it('an empty message has empty brackets', () => {
    const empty = { ...sampleEvents.received, exchange: 'INFORMATIONAL', payloads: [] };
    assert(said(empty).includes('[ENC] parsed INFORMATIONAL response 0 [ ]'));
  });

  it('a packet that an SA is not for is named with its SA, and those like it are counted', () => {
    assert.deepEqual(said(sampleEvents.policyMismatch), [
      '[ESP] discarded 10.9.0.1[udp/53] to 10.1.0.10[udp/40000]: not for CHILD_SA net{1} of 192.0.2.2, and 3 like it',
    ]);
    assert.deepEqual(said({ ...sampleEvents.policyMismatch, suppressed: 0 }), [
      '[ESP] discarded 10.9.0.1[udp/53] to 10.1.0.10[udp/40000]: not for CHILD_SA net{1} of 192.0.2.2',
    ]);
  });

  it('a refusal says what was offered and what would be accepted', () => {
    assert.deepEqual(said(sampleEvents.refused), [
      '[IKE] refusing with NO_PROPOSAL_CHOSEN: no proposal fits',
      '[CFG] ENCR: offered AES_CBC_128, accepted AES_CBC_256, AES_GCM_16_256',
      '[CFG] KE: offered MODP_2048, accepted nothing',
    ]);
  });

  it('every event has at least one sentence', () => {
    for (const event of Object.values(sampleEvents)) {
      assert.notEqual(said(event).length, 0, event.kind);
    }
  });

  it('nothing a peer sends steers a terminal', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const [line] = said({ ...sampleEvents.ikeSaUp, remoteId: text }).slice(-1);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not pass
        assert.doesNotMatch(line ?? '', /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
      }),
      { numRuns: 200 },
    );
  });
});

describe('Whom an event is about', () => {
  it('is an IKE SA, or nobody', () => {
    assert.equal(ikeSubject(sampleEvents.retransmit)?.connection, 'peer');
    assert.equal(ikeSubject(sampleEvents.ikeDrop), undefined);
    assert.equal(ikeSubject(sampleEvents.weakAlgorithm), undefined);
    assert.equal(ikeSubject({ ...sampleEvents.message, ikeSa: 0, connection: '' }), undefined);
  });
});
