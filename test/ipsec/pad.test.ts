import assert from 'node:assert/strict';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import type { AddressMatch, Connection } from '../../src/ipsec/connection.ts';
import {
  type Identity,
  type IdentityPattern,
  parseIdentity,
  parseIdentityPattern,
} from '../../src/ipsec/identity.ts';
import { Pad } from '../../src/ipsec/pad.ts';
import { type IpAddress, parseAddress, parsePrefix } from '../../src/wire/address.ts';

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined);
  return parsed;
}

function identity(text: string): Identity {
  const parsed = parseIdentity(text);
  assert.ok(parsed.kind === 'identity');
  return parsed.identity;
}

function pattern(text: string): IdentityPattern {
  const parsed = parseIdentityPattern(text);
  assert.ok(!('kind' in parsed));
  return parsed;
}

/** `%any`, an address, a prefix, a range or a name. */
function match(text: string): AddressMatch {
  if (text === '%any') return { kind: 'any' };
  const [from = '', to] = text.split('-');
  const first = parseAddress(from);
  if (first && to) return { kind: 'range', range: { first, last: address(to) } };
  if (first) return { kind: 'address', address: first };
  const prefix = parsePrefix(text);
  return prefix ? { kind: 'prefix', prefix } : { kind: 'name', name: text };
}

interface Ends {
  readonly local?: string;
  readonly remote?: string;
  readonly localId?: string;
  readonly remoteId?: string;
}

function connection(name: string, ends: Ends): Connection {
  const { local = '%any', remote = '%any', localId, remoteId } = ends;
  return {
    name,
    localAddresses: local.split(',').map(match),
    remoteAddresses: remote.split(',').map(match),
    localPort: 500,
    remotePort: 500,
    proposals: [],
    local: { method: 'psk', ...(localId !== undefined && { id: pattern(localId) }) },
    remote: { method: 'psk', ...(remoteId !== undefined && { id: pattern(remoteId) }) },
    encap: false,
    dpdDelaySeconds: 0,
    keyingTries: 1,
    unique: 'no',
    lifetime: { rekey: 0, reauth: 0, over: 0, random: 0 },
    mobike: false,
    fragmentation: 'no',
    childless: 'allow',
    vips: [],
    pools: [],
    children: [],
  };
}

function padOf(connections: Readonly<Record<string, Ends>>): Pad {
  const pad = new Pad();
  for (const [name, ends] of Object.entries(connections)) pad.load(connection(name, ends));
  return pad;
}

const names = (found: readonly Connection[]): readonly string[] => found.map(({ name }) => name);
const HERE = address('192.0.2.1');
const THERE = address('198.51.100.7');

