/**
 * What a section of a configuration may hold: rules for its keys and for the sections in it.
 */

/** How the text of a key is compared with the values a rule accepts. */
export type ValueKind = 'boolean' | 'seconds' | 'integer' | 'word' | 'mark';

export type KeyRule =
  | { readonly kind: 'used' }
  /** Accepted with one of these values, refused with any other. */
  | {
      readonly kind: 'only';
      readonly as: ValueKind;
      readonly accepts: readonly string[];
      readonly why: string;
    }
  /** Accepted with any value, with a warning unless it is one of these. */
  | {
      readonly kind: 'no-effect';
      readonly as: ValueKind;
      readonly accepts: readonly string[];
      readonly why: string;
    }
  | { readonly kind: 'refused'; readonly why: string };

export interface SectionRule {
  readonly keys: Readonly<Record<string, KeyRule>>;
  /** Keys whose name starts with this, as `id` in `id-alice`. */
  readonly keyPrefixes?: Readonly<Record<string, KeyRule>>;
  readonly sections: Readonly<Record<string, SectionRule>>;
  /** Sections whose name starts with this, as `local` in `local-2`. */
  readonly sectionPrefixes?: Readonly<Record<string, SectionRule>>;
  /** Sections of any name, as those in `connections`. */
  readonly anySection?: SectionRule;
  /** The whole section is accepted without effect, or refused. */
  readonly whole?: { readonly kind: 'no-effect' | 'refused'; readonly why: string };
}
