/**
 * Security Parameters Index of ESP (RFC 4303 §2.1): 32 bits, 0-255 reserved.
 */
export type Spi = number & { readonly brand: 'Spi' };

/** The first SPI a peer may choose; 0 means none, 1-255 are IANA's. */
export const FIRST_SPI = 256;

export function spi(value: number): Spi {
  return (value >>> 0) as Spi;
}

export function isReservedSpi(value: number): boolean {
  return value >>> 0 < FIRST_SPI;
}

/** Eight hex digits, as peers and tools print it. */
export function formatSpi(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0');
}

/** The worker that has the SAs of an inbound SPI; the kernel's filters choose by the same rule. */
export function workerOfSpi(value: number, workers: number): number {
  return (value >>> 0) % workers;
}
