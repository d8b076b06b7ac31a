/** Recording `vectors/recorded/strongswan-create-child-sa.json`: what charon sends after IKE_AUTH. */
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { decodeMessage } from '../../src/ike/message/codec.ts';
import type { IkeHeader, Payload } from '../../src/ike/message/message.ts';
import { MessageKey, openMessage } from '../../src/ike/protection.ts';
import { fromHex } from '../../src/wire/octets.ts';

export interface RecordedLater {
  readonly header: IkeHeader;
  readonly octets: Uint8Array;
  /** Of its sender. */
  readonly key: MessageKey;
  /** Inside SK. */
  readonly payloads: readonly Payload[];
}

const file = 'vectors/recorded/strongswan-create-child-sa.json';

export function readRecordedLater(): readonly RecordedLater[] {
  const content = fields(JSON.parse(readFileSync(file, 'utf8')));
  const { ikeSas, messages } = content;
  assert(Array.isArray(ikeSas) && Array.isArray(messages));
  const keys = new Map(ikeSas.map(fields).map((sa) => [String(sa.spiI), sa]));
  return messages.map(fields).map((message) => {
    const octets = hex(message.octets);
    const { header } = decodeMessage(octets);
    const sa = keys.get(header.initiatorSpi) ?? assert.fail(header.initiatorSpi);
    const secret = hex(header.fromInitiator ? sa.skEi : sa.skEr);
    const encr = { type: 1, id: 20, keyLength: 128 };
    const none = new SecretBytes(new Uint8Array());
    const key = new MessageKey(encr, undefined, new SecretBytes(secret), none);
    return { header, octets, key, payloads: openMessage(octets, key) ?? assert.fail('bad ICV') };
  });
}

function hex(value: unknown): Uint8Array {
  assert(typeof value === 'string');
  return fromHex(value);
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  assert(typeof value === 'object' && value !== null, file);
  return Object.fromEntries(Object.entries(value));
}
