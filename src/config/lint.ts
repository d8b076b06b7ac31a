/**
 * What a configuration says that is no error and will still hurt: `tsgw check`.
 *
 * Each finding names its line, what will happen and what to write instead.
 */
import type { Config } from './config.ts';
import { Lint, type LintFinding } from './lint-findings.ts';
import { lintLifetimes } from './lint-lifetimes.ts';
import { lintPeers } from './lint-peers.ts';
import { lintTraffic } from './lint-traffic.ts';
import type { Section } from './section.ts';

/** Everything there is to say about a configuration, line by line. */
export function lintConfig(config: Config, root: Section): readonly LintFinding[] {
  const lint = new Lint(config, root);
  lintLifetimes(lint);
  lintPeers(lint);
  lintTraffic(lint);
  return lint.findings;
}
