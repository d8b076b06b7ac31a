/**
 * What the documents say, tried: examples, commands, links, the version.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { VERBS, verbOf } from '../src/cli/verbs.ts';
import { CLUSTER } from '../src/config/cluster-schema.ts';
import { loadConfig } from '../src/config/config.ts';
import type { SectionRule } from '../src/config/section-rule.ts';
import { sampleEvents } from './support/sample-events.ts';

const DOCUMENTS = readdirSync('.').filter((name) => name.endsWith('.md'));
const README = read('README.md');

function read(path: string): string {
  return readFileSync(path, 'utf8');
}

/** What stands between fences. */
function fenced(text: string): readonly string[] {
  return [...text.matchAll(/^```[a-z]*\n(.*?)^```$/gms)].map(([, inside = '']) => inside);
}

/** Commands at the start of a line or after a backtick, without what explains them. */
function commands(text: string, program: string): readonly string[] {
  const found = text.matchAll(new RegExp(`(?:^|\`)(${program} [^#\`\n]*)`, 'gm'));
  return [...found].map(([, command = '']) => command.trim());
}

describe('Examples in README.md', () => {
  it('of swanctl.conf load', () => {
    const examples = fenced(README).filter((text) => text.startsWith('connections {'));
    assert.equal(examples.length, 1);
    const { connections, secrets } = loadConfig(examples[0] ?? '', 'README.md', () => []);
    assert.deepEqual(
      connections.map(({ name }) => name),
      ['peer'],
    );
    assert.equal(secrets.length, 1);
  });

  it('of bin/tsgw are verbs it has, with options they have', () => {
    const called = [...commands(README, 'bin/tsgw'), ...commands(README, 'tsgw')];
    assert.ok(called.length >= 4, called.join('; '));
    for (const command of called) {
      const found = verbOf(command.split(/\s+/).slice(1));
      assert.ok(found?.kind === 'verb', command);
      for (const option of found.rest.filter((word) => word.startsWith('--'))) {
        assert.ok(Object.hasOwn(found.verb.options, option.slice(2)), command);
      }
    }
  });

  it('of verbs in a list are verbs', () => {
    const [, list = ''] = /own listings: ([a-z ]+)$/m.exec(README) ?? [];
    const named = list.split(' ');
    assert.ok(named.length > 1, "README lists tsgw's listings");
    assert.deepEqual(
      named.filter((name) => !VERBS.some((verb) => verb.name === name)),
      [],
    );
  });

  it('need the Node.js that package.json asks for', () => {
    const { engines } = JSON.parse(read('package.json'));
    const [, version] = /Node (\d+\.\d+) or newer/.exec(README) ?? [];
    assert.equal(engines.node, `>=${version}`);
  });
});

describe('docs/cluster.md', () => {
  it('has a set-up that loads, on either node, without a warning', () => {
    const examples = fenced(read('docs/cluster.md')).filter((each) => each.startsWith('cluster {'));
    assert.equal(examples.length, 1);
    const text = (examples[0] ?? '').replace('0x5f0c...', `0x${'5f'.repeat(32)}`);
    for (const name of ['a', 'b']) {
      const file = text.replace('self = a', `self = ${name}`);
      const { cluster, connections, warnings } = loadConfig(file, 'cluster', () => []);
      assert.equal(cluster?.nodes.find(({ id }) => id === cluster.self)?.name, name);
      assert.equal(connections.length, 1);
      assert.deepEqual(warnings, []);
    }
  });
});

describe('docs/cluster-configuration.md', () => {
  const text = read('docs/cluster-configuration.md');

  it('has examples that load', () => {
    const examples = fenced(text).map((each) => each.replace('0x5f0c...', `0x${'5f'.repeat(32)}`));
    const clusters = examples.map((each) => loadConfig(each, 'cluster', () => []).cluster);
    assert.deepEqual(
      clusters.map((cluster) => cluster?.bus),
      ['udp', 'charon-ha'],
    );
  });

  it('names every key there is', () => {
    const keys = (rule: SectionRule): readonly string[] => [
      ...Object.keys(rule.keys),
      ...Object.values(rule.sections).flatMap(keys),
      ...(rule.anySection === undefined ? [] : keys(rule.anySection)),
    ];
    const own = new Set([...keys(CLUSTER), ...Object.keys(CLUSTER.sections)]);
    own.delete('load');
    assert.ok(own.size > 50, `${own.size} keys`);
    assert.deepEqual(
      [...own].filter((key) => !new RegExp(`\\b${key}\\b`).test(text)),
      [],
    );
  });
});

