/**
 * Section references of swanctl.conf: `name : other, third { }` inherits what `other` and `third` say.
 *
 * A section is seen through layers: what it says itself, then what its references say, in order,
 * with their own references behind each. The first layer that has a key decides; sub-sections of
 * one name are seen through all layers that have them. Stricter than swanctl in two points: a
 * reference to nothing and a reference that leads to itself are errors, not silence.
 */
import type { Reference, WrittenSection } from './grammar.ts';
import { MAX_SECTION_DEPTH } from './grammar.ts';
import { didYouMean } from './nearest-name.ts';
import { ConfigError, type Entry, type Section } from './section.ts';

/** Sections in the resolved tree, so that small files cannot unfold into endless ones. */
export const MAX_RESOLVED_SECTIONS = 200_000;

export interface ResolvedSettings {
  readonly root: Section;
  /** Top-level sections that are used as templates. */
  readonly templates: ReadonlySet<string>;
}

/** Resolves all references below `root`. Throws `ConfigError`. */
export function resolveReferences(root: WrittenSection): ResolvedSettings {
  const resolver = new Resolver(root);
  const section = resolver.resolve([root], 0);
  return { root: section, templates: resolver.templates };
}

type Layers = readonly WrittenSection[];

class Resolver {
  readonly templates = new Set<string>();
  readonly #root: WrittenSection;
  readonly #layers = new Map<WrittenSection, Layers>();
  readonly #expanding = new Set<WrittenSection>();
  #resolved = 0;

  constructor(root: WrittenSection) {
    this.#root = root;
  }

  /** The section one sees through the layers. There is always a first layer. */
  resolve(layers: Layers, depth: number): Section {
    const at = layers[0]?.at ?? this.#root.at;
    this.#resolved++;
    if (depth > MAX_SECTION_DEPTH || this.#resolved > MAX_RESOLVED_SECTIONS) {
      throw new ConfigError(at, 'references unfold without end: a section inherits its own parent');
    }
    const sections = new Map<string, Section>();
    for (const layer of layers) {
      for (const name of layer.sections.keys()) {
        if (!sections.has(name)) {
          sections.set(name, this.resolve(this.#below(layers, name), depth + 1));
        }
      }
    }
    return { at, entries: entriesOf(layers), sections };
  }

  /** The layers of the sub-section `name`, each with what it inherits behind it. */
  #below(layers: Layers, name: string): Layers {
    const below = new Set<WrittenSection>();
    for (const layer of layers) {
      const section = layer.sections.get(name);
      if (section === undefined) continue;
      for (const one of this.#expand(section)) below.add(one);
    }
    return [...below];
  }

  #expand(section: WrittenSection): Layers {
    const known = this.#layers.get(section);
    if (known !== undefined) return known;
    this.#expanding.add(section);
    const layers = new Set([section]);
    for (const reference of section.references) {
      for (const layer of this.#referenced(reference)) layers.add(layer);
    }
    this.#expanding.delete(section);
    const expanded = [...layers];
    this.#layers.set(section, expanded);
    return expanded;
  }

  #referenced(reference: Reference): Layers {
    let layers: Layers = [this.#root];
    for (const [index, name] of reference.path.entries()) {
      const names = layers.flatMap((layer) => [...layer.sections.keys()]);
      const found = layers.flatMap((layer) => layer.sections.get(name) ?? []);
      if (found.length === 0) {
        const path = reference.path.slice(0, index + 1).join('.');
        const hint = didYouMean(name, names);
        throw new ConfigError(reference.at, `there is no section ${path} to refer to${hint}`);
      }
      if (found.some((section) => this.#expanding.has(section))) {
        const path = reference.path.join('.');
        throw new ConfigError(reference.at, `the reference to ${path} leads to itself: remove it`);
      }
      layers = this.#below(layers, name);
    }
    this.templates.add(reference.path[0] ?? '');
    return layers;
  }
}

function entriesOf(layers: Layers): ReadonlyMap<string, Entry> {
  const decided = new Map<string, Entry | undefined>();
  for (const layer of layers) {
    for (const [key, { value }] of layer.entries) {
      if (!decided.has(key)) decided.set(key, value && { kind: 'value', value });
    }
  }
  const entries = new Map<string, Entry>();
  for (const [key, entry] of decided) {
    if (entry !== undefined) entries.set(key, entry);
  }
  return entries;
}