describe('Connections of the PAD (RFC 4301 §4.4.3)', () => {
  it('are found by name and keep the order of loading, also when replaced', () => {
    const pad = padOf({ a: {}, b: {} });
    pad.load(connection('a', { remote: '198.51.100.7' }));
    assert.deepEqual(names(pad.connections()), ['a', 'b']);
    assert.equal(pad.connection('a')?.remoteAddresses[0]?.kind, 'address');
    assert.equal(pad.unload('a'), true);
    assert.equal(pad.unload('a'), false);
    assert.equal(pad.connection('a'), undefined);
  });

  it('are candidates by address, the narrowest first', () => {
    const pad = padOf({
      any: {},
      wide: { remote: '198.51.0.0/16' },
      other: { remote: '203.0.113.1' },
      range: { remote: '198.51.100.0-198.51.100.15' },
      exact: { remote: '198.51.100.7' },
      narrow: { remote: '198.51.100.0/24' },
      crooked: { remote: '198.50.100.7-198.51.100.7' },
      elsewhere: { local: '192.0.2.99' },
    });
    assert.deepEqual(names(pad.candidates(HERE, THERE)), [
      'exact',
      'range',
      'narrow',
      'wide',
      'crooked',
      'any',
    ]);
  });

  it('count both ends and the best of several descriptions', () => {
    const pad = padOf({
      one: { remote: '198.51.100.7' },
      two: { local: '192.0.2.1', remote: '203.0.113.0/24,198.51.100.7' },
    });
    assert.deepEqual(names(pad.candidates(HERE, THERE)), ['two', 'one']);
  });

  it('keep families apart', () => {
    const pad = new Pad();
    pad.load({ ...connection('six', {}), remoteAddresses: [{ kind: 'any', family: 6 }] });
    pad.load(connection('prefix', { remote: '::/0' }));
    assert.deepEqual(names(pad.candidates(HERE, THERE)), []);
    assert.equal(pad.candidates(HERE, address('fd00::1')).length, 2);
  });

  it('match names only by the addresses they were resolved to', () => {
    const pad = padOf({ named: { remote: 'b.lab' } });
    assert.deepEqual(pad.names(), ['b.lab']);
    assert.deepEqual(names(pad.candidates(HERE, THERE)), []);
    pad.resolve('b.lab', [address('203.0.113.1'), THERE]);
    assert.deepEqual(names(pad.candidates(HERE, THERE)), ['named']);
    pad.resolve('b.lab', []);
    assert.deepEqual(names(pad.candidates(HERE, THERE)), []);
  });

  it('are chosen by the identities, then by the addresses', () => {
    const pad = padOf({
      any: {},
      wildcard: { remoteId: '*.lab' },
      exact: { remoteId: 'b.lab' },
      exactAddress: { remoteId: 'b.lab', remote: '198.51.100.7' },
      stranger: { remoteId: 'c.lab' },
      notOurs: { localId: 'x.lab', remoteId: 'b.lab' },
      ours: { localId: 'a.lab', remoteId: 'b.lab' },
    });
    const choose = (idR?: string): readonly string[] =>
      names(
        pad.choose(HERE, THERE, identity('b.lab'), idR === undefined ? undefined : identity(idR)),
      );
    assert.deepEqual(choose('a.lab'), ['ours', 'exactAddress', 'exact', 'wildcard', 'any']);
    assert.deepEqual(choose(), ['exactAddress', 'exact', 'notOurs', 'ours', 'wildcard', 'any']);
  });

  it('read IDi as our own identity for the initiator', () => {
    const pad = padOf({ ours: { localId: 'a.lab', remoteId: 'b.lab' } });
    const [a, b] = [identity('a.lab'), identity('b.lab')];
    assert.equal(pad.choose(HERE, THERE, a, b, 'initiator').length, 1);
    assert.equal(pad.choose(HERE, THERE, a, undefined, 'initiator').length, 1);
    assert.equal(pad.choose(HERE, THERE, b, a, 'initiator').length, 0);
    assert.equal(pad.choose(HERE, THERE, b, a, 'responder').length, 1);
  });
});

describe('Shared secrets of the PAD (as swanctl.conf owns them)', () => {
  const secrets = (owners: Readonly<Record<string, readonly string[]>>): Pad => {
    const pad = new Pad();
    for (const [id, texts] of Object.entries(owners)) {
      const secret = new SecretBytes(new TextEncoder().encode(id));
      pad.loadShared({ id, owners: texts.map(pattern), secret });
    }
    return pad;
  };
  const found = (pad: Pad, local = 'a.lab', remote = 'b.lab'): string | undefined => {
    const secret = pad.sharedSecret(identity(local), identity(remote));
    return secret && new TextDecoder().decode(secret.reveal());
  };

  it('belong to both identities before one, to one before anybody', () => {
    const all = {
      nobody: [],
      any: ['%any'],
      pattern: ['*.lab'],
      ours: ['a.lab'],
      both: ['b.lab', 'a.lab'],
      others: ['c.lab', 'd.lab'],
    };
    const pad = secrets(all);
    const order: (string | undefined)[] = [];
    for (let left = found(pad); left !== undefined; left = found(pad)) {
      order.push(left);
      pad.unloadShared(left);
    }
    assert.deepEqual(order, ['both', 'ours', 'pattern', 'nobody', 'any']);
    assert.deepEqual(pad.sharedIds(), ['others']);
  });

  it('do not serve strangers', () => {
    assert.equal(found(secrets({ others: ['c.lab', 'd.lab'] })), undefined);
    assert.equal(found(new Pad()), undefined);
  });

  it('are replaced by id, unloaded and cleared', () => {
    const pad = secrets({ one: [], two: [] });
    pad.loadShared({ id: 'two', owners: [], secret: new SecretBytes(Uint8Array.of(50)) });
    assert.deepEqual(pad.sharedIds(), ['one', 'two']);
    assert.equal(pad.unloadShared('one'), true);
    assert.equal(pad.unloadShared('one'), false);
    assert.equal(found(pad), '2');
    pad.clear();
    assert.deepEqual(pad.sharedIds(), []);
  });
});
