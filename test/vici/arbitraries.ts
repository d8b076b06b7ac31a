/** Arbitrary vici messages for the codec's property tests. */
import fc from 'fast-check';
import type { ViciSection, ViciValue } from '../../src/vici/message.ts';

const names = fc.string({ minLength: 1, maxLength: 12 });
const octets = fc.uint8Array({ maxLength: 40 });

/** Messages up to four levels deep, with any octets as values. */
export const viciMessages: fc.Arbitrary<ViciSection> = fc.letrec<{
  section: ViciSection;
  value: ViciValue;
}>((tie) => ({
  section: fc
    .uniqueArray(fc.tuple(names, tie('value')), { maxLength: 5, selector: ([name]) => name })
    .map((pairs) => new Map(pairs)),
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    octets.map((value): ViciValue => ({ kind: 'value', octets: value })),
    fc.array(octets, { maxLength: 4 }).map((items): ViciValue => ({ kind: 'list', items })),
    tie('section').map((section): ViciValue => ({ kind: 'section', section })),
  ),
})).section;