describe('docs/cluster-operating.md', () => {
  const text = read('docs/cluster-operating.md');

  it('has commands that are verbs, with options they have', () => {
    const called = [...text.matchAll(/tsgw cluster [a-z-]+[^`\n|>&]*/g)].map(
      ([command]) => command,
    );
    assert.ok(called.length > 15, called.join('; '));
    for (const command of called) {
      const found = verbOf(command.trim().split(/\s+/).slice(1));
      assert.ok(found?.kind === 'verb', command);
      const options = found.rest.filter((word) => word.startsWith('--'));
      for (const option of options) {
        assert.ok(Object.hasOwn(found.verb.options, option.slice(2)), command);
      }
    }
  });

  it('names every verb of a cluster, and every event', () => {
    const verbs = VERBS.filter(({ name }) => name.startsWith('cluster '));
    assert.deepEqual(
      verbs.filter(({ name }) => !text.includes(`tsgw ${name}`)),
      [],
    );
    const kinds = Object.values(sampleEvents).map(({ kind }) => kind.replace(/^cluster/, ''));
    const ours = kinds.filter((kind) => kind.startsWith('-'));
    assert.ok(ours.length > 15);
    assert.deepEqual(
      ours.filter((kind) => !text.includes(`${kind}\``)),
      [],
    );
  });
});

describe('The documents', () => {
  it('are there', () => {
    const expected = [
      'README.md',
      'ARCHITECTURE.md',
      'SECURITY.md',
      'CHANGELOG.md',
      'CONTRIBUTING.md',
    ];
    assert.deepEqual(
      expected.filter((name) => !DOCUMENTS.includes(name)),
      [],
    );
  });

  for (const name of DOCUMENTS) {
    const text = read(name);

    it(`${name} names npm scripts that exist`, () => {
      const { scripts } = JSON.parse(read('package.json'));
      const named = [...text.matchAll(/npm (?:run ([\w:-]+)|(test)\b)/g)];
      const missing = named.flatMap(([, run, test]) => {
        const script = run ?? test ?? '';
        return Object.hasOwn(scripts, script) ? [] : [script];
      });
      assert.deepEqual(missing, []);
    });

    it(`${name} links to what is there`, () => {
      const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
      const relative = targets.filter((target) => !/^[a-z]+:/.test(target));
      const broken = relative.filter((target) => !linkHolds(name, target));
      assert.deepEqual(broken, []);
    });

    it(`${name} names files that are there`, () => {
      const fromRoot = text.matchAll(/`((?:src|test|native|vectors|bench|lab|bin)\/[\w./-]*)`/g);
      const fromSource = text.matchAll(/`([a-z]+\/[\w/-]+\.ts)`/g);
      const paths = [...fromRoot, ...fromSource].map(([, path = '']) => path);
      const missing = paths.filter((path) => !existsSync(path) && !existsSync(join('src', path)));
      assert.deepEqual(missing, []);
    });
  }

  it('are in the package where package.json says so', () => {
    const { files } = JSON.parse(read('package.json'));
    const named = files.filter((name: string) => name.endsWith('.md'));
    assert.deepEqual(
      named.filter((name: string) => !DOCUMENTS.includes(name)),
      [],
    );
  });

  it('have the version of the package at the top of CHANGELOG.md', () => {
    const [, version] = /^## (\S+)/m.exec(read('CHANGELOG.md')) ?? [];
    assert.equal(version, JSON.parse(read('package.json')).version);
  });
});

/** A file beside the document, and a heading in it where the link names one. */
function linkHolds(from: string, target: string): boolean {
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? from : join(dirname(from), path);
  if (!existsSync(file)) return false;
  return anchor === undefined || headings(read(file)).includes(anchor);
}

/** As GitHub names headings in links. */
function headings(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}
