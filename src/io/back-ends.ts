/**
 * Which library ciphers the packets of an SA.
 */
import type { EspSuite } from '../esp/esp-suite.ts';
import type { BackEndName } from './native.ts';

/** Whether the library has what the suite needs. */
export function hasSuite(backEnd: BackEndName, { mode }: EspSuite): boolean {
  if (backEnd === 'evp') return true;
  return mode === 'gcm' || mode === 'chacha20-poly1305';
}
