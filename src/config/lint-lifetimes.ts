/**
 * Rules about time: SAs that end before they are replaced, or are never replaced at all.
 */
import { isProtecting } from '../ipsec/connection.ts';
import type { LifetimeBounds } from '../ipsec/lifetime.ts';
import { type Lint, type LintedChild, pathOf } from './lint-findings.ts';

/** Below this, a lost message or two is all it takes for an SA to end before its successor is up. */
const LEAST_MARGIN_SECONDS = 30;

export function lintLifetimes(lint: Lint): void {
  for (const connection of lint.config.connections) {
    const { rekey, reauth, over } = connection.lifetime;
    const path = (key: string) => pathOf({ connection }, key);
    if (rekey === 0 && reauth === 0) {
      lint.warn(
        'never-rekeyed',
        path('rekey_time'),
        'the IKE SA is never replaced: one key protects everything it ever carries',
        'write rekey_time = 4h',
      );
    } else if (over < LEAST_MARGIN_SECONDS) {
      const least = `over_time = ${LEAST_MARGIN_SECONDS}s or more`;
      lint.warn(
        'short-margin',
        path('over_time'),
        `the IKE SA ends ${over} s after it should have been replaced: a peer that is slow or a lost message ends it`,
        `write ${least}`,
      );
    }
    if (rekey !== 0 && reauth !== 0 && reauth <= rekey) {
      lint.warn(
        'rekey-behind-reauth',
        path('rekey_time'),
        `the IKE SA is made anew after ${reauth} s (reauth_time), so that it is never rekeyed`,
        'remove rekey_time, or write a reauth_time that is longer',
      );
    } else if (rekey !== 0 && reauth !== 0) {
      const what = `the IKE SA is rekeyed every ${rekey} s and made anew every ${reauth} s`;
      lint.note('rekey-and-reauth', path('reauth_time'), what);
    }
  }
  for (const linted of lint.children) {
    if (isProtecting(linted.child.mode)) lintChild(lint, linted);
  }
}

function lintChild(lint: Lint, linted: LintedChild): void {
  const { seconds, octets, packets } = linted.child.lifetime;
  if (seconds.rekey === 0 && seconds.life === 0 && octets.rekey === 0 && packets.rekey === 0) {
    lint.warn(
      'never-rekeyed',
      pathOf(linted, 'rekey_time'),
      'the Child SA is never replaced before its sequence numbers end',
      'write rekey_time = 1h',
    );
  }
  endsUnreplaced(lint, linted, 'time', seconds, 's');
  endsUnreplaced(lint, linted, 'bytes', octets, 'octets');
  endsUnreplaced(lint, linted, 'packets', packets, 'packets');
  const margin = seconds.life - seconds.rekey;
  if (seconds.rekey > 2 * LEAST_MARGIN_SECONDS && margin > 0 && margin < LEAST_MARGIN_SECONDS) {
    lint.warn(
      'short-margin',
      pathOf(linted, 'life_time'),
      `the Child SA ends ${margin} s after it should have been replaced`,
      `write life_time = ${seconds.rekey + LEAST_MARGIN_SECONDS} or more`,
    );
  }
  if (seconds.rekey !== 0 && seconds.random >= seconds.rekey) {
    lint.warn(
      'random-beyond-rekey',
      pathOf(linted, 'rand_time'),
      `up to ${seconds.random} s are taken off rekey_time = ${seconds.rekey}: SAs may be replaced as soon as they are up`,
      `write rand_time = ${Math.floor(seconds.rekey / 10)}`,
    );
  }
}

/** A life that ends, and nothing that replaces the SA before. */
function endsUnreplaced(
  lint: Lint,
  linted: LintedChild,
  unit: 'time' | 'bytes' | 'packets',
  { rekey, life }: LifetimeBounds,
  name: string,
): void {
  if (rekey !== 0 || life === 0) return;
  lint.warn(
    'lifetime-without-rekey',
    pathOf(linted, `rekey_${unit}`),
    `the tunnel goes down after ${life} ${name} (life_${unit}) and nothing replaces it`,
    `write rekey_${unit} = ${Math.floor(life * 0.9)}, or remove life_${unit}`,
  );
}
