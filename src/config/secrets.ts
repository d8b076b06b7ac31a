/**
 * The section `secrets { }`: shared keys and whom they belong to.
 *
 * Only `ike<suffix>` is used; other kinds are warned about by the schema. A secret's text never
 * enters a message.
 */
import { type IdentityPattern, parseIdentityPattern } from '../ipsec/identity.ts';
import type { SharedSecret } from '../ipsec/pad.ts';
import type { Findings } from './findings.ts';
import { ConfigError, type Section } from './section.ts';
import { SettingsReader } from './settings-reader.ts';
import { parseSecret, type Setting } from './values.ts';

/** A shared secret with the kind that its section's name or `load-shared` gives it. */
export interface ConfiguredSecret extends SharedSecret {
  readonly type: 'ike';
}

/** The shared secrets of the section, in order. */
export function readSecrets(
  section: Section | undefined,
  findings: Findings,
): readonly ConfiguredSecret[] {
  if (section === undefined) return [];
  const reader = new SettingsReader(section, 'secrets', findings);
  return reader.sections('ike').flatMap(({ name, reader: one }) => {
    const secret = findings.attempt(() => parseSecret(requiredSecret(one)));
    const owners = one.keys('id').map((key) => one.read(key, parseOwner, undefined));
    if (secret === undefined) return [];
    const named = owners.filter((owner) => owner !== undefined);
    return [
      Object.freeze({ id: name, type: 'ike', owners: Object.freeze(named), secret } as const),
    ];
  });
}

/**
 * One owner of a secret, as `id-alice = alice@example.org` or a `load-shared` message names it.
 * Not quoted when refused: on a line that lacks a line's end, the secret may stand behind it.
 */
export function parseOwner(setting: Setting): IdentityPattern {
  const pattern = parseIdentityPattern(setting.text);
  if (!('kind' in pattern)) return Object.freeze(pattern);
  const what = 'not an identity: write one value a line, and a distinguished name as asn1dn:#30...';
  throw new ConfigError(setting.at, `${setting.path}: ${what}`);
}

/** An empty `secret = ""` is a setting here: `parseSecret` says what is wrong with it. */
function requiredSecret(reader: SettingsReader): Setting {
  const setting = reader.setting('secret');
  if (setting !== undefined) return setting;
  throw new ConfigError(reader.at, `${reader.path} has no secret: write secret = "..."`);
}
