/**
 * Walks settings along their rules and notes what is unknown, refused or without effect.
 */
import type { Findings } from './findings.ts';
import { didYouMean } from './nearest-name.ts';
import type { Entry, Section } from './section.ts';
import type { KeyRule, SectionRule, ValueKind } from './section-rule.ts';
import { parseBoolean, parseInteger, parseSeconds, refuse, type Setting } from './values.ts';

/** Checks the section and all below it; `path` is its full name, empty for the top level. */
export function checkSection(
  section: Section,
  rule: SectionRule,
  path: string,
  findings: Findings,
): void {
  if (rule.whole?.kind === 'refused') findings.error(section.at, `${path}: ${rule.whole.why}`);
  if (rule.whole?.kind === 'no-effect') {
    findings.warn(section.at, `${path} has no effect: ${rule.whole.why}`);
  }
  for (const [key, entry] of section.entries) {
    const setting = settingOf(entry, joined(path, key));
    const keyRule = ruleOf(key, rule.keys, rule.keyPrefixes);
    if (keyRule !== undefined) {
      if (setting.text !== '') findings.attempt(() => checkKey(setting, keyRule, findings));
    } else {
      findings.error(setting.at, `${setting.path}: ${unknownKey(key, rule)}`);
    }
  }
  for (const [name, inner] of section.sections) {
    const innerRule = ruleOf(name, rule.sections, rule.sectionPrefixes) ?? rule.anySection;
    if (innerRule === undefined) {
      findings.error(inner.at, `${joined(path, name)}: ${unknownSection(name, rule)}`);
    } else {
      checkSection(inner, innerRule, joined(path, name), findings);
    }
  }
}

function settingOf(entry: Entry, path: string): Setting {
  if (entry.kind === 'value') return { path, text: entry.value.text, at: entry.value.at };
  return { path, text: entry.items.map(({ text }) => text).join(', '), at: entry.at };
}

function checkKey(setting: Setting, rule: KeyRule, findings: Findings): void {
  if (rule.kind === 'used') return;
  if (rule.kind === 'refused') refuse(setting, rule.why);
  const accepted = rule.accepts.includes(canonical(setting, rule.as));
  if (accepted) return;
  if (rule.kind === 'only') refuse(setting, `${rule.why}: write ${rule.accepts.join(' or ')}`);
  findings.warn(setting.at, `${setting.path} = ${setting.text} has no effect: ${rule.why}`);
}

/** The value in the one spelling that rules use. */
function canonical(setting: Setting, as: ValueKind): string {
  switch (as) {
    case 'boolean':
      return parseBoolean(setting) ? 'yes' : 'no';
    case 'seconds':
      return `${parseSeconds(setting)}`;
    case 'integer':
      return /^0+$/.test(setting.text) ? '0' : setting.text;
    case 'word':
      return setting.text.toLowerCase();
    case 'mark':
      return setting.text
        .split('/')
        .map((part) =>
          part.startsWith('%') ? part : parseInteger({ ...setting, text: part }, 0, 0xffffffff),
        )
        .concat(['0'])
        .slice(0, 2)
        .join('/');
  }
}

function ruleOf<Rule>(
  name: string,
  exact: Readonly<Record<string, Rule>>,
  prefixes: Readonly<Record<string, Rule>> = {},
): Rule | undefined {
  if (Object.hasOwn(exact, name)) return exact[name];
  const prefix = Object.keys(prefixes)
    .filter((candidate) => name.startsWith(candidate))
    .sort((a, b) => b.length - a.length)[0];
  return prefix === undefined ? undefined : prefixes[prefix];
}

function unknownKey(key: string, rule: SectionRule): string {
  const known = [...Object.keys(rule.keys), ...Object.keys(rule.keyPrefixes ?? {})];
  if (ruleOf(key, rule.sections, rule.sectionPrefixes) !== undefined) {
    return `a section, not a key: write ${key} { ... }`;
  }
  return `unknown key${didYouMean(key, known) || '; remove it'}`;
}

function unknownSection(name: string, rule: SectionRule): string {
  const known = [...Object.keys(rule.sections), ...Object.keys(rule.sectionPrefixes ?? {})];
  if (ruleOf(name, rule.keys, rule.keyPrefixes) !== undefined) {
    return `a key, not a section: write ${name} = value`;
  }
  return `unknown section${didYouMean(name, known) || '; remove it'}`;
}

function joined(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
