/**
 * What is said about a failure: the same four things for every kind.
 */
import type { FailureEvent } from './failure-history.ts';

/** What is wrong and what would mend it, at this end and at the peer's: either is enough. */
export interface Advice {
  /** What happened. */
  readonly what: string;
  /** What it means. */
  readonly why: string;
  readonly here: readonly string[];
  readonly there: readonly string[];
}

export type Refusal = Extract<FailureEvent, { kind: 'refused' }>;
export type AuthenticationFailure = Extract<FailureEvent, { kind: 'authentication-failed' }>;
