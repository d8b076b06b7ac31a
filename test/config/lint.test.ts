import assert from 'node:assert/strict';
import { loadWithSettings } from '../../src/config/config.ts';
import { lintConfig } from '../../src/config/lint.ts';
import type { LintFinding } from '../../src/config/lint-findings.ts';
import { NO_FILES } from './reading.ts';

/** What stands in a configuration that has nothing to be said about. */
interface Parts {
  readonly connection?: string;
  readonly child?: string;
  readonly more?: string;
  readonly remote?: string;
  readonly secrets?: string;
  readonly top?: string;
}

const SECRETS = 'secrets { ike { id-1 = a.lab\nid-2 = b.lab\nsecret = 0123456789abcdef0123\n } }';

/** Line 2 on: the connection's own keys; line 20 on: the child's. */
function text(parts: Parts): string {
  const own = `local { auth = psk\nid = a.lab\n }`;
  const remote = `remote { auth = psk\n${parts.remote ?? 'id = b.lab'}\n }`;
  const child = `net {\n${parts.child ?? ''}\n}\n${parts.more ?? ''}`;
  return [
    'connections { peer {',
    'remote_addrs = 192.0.2.2',
    parts.connection ?? '',
    own,
    remote,
    `children { ${child} }`,
    '} }',
    parts.secrets ?? SECRETS,
    parts.top ?? '',
  ].join('\n');
}

function lint(parts: Parts): readonly LintFinding[] {
  const { config, settings } = loadWithSettings(text(parts), 'swanctl.conf', NO_FILES);
  return lintConfig(config, settings);
}

/** The only finding. */
function only(parts: Parts): LintFinding {
  const [finding, ...others] = lint(parts);
  assert.ok(finding, 'nothing was found');
  assert.deepEqual(others, []);
  return finding;
}

function rules(parts: Parts): readonly string[] {
  return lint(parts).map(({ rule }) => rule);
}

describe('Lint', () => {
  it('has nothing to say about defaults', () => {
    assert.deepEqual(lint({}), []);
  });

  it('names line, rule, what happens and what to write instead', () => {
    assert.deepEqual(only({ connection: 'rekey_time = 0' }), {
      kind: 'warning',
      rule: 'never-rekeyed',
      at: { file: 'swanctl.conf', line: 3 },
      what: 'connections.peer.rekey_time: the IKE SA is never replaced: one key protects everything it ever carries',
      instead: 'write rekey_time = 4h',
    });
  });

  it('names the section where the key is not written', () => {
    const finding = only({ child: 'start_action = trap' });
    assert.equal(finding.rule, 'dpd-off');
    assert.equal(finding.at.line, 1);
    assert.match(finding.what, /^connections\.peer\.dpd_delay: child net/);
  });

  it('finds things line by line', () => {
    const lines = lint({
      connection: 'dpd_delay = 0\nrekey_time = 0',
      child: 'start_action = start\nrekey_time = 0\nlife_time = 1h',
    }).map(({ at }) => at.line);
    assert.deepEqual(
      lines,
      [...lines].sort((a, b) => a - b),
    );
    assert.ok(lines.length > 3);
  });
});

