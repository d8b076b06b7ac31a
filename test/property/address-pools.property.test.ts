/** Pools against the plain rule: an address is taken or it is not, and nobody gets a taken one. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LeaseHolder } from '../../src/ipsec/address-pool.ts';
import { AddressPools } from '../../src/ipsec/address-pools.ts';
import { formatAddress } from '../../src/wire/address.ts';
import { holder, lease, poolOf } from '../support/pools.ts';

type Step =
  | { readonly kind: 'come'; readonly client: number; readonly requested: number }
  | { readonly kind: 'go'; readonly which: number }
  | { readonly kind: 'rekey'; readonly which: number };

const CLIENTS = 6;
const SIZE = 4;

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('come' as const),
      client: fc.nat(CLIENTS - 1),
      /** 0 = any; beyond the pool: an address it does not have. */
      requested: fc.nat(SIZE + 1),
    }),
    fc.record({ kind: fc.constant('go' as const), which: fc.nat(20) }),
    fc.record({ kind: fc.constant('rekey' as const), which: fc.nat(20) }),
  ),
  { maxLength: 60 },
);

/** One who is there: every IKE SA comes from a port of its own. */
interface Present {
  readonly holder: LeaseHolder;
  readonly address: string;
}

describe('Address pools against a list of who is there', () => {
  it('give no taken address away, and fail only when all are taken', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const pools = new AddressPools();
        pools.load(poolOf('rw', `10.3.0.1-10.3.0.${SIZE}`));
        let present: readonly Present[] = [];
        let port = 1;
        for (const step of all) {
          if (step.kind === 'come') {
            const one = holder('198.51.100.1', port++);
            const requested = step.requested === 0 ? '0.0.0.0' : `10.3.0.${step.requested}`;
            const given = lease(pools, ['rw'], `client ${step.client}`, { requested, holder: one });
            const taken = present.map(({ address }) => address);
            assert.equal(given === undefined, taken.length === SIZE, 'refused only when full');
            if (given === undefined) continue;
            assert.ok(!taken.includes(given), `${given} was taken`);
            present = [...present, { holder: one, address: given }];
          } else {
            const one = present[step.which % present.length];
            if (!one) continue;
            present = present.filter((other) => other !== one);
            if (step.kind === 'go') pools.release(one.holder);
            else {
              const renewed = holder('198.51.100.1', port++);
              pools.handOver(one.holder, renewed);
              present = [...present, { holder: renewed, address: one.address }];
            }
          }
          const [view] = pools.views();
          assert.equal(view?.online, present.length);
          const online = view.leases.filter((leased) => leased.online);
          assert.deepEqual(
            online.map(({ address }) => formatAddress(address)),
            present.map(({ address }) => address).sort(),
          );
          assert.ok(view.online + view.offline <= SIZE);
        }
      }),
      { numRuns: 300 },
    );
  });
});
