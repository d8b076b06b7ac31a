import assert from 'node:assert/strict';
import {
  type AgreedChild,
  acceptChildGrant,
  answerChildOffer,
  childGrant,
  childOffer,
  policyProposal,
} from '../../src/ike/child-negotiation.ts';
import type { Payload, SaPayload, TsEntry, TsPayload } from '../../src/ike/message/message.ts';
import { payloadOf } from '../../src/ike/payload-access.ts';
import type { PeerFault } from '../../src/ike/peer-fault.ts';
import type { ChildPolicy } from '../../src/ipsec/connection.ts';
import { type Proposal, ProtocolId } from '../../src/ipsec/proposal.ts';
import { spi } from '../../src/ipsec/spi.ts';
import { formatSelector } from '../../src/ipsec/traffic-selector.ts';
import { selector } from '../support/child-sas.ts';
import {
  AES_CBC_256,
  AES_GCM_256,
  child,
  espProposal,
  ikeProposal,
  NO_ESN,
  network,
  SHA2_256,
  X25519,
} from '../support/connections.ts';
import { A, B, endpoint } from '../support/pair.ts';

const SPI_A = spi(0x1000_0001);
const SPI_B = spi(0xf000_0002);
/** As each side sees the outer addresses. */
const AT_A = { local: [endpoint(A).address], remote: [endpoint(B).address] };
const AT_B = { local: AT_A.remote, remote: AT_A.local };

interface Negotiation {
  readonly sa: SaPayload;
  readonly tsI: TsPayload;
  readonly tsR: TsPayload;
}

function negotiation(payloads: readonly Payload[]): Negotiation {
  const [sa, tsI, tsR] = [
    payloadOf(payloads, 'SA'),
    payloadOf(payloads, 'TSi'),
    payloadOf(payloads, 'TSr'),
  ];
  assert.ok(sa && tsI && tsR && payloads.length === 3);
  return { sa, tsI, tsR };
}

function mirror(policy: ChildPolicy): ChildPolicy {
  return { ...policy, localTs: policy.remoteTs, remoteTs: policy.localTs };
}

function agreed(result: AgreedChild | PeerFault): AgreedChild {
  assert.equal(result.kind, 'agreed', result.kind === 'fault' ? result.what : '');
  assert.ok(result.kind === 'agreed');
  return result;
}

function fault(result: AgreedChild | PeerFault): PeerFault {
  assert.ok(result.kind === 'fault', 'it was agreed');
  return result;
}

function texts({ localTs, remoteTs }: AgreedChild): readonly string[] {
  return [localTs, remoteTs].map((selectors) => selectors.map(formatSelector).join(' '));
}

const offer = (policy: ChildPolicy = child()) =>
  negotiation(childOffer(policyProposal(policy, AT_A), SPI_A));

/** What side b accepts under a policy. */
const accepted = (policy: ChildPolicy) => policyProposal(policy, AT_B);

/** What a policy of ours makes of a proposal the initiator sends. */
function answer(proposals: readonly Proposal[], ours: ChildPolicy = mirror(child())) {
  return answerChildOffer([accepted(ours)], { ...offer(), sa: { kind: 'SA', proposals } });
}

describe('Asking for a Child SA (RFC 7296 §1.2, §2.17)', () => {
  it('numbers the proposals, gives each our SPI, and leaves key exchange out', () => {
    const gcm = espProposal(AES_GCM_256, X25519, NO_ESN);
    const cbc = espProposal(AES_CBC_256, SHA2_256, NO_ESN);
    const { proposals } = offer(child({ proposals: [gcm, cbc] })).sa;
    assert.deepEqual(proposals, [
      {
        number: 1,
        protocol: 3,
        spi: Uint8Array.of(0x10, 0, 0, 1),
        transforms: [AES_GCM_256, NO_ESN],
      },
      {
        number: 2,
        protocol: 3,
        spi: Uint8Array.of(0x10, 0, 0, 1),
        transforms: [AES_CBC_256, SHA2_256, NO_ESN],
      },
    ]);
  });

  it('names our selectors first, dynamic ones by the outer addresses', () => {
    const dynamic = { kind: 'dynamic', protocol: 6, startPort: 22, endPort: 22 } as const;
    const { tsI, tsR } = offer(child({ localTs: [dynamic] }));
    const print = ({ entries }: TsPayload) =>
      entries.map((one) => (one.kind === 'range' ? formatSelector(one.selector) : '?'));
    assert.deepEqual(print(tsI), ['192.0.2.1/32[tcp/22]']);
    assert.deepEqual(print(tsR), ['10.2.0.0/16']);
  });
});

