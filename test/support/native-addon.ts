/**
 * Tests that need the compiled addon: skipped, and saying so, on a machine where it was
 * not built; in CI its absence is a failure.
 */
import assert from 'node:assert/strict';
import { native } from '../../src/io/native.ts';

const missing = whyMissing();

export function describeNative(title: string, body: () => void): void {
  if (missing === undefined) {
    describe(title, body);
  } else if (process.env.CI) {
    describe(title, () => {
      it('has its addon', () => assert.fail(missing));
    });
  } else {
    describe.skip(`${title} (${missing})`, body);
  }
}

function whyMissing(): string | undefined {
  try {
    native();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
