/**
 * Recordings `vectors/recorded/strongswan-psk-*.json`: the messages of one IKE SA with its keys.
 */
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { MessageKey } from '../../src/ike/protection.ts';
import type { Transform } from '../../src/ipsec/proposal.ts';
import { fromHex } from '../../src/wire/octets.ts';

export interface RecordedMessage {
  readonly exchange: string;
  readonly isResponse: boolean;
  /** As the peer's log named them. */
  readonly payloads: readonly string[];
  readonly octets: Uint8Array;
}

export interface Recording {
  readonly file: string;
  readonly what: string;
  readonly presharedKey: Uint8Array;
  readonly encr: Transform;
  readonly integ: Transform | undefined;
  readonly prf: Transform;
  /** Octets of a key by the name of RFC 7296 §2.14, as `skEi`. */
  readonly key: (name: string) => Uint8Array;
  readonly messages: readonly RecordedMessage[];
}

export function readRecordings(): readonly Recording[] {
  const folder = join(process.cwd(), 'vectors', 'recorded');
  const files = readdirSync(folder).filter((file) => /^strongswan-psk-.*\.json$/.test(file));
  return files.map((file) => recording(file, readFileSync(join(folder, file), 'utf8')));
}

/** The key that sealed the messages of one end: `i` for the initiator, `r` for the responder. */
export function messageKey(recorded: Recording, end: 'i' | 'r'): MessageKey {
  return new MessageKey(
    recorded.encr,
    recorded.integ,
    new SecretBytes(recorded.key(`skE${end}`)),
    new SecretBytes(recorded.integ ? recorded.key(`skA${end}`) : new Uint8Array()),
  );
}

function recording(file: string, text: string): Recording {
  const content: unknown = JSON.parse(text);
  const { what, presharedKey, suite, keys, messages } = fields(content, file);
  const { encr, integ, prf } = fields(suite, file);
  const octetsOf = fields(keys, file);
  assert(Array.isArray(messages), file);
  return {
    file,
    what: String(what),
    presharedKey: hex(presharedKey, file),
    encr: transform(encr, file),
    integ: integ === undefined ? undefined : transform(integ, file),
    prf: transform(prf, file),
    key: (name) => hex(octetsOf[name], `${file}: ${name}`),
    messages: messages.map((message) => recordedMessage(message, file)),
  };
}

function recordedMessage(value: unknown, file: string): RecordedMessage {
  const { exchange, isResponse, payloads, octets } = fields(value, file);
  assert(typeof exchange === 'string' && typeof isResponse === 'boolean', file);
  assert(Array.isArray(payloads), file);
  return { exchange, isResponse, payloads: payloads.map(String), octets: hex(octets, file) };
}

function transform(value: unknown, file: string): Transform {
  const { type, id, keyLength } = fields(value, file);
  assert(typeof type === 'number' && typeof id === 'number', file);
  return typeof keyLength === 'number' ? { type, id, keyLength } : { type, id };
}

function hex(value: unknown, what: string): Uint8Array {
  assert(typeof value === 'string', what);
  return fromHex(value);
}

function fields(value: unknown, file: string): Readonly<Record<string, unknown>> {
  assert(typeof value === 'object' && value !== null, file);
  return Object.fromEntries(Object.entries(value));
}
