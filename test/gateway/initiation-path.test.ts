import assert from 'node:assert/strict';
import {
  type AddressBook,
  initiationPath,
  type OwnPorts,
} from '../../src/gateway/initiation-path.ts';
import type { AddressMatch, Connection } from '../../src/ipsec/connection.ts';
import {
  formatEndpoint,
  type IpAddress,
  parseAddress,
  parsePrefix,
} from '../../src/wire/address.ts';
import { connection } from '../support/connections.ts';

const PORTS: OwnPorts = { portIke: 500, portNatT: 4500 };
const ANY: AddressMatch = { kind: 'any' };

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  assert.ok(parsed, text);
  return parsed;
}

/** As an operator writes it; a word is a name. */
function match(text: string): AddressMatch {
  const prefix = text.includes('/') ? parsePrefix(text) : undefined;
  if (prefix) return { kind: 'prefix', prefix };
  const parsed = parseAddress(text);
  return parsed ? { kind: 'address', address: parsed } : { kind: 'name', name: text };
}

const book: AddressBook = {
  resolve: async (name) => {
    if (name === 'both.example') return [address('2001:db8::7'), address('192.0.2.7')];
    if (name === 'b.example') return [address('192.0.2.2')];
    throw new Error(`getaddrinfo ENOTFOUND ${name}`);
  },
  // A machine without a route for IPv6.
  sourceFor: ({ family }) => (family === 4 ? address('192.0.2.1') : undefined),
};

async function path(local: readonly AddressMatch[], remote: readonly string[]): Promise<string> {
  const addresses = { localAddresses: local, remoteAddresses: remote.map(match) };
  const found = await initiationPath(connection(addresses), book, PORTS);
  return `${formatEndpoint(found.local)} ${formatEndpoint(found.remote)}`;
}

/** Local and remote port. */
async function ports(
  configured: Partial<Pick<Connection, 'localPort' | 'remotePort'>>,
  own: OwnPorts = PORTS,
): Promise<readonly number[]> {
  const peer = connection({ remoteAddresses: [match('192.0.2.2')], ...configured });
  const { local, remote } = await initiationPath(peer, book, own);
  return [local.port, remote.port];
}

describe('Where a connection is initiated from and to', () => {
  it('the configured addresses', async () => {
    assert.equal(await path([match('192.0.2.9')], ['192.0.2.2']), '192.0.2.9[500] 192.0.2.2[500]');
  });

  it('from the port that has the non-ESP marker where the port of the peer has it', async () => {
    assert.deepEqual(await ports({ remotePort: 4500 }), [4500, 4500]);
    assert.deepEqual(await ports({ remotePort: 4500, localPort: 4500 }), [4500, 4500]);
    assert.deepEqual(await ports({ remotePort: 2500 }), [4500, 2500]);
    assert.deepEqual(
      await ports({ remotePort: 4500 }, { portIke: 1500, portNatT: 5500 }),
      [5500, 4500],
    );
  });

  it('from our IKE port, wherever it is, where the port of the peer has no marker', async () => {
    const own = { portIke: 1500, portNatT: 5500 };
    assert.deepEqual(await ports({}, own), [1500, 500]);
    assert.deepEqual(await ports({ localPort: 1500 }, own), [1500, 500]);
    assert.deepEqual(await ports({ remotePort: 1500 }, own), [1500, 1500]);
  });

  it('says which port does not fit', async () => {
    await assert.rejects(
      ports({ localPort: 4500 }),
      /local_port = 4500 does not go with remote_port = 500: write local_port = 500$/,
    );
    await assert.rejects(ports({ localPort: 1500, remotePort: 4500 }), /write local_port = 4500$/);
  });

  it('our own address is what the route says where any will do', async () => {
    assert.equal(await path([ANY], ['192.0.2.2']), '192.0.2.1[500] 192.0.2.2[500]');
    assert.equal(
      await path([match('192.0.2.0/24')], ['192.0.2.2']),
      '192.0.2.1[500] 192.0.2.2[500]',
    );
  });

  it('our own address is of the family of the peer', async () => {
    const own = [match('2001:db8::1'), match('192.0.2.9')];
    assert.equal(await path(own, ['192.0.2.2']), '192.0.2.9[500] 192.0.2.2[500]');
  });

  it('a name is resolved', async () => {
    assert.equal(await path([ANY], ['b.example']), '192.0.2.1[500] 192.0.2.2[500]');
    assert.equal(await path([match('b.example')], ['192.0.2.3']), '192.0.2.2[500] 192.0.2.3[500]');
  });

  it('an address no packet can leave for is passed over', async () => {
    assert.equal(await path([ANY], ['2001:db8::2', '192.0.2.2']), '192.0.2.1[500] 192.0.2.2[500]');
    assert.equal(await path([ANY], ['both.example']), '192.0.2.1[500] 192.0.2.7[500]');
  });

  it('a name without addresses does not hide the others', async () => {
    assert.equal(await path([ANY], ['none.example', '192.0.2.2']), '192.0.2.1[500] 192.0.2.2[500]');
    const own = [match('none.example'), match('192.0.2.9')];
    assert.equal(await path(own, ['192.0.2.2']), '192.0.2.9[500] 192.0.2.2[500]');
  });

  it('the route does not overrule local_addrs', async () => {
    const nothing = /no local address and no route for 192\.0\.2\.2$/;
    await assert.rejects(path([match('198.51.100.0/24')], ['192.0.2.2']), nothing);
    await assert.rejects(path([match('2001:db8::1')], ['192.0.2.2']), nothing);
  });

  it('says what is missing', async () => {
    const open = initiationPath(connection(), book, PORTS);
    await assert.rejects(open, /connection peer has no remote address to initiate to/);
    await assert.rejects(path([ANY], ['192.0.2.0/24']), /has no remote address/);
    await assert.rejects(path([ANY], ['2001:db8::2']), /no route for 2001:db8::2/);
    await assert.rejects(path([ANY], ['none.example']), /ENOTFOUND none\.example/);
    await assert.rejects(path([match('none.example')], ['192.0.2.2']), /ENOTFOUND none\.example/);
  });
});
