/** Which Child SAs get new keys, when, and how many at once. */
import assert from 'node:assert/strict';
import { ChildRenewal } from '../../../src/gateway/cluster/child-renewal.ts';
import { type Spi, spi } from '../../../src/ipsec/spi.ts';
import { type Instant, instant } from '../../../src/wire/instant.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const NOW = instant(5_000_000);
const spis = (count: number, from = 4096) =>
  Array.from({ length: count }, (_, at) => spi(from + at));

/** What is taken until a moment, by when; called as the deadlines want it. */
function taken(renewal: ChildRenewal, until: Instant): readonly { at: Instant; spiIn: Spi }[] {
  const all: { at: Instant; spiIn: Spi }[] = [];
  for (let at = NOW; ; ) {
    for (const spiIn of renewal.take(at)) all.push({ at, spiIn });
    const next = renewal.nextDeadline();
    if (next === undefined || next > until) return all;
    at = instant(Math.max(at, next));
  }
}

function mostInASecond(all: readonly { at: Instant }[]): number {
  return Math.max(
    ...all.map(({ at }) => all.filter((one) => one.at >= at && one.at < at + 1000).length),
  );
}

describe('New keys after a take-over that was not clean', () => {
  it('come for so many Child SAs in a second at most, also for those that wait to send', () => {
    for (const perSecond of [50, 200]) {
      const renewal = new ChildRenewal({ random: seededRandom(1), perSecond });
      renewal.markFirst(spis(600), 'gap', NOW);
      const all = taken(renewal, instant(NOW + 60_000));
      assert.equal(all.length, 600);
      assert.ok(mostInASecond(all) <= perSecond + 1, `${mostInASecond(all)}`);
      const last = all.at(-1)?.at ?? NOW;
      assert.ok(last - NOW <= (600 / perSecond) * 1000);
    }
  });

  it('are spread over half a minute where nothing waits for them, and come after what waits', () => {
    const renewal = new ChildRenewal({ random: seededRandom(2), perSecond: 200 });
    const background = spis(300);
    renewal.mark(background, 'unsynced', NOW);
    const waiting = spis(100, 90_000);
    renewal.markFirst(waiting, 'gap', NOW);
    // One that was marked for later has to wait now.
    renewal.markFirst(background.slice(0, 1), 'gap', NOW);
    const all = taken(renewal, instant(NOW + 60_000));
    assert.equal(all.length, 400);
    const urgent = new Set<Spi>([...waiting, ...background.slice(0, 1)]);
    const firsts = all.filter(({ spiIn }) => urgent.has(spiIn));
    assert.ok(firsts.every(({ at }) => at <= NOW + 600));
    const rest = all.filter(({ spiIn }) => !urgent.has(spiIn));
    const lateOnes = rest.filter(({ at }) => at > NOW + 15_000).length;
    assert.ok(lateOnes > 100 && lateOnes < 200, `${lateOnes} in the second half`);
    assert.ok(rest.every(({ at }) => at <= NOW + 31_000));
  });
});
