import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  MAX_INCLUDE_DEPTH,
  MAX_INCLUDED_FILES,
  MAX_SECTION_DEPTH,
  type SourceFile,
} from '../../src/config/grammar.ts';
import { ConfigError, type Section } from '../../src/config/section.ts';
import { fault, filesOf, parse, plain } from './reading.ts';

describe('swanctl.conf grammar', () => {
  // Each of these was put to swanctl 5.9.8, which read the same.
  const readings: readonly (readonly [string, string, object])[] = [
    ['entries and sections', 'a { x = 1\n s { y = 2 } }', { a: { x: '1', s: { y: '2' } } }],
    ['a value that } ends', 'a { x = foo }', { a: { x: 'foo' } }],
    ['a value that # ends', 'x = b#c\ny = d # e', { x: 'b', y: 'd' }],
    ['words joined by one space', 'x = foo   bar\t baz', { x: 'foo bar baz' }],
    ['text and strings side by side', 'x = foo"b  ar" baz', { x: 'foo b  ar baz' }],
    ['escapes in strings', String.raw`x = "a\nb\tc\"d\\e\qf\r"`, { x: 'a\nb\tc"d\\eqf\r' }],
    ['a string over two lines', 'x = "multi\nline"', { x: 'multi\nline' }],
    [
      'a continued line in a string',
      'x = "multi\\\nline"\ny = "a\\\r\nb"',
      { x: 'multiline', y: 'ab' },
    ],
    ['a backslash outside strings as itself', String.raw`x = a\b`, { x: String.raw`a\b` }],
    ['= , { : inside values', 'x = a=b,c{d:e', { x: 'a=b,c{d:e' }],
    ['an empty string as a value', 'x = ""\ny = "" b', { x: '', y: ' b' }],
    ['braces on lines of their own', 'a\n{\n x = 1\n}', { a: { x: '1' } }],
    ['carriage returns as blanks', 'a {\r\n x = 1\r\n}\r\n', { a: { x: '1' } }],
    ['a value to the end of the line, whatever it holds', 'x = 1; y = 2', { x: '1; y = 2' }],
    ['comments between name and brace', 'a # one\n# two\n{ x = 1 }', { a: { x: '1' } }],
    ['names of any printable characters', 'ä-1_\\ = 1', { 'ä-1_\\': '1' }],
    ['include as a key', 'include = 1\nincludes = 2', { include: '1', includes: '2' }],
    ['an equals sign on the next line', 'x\n= 1', { x: '1' }],
    ['no text at all', '', {}],
  ];
  for (const [name, text, expected] of readings) {
    it(`reads ${name}`, () => {
      assert.deepEqual(plain(parse(text)), expected);
    });
  }

  it('merges sections of one name, the later value in the place of the earlier', () => {
    const root = parse(
      'a { x = 1\n y = 2\n }\na { y = 3\n z = 4\n s { u = 1 } }\na { s { v = 2 } }',
    );
    assert.deepEqual(plain(root), { a: { x: '1', y: '3', z: '4', s: { u: '1', v: '2' } } });
    assert.deepEqual([...(root.sections.get('a')?.entries.keys() ?? [])], ['x', 'y', 'z']);
  });

  it('unsets a key without a value', () => {
    assert.deepEqual(plain(parse('a { x = 1\n y = 2 }\na { x = \n }')), { a: { y: '2' } });
  });

  it('says where each value stands', () => {
    const root = parse('a {\n  # comment\n  x = 1\n  s { y = "two\nlines"\n z = 3 } }');
    const at = (line: number) => ({ file: 'swanctl.conf', line });
    const a = root.sections.get('a');
    assert.deepEqual(a?.at, at(1));
    assert.deepEqual(a?.entries.get('x'), { kind: 'value', value: { text: '1', at: at(3) } });
    const s = a?.sections.get('s')?.entries;
    assert.deepEqual(s?.get('y'), { kind: 'value', value: { text: 'two\nlines', at: at(4) } });
    assert.deepEqual(s?.get('z'), { kind: 'value', value: { text: '3', at: at(6) } });
  });

  const faults: readonly (readonly [string, string, string])[] = [
    ['a name alone', 'a {\n x\n }', '2: x: expected "x = value" or "x { ... }"'],
    ['a dot in a name', 'a.b { }', '1: a: expected "a = value" or "a { ... }"'],
    ['a string as a name', '\n"x" = 1', '2: expected a name, found "'],
    ['a comma as a name', 'a { , = 1 }', '1: expected a name, found ,'],
    ['a brace too many', 'a { }\n}\n', '2: } closes no section: remove it'],
    [
      'a brace too few',
      'a {\n b { x = 1\n }',
      '1: section a is not closed: write } behind its content',
    ],
    ['a nameless section', 'a { x = c\n\n { } }', '3: expected a name, found {'],
    [
      'a string that never ends',
      'x = 1\ny = "open\n\n',
      '2: the string is not closed: write " behind its last word',
    ],
    [
      'a reference without a name',
      'a : { }',
      '1: expected the name of a section, as in "name : other.section {", found {',
    ],
    [
      'a reference that ends in a dot',
      'b { }\na : b.\n{ }',
      '2: expected the name of a section, as in "name : other.section {", found the line\'s end',
    ],
    [
      'an include without a name',
      'include #x',
      '1: include names no file: write include path/*.conf',
    ],
    [
      'sections nested too deep',
      `${'a {\n'.repeat(MAX_SECTION_DEPTH + 1)}${'}\n'.repeat(MAX_SECTION_DEPTH + 1)}`,
      '33: section a: nested deeper than 32 sections',
    ],
  ];
  for (const [name, text, expected] of faults) {
    it(`refuses ${name}`, () => {
      assert.equal(
        fault(() => parse(text)),
        `swanctl.conf:${expected}`,
      );
    });
  }

  it('reads what was printed', () => {
    fc.assert(
      fc.property(trees, (tree) => {
        const text = print(tree, '');
        assert.deepEqual(plain(parse(text)), tree, text);
      }),
      { numRuns: 200 },
    );
  });

  it('answers any text with a tree or a ConfigError', () => {
    const pieces = fc.constantFrom(
      ...[
        'a',
        'b',
        'x1',
        '=',
        '{',
        '}',
        ':',
        ',',
        '.',
        '"',
        '\\',
        '#',
        '\n',
        '\r',
        ' ',
        'include ',
      ],
    );
    const text = fc.oneof(
      fc.array(pieces, { maxLength: 40 }).map((parts) => parts.join('')),
      fc.string({ unit: 'binary', maxLength: 40 }),
    );
    const readFiles = filesOf({ a: 'x = 1', b: '{', x1: 'include x1' });
    fc.assert(
      fc.property(text, (one) => {
        try {
          parse(one, readFiles);
        } catch (error) {
          assert.ok(error instanceof ConfigError, String(error));
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('swanctl.conf includes', () => {
  it('puts what a file says where the include stands', () => {
    const files = filesOf({
      'conf.d/1.conf': 'x = file\ny = file\n',
      'conf.d/2.conf': 's { z = file }',
    });
    const root = parse('a { x = before\n include conf.d/*.conf\n y = after\n }', files);
    assert.deepEqual(plain(root), { a: { x: 'file', y: 'after', s: { z: 'file' } } });
  });

  it('asks for the pattern as written, beside the file that includes', () => {
    const asked: (readonly [string, string])[] = [];
    const sources: Readonly<Record<string, SourceFile>> = {
      '/etc/a b#.conf': { file: '/etc/a b#.conf', text: 'include "c d.conf" # comment' },
    };
    parse(String.raw`include /etc/a\ b\#.conf`, (glob, from) => {
      asked.push([glob, from]);
      const source = sources[glob];
      return source === undefined ? [] : [source];
    });
    assert.deepEqual(asked, [
      ['/etc/a b#.conf', 'swanctl.conf'],
      ['c d.conf', '/etc/a b#.conf'],
    ]);
  });

  it('takes a pattern that matches no file for nothing', () => {
    assert.deepEqual(plain(parse('include none/*.conf\nx = 1')), { x: '1' });
  });

  it('names the included file in positions and errors', () => {
    const files = filesOf({ 'b.conf': '\nx = 1\n}', 'c.conf': '\nx = 1\n' });
    assert.equal(
      fault(() => parse('a {\ninclude b.conf\n}', files)),
      'b.conf:3: } closes no section: remove it',
    );
    const entry = parse('include c.conf', files).entries.get('x');
    assert.ok(entry?.kind === 'value');
    assert.deepEqual(entry.value.at, { file: 'c.conf', line: 2 });
  });

  it('refuses a file that includes itself, also by way of another', () => {
    const files = filesOf({ 'b.conf': 'include c.conf', 'c.conf': 'x = 1\ninclude b.conf' });
    assert.equal(
      fault(() => parse('include b.conf', files)),
      'c.conf:2: include b.conf: b.conf includes itself',
    );
  });

  it('lets two files include a third', () => {
    const files = filesOf({
      'b.conf': 'b { include d.conf }',
      'c.conf': 'c { include d.conf }',
      'd.conf': 'x = 1',
    });
    assert.deepEqual(plain(parse('include b.conf\ninclude c.conf', files)), {
      b: { x: '1' },
      c: { x: '1' },
    });
  });

  it('bounds how deep and how many files are included', () => {
    let opened = 0;
    const endless = () => [{ file: `${opened++}`, text: 'include next' }];
    assert.equal(
      fault(() => parse('include next', endless)),
      `${MAX_INCLUDE_DEPTH - 2}:1: include next: nested deeper than ${MAX_INCLUDE_DEPTH} files`,
    );
    const many = (count: number) => () =>
      Array.from({ length: count }, (_, n) => ({ file: `${n}`, text: '' }));
    assert.deepEqual(plain(parse('include *', many(MAX_INCLUDED_FILES))), {});
    assert.equal(
      fault(() => parse('\ninclude *', many(MAX_INCLUDED_FILES + 1))),
      'swanctl.conf:2: include *: more than 1000 files are included',
    );
  });
});

describe('swanctl.conf references', () => {
  // Each of these was put to swanctl 5.9.8, which read the same.
  const readings: readonly (readonly [string, string, object])[] = [
    [
      'keys and sub-sections, own ones first',
      'd { x = 1\n s { u = 1\n v = 2 } t { w = 1 } }\na : d { s { u = 3 } q = 1 }',
      { q: '1', x: '1', s: { u: '3', v: '2' }, t: { w: '1' } },
    ],
    [
      'several in their order',
      'd { x = 1 \n y = 2 }\ne { x = 2\n z = 3 }\na : d,\n e\n { }',
      { x: '1', y: '2', z: '3' },
    ],
    ['a chain', 'd : e { x = 1 }\ne { y = 2 }\na\n : d { }', { x: '1', y: '2' }],
    ['sections that come later', 'a : d { }\nd { x = 1 }', { x: '1' }],
    [
      'a section inside another',
      'd { s { x = 1 } }\na { l : d.s { y = 1 } }',
      { l: { y: '1', x: '1' } },
    ],
    ['a section that is itself inherited', 'c { s { x = 1 } }\nd : c { }\na : d.s { }', { x: '1' }],
    [
      'references of both halves of a merged section',
      'a : d { y = 1 }\na : e { x = 1 }\nd { z = 2 }\ne { z = 3\n w = 4 }',
      { y: '1', x: '1', z: '2', w: '4' },
    ],
    ['but not keys that are unset', 'd { x = 1\n y = 2 }\na : d { x = \n }', { y: '2' }],
    ['but not keys that a later half unsets', 'd { x = 1 }\na : d { }\na { x = \n }', {}],
  ];
  for (const [name, text, expected] of readings) {
    it(`inherits ${name}`, () => {
      const a = parse(text).sections.get('a');
      assert.deepEqual(a && plain(a), expected);
    });
  }

  it('keeps the order: own entries, then those of each reference', () => {
    const a = parse(
      'd { s2 { }\n s1 { } }\ne { s3 { } }\na : d, e { s1 { }\n s4 { } }',
    ).sections.get('a');
    assert.deepEqual([...(a?.sections.keys() ?? [])], ['s1', 's4', 's2', 's3']);
  });

  it('leaves an inherited value at the place where it was written', () => {
    const entry = parse('d {\n x = 1 }\na : d { }').sections.get('a')?.entries.get('x');
    assert.ok(entry?.kind === 'value');
    assert.equal(entry.value.at.line, 2);
  });

  const faults: readonly (readonly [string, string, string])[] = [
    [
      'a section that is not there',
      'other { }\na :\n d { }',
      '3: there is no section d to refer to',
    ],
    [
      'a misspelt section',
      'conn { defaults { } }\na : conn.defaulst { }',
      '2: there is no section conn.defaulst to refer to; did you mean defaults?',
    ],
    ['a section itself', 'a : a { }', '1: the reference to a leads to itself: remove it'],
    ['a circle', 'd : e { }\n\ne : d { }', '3: the reference to d leads to itself: remove it'],
    [
      'its own parent',
      'a { b : a { } }',
      '1: references unfold without end: a section inherits its own parent',
    ],
    [
      'parents in a way that grows without end',
      'a { b : a { }\n c : a { } }',
      '1: references unfold without end: a section inherits its own parent',
    ],
  ];
  for (const [name, text, expected] of faults) {
    it(`refuses a reference to ${name}`, () => {
      assert.equal(
        fault(() => parse(text)),
        `swanctl.conf:${expected}`,
      );
    });
  }

  it('resolves a long chain of doubled references in linear time', () => {
    const links = Array.from({ length: 200 }, (_, n) => `s${n + 1} : s${n}, s${n} { }`);
    assert.deepEqual(plain(parse(`s0 { x = 1 }\n${links.join('\n')}`)).s200, { x: '1' });
  });
});

type Tree = { readonly [name: string]: string | Tree };

const names = fc.stringMatching(/^[a-z][a-z0-9_-]{0,7}$/).filter((name) => name !== 'include');

const trees: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc
    .uniqueArray(
      fc.tuple(
        names,
        fc.oneof({ maxDepth: 4 }, fc.string({ unit: 'binary', maxLength: 12 }), tie('tree')),
      ),
      { maxLength: 5, selector: ([name]) => name },
    )
    .map((pairs) => Object.fromEntries(pairs)),
})).tree;

/** Keys before sections, as `plain` lists them; every value as a string. */
function print(tree: Tree, indent: string): string {
  let text = '';
  for (const [name, content] of Object.entries(tree)) {
    if (typeof content !== 'string') continue;
    const quoted = content.replace(/[\\"]/g, '\\$&').replaceAll('\r', '\\r');
    text += `${indent}${name} = "${quoted}"\n`;
  }
  for (const [name, content] of Object.entries(tree)) {
    if (typeof content === 'string') continue;
    text += `${indent}${name} {\n${print(content, `${indent}  `)}${indent}}\n`;
  }
  return text;
}

describe('swanctl.conf positions', () => {
  it('counts lines through strings, comments and includes', () => {
    const text = 'a = "1\n2\n3" # c\n\r\n# d\ninclude none\nb { c = 1 }\n';
    const root: Section = parse(text);
    assert.equal(root.sections.get('b')?.at.line, 7);
  });
});
