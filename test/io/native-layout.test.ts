import assert from 'node:assert/strict';
import {
  DROP_JOINED,
  FLAG_DF,
  FLAG_SUM,
  ORIGIN_OCTETS,
  Origin,
  PATH_OF_ORIGIN,
  STATUS_BAD_ICV,
  STATUS_OK,
  VNET_HEADER_OCTETS,
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
      FLAG_SUM,
      DROP_JOINED,
      VNET_HEADER_OCTETS,
      PATH_OF_ORIGIN,
      ORIGIN_OCTETS,
    });
  });
});
