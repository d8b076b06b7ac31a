import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { daemonIdentity, packageVersion } from '../../src/io/system.ts';

describe('Who we are', () => {
  it('is the version of the package', () => {
    assert.equal(packageVersion(), JSON.parse(readFileSync('package.json', 'utf8')).version);
    assert.equal(daemonIdentity().version, packageVersion());
  });

  it('is the machine as uname says it', () => {
    const { sysname, release, machine } = daemonIdentity();
    const uname = execFileSync('uname', ['-srm'], { encoding: 'utf8' });
    assert.equal(`${sysname} ${release} ${machine}\n`, uname);
  });

  it('is since when, as charon prints it', () => {
    const before = Math.floor(Date.now() / 1000) * 1000;
    const { since } = daemonIdentity();
    assert.match(since, /^[A-Z][a-z]{2} \d{2} \d{2}:\d{2}:\d{2} \d{4}$/);
    const started = new Date(since).getTime();
    assert.ok(started >= before && started <= Date.now(), since);
  });
});
