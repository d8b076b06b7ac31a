/**
 * Name servers of the networks we are a client of, in the resolver's file (`/etc/resolv.conf`).
 *
 * Ours stand first, each marked as ours: whatever else writes the file, ours can be told from the
 * rest, and what a killed process left is removed at the next start. The file is written in its
 * place: it may be a link, or mounted over another.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { formatAddress, type IpAddress } from '../wire/address.ts';

/** glibc and musl ignore what stands behind the address. */
const MARK = '# by tsgw';

export class NameServers {
  readonly #file: string;
  readonly #byOwner = new Map<number, readonly IpAddress[]>();

  /** Removes what an earlier process left. */
  constructor(file: string) {
    this.#file = file;
    this.#write();
  }

  /** Throws where the file cannot be written. */
  set(owner: number, servers: readonly IpAddress[]): void {
    if (servers.length === 0) return;
    this.#byOwner.set(owner, servers);
    this.#write();
  }

  remove(owner: number): void {
    if (this.#byOwner.delete(owner)) this.#write();
  }

  close(): void {
    this.#byOwner.clear();
    this.#write();
  }

  #write(): void {
    const before = this.#read();
    const others = before.split('\n').filter((line) => !line.endsWith(MARK));
    const servers = new Set([...this.#byOwner.values()].flat().map(formatAddress));
    const ours = [...servers].map((server) => `nameserver ${server} ${MARK}`);
    const now = [...ours, ...others].join('\n');
    if (now !== before) writeFileSync(this.#file, now, 'latin1');
  }

  /** As octets, so that comments in any encoding stay as they are. */
  #read(): string {
    try {
      return readFileSync(this.#file, 'latin1');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
      throw error;
    }
  }
}
