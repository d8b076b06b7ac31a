import assert from 'node:assert/strict';
import { parseViciUri } from '../../src/vici/uri.ts';

describe('A vici address', () => {
  it('is a unix socket or a TCP port', () => {
    assert.deepEqual(parseViciUri('unix:///run/tsgw.vici'), {
      kind: 'unix',
      path: '/run/tsgw.vici',
    });
    assert.deepEqual(parseViciUri('tcp://127.0.0.1:4502'), {
      kind: 'tcp',
      host: '127.0.0.1',
      port: 4502,
    });
    assert.deepEqual(parseViciUri('tcp://[::1]:4502'), { kind: 'tcp', host: '::1', port: 4502 });
  });

  it('says what to write instead of anything else', () => {
    for (const text of ['', '/run/tsgw.vici', 'unix://', 'tcp://host', 'tcp://host:65536']) {
      assert.match(String(parseViciUri(text)), /unix:\/\/\/PATH or tcp:\/\/HOST:PORT/, text);
    }
    assert.match(String(parseViciUri(`unix:///${'a'.repeat(108)}`)), /at most 107 octets/);
    assert.match(String(parseViciUri('unix:///a\0b')), /zero octet/);
  });
});
