import assert from 'node:assert/strict';
import type { ChildSa } from '../../src/ipsec/child-sa.ts';
import type { ChildPolicy, Connection, SelectorTemplate } from '../../src/ipsec/connection.ts';
import { formatSelector } from '../../src/ipsec/traffic-selector.ts';
import { equalAddresses, formatAddress } from '../../src/wire/address.ts';
import { child, connection, mirrored, network } from '../support/connections.ts';
import { A, B, endpoint, type Flight, type Pair, type Side } from '../support/pair.ts';
import { rekey } from '../support/rekeying.ts';
import { initiate, sites } from '../support/sites.ts';

type Mode = ChildPolicy['mode'];

const DYNAMIC: SelectorTemplate = { kind: 'dynamic', protocol: 0, startPort: 0, endPort: 0xffff };
/** What the world sees of a site behind a NAT. */
const NAT_A = '198.51.100.1';
const NAT_B = '198.51.100.2';

function hosts(mode: Mode, changes: Partial<ChildPolicy> = {}): ChildPolicy {
  return child({ mode, localTs: [DYNAMIC], remoteTs: [DYNAMIC], ...changes });
}

/** Site a wants one mode, site b another. */
function wanting(a: Mode, b: Mode, changes: Partial<Connection> = {}): Pair {
  const one = connection({ children: [hosts(a)], ...changes });
  const other = { ...mirrored(one), children: [hosts(b)] };
  return sites(one, other);
}

/** What a site has of the Child SA that came up last. */
function last(side: Side): ChildSa {
  const child = [...side.children.values()].at(-1);
  if (!child) throw new Error(`side ${side.name} has no Child SA`);
  return child;
}

function modes(pair: Pair): readonly string[] {
  return [pair.a, pair.b].map((side) => last(side).mode);
}

function selectors(side: Side): string {
  const { localTs, remoteTs } = last(side);
  return [localTs, remoteTs].map((list) => list.map(formatSelector).join(' ')).join(' === ');
}

function peerAddresses(side: Side): readonly string[] | undefined {
  const { peerAddresses } = last(side);
  return peerAddresses && [peerAddresses.local, peerAddresses.remote].map(formatAddress);
}

function up(pair: Pair): Pair {
  initiate(pair);
  pair.run(1000);
  return pair;
}

function moved(end: Flight['from'], from: string, to: string): Flight['from'] {
  const { address } = endpoint(from);
  return equalAddresses(end.address, address) ? endpoint(to, end.port) : end;
}

/** Both or one of the sites behind a NAT that leaves ports alone. */
function behindNats(pair: Pair, nats: { readonly a?: string; readonly b?: string }): Pair {
  const { a = A, b = B } = nats;
  pair.translate = ({ from, to, octets }) => ({
    from: moved(moved(from, A, a), B, b),
    to: moved(moved(to, a, A), b, B),
    octets,
  });
  pair.handle(pair.a, {
    kind: 'initiate',
    request: 1,
    connection: 'peer',
    child: 'net',
    local: endpoint(A),
    remote: endpoint(b),
  });
  pair.run(1000);
  return pair;
}

