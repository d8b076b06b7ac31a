/**
 * Help, usage and the manual, made from the table of verbs.
 */
import { EXIT_CODES } from './exit-code.ts';
import type { Verb, VerbOption } from './verb.ts';

/** All verbs, one line each; those of several words are one line for each first word. */
export function overview(verbs: readonly Verb[]): string {
  const rows = new Map(
    verbs.map(({ name, summary }) => {
      const [group = '', ...rest] = name.split(' ');
      return [group, rest.length === 0 ? summary : `${GROUPS[group]}: tsgw help ${group}`] as const;
    }),
  );
  return lines([
    'tsgw: a userspace IKEv2/ESP gateway, controlled by swanctl and by this command',
    '',
    'usage: tsgw VERB [ARGUMENTS]',
    '',
    ...columns([...rows]),
    '',
    'tsgw help VERB says more of one; tsgw help --man is the whole manual.',
  ]);
}

/** The verbs of one group. */
export function groupOverview(group: string, verbs: readonly Verb[]): string {
  return lines([
    `tsgw ${group}: ${GROUPS[group]}`,
    '',
    `usage: tsgw ${group} VERB [ARGUMENTS]`,
    '',
    ...columns(verbs.map(({ name, summary }) => [name.slice(group.length + 1), summary])),
    '',
    `tsgw help ${group} VERB says more of one.`,
  ]);
}

const GROUPS: Readonly<Record<string, string>> = {
  cluster: 'operate a node of a cluster of gateways',
};

/** `usage: tsgw sas [--ike NAME] ...` */
export function usageLine(verb: Verb): string {
  const operands = verb.operands.map(({ name, required, many }) => {
    const text = many ? `${name}...` : name;
    return required ? text : `[${text}]`;
  });
  const options = Object.entries(verb.options).map((one) => `[${optionText(...one)}]`);
  return ['usage: tsgw', verb.name, ...operands, ...options].join(' ');
}

export function verbHelp(verb: Verb): string {
  return lines([
    `tsgw ${verb.name}: ${verb.summary}`,
    '',
    ...wrap(usageLine(verb), '    '),
    '',
    ...wrap(verb.description, ''),
    ...section('arguments', [
      ...verb.operands.map(({ name, help }) => [name, help] as const),
      ...Object.entries(verb.options).map(
        ([name, option]) => [optionText(name, option), option.help] as const,
      ),
    ]),
    '',
    'examples:',
    ...verb.examples.flatMap(([command, does]) => [`  ${command}`, `      ${does}`]),
  ]);
}

/** `-w, --write FILE` */
function optionText(name: string, { value, short }: VerbOption): string {
  const letter = short === undefined ? '' : `-${short}, `;
  return value === undefined ? `${letter}--${name}` : `${letter}--${name} ${value}`;
}

/** Everything, in the order of a manual page. */
export function manual(verbs: readonly Verb[]): string {
  const environment = [
    ['TSGW_URI', 'where the daemon listens, where no --uri says it'],
    ['NO_COLOR', 'where set, nothing is coloured'],
  ] as const;
  return lines([
    'NAME',
    '  tsgw - userspace IKEv2/ESP gateway and its control',
    '',
    'SYNOPSIS',
    ...verbs.flatMap((verb) => wrap(usageLine(verb).replace('usage: ', ''), '    ', '  ')),
    '',
    'VERBS',
    ...verbs.flatMap((verb) => [
      ...verbHelp(verb)
        .trimEnd()
        .split('\n')
        .map((line) => (line === '' ? '' : `  ${line}`)),
      '',
    ]),
    'ENVIRONMENT',
    ...columns(environment),
    '',
    'EXIT STATUS',
    ...columns(EXIT_CODES.map(([code, what]) => [String(code), what])),
  ]);
}

function section(title: string, rows: readonly (readonly [string, string])[]): readonly string[] {
  return rows.length === 0 ? [] : ['', `${title}:`, ...columns(rows)];
}

function columns(rows: readonly (readonly [string, string])[]): readonly string[] {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.flatMap(([name, text]) =>
    wrap(`${name.padEnd(width)}  ${text}`, ' '.repeat(width + 2), '  '),
  );
}

/** Breaks a paragraph at blanks outside `[...]`; lines after the first are indented by `hanging`. */
function wrap(text: string, hanging: string, indent = ''): readonly string[] {
  const found: string[] = [];
  let line = '';
  for (const word of text.split(/(?<=\S) (?![^[]*\])/)) {
    const start = found.length === 0 ? indent : `${indent}${hanging}`;
    if (line !== '' && start.length + line.length + 1 + word.length > LINE) {
      found.push(`${start}${line}`);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...found, `${found.length === 0 ? indent : `${indent}${hanging}`}${line}`];
}

function lines(all: readonly string[]): string {
  return `${all.join('\n')}\n`;
}

const LINE = 96;
