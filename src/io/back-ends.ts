/**
 * Which library ciphers the packets of an SA: for each cipher the fastest of those that give right
 * answers, found out once at start-up, or the one that `gateway.aead` names.
 */
import { ENCRYPTION_ALGORITHMS, INTEGRITY_ALGORITHMS } from '../crypto/algorithms.ts';
import { type EspSuite, type EspTransforms, espSuite } from '../esp/esp-suite.ts';
import { BackEndTrial } from './back-end-trial.ts';
import { now } from './clock.ts';
import type { BackEndName, Native } from './native.ts';

/** `gateway.aead`. */
export type BackEndSetting = 'auto' | BackEndName;

export interface ChoiceOptions {
  readonly setting: BackEndSetting;
  readonly warn: (what: string) => void;
  /** In milliseconds. */
  readonly clock?: () => number;
}

/** What there is, and what uses it. */
export interface BackEndsView {
  /** Version by library. */
  readonly backEnds: Readonly<Record<string, string>>;
  /** Library by cipher; `others` are those that only OpenSSL has. */
  readonly ciphers: Readonly<Record<string, string>>;
}

export class BackEnds {
  readonly view: BackEndsView;
  /** Of the ciphers that more than one library has. */
  readonly #chosen: ReadonlyMap<string, BackEndName>;

  private constructor(chosen: ReadonlyMap<string, BackEndName>, versions: Map<string, string>) {
    this.#chosen = chosen;
    const ciphers = { ...Object.fromEntries(chosen), others: 'evp' };
    this.view = { backEnds: Object.fromEntries(versions), ciphers };
  }

  /**
   * Throws where the setting asks for a library that is missing or gives wrong answers; otherwise
   * such a library is done without, and `warn` hears of wrong answers.
   */
  static choose(native: Native, { setting, warn, clock = now }: ChoiceOptions): BackEnds {
    const versions = new Map([['evp', process.versions.openssl]]);
    const chosen = new Map<string, BackEndName>(SUITES.map(({ name }) => [name, 'evp']));
    if (setting === 'evp') return new BackEnds(chosen, versions);
    const found = native.backEnds().find(({ name }) => name === 'ipsec-mb');
    if (found === undefined || 'missing' in found) {
      if (setting === 'ipsec-mb') throw new Error(`${MISSING} (${found?.missing})`);
      return new BackEnds(chosen, versions);
    }
    versions.set(found.name, found.version);
    const trial = new BackEndTrial(native, clock);
    for (const { name, transforms } of SUITES) {
      const fault = trial.fault(transforms, found.name);
      if (fault !== undefined) {
        const what = `ipsec-mb ${found.version} is not used for ${name}: ${fault}`;
        if (setting === 'ipsec-mb') throw new Error(`gateway.aead = ipsec-mb: ${what}`);
        warn(what);
        continue;
      }
      const faster = (): boolean =>
        trial.time(transforms, found.name) < trial.time(transforms, 'evp');
      if (setting === 'ipsec-mb' || faster()) chosen.set(name, found.name);
    }
    trial.close();
    return new BackEnds(chosen, versions);
  }

  /** What ciphers the packets of an SA with these transforms. */
  of(transforms: EspTransforms): BackEndName {
    const suite = espSuite(transforms);
    return suite.mode === 'gmac' ? 'evp' : (this.#chosen.get(nameOf(suite)) ?? 'evp');
  }
}

/** Whether the library has what the suite needs. */
export function hasSuite(backEnd: BackEndName, { cipher, mode, mac }: EspSuite): boolean {
  if (backEnd === 'evp' || mode === 'gcm' || mode === 'chacha20-poly1305') return true;
  const hmac = mac?.startsWith('hmac-') === true;
  return hmac && /^aes-\d+-(cbc|ctr)$/.test(cipher);
}

interface TriedSuite {
  readonly name: string;
  readonly transforms: EspTransforms;
}

const MISSING =
  'gateway.aead = ipsec-mb: the library is not there; install it (Debian: apt-get install ' +
  'libipsec-mb1) or write aead = auto';

/** The length of an ICV that is cut off makes no difference. */
function nameOf({ cipher, mac }: EspSuite): string {
  return mac === undefined ? cipher : `${cipher}-${mac}`;
}

/** What more than one library has, each name once. */
const SUITES: readonly TriedSuite[] = triedSuites();

function triedSuites(): readonly TriedSuite[] {
  const tried = new Map<string, TriedSuite>();
  const add = (transforms: EspTransforms): void => {
    const suite = espSuite(transforms);
    const name = nameOf(suite);
    if (!tried.has(name) && hasSuite('ipsec-mb', suite)) tried.set(name, { name, transforms });
  };
  for (const { id, aead, keyLengths, variableKey } of ENCRYPTION_ALGORITHMS) {
    for (const keyLength of keyLengths) {
      const encr = { id, ...(variableKey && { keyLength }) };
      if (aead) add({ encr });
      else for (const integ of INTEGRITY_ALGORITHMS) add({ encr, integ: { id: integ.id } });
    }
  }
  return [...tried.values()];
}