describe('Lint of lifetimes', () => {
  it('finds lives that end and are not replaced, in each unit', () => {
    for (const [unit, life] of [
      ['time', '1h'],
      ['bytes', '1000'],
      ['packets', '1000'],
    ]) {
      const finding = only({ child: `rekey_${unit} = 0\nlife_${unit} = ${life}` });
      assert.equal(finding.rule, 'lifetime-without-rekey');
      const rekey = life === '1h' ? 3240 : 900;
      assert.equal(finding.instead, `write rekey_${unit} = ${rekey}, or remove life_${unit}`);
    }
  });

  it('finds Child SAs that are never replaced, unless by volume', () => {
    assert.deepEqual(rules({ child: 'rekey_time = 0' }), ['never-rekeyed']);
    assert.deepEqual(rules({ child: 'rekey_time = 0\nrekey_bytes = 500m' }), []);
    assert.deepEqual(rules({ child: 'mode = pass\nrekey_time = 0' }), []);
  });

  it('finds too little time between replacement and end', () => {
    assert.deepEqual(rules({ child: 'rekey_time = 60m\nlife_time = 3610' }), ['short-margin']);
    assert.deepEqual(rules({ child: 'rekey_time = 10s\nlife_time = 12s' }), []);
    assert.deepEqual(rules({ connection: 'over_time = 5s' }), ['short-margin']);
    assert.deepEqual(rules({ child: 'rekey_time = 1h\nrand_time = 2h' }), ['random-beyond-rekey']);
  });

  it('tells what reauthentication beside rekeying means', () => {
    const both = only({ connection: 'rekey_time = 1h\nreauth_time = 3h' });
    assert.equal(both.kind, 'note');
    assert.equal(both.rule, 'rekey-and-reauth');
    const never = only({ connection: 'rekey_time = 3h\nreauth_time = 1h' });
    assert.equal(never.rule, 'rekey-behind-reauth');
    assert.deepEqual(rules({ connection: 'reauth_time = 3h' }), []);
  });
});

describe('Lint of peers', () => {
  it('finds an identity that no secret carries', () => {
    const finding = only({ remote: 'id = c.lab' });
    assert.equal(finding.rule, 'no-secret');
    assert.match(finding.what, /^connections\.peer\.remote\.id: no secret belongs to c\.lab$/);
    assert.match(finding.instead, /^write id-1 = c\.lab/);
  });

  it('accepts a secret for all, patterns, and secrets of another file', () => {
    const secret = 'secret = 0123456789abcdef\n';
    assert.deepEqual(rules({ remote: 'id = c.lab', secrets: `secrets { ike { ${secret} } }` }), []);
    assert.deepEqual(rules({ remote: 'id = c.lab', secrets: '' }), []);
    assert.deepEqual(rules({ remote: 'id = *@lab' }), []);
    const pattern = `secrets { ike { id = *.lab\n${secret} } }`;
    assert.deepEqual(rules({ remote: 'id = c.lab', secrets: pattern }), []);
  });

  it('finds short secrets and never shows them', () => {
    const finding = only({ secrets: 'secrets { ike { secret = hunter2\n } }' });
    assert.equal(finding.rule, 'short-secret');
    assert.match(finding.what, /^secrets\.ike\.secret: 7 octets/);
    assert.doesNotMatch(`${finding.what}${finding.instead}`, /hunter2/);
  });

  it('finds what is started and not kept', () => {
    const start = 'start_action = start';
    assert.deepEqual(rules({ child: start }), ['dpd-off', 'not-restarted', 'not-reopened']);
    const restart = `${start}\ndpd_action = restart\nclose_action = start`;
    assert.deepEqual(rules({ connection: 'dpd_delay = 30s', child: restart }), []);
  });

  it('finds doors that are open to anyone with the secret', () => {
    const open = rules({ connection: 'remote_addrs = %any', remote: 'id = %any' });
    assert.deepEqual(open, ['any-peer']);
    assert.deepEqual(rules({ connection: 'remote_addrs = %any' }), []);
  });
});

