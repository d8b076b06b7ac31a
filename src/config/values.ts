/**
 * Values of swanctl.conf with a meaning of their own: truth, numbers, times, words, secrets.
 *
 * Each function takes a setting and answers its value, or throws `ConfigError` with what to write
 * instead. Addresses and selectors stand in `addresses.ts`.
 */
import { SecretBytes } from '../crypto/secret-bytes.ts';
import { fromHex } from '../wire/octets.ts';
import { didYouMean } from './nearest-name.ts';
import { ConfigError, type Position } from './section.ts';

/** One value with the full name of its key, for messages. */
export interface Setting {
  readonly path: string;
  readonly text: string;
  readonly at: Position;
}

/** Refuses the setting: `path = text: what`. */
export function refuse(setting: Setting, what: string): never {
  throw new ConfigError(setting.at, `${setting.path} = ${setting.text}: ${what}`);
}

export function parseBoolean(setting: Setting): boolean {
  const value = BOOLEANS.get(setting.text.toLowerCase());
  if (value === undefined) refuse(setting, 'write yes or no');
  return value;
}

/** A whole number, decimal or 0x hex, from `least` to `most`. */
export function parseInteger(setting: Setting, least: number, most: number): number {
  const value = /^(0x[0-9a-f]{1,12}|\d{1,15})$/i.test(setting.text) ? Number(setting.text) : -1;
  if (value < least || value > most) {
    refuse(setting, `write a whole number from ${least} to ${most}`);
  }
  return value;
}

/** A decimal fraction from `least` to `most`. */
export function parseDecimal(setting: Setting, least: number, most: number): number {
  const value = /^\d{1,9}(\.\d{1,9})?$/.test(setting.text) ? Number(setting.text) : -1;
  if (value < least || value > most) refuse(setting, `write a number from ${least} to ${most}`);
  return value;
}

/** Seconds; the text may say s, m, h or d. */
export function parseSeconds(setting: Setting): number {
  const [, digits, unit = ''] = /^(0x[0-9a-f]{1,8}|\d{1,10}) *([smhd]?)$/i.exec(setting.text) ?? [];
  const factor = SECONDS_OF[unit.toLowerCase()];
  if (digits === undefined || factor === undefined) {
    refuse(setting, 'write a time such as 90, 90s, 5m, 4h or 1d');
  }
  const seconds = Number(digits) * factor;
  if (seconds > MAX_SECONDS) refuse(setting, `at most ${MAX_SECONDS} seconds (about 68 years)`);
  return seconds;
}

/** Milliseconds; the text may say ms, or s with a fraction. */
export function parseMilliseconds(setting: Setting, least: number, most: number): number {
  const [, digits, unit = ''] = /^(\d{1,7}(?:\.\d{1,3})?) *(ms|s)?$/i.exec(setting.text) ?? [];
  const value = Number(digits) * (unit.toLowerCase() === 's' ? 1000 : 1);
  if (digits === undefined || !Number.isInteger(value) || value < least || value > most) {
    refuse(
      setting,
      `write ${least} to ${most} milliseconds, such as ${least}ms or ${most / 1000}s`,
    );
  }
  return value;
}

/** Octets; the number may end in k, m or g for powers of 1024. */
export function parseOctets(setting: Setting): number {
  const [, digits, unit = ''] = /^(\d{1,15}) *([kmg]?)b?$/i.exec(setting.text) ?? [];
  const octets = Number(digits) * 1024 ** ' kmg'.indexOf(unit.toLowerCase() || ' ');
  if (digits === undefined || !Number.isSafeInteger(octets)) {
    refuse(setting, 'write a number of octets such as 500000000 or 500m');
  }
  return octets;
}

/** One of the words, whatever its case; answers what the word stands for. */
export function parseWord<T>(setting: Setting, words: Readonly<Record<string, T>>): T {
  const word = setting.text.toLowerCase();
  const known = Object.entries(words);
  const found = known.find(([name]) => name === word);
  if (found === undefined) {
    const names = known.map(([name]) => name);
    refuse(setting, `write one of ${names.join(', ')}${didYouMean(word, names)}`);
  }
  return found[1];
}

/** A shared secret: text as it stands, 0x and hex digits, or 0s and Base64. Never quoted in messages. */
export function parseSecret(setting: Setting): SecretBytes {
  const octets = secretOctets({ ...setting, text: '...' }, setting.text);
  if (octets.length === 0) {
    throw new ConfigError(setting.at, `${setting.path} is empty: write the shared secret`);
  }
  return new SecretBytes(octets);
}

function secretOctets(named: Setting, text: string): Uint8Array {
  if (/^0x/i.test(text)) {
    const digits = text.slice(2);
    if (digits.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(digits)) {
      refuse(named, 'behind 0x stand pairs of hex digits');
    }
    return fromHex(digits);
  }
  if (/^0s/i.test(text)) {
    const digits = text.slice(2).replace(/=+$/, '');
    if (digits.length % 4 === 1 || !/^[0-9a-z+/]*$/i.test(digits)) {
      refuse(named, 'behind 0s stands Base64');
    }
    return Uint8Array.from(atob(digits), (character) => character.charCodeAt(0));
  }
  return new TextEncoder().encode(text);
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['yes', true],
  ['true', true],
  ['enabled', true],
  ['1', true],
  ['no', false],
  ['false', false],
  ['disabled', false],
  ['0', false],
]);

const SECONDS_OF: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 };

const MAX_SECONDS = 0x7fffffff;