describe('Granting a Child SA (§2.9)', () => {
  it('takes the first policy that fits, and what both want', () => {
    const narrow = mirror(child({ name: 'narrow', remoteTs: [network('10.2.7.0/24')] }));
    const elsewhere = mirror(child({ name: 'elsewhere', remoteTs: [network('172.16.0.0/12')] }));
    const narrower = mirror(child({ name: 'narrower', remoteTs: [network('10.2.7.8/29')] }));
    const policies = [elsewhere, narrow, narrower].map(accepted);
    const found = agreed(answerChildOffer(policies, offer()));
    assert.equal(found.policy.name, 'narrow');
    assert.deepEqual(texts(found), ['10.2.7.0/24', '10.1.0.0/16']);
    assert.equal(found.spiOut, SPI_A);
  });

  it('prefers a policy that fits to the fault of one before it', () => {
    const cbc = mirror(child({ proposals: [espProposal(AES_CBC_256, SHA2_256, NO_ESN)] }));
    const gcm = mirror(child({ name: 'gcm' }));
    assert.equal(agreed(answerChildOffer([cbc, gcm].map(accepted), offer())).policy.name, 'gcm');
  });

  it('prefers a policy that need not narrow the offer to one before it that must', () => {
    const narrow = mirror(child({ name: 'narrow', remoteTs: [network('10.2.7.0/24')] }));
    const whole = mirror(child({ name: 'whole', remoteTs: [network('10.0.0.0/8')] }));
    const found = agreed(answerChildOffer([narrow, whole].map(accepted), offer()));
    assert.equal(found.policy.name, 'whole');
    assert.deepEqual(texts(found), ['10.2.0.0/16', '10.1.0.0/16']);
  });

  it('passes over selectors of unknown types', () => {
    const unknown: TsEntry = { kind: 'unknown', type: 9, protocol: 0, body: new Uint8Array(4) };
    const known = offer();
    const tsI: TsPayload = { kind: 'TSi', entries: [unknown, ...known.tsI.entries] };
    const found = agreed(answerChildOffer([accepted(mirror(child()))], { ...known, tsI }));
    assert.deepEqual(texts(found), ['10.2.0.0/16', '10.1.0.0/16']);
    const nothing: TsPayload = { kind: 'TSi', entries: [unknown] };
    const refused = fault(
      answerChildOffer([accepted(mirror(child()))], { ...known, tsI: nothing }),
    );
    assert.equal(refused.fault, 'ts-unacceptable');
  });

  it('refuses selectors that share nothing, and says both sides', () => {
    const elsewhere = mirror(child({ remoteTs: [network('172.16.0.0/12')] }));
    const { fault: kind, what } = fault(answerChildOffer([accepted(elsewhere)], offer()));
    assert.equal(kind, 'ts-unacceptable');
    assert.equal(
      what,
      'child net: offered 10.2.0.0/16 === 10.1.0.0/16, accepted 172.16.0.0/12 === 10.1.0.0/16',
    );
    assert.equal(fault(answerChildOffer([], offer())).fault, 'ts-unacceptable');
  });

  it('refuses proposals without a common one, and says what was offered and accepted', () => {
    const cbc = mirror(child({ proposals: [espProposal(AES_CBC_256, SHA2_256, NO_ESN)] }));
    const elsewhere = mirror(child({ remoteTs: [network('172.16.0.0/12')] }));
    for (const policies of [[cbc], [cbc, elsewhere], [elsewhere, cbc]]) {
      const { fault: kind, refusal } = fault(answerChildOffer(policies.map(accepted), offer()));
      assert.equal(kind, 'no-proposal-chosen');
      assert.equal(refusal?.child, 'net');
      assert.ok(refusal.transforms?.some(({ type }) => type === 'ENCR'));
      assert.equal(refusal.offered?.length, 1);
      assert.deepEqual(refusal.accepted, ['ESP:AES_CBC_256/HMAC_SHA2_256_128/NO_EXT_SEQ']);
    }
  });

  it('refuses what is not ESP', () => {
    const ah = { ...espProposal(AES_GCM_256, NO_ESN), number: 1, protocol: ProtocolId.AH };
    const ike = { ...ikeProposal(AES_GCM_256, NO_ESN), number: 1 };
    for (const proposal of [ah, ike]) {
      const refused = fault(answer([{ ...proposal, spi: Uint8Array.of(0x10, 0, 0, 1) }]));
      assert.equal(refused.fault, 'no-proposal-chosen');
    }
  });

  it('refuses SPIs that are reserved or of another size (RFC 4303 §2.1)', () => {
    const gcm = { ...espProposal(AES_GCM_256, NO_ESN), number: 1 };
    const spis = [[0, 0, 0, 0], [0, 0, 0, 255], [1, 2, 3], [1, 2, 3, 4, 5], []];
    for (const octets of spis) {
      assert.equal(answer([{ ...gcm, spi: Uint8Array.from(octets) }]).kind, 'fault', `${octets}`);
    }
    assert.equal(agreed(answer([{ ...gcm, spi: Uint8Array.of(0, 0, 1, 0) }])).spiOut, 256);
    const high = agreed(answer([{ ...gcm, spi: Uint8Array.of(0xff, 0xff, 0xff, 0xff) }]));
    assert.equal(high.spiOut, 0xffff_ffff);
  });

  it('passes over a key exchange, which IKE_AUTH has none of', () => {
    const ours = mirror(child({ proposals: [espProposal(AES_GCM_256, X25519, NO_ESN)] }));
    assert.equal(agreed(answerChildOffer([accepted(ours)], offer())).proposal.ke, undefined);
  });
});

