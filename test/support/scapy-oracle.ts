/**
 * scapy as a second opinion about ESP packets (`scapy-oracle.py`).
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';

/** A packet to open, from its outer header, or to seal, from its inner one. */
export interface ScapyJob {
  readonly verb: string;
  readonly spi: number;
  /** Names in scapy; `auth` is null where the cipher makes the ICV, of `icv` octets. */
  readonly crypt: string | undefined;
  readonly cryptKey: string;
  readonly auth: string | null;
  readonly authKey: string;
  readonly icv: number;
  readonly esn: boolean;
  readonly high: number;
  readonly low: number;
  readonly udp: boolean;
  /** The packet's own addresses are outside. */
  readonly transport?: boolean;
  readonly source: string;
  readonly destination: string;
  readonly packet: string;
}

/** Packets in hex, or objects that say why not; one process for all jobs. */
export function scapy(jobs: readonly ScapyJob[]): readonly unknown[] {
  const printed = execFileSync('/usr/bin/python3', ['test/support/scapy-oracle.py'], {
    input: JSON.stringify(jobs),
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'inherit'],
    maxBuffer: 1 << 26,
  });
  const answers: unknown = JSON.parse(printed);
  assert.ok(Array.isArray(answers) && answers.length === jobs.length);
  return answers;
}
