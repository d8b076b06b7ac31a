/**
 * Inner packets in fragments through selectors that name ports (RFC 4301 §7.3): cut by the hosts'
 * own IP, put together by the other's.
 */
import assert from 'node:assert/strict';
import { ask, compileDatagrams } from '../../lab/datagrams.ts';
import type { PairSettings } from '../../lab/swanctl-conf.ts';
import type { Family } from '../../lab/topology.ts';
import { type Lab, onlyTsgw, useLab } from '../support/lab.ts';
import { dropped } from '../support/tunnel-life.ts';

const networks = {
  ipv4: { g1: '10.1.0.0/16', g2: '10.2.0.0/16' },
  ipv6: { g1: '2001:db8:1::/64', g2: '2001:db8:2::/64' },
};

/** Only UDP from and to higher ports; `wish` is g1's. */
function ports(inner: Family, wish?: string): PairSettings {
  const net = networks[inner];
  const [one, other] = [net.g1, net.g2].map((prefix) => `${prefix}[udp/1024-65535]`);
  return {
    inner,
    g1: {
      localTs: one ?? '',
      remoteTs: other ?? '',
      ...(wish !== undefined && { child: { non_first_fragments: wish } }),
    },
    g2: { localTs: other ?? '', remoteTs: one ?? '' },
  };
}

/** Requests and answers of two fragments each; how many came to nothing. */
async function lost(lab: Lab, family: Family, count: number): Promise<number> {
  const trips = await ask(lab.topology, { octets: 2000, count, seconds: 4, family });
  assert.equal(trips.microseconds.length + trips.lost, count);
  return trips.lost;
}

describe('Fragments through selectors with ports (RFC 4301 §7.3)', () => {
  onlyTsgw();
  const lab = useLab({ peer: 'tsgw' });
  before(compileDatagrams);
  afterEach(() => lab.clear());

  for (const family of ['ipv4', 'ipv6'] as const) {
    it(`pass where both ends agreed, ${family}`, async () => {
      await lab.up('initiator', ports(family, 'yes'));
      // Hosts learn the MTU of IPv6 by packets that are lost.
      if (family === 'ipv6') assert.equal((await lost(lab, family, 3)) < 3, true);
      assert.equal(await lost(lab, family, 50), 0);
    });
  }

  it('do not where one does not want them, and are counted', async () => {
    await lab.up('responder', ports('ipv4', 'no'));
    const before = await dropped(lab, 'outbound-fragment-unmatched');
    const trips = await ask(lab.topology, { octets: 2000, count: 1, seconds: 1 });
    assert.equal(trips.microseconds.length, 0);
    // Two are made by the host, of the larger two again by the device.
    const after = await dropped(lab, 'outbound-fragment-unmatched');
    assert.equal(after - before, 2);
    const small = await ask(lab.topology, { octets: 600, count: 20, seconds: 2 });
    assert.deepEqual([small.microseconds.length, small.lost], [20, 0]);
  });
});

describe('Fragments through selectors with ports, strongSwan at the other end', () => {
  onlyTsgw();
  const lab = useLab();
  before(compileDatagrams);
  afterEach(() => lab.clear());

  it('are asked for in vain, and the rest passes', async () => {
    await lab.up('initiator', ports('ipv4', 'yes'));
    const before = await dropped(lab, 'outbound-fragment-unmatched');
    const trips = await ask(lab.topology, { octets: 2000, count: 1, seconds: 1 });
    assert.equal(trips.microseconds.length, 0);
    assert.equal((await dropped(lab, 'outbound-fragment-unmatched')) - before, 2);
    const small = await ask(lab.topology, { octets: 600, count: 20, seconds: 2 });
    assert.deepEqual([small.microseconds.length, small.lost], [20, 0]);
  });
});
