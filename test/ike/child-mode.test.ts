import assert from 'node:assert/strict';
import { fitsMode, modeNotifies, modeOffer, selectorsAsSeen } from '../../src/ike/child-mode.ts';
import {
  acceptChildGrant,
  answerChildOffer,
  childGrant,
  childOffer,
  inFittingMode,
  policyProposal,
} from '../../src/ike/child-negotiation.ts';
import { NO_NAT_TRAVERSAL } from '../../src/ike/nat-detection.ts';
import { payloadOf } from '../../src/ike/payload-access.ts';
import type { ChildPolicy } from '../../src/ipsec/connection.ts';
import { spi } from '../../src/ipsec/spi.ts';
import { selector } from '../support/child-sas.ts';
import { child, network } from '../support/connections.ts';
import { A, B, endpoint } from '../support/pair.ts';

const ENDS = { local: endpoint(A), remote: endpoint(B) };
const PAIR = { local: ENDS.local.address, remote: ENDS.remote.address };
const HOSTS = { localTs: [selector(`${A}/32`)], remoteTs: [selector(`${B}/32`)] };

/** What site a makes of site b's answer, which names the modes of `named`. */
function granted(ours: ChildPolicy, named: Parameters<typeof modeNotifies>[0]) {
  const addresses = { local: [PAIR.local], remote: [PAIR.remote] };
  const asked = inFittingMode(policyProposal(ours, addresses), ENDS);
  const payloads = childOffer(asked, spi(0x1001));
  const [sa, tsI, tsR] = ['SA', 'TSi', 'TSr'].map((kind) =>
    payloads.find((one) => one.kind === kind),
  );
  assert.ok(sa?.kind === 'SA' && tsI?.kind === 'TSi' && tsR?.kind === 'TSr');
  const mirror = { ...ours, localTs: ours.remoteTs, remoteTs: ours.localTs };
  const theirs = policyProposal(mirror, { local: addresses.remote, remote: addresses.local });
  const agreed = answerChildOffer([theirs], { sa, tsI, tsR });
  assert.ok(agreed.kind === 'agreed');
  const answer = [...childGrant(agreed, spi(0x1002)), ...modeNotifies(named)];
  const grant = {
    sa: payloadOf(answer, 'SA') ?? sa,
    tsI: payloadOf(answer, 'TSi') ?? tsI,
    tsR: payloadOf(answer, 'TSr') ?? tsR,
    named: modeOffer(ENDS, NO_NAT_TRAVERSAL, answer),
  };
  return acceptChildGrant(ours, asked, grant);
}

function hosts(mode: ChildPolicy['mode']): ChildPolicy {
  return child({ mode, localTs: [network(`${A}/32`)], remoteTs: [network(`${B}/32`)] });
}

describe('A mode that the peer names (RFC 7296 §1.3.1)', () => {
  it('is none, one, or transport mode of two', () => {
    const of = (...modes: readonly ('transport' | 'beet')[]) =>
      modeOffer(ENDS, NO_NAT_TRAVERSAL, modes.flatMap(modeNotifies))?.mode;
    assert.equal(of(), undefined);
    assert.equal(of('beet'), 'beet');
    assert.equal(of('beet', 'transport'), 'transport');
  });

  it('is had if it was asked for, and a tunnel is if nothing was answered', () => {
    for (const mode of ['transport', 'beet'] as const) {
      const one = granted(hosts(mode), mode);
      assert.ok(one.kind === 'agreed' && one.mode === mode);
      const tunnel = granted(hosts(mode), undefined);
      assert.ok(tunnel.kind === 'agreed' && tunnel.mode === undefined);
    }
  });

  it('is a fault if it was not asked for', () => {
    for (const [ours, named] of [
      ['tunnel', 'transport'],
      ['beet', 'transport'],
      ['transport', 'beet'],
    ] as const) {
      const fault = granted(hosts(ours), named);
      assert.ok(fault.kind === 'fault');
      assert.equal(fault.fault, 'no-proposal-chosen');
      assert.match(fault.what, new RegExp(`chose ${named} mode, which was not asked for`));
    }
  });
});

describe('Selectors of hosts', () => {
  const two = [selector(`${A}/32`), { ...selector(`${A}/32`), protocol: 6 }];
  const network = [selector('192.0.2.0/24')];

  it('are of the two ends in transport mode', () => {
    assert.ok(fitsMode('transport', PAIR, { ...HOSTS, localTs: two }));
    assert.ok(!fitsMode('transport', PAIR, { ...HOSTS, localTs: network }));
    assert.ok(!fitsMode('transport', PAIR, { localTs: HOSTS.remoteTs, remoteTs: HOSTS.localTs }));
    assert.ok(!fitsMode('transport', PAIR, { ...HOSTS, remoteTs: [] }));
  });

  it('are of any one address each in BEET, of one family', () => {
    const other = { localTs: [selector('10.0.0.1/32')], remoteTs: HOSTS.localTs };
    assert.ok(fitsMode('beet', PAIR, other));
    assert.ok(!fitsMode('beet', PAIR, { ...other, localTs: [selector('2001:db8::1/128')] }));
    assert.ok(!fitsMode('beet', PAIR, { ...other, localTs: [...two, ...other.localTs] }));
  });

  it('cannot be seen through a NAT where they are of networks (RFC 7296 §2.23.1)', () => {
    const ends = { ...PAIR, localBehindNat: false, remoteBehindNat: true };
    assert.equal(selectorsAsSeen(ends, { ...HOSTS, localTs: network }), undefined);
    const theirs = { ...HOSTS, remoteTs: [{ ...selector('10.0.0.9/32'), protocol: 6 }] };
    const seen = selectorsAsSeen(ends, theirs);
    assert.deepEqual(seen?.remoteTs, [{ ...selector(`${B}/32`), protocol: 6 }]);
    assert.deepEqual(seen?.peerAddresses?.remote, endpoint('10.0.0.9').address);
  });
});