describe('Transport mode (RFC 7296 §1.3.1)', () => {
  it('is had where both ends want it, by one notify each way', () => {
    const pair = up(wanting('transport', 'transport'));
    assert.deepEqual(modes(pair), ['transport', 'transport']);
    assert.equal(selectors(pair.a), `${A}/32 === ${B}/32`);
    assert.equal(selectors(pair.b), `${B}/32 === ${A}/32`);
    assert.equal(peerAddresses(pair.a), undefined);
    const [, , request, response] = pair.ladder;
    for (const line of [request, response]) assert.match(line ?? '', /N\(USE_TRANSPORT_MODE\)/);
    assert.equal(pair.a.seen('child-sa-up')[0]?.mode, 'transport');
    assert.deepEqual(pair.a.seen('alert'), []);
  });

  it('comes by CREATE_CHILD_SA, too', () => {
    const pair = up(wanting('transport', 'transport', { childless: 'prefer' }));
    assert.deepEqual(modes(pair), ['transport', 'transport']);
    assert.match(pair.ladder.join('\n'), /CREATE_CHILD_SA response .*N\(USE_TRANSPORT_MODE\)/);
  });

  it('is a tunnel where the responder wants one, and the initiator says so', () => {
    for (const childless of ['allow', 'prefer'] as const) {
      const pair = up(wanting('transport', 'tunnel', { childless }));
      assert.deepEqual(modes(pair), ['tunnel', 'tunnel']);
      assert.equal(pair.ladder.join('\n').match(/USE_TRANSPORT_MODE/g)?.length, 1);
      const [alert] = pair.a.seen('alert');
      assert.equal(alert?.alert, 'mode-declined');
      assert.match(alert?.what ?? '', /child net is a tunnel.*the peer does not grant it$/);
      assert.equal(pair.a.seen('child-sa-up')[0]?.mode, undefined);
    }
  });

  it('is a tunnel where the initiator does not ask', () => {
    const pair = up(wanting('tunnel', 'transport'));
    assert.deepEqual(modes(pair), ['tunnel', 'tunnel']);
    assert.doesNotMatch(pair.ladder.join('\n'), /USE_TRANSPORT_MODE/);
  });

  it('is neither asked for nor granted for networks', () => {
    const networks = { localTs: [network('10.1.0.0/16')], remoteTs: [network('10.2.0.0/16')] };
    const one = connection({ children: [hosts('transport', networks)] });
    const pair = up(sites(one));
    assert.deepEqual(modes(pair), ['tunnel', 'tunnel']);
    assert.doesNotMatch(pair.ladder.join('\n'), /USE_TRANSPORT_MODE/);
    assert.match(pair.a.seen('alert')[0]?.what ?? '', /not those of two hosts/);
  });

  it('takes the child of that mode among several, and the tunnel without the notify', () => {
    const both = [
      hosts('tunnel', { name: 'wrapped' }),
      hosts('transport', { name: 'bare', reqid: 7 }),
    ];
    for (const [mode, name] of [
      ['transport', 'bare'],
      ['tunnel', 'wrapped'],
    ] as const) {
      const one = connection({ children: [hosts(mode)] });
      const pair = up(sites(one, { ...mirrored(one), children: both }));
      assert.equal(last(pair.b).name, name);
      assert.deepEqual(modes(pair), [mode, mode]);
    }
  });

  it('stays when the Child SA is rekeyed, from either end', () => {
    const pair = up(wanting('transport', 'transport'));
    for (const [side, request] of [
      [pair.a, 2],
      [pair.b, 3],
    ] as const) {
      const before = last(pair.a).id;
      rekey(pair, side, 'child', request);
      pair.run(pair.now + 20_000);
      assert.notEqual(last(pair.a).id, before);
      assert.deepEqual(modes(pair), ['transport', 'transport']);
      assert.equal(pair.a.seen('child-sa-rekeyed').at(-1)?.mode, 'transport');
    }
  });
});

