/**
 * Policies that stand without an SA, traps and shunts: `install`, `uninstall`, and the
 * `list-policy` event, which is named `CONNECTION/CHILD`.
 */
import { failure, success } from './answers.ts';
import type { Control, PolicyOutcome, PolicyView } from './control.ts';
import { type ViciSection, viciSection, viciText } from './message.ts';

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

export function installPolicy(control: Control, request: ViciSection): ViciSection {
  const child = viciText(request, 'child');
  if (child === undefined) return failure('missing configuration name');
  const outcome = control.install(child, viciText(request, 'ike'));
  return answer(outcome, 'configuration name not found', `installing policy '${child}' failed`);
}

export function uninstallPolicy(control: Control, request: ViciSection): ViciSection {
  const child = viciText(request, 'child');
  if (child === undefined) return failure('missing configuration name');
  const outcome = control.uninstall(child, viciText(request, 'ike'));
  return answer(outcome, `policy '${child}' not found`, `uninstalling policy '${child}' failed`);
}

function answer(outcome: PolicyOutcome, notFound: string, failed: string): ViciSection {
  if (outcome === 'done') return success();
  return failure(outcome === 'not-found' ? notFound : `${failed}: ${outcome.failed}`);
}
