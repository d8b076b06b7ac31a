/**
 * Freezes a configuration through and through.
 */

/** The same value, frozen with all it holds. Octets cannot be frozen and stay as they are. */
export function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  if (Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const inner of Object.values(value)) frozen(inner);
  return value;
}