describe('Lint of proposals and traffic', () => {
  it('finds algorithms that RFC 8221 and RFC 8247 advise against', () => {
    const sha1 = only({ connection: 'proposals = aes256-sha1-modp2048' });
    assert.equal(sha1.rule, 'discouraged');
    assert.match(sha1.what, /^connections\.peer\.proposals: sha1: SHA-1 .*RFC 8247/);
    assert.equal(sha1.instead, 'write sha256');
    assert.deepEqual(rules({ child: 'esp_proposals = aes128gcm8' }), ['discouraged']);
    assert.deepEqual(rules({ child: 'esp_proposals = aes128gcm16, aes256-sha256' }), []);
  });

  it('finds a weak proposal before a strong one', () => {
    const proposals = (list: string) => rules({ connection: `proposals = ${list}` });
    const [weak, strong] = ['aes256-sha1-modp2048', 'aes256-sha256-x25519'];
    assert.deepEqual(proposals(`${weak}, ${strong}`), ['discouraged', 'weak-first']);
    assert.deepEqual(proposals(`${strong}, ${weak}`), ['discouraged']);
  });

  it('notes what PFS means, where every proposal has it', () => {
    const finding = only({ child: 'esp_proposals = aes256gcm16-x25519' });
    assert.deepEqual([finding.kind, finding.rule, finding.instead], ['note', 'pfs', '']);
    assert.deepEqual(rules({ child: 'esp_proposals = aes256gcm16-x25519, aes256gcm16' }), []);
  });

  it('finds children that take the same packets', () => {
    const one = 'local_ts = 10.1.0.0/16\nremote_ts = 10.2.0.0/16';
    const other = (lines: string) => rules({ child: one, more: `two {\n${lines}\n}` });
    assert.deepEqual(other('local_ts = 10.1.7.0/24\nremote_ts = 10.2.0.0/15'), ['overlap']);
    assert.deepEqual(other('local_ts = 10.1.7.0/24\nremote_ts = 10.4.0.0/16'), []);
    assert.deepEqual(other(`${one}[tcp/80]\npriority = 5`), []);
    assert.deepEqual(other(`${one}\nmode = pass`), [], 'a shunt is an exception on purpose');
    assert.deepEqual(other(`local_ts = 10.1.0.0/16[tcp]\nremote_ts = 10.2.0.0/16[udp]`), []);
    const finding = only({ child: one, more: `two {\n${one}\n}` });
    assert.match(finding.what, /peer\/net and peer\/two both take 10\.1\.0\.0\/16 === 10\.2/);
  });

  it('finds full tunnels without name servers', () => {
    const rw = (pool: string, localTs: string) =>
      rules({
        connection: 'pools = rw\nunique = replace',
        child: `local_ts = ${localTs}`,
        top: `pools { rw { addrs = 10.3.0.0/24\n${pool}\n } }`,
      });
    assert.deepEqual(rw('', '0.0.0.0/0'), ['no-dns']);
    assert.deepEqual(rw('', '::/0'), ['no-dns']);
    assert.deepEqual(rw('dns = 10.1.0.53', '0.0.0.0/0'), []);
    assert.deepEqual(rw('', '10.1.0.0/16'), []);
    assert.deepEqual(rules({ child: 'local_ts = 0.0.0.0/0' }), [], 'a site, no client');
  });

  it('finds modes for two hosts that are asked for more (RFC 7296 §1.3.1)', () => {
    const host = 'local_ts = 10.1.0.1/32\nremote_ts = 10.2.0.1/32';
    for (const mode of ['transport', 'beet']) {
      assert.deepEqual(rules({ child: `mode = ${mode}` }), []);
      assert.deepEqual(rules({ child: `mode = ${mode}\n${host}` }), []);
      assert.deepEqual(rules({ child: `mode = ${mode}\nlocal_ts = 10.1.0.0/16` }), [
        'mode-needs-hosts',
      ]);
    }
    const vips = 'vips = 0.0.0.0';
    const finding = only({ connection: vips, child: 'mode = transport' });
    assert.deepEqual([finding.rule, finding.instead], ['mode-needs-hosts', 'write mode = tunnel']);
    assert.deepEqual(rules({ connection: vips, child: 'mode = beet' }), []);
  });

  it('notes a pool that nobody uses', () => {
    const top = 'pools { rw { addrs = 10.3.0.0/24\n } }';
    assert.deepEqual(rules({ top }), ['unused-pool']);
  });
});
