/** Rules that a run of the model can do without, to show that each is needed. */
import type { SafetyRule } from '../../../src/cluster/safety-rule.ts';

export type DataRule =
  /** IVs begin with the SID of the sender. */
  | 'iv-partition'
  /** The lease is looked at when a batch leaves, not only when it was made. */
  | 'lease-at-send'
  /** Sequence numbers are acknowledged before they are used, and a successor begins behind them. */
  | 'reserve-ahead'
  /** State comes from whoever has the most of it before an SA is carried on. */
  | 'fetch-behind'
  /** A node does not take state of an owner it has dropped. */
  | 'drop-lower-epochs'
  /** Where nobody can know the last state, the SA is made anew. */
  | 'renew-after-gap'
  /** A response waits until it is known elsewhere. */
  | 'write-ahead'
  /** A successor takes everything up to its edge for seen. */
  | 'seen-up-to-edge'
  /** Only a packet whose ICV is right moves a window. */
  | 'authentic-edge'
  /** The final state of a hand-over is used. */
  | 'final-state'
  /** Nodes that were away are told what they missed. */
  | 'resync';

export type Rule = SafetyRule | DataRule;

const SAFETY_RULES: readonly SafetyRule[] = [
  'majority',
  'take-over-wait',
  'refusal',
  'claims-bind',
  'quarantine',
  'lapse-gives-up',
  'lower-yields',
  'listen-after-stall',
  'one-life',
];

export function safetyRules(rules: ReadonlySet<Rule>): ReadonlySet<SafetyRule> {
  return new Set(SAFETY_RULES.filter((rule) => rules.has(rule)));
}
