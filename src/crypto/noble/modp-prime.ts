/**
 * The primes of the MODP groups from their definition (RFC 3526 §2-§7, RFC 7296 appendix B.2):
 * `p = 2^n - 2^(n-64) - 1 + 2^64 * (floor(2^(n-130) * pi) + k)`, pi by Machin's formula.
 *
 * Computed and not copied, so that it can bear witness against a copy with a wrong digit.
 */
import { strict as assert } from 'node:assert';

/** The prime of the group whose modulus has `bits` bits: one of those in `OFFSETS`. */
export function modpPrime(bits: number): bigint {
  const known = primes.get(bits);
  if (known !== undefined) return known;
  const offset = OFFSETS[bits];
  assert(offset !== undefined, `no MODP group of ${bits} bits`);
  const n = BigInt(bits);
  const prime = (1n << n) - (1n << (n - 64n)) - 1n + ((piShifted(n - 130n) + offset) << 64n);
  primes.set(bits, prime);
  return prime;
}

const primes = new Map<number, bigint>();

/** floor(2^bits * pi). */
function piShifted(bits: bigint): bigint {
  const guard = 64n;
  const one = 1n << (bits + guard);
  return (16n * arctangentOfInverse(5n, one) - 4n * arctangentOfInverse(239n, one)) >> guard;
}

/** arctan(1/x) in units of 1/one. */
function arctangentOfInverse(x: bigint, one: bigint): bigint {
  let sum = 0n;
  let term = one / x;
  for (let divisor = 1n; term !== 0n; divisor += 4n) {
    sum += term / divisor - term / (x * x) / (divisor + 2n);
    term /= x ** 4n;
  }
  return sum;
}

const OFFSETS: Readonly<Record<number, bigint>> = {
  1024: 129_093n,
  1536: 741_804n,
  2048: 124_476n,
  3072: 1_690_314n,
  4096: 240_904n,
  6144: 929_484n,
  8192: 4_743_158n,
};