describe('Transport mode through a NAT (RFC 7296 §2.23.1)', () => {
  it('has the addresses that each end sees, and remembers those of the peer', () => {
    const pair = behindNats(wanting('transport', 'transport'), { a: NAT_A });
    assert.deepEqual(modes(pair), ['transport', 'transport']);
    assert.equal(selectors(pair.a), `${A}/32 === ${B}/32`);
    assert.equal(selectors(pair.b), `${B}/32 === ${NAT_A}/32`);
    // The checksums of b's packets are made for the address of the NAT, those of a's with its own.
    assert.deepEqual(peerAddresses(pair.a), [NAT_A, B]);
    assert.deepEqual(peerAddresses(pair.b), [B, A]);
  });

  it('works where both are behind one', () => {
    const pair = behindNats(wanting('transport', 'transport'), { a: NAT_A, b: NAT_B });
    assert.equal(selectors(pair.a), `${A}/32 === ${NAT_B}/32`);
    assert.equal(selectors(pair.b), `${B}/32 === ${NAT_A}/32`);
    assert.deepEqual(peerAddresses(pair.a), [NAT_A, B]);
    assert.deepEqual(peerAddresses(pair.b), [NAT_B, A]);
  });

  it('keeps all that over a rekey by either end', () => {
    const pair = behindNats(wanting('transport', 'transport'), { a: NAT_A, b: NAT_B });
    for (const [side, request] of [
      [pair.a, 2],
      [pair.b, 3],
    ] as const) {
      rekey(pair, side, 'child', request);
      pair.run(pair.now + 20_000);
      assert.deepEqual(modes(pair), ['transport', 'transport']);
      assert.equal(selectors(pair.a), `${A}/32 === ${NAT_B}/32`);
      assert.deepEqual(peerAddresses(pair.a), [NAT_A, B]);
      assert.deepEqual(peerAddresses(pair.b), [NAT_B, A]);
    }
  });

  it('falls back to a tunnel with the selectors as they were written', () => {
    // What site b takes is the address that site a has behind its NAT, and only in a tunnel.
    const one = connection({ children: [hosts('transport')] });
    const inside = hosts('tunnel', { remoteTs: [network(`${A}/32`)] });
    const pair = behindNats(sites(one, { ...mirrored(one), children: [inside] }), { a: NAT_A });
    assert.deepEqual(modes(pair), ['tunnel', 'tunnel']);
    assert.equal(selectors(pair.b), `${B}/32 === ${A}/32`);
    assert.equal(peerAddresses(pair.b), undefined);
  });

  it('needs nothing remembered where the NAT is a pretence', () => {
    const pair = up(wanting('transport', 'transport', { encap: true }));
    assert.deepEqual(modes(pair), ['transport', 'transport']);
    assert.ok(last(pair.a).udpEncapsulation);
    assert.equal(peerAddresses(pair.a), undefined);
    assert.equal(peerAddresses(pair.b), undefined);
  });
});

describe('BEET', () => {
  const inner = { localTs: [network('10.9.0.1/32')], remoteTs: [network('10.9.0.2/32')] };

  it('is between two inner addresses, by the notify that strongSwan has for it', () => {
    const pair = up(sites(connection({ children: [hosts('beet', inner)] })));
    assert.deepEqual(modes(pair), ['beet', 'beet']);
    assert.equal(selectors(pair.b), '10.9.0.2/32 === 10.9.0.1/32');
    assert.match(pair.ladder.join('\n'), /IKE_AUTH request 1 .*N\(40961\)/);
  });

  it('is announced by the vendor ID of those who know the number, by nobody else', () => {
    const beet = up(sites(connection({ children: [hosts('beet', inner)] })));
    for (const line of beet.ladder.slice(0, 2)) assert.match(line, /IKE_SA_INIT .* V\]/);
    assert.doesNotMatch(up(wanting('transport', 'transport')).ladder.join('\n'), / V[ \]]/);
  });

  it('is a tunnel where the peer does not want it, or wants transport mode', () => {
    for (const other of ['tunnel', 'transport'] as const) {
      const one = connection({ children: [hosts('beet', inner)] });
      const mirror = mirrored(one);
      const children = mirror.children.map((policy) => ({ ...policy, mode: other }));
      assert.deepEqual(modes(up(sites(one, { ...mirror, children }))), ['tunnel', 'tunnel']);
    }
  });

  it('is not asked for between families or for networks', () => {
    for (const remoteTs of [[network('2001:db8::1/128')], [network('10.9.0.0/24')]]) {
      const one = connection({ children: [hosts('beet', { ...inner, remoteTs })] });
      const pair = up(sites(one));
      assert.deepEqual(modes(pair), ['tunnel', 'tunnel']);
      assert.doesNotMatch(pair.ladder.join('\n'), /40961/);
    }
  });
});
