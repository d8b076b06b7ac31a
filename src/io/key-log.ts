/**
 * Wireshark's decryption tables on disk: `ikev2_decryption_table` and `esp_sa`.
 *
 * The only place where keys leave the process, and only when the operator asked for a directory.
 * Files are readable by the owner alone.
 */
import { appendFileSync, closeSync, fchmodSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import {
  wiresharkEspEncryption,
  wiresharkEspIntegrity,
  wiresharkIkeEncryption,
  wiresharkIkeIntegrity,
  wiresharkIkeIntegrityHasKey,
} from '../crypto/wireshark.ts';
import { formatAddress, type IpAddress } from '../wire/address.ts';
import { toHex } from '../wire/octets.ts';

/** Keys of an IKE SA; integrity keys are empty with an AEAD. */
export interface IkeKeyLine {
  readonly spiI: string;
  readonly spiR: string;
  readonly encr: number;
  readonly encrKeyLength: number | undefined;
  readonly integ: number | undefined;
  readonly skEi: Uint8Array;
  readonly skEr: Uint8Array;
  readonly skAi: Uint8Array;
  readonly skAr: Uint8Array;
}

/** Keys of one direction of a Child SA. */
export interface EspKeyLine {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly spi: number;
  readonly encr: number;
  readonly integ: number | undefined;
  readonly encryptionKey: Uint8Array;
  readonly integrityKey: Uint8Array;
}

export class KeyLog {
  readonly #directory: string;

  constructor(directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#directory = directory;
  }

  /** Answers why no line was written, if none was. */
  ike(line: IkeKeyLine): string | undefined {
    const encr = wiresharkIkeEncryption(line.encr, line.encrKeyLength ?? 0);
    const integ = wiresharkIkeIntegrity(line.integ);
    if (encr === undefined || integ === undefined) return UNKNOWN;
    const keys = [line.skEi, line.skEr].map(toHex).join(',');
    const hasKey = wiresharkIkeIntegrityHasKey(line.integ);
    const macs = [line.skAi, line.skAr].map((key) => (hasKey ? toHex(key) : ''));
    return this.#append(
      'ikev2_decryption_table',
      `${line.spiI},${line.spiR},${keys},"${encr}",${macs.join(',')},"${integ}"`,
    );
  }

  /** Answers why no line was written, if none was. */
  esp(line: EspKeyLine): string | undefined {
    const text = espKeyText(line);
    return text === undefined ? UNKNOWN : this.#append('esp_sa', text);
  }

  #append(name: string, line: string): string | undefined {
    try {
      const file = openSync(join(this.#directory, name), 'a', 0o600);
      try {
        // The mode above is for a new file only.
        fchmodSync(file, 0o600);
        appendFileSync(file, `${line}\n`);
      } finally {
        closeSync(file);
      }
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
}

/** The line of `esp_sa`; undefined where Wireshark does not know the algorithms. */
export function espKeyText(line: EspKeyLine): string | undefined {
  const encr = wiresharkEspEncryption(line.encr);
  const integ = wiresharkEspIntegrity(line.integ);
  if (encr === undefined || integ === undefined) return undefined;
  const hex = (octets: Uint8Array) => (octets.length > 0 ? `0x${toHex(octets)}` : '');
  const fields = [
    line.source.family === 4 ? 'IPv4' : 'IPv6',
    formatAddress(line.source),
    formatAddress(line.destination),
    `0x${(line.spi >>> 0).toString(16).padStart(8, '0')}`,
    encr,
    hex(line.encryptionKey),
    integ,
    hex(line.integrityKey),
  ];
  return fields.map((field) => `"${field}"`).join(',');
}

const UNKNOWN = 'Wireshark does not know the algorithms';
