/**
 * Keys of records as the engine takes them: letters, digits and `-/_=`; everything else as `=` and two
 * hex digits. A dot would be a level of a subject, and is written so as well.
 */

export function engineKey(key: string): string {
  return key.replace(
    /[^A-Za-z0-9\-/_]/g,
    (one) => `=${one.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

/** The key that is meant; undefined where nobody writes it so. */
export function recordKey(engine: string): string | undefined {
  const key = engine.replace(/=([0-9a-f]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return engineKey(key) === engine ? key : undefined;
}
