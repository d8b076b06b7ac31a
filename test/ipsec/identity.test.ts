import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  addressIdentity,
  equalIdentities,
  formatIdentity,
  type Identity,
  IdentityMatch,
  type IdentityPattern,
  IdType,
  identityKey,
  matchIdentity,
  parseIdentity,
  parseIdentityPattern,
} from '../../src/ipsec/identity.ts';

const { ID_IPV4_ADDR, ID_IPV6_ADDR, ID_FQDN, ID_RFC822_ADDR, ID_KEY_ID, ID_DER_ASN1_DN } = IdType;

function identity(text: string): Identity {
  const parsed = parseIdentity(text);
  assert.ok(parsed.kind === 'identity', text);
  return parsed.identity;
}

function pattern(text: string): IdentityPattern {
  const parsed = parseIdentityPattern(text);
  assert.ok(!('kind' in parsed), text);
  return parsed;
}

function described(text: string): readonly [number, string] {
  const { type, data } = identity(text);
  return [
    type,
    Buffer.from(data).toString(type === ID_FQDN || type === ID_RFC822_ADDR ? 'latin1' : 'hex'),
  ];
}

describe('Identity text (RFC 7296 §3.5, as swanctl.conf writes it)', () => {
  const exact: readonly (readonly [text: string, type: number, data: string])[] = [
    ['192.0.2.1', ID_IPV4_ADDR, 'c0000201'],
    ['fd00::1', ID_IPV6_ADDR, 'fd000000000000000000000000000001'],
    ['a.lab', ID_FQDN, 'a.lab'],
    ['@a.lab', ID_FQDN, 'a.lab'],
    ['@10.0.0.1', ID_FQDN, '10.0.0.1'],
    ['fqdn:x.y', ID_FQDN, 'x.y'],
    ['fqdn:@x.y', ID_FQDN, '@x.y'],
    ['dns:x.y', ID_FQDN, 'x.y'],
    ['bob@a.lab', ID_RFC822_ADDR, 'bob@a.lab'],
    ['@@bob@a.lab', ID_RFC822_ADDR, 'bob@a.lab'],
    ['email:nobody', ID_RFC822_ADDR, 'nobody'],
    ['rfc822:a@b', ID_RFC822_ADDR, 'a@b'],
    ['userfqdn:a@b', ID_RFC822_ADDR, 'a@b'],
    ['@#a1B2', ID_KEY_ID, 'a1b2'],
    ['@#a1:b2', ID_KEY_ID, 'a1b2'],
    ['keyid:abc', ID_KEY_ID, '616263'],
    ['keyid:#6162', ID_KEY_ID, '6162'],
    ['a:b', ID_KEY_ID, '613a62'],
    ['asn1dn:#300d', ID_DER_ASN1_DN, '300d'],
    ['dn:#300d', ID_DER_ASN1_DN, '300d'],
  ];
  for (const [text, type, data] of exact) {
    it(`reads ${text}`, () => {
      assert.deepEqual(described(text), [type, data]);
      assert.deepEqual(pattern(text).identity, identity(text));
    });
  }

  it('reads patterns', () => {
    const texts = [
      '%any',
      '*',
      '0.0.0.0',
      '::',
      '*.a.lab',
      '*@a.lab',
      'email:*@b',
      '10.0.0.0/24',
      '10.0.0.1-10.0.0.9',
    ];
    for (const text of texts) assert.deepEqual(pattern(text), { text }, text);
  });

  it('refuses what it cannot mean, and says what to write', () => {
    const refusal = (text: string): string => {
      const parsed = parseIdentity(text);
      return parsed.kind === 'refused' ? parsed.what : parsed.kind;
    };
    assert.match(refusal('C=DE, O=Lab, CN=a.lab'), /distinguished name.*asn1dn:#30/);
    assert.match(refusal('asn1dn:CN=a'), /asn1dn:#30/);
    assert.match(refusal('@#xyz'), /hex/);
    assert.match(refusal('@#a'), /hex/);
    assert.match(refusal('keyid:#'), /hex/);
    assert.match(refusal('@'), /without a name/);
    assert.match(refusal('email:'), /without a name/);
    const refused = parseIdentityPattern('CN=x');
    assert.ok('kind' in refused && refused.kind === 'refused');
  });
});

describe('Identities as text', () => {
  it('print as strongSwan prints them', () => {
    const printed = [
      '192.0.2.1',
      'FD00::1',
      '@a.lab',
      'bob@a.lab',
      '@#a1b2',
      '@#616263',
      'asn1dn:#300d',
    ];
    assert.deepEqual(
      printed.map((text) => formatIdentity(identity(text))),
      ['192.0.2.1', 'fd00::1', 'a.lab', 'bob@a.lab', 'a1:b2', 'abc', 'asn1dn:#300d'],
    );
    assert.equal(formatIdentity({ type: ID_IPV4_ADDR, data: new Uint8Array(4) }), '%any');
  });

  it('print a peer’s octets without control characters', () => {
    fc.assert(
      fc.property(fc.nat(12), fc.uint8Array({ maxLength: 20 }), (type, data) => {
        assert.match(formatIdentity({ type, data }), /^[\x20-\x7e]*$/);
      }),
    );
    assert.equal(formatIdentity({ type: ID_FQDN, data: Uint8Array.of(97, 10, 27) }), 'a??');
    assert.equal(formatIdentity({ type: ID_IPV4_ADDR, data: Uint8Array.of(1, 2) }), '{1}:#0102');
  });

  it('name an address', () => {
    assert.deepEqual(addressIdentity(Uint8Array.of(192, 0, 2, 1)), identity('192.0.2.1'));
    assert.deepEqual(addressIdentity(new Uint8Array(16)).type, ID_IPV6_ADDR);
  });
});

describe('Matching identities (RFC 4301 §4.4.3.1)', () => {
  it('compares names without case and everything else by octets', () => {
    assert.ok(equalIdentities(identity('A.Lab'), identity('a.lab')));
    assert.ok(equalIdentities(identity('Bob@A.lab'), identity('bob@a.lab')));
    assert.ok(!equalIdentities(identity('keyid:A'), identity('keyid:a')));
    assert.ok(!equalIdentities(identity('a.lab'), identity('keyid:a.lab')));
    assert.ok(!equalIdentities(identity('a.lab'), identity('a.labs')));
    assert.ok(!equalIdentities(identity('@[.lab'), identity('@{.lab')));
  });

  it('has one key for equal identities and another for any other', () => {
    const texts = ['a.lab', 'A.LAB', 'a@lab', '@#612e6c6162', '@#412e6c6162', '10.0.0.1', 'b.lab'];
    for (const one of texts.map(identity)) {
      for (const other of texts.map(identity)) {
        assert.equal(identityKey(one) === identityKey(other), equalIdentities(one, other));
      }
    }
  });

  it('prefers exact to longer wildcards to shorter ones to any', () => {
    const peer = identity('gw.site.lab');
    const ordered = ['gw.site.lab', '*.site.lab', '*.LAB', '%any'].map((text) =>
      matchIdentity(pattern(text), peer),
    );
    assert.equal(ordered[0], IdentityMatch.EXACT);
    assert.equal(ordered[3], IdentityMatch.ANY);
    assert.deepEqual(
      ordered,
      ordered.toSorted((a, b) => b - a),
    );
    assert.equal(new Set(ordered).size, 4);
    assert.equal(matchIdentity(undefined, peer), IdentityMatch.ANY);
  });

  it('keeps types apart', () => {
    const no = (text: string, peer: string): void =>
      assert.equal(matchIdentity(pattern(text), identity(peer)), IdentityMatch.NONE);
    no('*.lab', 'bob@a.lab');
    no('*@a.lab', 'a.lab');
    no('*@a.lab', 'bob@b.lab');
    no('*.lab', 'keyid:x.lab');
    no('*.longer.lab', 'a.lab');
    no('fqdn:*', 'bob@a.lab');
    no('10.0.0.0/24', '10.0.1.0');
    no('10.0.0.0/24', '@10.0.0.1');
    no('10.0.0.1-10.0.0.9', '10.0.0.10');
    no('a.lab', 'b.lab');
  });

  it('knows wildcards by prefix and addresses by range', () => {
    const yes = (text: string, peer: string): void =>
      assert.ok(matchIdentity(pattern(text), identity(peer)) >= IdentityMatch.WILDCARD);
    yes('email:*@a.lab', 'bob@a.lab');
    yes('@@*@a.lab', 'bob@a.lab');
    yes('@*.a.lab', 'x.a.lab');
    yes('dns:*', 'x.a.lab');
    yes('10.0.0.0/24', '10.0.0.77');
    yes('10.0.0.1-10.0.0.9', '10.0.0.9');
    yes('fd00::/64', 'fd00::5');
  });
});
