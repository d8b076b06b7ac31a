import assert from 'node:assert/strict';
import type { AuthenticationFault } from '../../src/events/event.ts';
import type { Advice, Refusal } from '../../src/gateway/advice.ts';
import { explain, failureView } from '../../src/gateway/diagnosis.ts';
import { FailureHistory } from '../../src/gateway/failure-history.ts';
import { instant } from '../../src/wire/instant.ts';
import { sampleEvents } from '../support/sample-events.ts';

const { refused, authenticationFailed, peerUnreachable } = sampleEvents;
const OFFERED = 'IKE:AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048';
const ACCEPTED = 'IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/CURVE_25519';

/** All that is said, on one line. */
function said({ what, why, here, there }: Advice): string {
  return [what, why, ...here, ...there].join(' | ');
}

function refusal(changes: Partial<Refusal>): Advice {
  return explain({ ...refused, ...changes });
}

describe('What is said about refused proposals', () => {
  it('is the nearest edit at either end', () => {
    const advice = refusal({
      offered: [OFFERED],
      accepted: [ACCEPTED],
      transforms: [
        { type: 'ENCR', offered: ['AES_CBC_128'], accepted: ['AES_CBC_256'] },
        { type: 'KE', offered: ['MODP_2048'], accepted: ['CURVE_25519'] },
      ],
    });
    assert.equal(
      advice.why,
      'ENCR: it offers AES_CBC_128, we accept AES_CBC_256; KE: it offers MODP_2048, we accept CURVE_25519',
    );
    assert.deepEqual(advice.here, [
      'add aes128-sha256-prfsha256-modp2048 to proposals of connection peer',
    ]);
    assert.deepEqual(advice.there, ['let it offer aes256-sha256-prfsha256-x25519']);
  });

  it('names the child, and no connection where none was chosen yet', () => {
    const child = refusal({ child: 'net', offered: ['ESP:AES_GCM_16_256/NO_EXT_SEQ'] });
    assert.deepEqual(child.here, ['add aes256gcm16 to esp_proposals of child net']);
    assert.match(child.what, /^we refused child net \(NO_PROPOSAL_CHOSEN\)/);
    const stranger = refusal({ ikeSa: 0, connection: '', offered: [OFFERED] });
    assert.match(said(stranger), /to proposals of the connection for this peer/);
  });

  it('says so where the edit would be weak, or where there is none', () => {
    const weak = 'IKE:AES_CBC_128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_2048';
    assert.match(said(refusal({ offered: [weak] })), /aes128-sha1-prfsha1-modp2048 .*\(weak: RFC/);
    const none = 'IKE:DES_CBC/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_768';
    assert.match(said(refusal({ offered: [none] })), /nothing: all that it offers needs DES_CBC/);
  });

  it('goes by the transforms where the proposals are not known', () => {
    const advice = refusal({
      transforms: [{ type: 'KE', offered: ['MODP_2048'], accepted: ['CURVE_25519', 'ECP_256'] }],
    });
    assert.deepEqual(advice.here, ['add a proposal with modp2048 to proposals of connection peer']);
    assert.deepEqual(advice.there, ['let it offer KE CURVE_25519 or ECP_256']);
  });

  it('tells a missing key exchange from another one', () => {
    const esp = { child: 'net', offered: ['ESP:AES_GCM_16_256/NO_EXT_SEQ'] };
    const without = [{ type: 'KE', offered: ['NONE'], accepted: ['MODP_2048'] }];
    assert.match(refusal({ ...esp, transforms: without }).why, /no key exchange \(PFS\)/);
    const wanted = [{ type: 'KE', offered: ['MODP_2048'], accepted: ['NONE'] }];
    assert.match(refusal({ ...esp, transforms: wanted }).why, /wants a key exchange \(PFS\)/);
  });

  it('knows the client of Windows by what it offers', () => {
    const windows = [{ type: 'KE', offered: ['MODP_1024'], accepted: ['CURVE_25519'] }];
    assert.match(said(refusal({ transforms: windows })), /Set-VpnConnectionIPsecConfiguration/);
    const both = [{ type: 'KE', offered: ['MODP_1024', 'MODP_2048'], accepted: ['ECP_256'] }];
    assert.doesNotMatch(said(refusal({ transforms: both })), /Windows/);
  });

  it('tells addresses that no connection has from proposals that do not meet', () => {
    const advice = refusal({ ikeSa: 0, connection: '', offered: [OFFERED], accepted: [] });
    assert.deepEqual(advice.here, [
      'write remote_addrs = 192.0.2.2 into the connection that is meant for it, or %any',
    ]);
  });

  it('says what we offered where the peer refused it', () => {
    const advice = refusal({ by: 'peer', offered: [OFFERED], transforms: [] });
    assert.match(advice.why, /aes128-sha256-prfsha256-modp2048/);
    assert.match(advice.there.join(), /let it accept one of: aes128-sha256/);
    const silent = refusal({ by: 'peer', child: 'net', transforms: [] });
    assert.match(silent.here.join(), /esp_proposals of child net = default/);
  });
});

describe('What is said about refused traffic selectors', () => {
  const ours = '10.1.0.0/16 === 10.2.0.0/16';
  const theirs = '10.1.0.0/24 10.5.0.0/24 === 10.9.0.0/16';

  it('is what to write here, and the mirror of it at the peer', () => {
    const advice = refusal({
      child: 'net',
      notify: 'ts-unacceptable',
      offered: [theirs],
      accepted: [ours],
    });
    assert.deepEqual(advice.here, [
      'write local_ts = 10.1.0.0/24, 10.5.0.0/24 and remote_ts = 10.9.0.0/16',
    ]);
    assert.deepEqual(advice.there, [
      'let its local side be 10.2.0.0/16 and its remote side 10.1.0.0/16',
    ]);
  });

  it('mirrors what we asked for where the peer refused', () => {
    const advice = refusal({
      by: 'peer',
      child: 'net',
      notify: 'TS_UNACCEPTABLE',
      offered: [ours],
    });
    assert.deepEqual(advice.there, [
      'let its local side be 10.2.0.0/16 and its remote side 10.1.0.0/16',
    ]);
    assert.match(
      said(refusal({ by: 'peer', notify: 'SINGLE_PAIR_REQUIRED' })),
      /one child for each/,
    );
  });
});

describe('What is said about failed authentication', () => {
  const ids = { localId: 'a.lab', remoteId: 'b.lab' };
  const says: Readonly<Record<AuthenticationFault, RegExp>> = {
    'unknown-identity': /write remote \{ id = b\.lab \} in connection peer/,
    'no-secret': /no shared secret belongs to a\.lab and b\.lab.*id-1 = a\.lab id-2 = b\.lab/,
    'wrong-secret': /different shared secrets for a\.lab and b\.lab/,
    'other-method': /another method than auth = psk/,
    'not-admitted': /unique = replace/,
    'refused-by-peer': /compare remote\.id/,
  };
  for (const [name, what] of Object.entries(says)) {
    it(name, () => {
      const cause = Object.keys(says).find((one): one is AuthenticationFault => one === name);
      assert.ok(cause);
      const advice = explain({ ...authenticationFailed, by: 'us', cause, ...ids });
      assert.match(said(advice), what);
    });
  }

  it('asks to compare both ends where the peer refused and said no more', () => {
    const advice = explain({ ...authenticationFailed, ...ids });
    assert.match(said(advice), /shared secrets differ, or it expects another identity/);
    assert.match(advice.here.join(), /local\.id \(a\.lab\) and remote\.id \(b\.lab\)/);
  });
});

describe('What is said about silence', () => {
  it('depends on how far it came', () => {
    const of = (exchange?: string) =>
      said(explain({ ...peerUnreachable, ...(exchange !== undefined && { exchange }) }));
    assert.match(of('IKE_SA_INIT'), /UDP port 500/);
    assert.match(of('IKE_AUTH'), /although it answered IKE_SA_INIT.*fragment/);
    assert.match(of('INFORMATIONAL'), /the IKE SA is gone.*dpd_delay/);
    const drop = { ...sampleEvents.ikeDrop, reason: 'half-open-timeout' };
    assert.match(said(explain(drop)), /began and never authenticated/);
  });
});

describe('What is said about everything else', () => {
  it('is never nothing', () => {
    for (const notify of [
      'NO_ADDITIONAL_SAS',
      'TEMPORARY_FAILURE',
      'CHILD_SA_NOT_FOUND',
      'INTERNAL_ADDRESS_FAILURE',
      'FAILED_CP_REQUIRED',
      'INVALID_SYNTAX',
      'INVALID_MAJOR_VERSION',
      'NOTIFY(8192)',
    ]) {
      const { what, why } = refusal({ notify });
      assert.ok(what.includes(notify), what);
      assert.notEqual(why, '', notify);
    }
    assert.match(said(explain(sampleEvents.peerFault)), /two SA payloads/);
    for (const alert of ['ts-narrowed', 'proposal-mismatch-child', 'lifetime-mismatch']) {
      const { what, why } = explain({ ...sampleEvents.alert, alert });
      assert.equal(what, sampleEvents.alert.what);
      assert.notEqual(why, '', alert);
    }
  });

  it('stands in a row with when, how often and with whom', () => {
    const history = new FailureHistory(() => 'b.lab');
    history.observe({ ...refused, child: 'net' }, instant(1000));
    history.observe({ ...refused, child: 'net' }, instant(2000));
    const [failure] = history.about();
    assert.ok(failure);
    const {
      what: _what,
      why: _why,
      here: _here,
      there: _there,
      ...row
    } = failureView(failure, instant(62_500));
    assert.deepEqual(row, {
      secondsAgo: 60,
      count: 2,
      alert: 'proposal-mismatch-child',
      peer: '192.0.2.2',
      identity: 'b.lab',
      connection: 'peer',
      child: 'net',
      transforms: refused.transforms,
    });
  });
});
