/** Randomness as an argument: `length` unpredictable octets, or seeded ones in a test. */
export type RandomBytes = (length: number) => Uint8Array;
