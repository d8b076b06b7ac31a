/** The pools of a charon HA pair as the IKE engine asks them. */
import assert from 'node:assert/strict';
import { HaPools } from '../../../src/cluster/charon-ha/pools.ts';
import type { LeaseHolder, LeaseRequest } from '../../../src/ipsec/address-pool.ts';
import { type Acquired, AddressPools } from '../../../src/ipsec/address-pools.ts';
import {
  formatAddress,
  parseAddress,
  parsePrefix,
  prefixRange,
} from '../../../src/wire/address.ts';

const address = (text: string) => parseAddress(text) ?? assert.fail(text);
const prefix = (text: string) => parsePrefix(text) ?? assert.fail(text);
const text = (acquired: Acquired | undefined) => acquired && formatAddress(acquired.address);

describe('Pools of a charon HA pair', () => {
  let active: readonly number[];
  let pools: HaPools;
  const names = ['rw', 'own'];
  beforeEach(() => {
    active = [1, 2];
    const others = new AddressPools();
    const range = prefixRange(prefix('10.4.0.0/24'));
    others.load({ name: 'own', base: range.first, range, attributes: [] });
    const shared = [{ name: 'rw', prefix: prefix('10.3.0.0/29') }];
    pools = new HaPools({ pools: shared, segmentCount: 2 }, others, () => active);
  });

  const holder = (): LeaseHolder => ({
    ...{ ownSpi: '0102030405060708', isClosing: false },
    remote: { address: address('192.0.2.2'), port: 500 },
  });
  const request = (of: LeaseHolder, requested = '0.0.0.0'): LeaseRequest => ({
    identity: { type: 2, data: Uint8Array.of(0x61) },
    requested: address(requested),
    holder: of,
  });
  const given = (of: LeaseHolder) => text(pools.acquire(names, request(of)));

  it('give addresses of segments that are served here', () => {
    active = [2];
    assert.deepEqual([given(holder()), given(holder())], ['10.3.0.1', '10.3.0.3']);
    active = [1];
    assert.equal(given(holder()), '10.3.0.2');
  });

  it('give none that charon gave, until no IKE SA has it any more', () => {
    const [first, second] = [holder(), holder()];
    assert.equal(text(pools.claim(names, request(first, '10.3.0.1'))), '10.3.0.1');
    // The one that replaces it is told of before it is gone.
    pools.claim(names, request(second, '10.3.0.1'));
    pools.release(first);
    assert.equal(given(holder()), '10.3.0.2');
    const third = holder();
    pools.handOver(second, third);
    pools.release(second);
    assert.equal(given(holder()), '10.3.0.3');
    pools.release(third, [address('10.3.0.4')]);
    assert.equal(given(holder()), '10.3.0.4');
    pools.release(third);
    assert.equal(given(holder()), '10.3.0.1');
  });

  it('are asked first, and the others where they have nothing', () => {
    for (let count = 0; count < 6; count++) given(holder());
    const last = holder();
    assert.equal(given(last), '10.4.0.0');
    assert.equal(text(pools.claim(names, request(last, '10.4.0.9'))), '10.4.0.9');
    assert.equal(pools.claim(names, request(last, '10.9.0.9')), undefined);
    const views = pools.views();
    assert.deepEqual(
      views.map(({ name, size, online }) => [name, size, online]),
      [
        ['rw', 6, 6],
        ['own', 256, 2],
      ],
    );
    assert.deepEqual(
      views[0]?.leases.map((lease) => formatAddress(lease.address)),
      [1, 2, 3, 4, 5, 6].map((host) => `10.3.0.${host}`),
    );
    pools.release(last);
    assert.equal(pools.views('own')[0]?.online, 0);
  });
});
