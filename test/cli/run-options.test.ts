import assert from 'node:assert/strict';
import { parseRunOptions } from '../../src/cli/run-options.ts';

describe('The options of tsgw run', () => {
  it('have defaults', () => {
    assert.deepEqual(parseRunOptions([], {}), {
      kind: 'run',
      config: '/etc/tsgw/tsgw.conf',
      vici: 'unix:///run/tsgw.vici',
      logLevel: 'notice',
      jsonLog: false,
    });
  });

  it('are all read', () => {
    const argv = [
      ...['--config', 'a.conf', '--vici', 'tcp://[::1]:4502', '--keylog=keys'],
      ...['--log-level', 'trace', '--json-log'],
    ];
    assert.deepEqual(parseRunOptions(argv, { TSGW_URI: 'unix:///elsewhere' }), {
      kind: 'run',
      config: 'a.conf',
      vici: 'tcp://[::1]:4502',
      keylog: 'keys',
      logLevel: 'trace',
      jsonLog: true,
    });
  });

  it('take the address from the environment', () => {
    const options = parseRunOptions([], { TSGW_URI: 'unix:///elsewhere' });
    assert(options.kind === 'run');
    assert.equal(options.vici, 'unix:///elsewhere');
  });

  it('that are wrong are said', () => {
    for (const argv of [
      ['--log-level', 'loud'],
      ['--dance'],
      ['file'],
      ['--vici', 'x'],
      ['--config'],
    ]) {
      assert.equal(parseRunOptions(argv, {}).kind, 'usage', argv.join(' '));
    }
    assert.equal(parseRunOptions(['-h'], {}).kind, 'help');
  });
});