describe('Accepting a granted Child SA (§2.7, §2.9)', () => {
  const policy = child({ proposals: [espProposal(AES_GCM_256, AES_CBC_256, SHA2_256, NO_ESN)] });
  const granted = negotiation(
    childGrant(agreed(answerChildOffer([accepted(mirror(child()))], offer())), SPI_B),
  );
  const [choice] = granted.sa.proposals;
  assert.ok(choice);

  function accept(changes: Partial<Negotiation>, ours: ChildPolicy = child()) {
    return acceptChildGrant(ours, policyProposal(ours, AT_A), { ...granted, ...changes });
  }

  function sa(...proposals: readonly Proposal[]): Partial<Negotiation> {
    return { sa: { kind: 'SA', proposals } };
  }

  function ts(kind: 'TSi' | 'TSr', ...networks: readonly string[]): TsPayload {
    const entries = networks.map((one) => ({ kind: 'range', selector: selector(one) }) as const);
    return { kind, entries };
  }

  it('ends where the peer began: SPIs crossed, selectors mirrored', () => {
    const found = agreed(accept({}));
    assert.equal(found.spiOut, SPI_B);
    assert.deepEqual(texts(found), ['10.1.0.0/16', '10.2.0.0/16']);
    assert.equal(found.proposal.encr?.id, AES_GCM_256.id);
  });

  it('takes narrower selectors', () => {
    const found = agreed(accept({ tsR: ts('TSr', '10.2.1.0/24', '10.2.9.0/24') }));
    assert.deepEqual(texts(found), ['10.1.0.0/16', '10.2.1.0/24 10.2.9.0/24']);
  });

  it('refuses wider selectors, foreign ones and none', () => {
    const wrong = [
      { tsI: ts('TSi', '10.0.0.0/8') },
      { tsR: ts('TSr', '0.0.0.0/0') },
      { tsR: ts('TSr', '10.2.0.0/16', '10.3.0.0/16') },
      { tsI: ts('TSi') },
      { tsR: ts('TSr') },
    ];
    for (const changes of wrong) {
      assert.equal(fault(accept(changes)).fault, 'ts-unacceptable', JSON.stringify(changes));
    }
  });

  it('refuses what was never offered, no choice, and more than one', () => {
    const other = { ...choice, transforms: [AES_CBC_256, SHA2_256, NO_ESN] };
    for (const proposals of [[], [choice, choice], [other]]) {
      assert.equal(fault(accept(sa(...proposals))).fault, 'no-proposal-chosen');
    }
  });

  it('refuses a choice that leaves the choice to us', () => {
    const twice = { ...choice, transforms: [AES_GCM_256, AES_CBC_256, NO_ESN] };
    assert.equal(fault(accept(sa(twice), policy)).fault, 'no-proposal-chosen');
  });

  it('refuses SPIs that are reserved or of another size', () => {
    for (const octets of [
      [0, 0, 0, 9],
      [1, 2, 3],
    ]) {
      const found = fault(accept(sa({ ...choice, spi: Uint8Array.from(octets) })));
      assert.equal(found.fault, 'no-proposal-chosen');
    }
  });
});
