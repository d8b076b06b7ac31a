import assert from 'node:assert/strict';
import {
  FLAG_DF,
  ORIGIN_OCTETS,
  Origin,
  PATH_OF_ORIGIN,
  STATUS_BAD_ICV,
  STATUS_OK,
  WORDS,
  Word,
} from '../../src/esp/batch.ts';
import { native } from '../../src/io/native.ts';
import { describeNative } from '../support/native-addon.ts';

describeNative('Layout of a descriptor row', () => {
  it('is the same in C and in TypeScript', () => {
    const origins = Object.entries(Origin).map(([name, at]) => [`ORIGIN_${name}`, at]);
    assert.deepEqual(native().layout, {
      ...Word,
      ...Object.fromEntries(origins),
      WORDS,
      STATUS_OK,
      STATUS_BAD_ICV,
      FLAG_DF,
      PATH_OF_ORIGIN,
      ORIGIN_OCTETS,
    });
  });
});
