/**
 * `get-pools`, `load-pool`, `unload-pool`: pools of virtual addresses and who has them.
 */
import { attempt, failure, success } from './answers.ts';
import type { Control, LeaseView, PoolView } from './control.ts';
import { type ViciSection, viciSection, viciText } from './message.ts';
import { sectionFromVici } from './settings.ts';

/** All pools or the one named; leases only where they are asked for. */
export function poolsAnswer(control: Control, request: ViciSection): ViciSection {
  const name = viciText(request, 'name');
  const leases = viciText(request, 'leases') === 'yes';
  const asked = control.pools().filter((pool) => name === undefined || name === pool.name);
  return viciSection(asked.map((pool) => [pool.name, poolSection(pool, leases)]));
}

/** One section per pool, as in swanctl.conf; the first that is refused ends it. */
export function loadPools(control: Control, request: ViciSection): ViciSection {
  for (const [name, value] of request) {
    if (value.kind !== 'section') return failure(`${name}: expected a section of a pool`);
    const answer = attempt(() => control.loadPool(name, sectionFromVici(value.section)));
    if (viciText(answer, 'success') !== 'yes') return answer;
  }
  return success();
}

export function unloadPool(control: Control, request: ViciSection): ViciSection {
  const name = viciText(request, 'name');
  if (name === undefined) return failure('missing pool name to unload');
  let found = true;
  const answer = attempt(() => {
    found = control.unloadPool(name);
  });
  return found ? answer : failure(`${name} not found`);
}

function poolSection(pool: PoolView, leases: boolean): ViciSection {
  return viciSection([
    ['base', pool.base],
    ['size', pool.size],
    ['online', pool.online],
    ['offline', pool.offline],
    ['leases', leases ? leaseSection(pool.leases) : undefined],
  ]);
}

/** Leases have no name: they are counted. */
function leaseSection(leases: readonly LeaseView[]): ViciSection {
  return viciSection(
    leases.map(({ address, identity, status }, index) => [
      `${index}`,
      viciSection([
        ['address', address],
        ['identity', identity],
        ['status', status],
      ]),
    ]),
  );
}
