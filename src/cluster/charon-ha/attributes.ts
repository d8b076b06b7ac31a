/**
 * The attributes of one HA message by name. Of an attribute that stands there twice the last counts, as
 * it does to charon, where it is not a list.
 */
import { SecretBytes } from '../../crypto/secret-bytes.ts';
import type { Identity } from '../../ipsec/identity.ts';
import type { Endpoint } from '../../wire/address.ts';
import { MalformedError } from '../../wire/octets.ts';
import type { HaAttribute, HaIkeSaId, HaName, HaSelector } from './attribute.ts';
import { type HaMessage, haMessageTypeName } from './message.ts';

export class HaAttributes {
  readonly #message: HaMessage;

  constructor(message: HaMessage) {
    this.#message = message;
  }

  has(name: HaName): boolean {
    return this.#message.attributes.some((attribute) => attribute.name === name);
  }

  ikeSaId(name: HaName<'ike-sa-id'>): HaIkeSaId | undefined {
    return this.#all(name)
      .flatMap((one) => (one.shape === 'ike-sa-id' ? [one.value] : []))
      .at(-1);
  }

  identity(name: HaName<'identity'>): Identity | undefined {
    return this.#all(name)
      .flatMap((one) => (one.shape === 'identity' ? [one.value] : []))
      .at(-1);
  }

  endpoint(name: HaName<'endpoint'>): Endpoint | undefined {
    return this.endpoints(name).at(-1);
  }

  endpoints(name: HaName<'endpoint'>): readonly Endpoint[] {
    return this.#all(name).flatMap((one) => (one.shape === 'endpoint' ? [one.value] : []));
  }

  text(name: HaName<'text'>): string | undefined {
    return this.#all(name)
      .flatMap((one) => (one.shape === 'text' ? [one.value] : []))
      .at(-1);
  }

  flag(name: HaName<'flag'>): boolean | undefined {
    return this.#all(name)
      .flatMap((one) => (one.shape === 'flag' ? [one.value] : []))
      .at(-1);
  }

  /** Of one, two or four octets, or an SPI. */
  number(name: HaName<'u8' | 'u16' | 'u32' | 'spi'>): number | undefined {
    return this.numbers(name).at(-1);
  }

  numbers(name: HaName<'u8' | 'u16' | 'u32' | 'spi'>): readonly number[] {
    return this.#all(name).flatMap((one) => (typeof one.value === 'number' ? [one.value] : []));
  }

  octets(name: HaName<'octets'>): Uint8Array | undefined {
    return this.#all(name)
      .flatMap((one) => (one.shape === 'octets' ? [one.value] : []))
      .at(-1);
  }

  secret(name: HaName<'octets'>): SecretBytes | undefined {
    const octets = this.octets(name);
    return octets && new SecretBytes(octets);
  }

  selectors(name: HaName<'selector'>): readonly HaSelector[] {
    return this.#all(name).flatMap((one) => (one.shape === 'selector' ? [one.value] : []));
  }

  /** What must be there; throws `MalformedError` where it is not. */
  required<T>(name: HaName, value: T | undefined): T {
    if (value !== undefined) return value;
    throw new MalformedError(0, `${haMessageTypeName(this.#message.type)} without ${name}`);
  }

  #all(name: HaName): readonly HaAttribute[] {
    return this.#message.attributes.filter((attribute) => attribute.name === name);
  }
}
