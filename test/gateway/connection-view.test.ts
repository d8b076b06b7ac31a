import assert from 'node:assert/strict';
import { connectionView, matchText } from '../../src/gateway/connection-view.ts';
import type { AddressMatch } from '../../src/ipsec/connection.ts';
import { parsePrefix } from '../../src/wire/address.ts';
import { child, connection, network } from '../support/connections.ts';
import { A, B, endpoint } from '../support/pair.ts';

describe('A connection as list-conns shows it', () => {
  it('names its ends, its identities and what its children protect', () => {
    const view = connectionView(
      connection({
        localAddresses: [{ kind: 'address', address: endpoint(A).address }],
        remoteAddresses: [
          { kind: 'name', name: 'b.example' },
          { kind: 'address', address: endpoint(B).address },
        ],
        unique: 'replace',
        dpdDelaySeconds: 30,
        children: [
          child({
            localTs: [
              network('10.1.0.0/16'),
              { kind: 'dynamic', protocol: 6, startPort: 22, endPort: 22 },
            ],
            closeAction: 'start',
            dpdAction: 'restart',
          }),
          child({ name: 'other' }),
        ],
      }),
    );
    assert.deepEqual(view, {
      name: 'peer',
      localAddrs: ['192.0.2.1'],
      remoteAddrs: ['b.example', '192.0.2.2'],
      version: 'IKEv2',
      reauthSeconds: 0,
      rekeySeconds: 14_400,
      unique: 'UNIQUE_REPLACE',
      dpdDelaySeconds: 30,
      local: { class: 'pre-shared key', id: 'a.lab' },
      remote: { class: 'pre-shared key', id: 'b.lab' },
      children: [
        {
          name: 'net',
          mode: 'TUNNEL',
          rekeySeconds: 3600,
          rekeyOctets: 0,
          rekeyPackets: 0,
          dpdAction: 'start',
          closeAction: 'start',
          localTs: ['10.1.0.0/16', 'dynamic[tcp/22]'],
          remoteTs: ['10.2.0.0/16'],
        },
        {
          name: 'other',
          mode: 'TUNNEL',
          rekeySeconds: 3600,
          rekeyOctets: 0,
          rekeyPackets: 0,
          dpdAction: 'none',
          closeAction: 'none',
          localTs: ['10.1.0.0/16'],
          remoteTs: ['10.2.0.0/16'],
        },
      ],
    });
  });

  it('lists shunts by their mode', () => {
    const { children } = connectionView(
      connection({ children: [child({ mode: 'pass' }), child({ name: 'blk', mode: 'drop' })] }),
    );
    assert.deepEqual(
      children.map(({ mode }) => mode),
      ['PASS', 'DROP'],
    );
  });

  it('has no identity where none is configured', () => {
    const { local, remote } = connectionView(connection({ local: { method: 'psk' } }));
    assert.deepEqual(local, { class: 'pre-shared key' });
    assert.equal(remote.id, 'b.lab');
  });

  it('spells unique as strongSwan does', () => {
    const spelled = (['no', 'never', 'keep', 'replace'] as const).map(
      (unique) => connectionView(connection({ unique })).unique,
    );
    assert.deepEqual(spelled, ['UNIQUE_NO', 'UNIQUE_NEVER', 'UNIQUE_KEEP', 'UNIQUE_REPLACE']);
  });
});

describe('Where an end may be, as listings show it', () => {
  const { address } = endpoint('192.0.2.1');
  const prefix = parsePrefix('2001:db8::/32');
  assert.ok(prefix);
  const texts: readonly (readonly [string, AddressMatch])[] = [
    ['%any', { kind: 'any' }],
    ['%any4', { kind: 'any', family: 4 }],
    ['%any6', { kind: 'any', family: 6 }],
    ['192.0.2.1', { kind: 'address', address }],
    ['2001:db8::/32', { kind: 'prefix', prefix }],
    [
      '192.0.2.1-192.0.2.9',
      { kind: 'range', range: { first: address, last: endpoint('192.0.2.9').address } },
    ],
    ['b.example', { kind: 'name', name: 'b.example' }],
  ];
  for (const [text, match] of texts) {
    it(text, () => assert.equal(matchText(match), text));
  }
});
