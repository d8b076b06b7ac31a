/**
 * A vici message read as settings: the tree that swanctl.conf would have given.
 *
 * swanctl resolves includes, references and files before it sends, so a message stands nowhere:
 * its position is line 0 of `vici`.
 */
import type { Entry, Position, Section } from '../config/section.ts';
import { octetsToText, type ViciSection } from './message.ts';

const VICI: Position = Object.freeze({ file: 'vici', line: 0 });

/** The message, or a part of it, as a settings section. */
export function sectionFromVici(message: ViciSection): Section {
  const entries = new Map<string, Entry>();
  const sections = new Map<string, Section>();
  for (const [name, value] of message) {
    if (value.kind === 'section') {
      sections.set(name, sectionFromVici(value.section));
    } else if (value.kind === 'list') {
      const items = value.items.map((item) => ({ text: octetsToText(item), at: VICI }));
      entries.set(name, { kind: 'list', items, at: VICI });
    } else {
      const text = octetsToText(value.octets);
      entries.set(name, { kind: 'value', value: { text, at: VICI } });
    }
  }
  return { at: VICI, entries, sections };
}
