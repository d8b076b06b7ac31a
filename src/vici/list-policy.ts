/**
 * The `list-policy` event: one policy that stands without an SA, named `CONNECTION/CHILD`.
 */
import type { PolicyView } from './control.ts';
import { type ViciSection, viciSection } from './message.ts';

/** Kinds of policies a client asked for, and whose. */
export interface PolicyFilter {
  readonly trap: boolean;
  readonly pass: boolean;
  readonly drop: boolean;
  readonly ike?: string;
  readonly child?: string;
}

export function* listPolicies(
  views: readonly PolicyView[],
  filter: PolicyFilter,
): Iterable<ViciSection> {
  for (const view of views) {
    const asked =
      view.mode === 'PASS' ? filter.pass : view.mode === 'DROP' ? filter.drop : filter.trap;
    if (!asked) continue;
    if (filter.ike !== undefined && filter.ike !== view.ike) continue;
    if (filter.child !== undefined && filter.child !== view.child) continue;
    yield viciSection([
      [
        `${view.ike}/${view.child}`,
        viciSection([
          ['child', view.child],
          ['ike', view.ike],
          ['mode', view.mode],
          ['local-ts', view.localTs],
          ['remote-ts', view.remoteTs],
        ]),
      ],
    ]);
  }
}
