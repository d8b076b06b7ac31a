/**
 * Answers as strongSwan gives them: `success` yes or no, and `errmsg` where it is no.
 */
import { ConfigErrors } from '../config/findings.ts';
import { ConfigError } from '../config/section.ts';
import { type ViciContent, type ViciSection, viciSection } from './message.ts';

type Pairs = readonly (readonly [string, ViciContent])[];

export function success(more: Pairs = []): ViciSection {
  return viciSection([['success', true], ...more]);
}

/** `more` stands between `success` and `errmsg`. */
export function failure(what: string, more: Pairs = []): ViciSection {
  return viciSection([['success', false], ...more, ['errmsg', cut(what)]]);
}

/** Success, or why the operator's input was refused. Other errors pass through: they are ours. */
export function attempt(act: () => void): ViciSection {
  try {
    act();
    return success();
  } catch (error) {
    if (error instanceof ConfigError) return failure(error.what);
    if (error instanceof ConfigErrors) {
      return failure(error.errors.map(({ what }) => what).join('; '));
    }
    throw error;
  }
}

/** A message that names what a client sent stays an answer, however long that was. */
function cut(what: string): string {
  return what.length <= MOST_CHARACTERS ? what : `${what.slice(0, MOST_CHARACTERS)}...`;
}

const MOST_CHARACTERS = 4096;
