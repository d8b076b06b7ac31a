/** The libraries that cipher packets on this machine; none where the addon was not built. */
import { type BackEndName, native } from '../../src/io/native.ts';

export const backEnds: readonly BackEndName[] = present();

function present(): readonly BackEndName[] {
  try {
    return native()
      .backEnds()
      .filter((one) => 'version' in one)
      .map(({ name }) => name);
  } catch {
    return [];
  }
}
