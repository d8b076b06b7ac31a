/** What the NATS bus decides without a server. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { serverVerdict } from '../../src/io/nats-connection.ts';
import { engineKey, recordKey } from '../../src/io/nats-key.ts';

describe('Versions of nats-server', () => {
  it('that lose streams are refused, those before 2.11 are old', () => {
    const verdicts = [
      '2.9.10',
      '2.10.19',
      '2.10.20',
      '2.10.22',
      '2.10.23',
      '2.11.0',
      '2.12.1-RC.1',
      '3.0.0',
    ];
    assert.deepEqual(verdicts.map(serverVerdict), [
      'old',
      'old',
      'refuse',
      'refuse',
      'old',
      'fine',
      'fine',
      'fine',
    ]);
  });
});

describe('Keys in a bucket', () => {
  it('have only characters the engine takes, and come back as they were', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[\x21-\x7e]{1,256}$/), (key) => {
        assert.match(engineKey(key), /^[-/=_A-Za-z0-9]+$/);
        assert.equal(recordKey(engineKey(key)), key);
      }),
      { seed: 1 },
    );
    assert.equal(recordKey('a=2Fb'), undefined);
    assert.equal(recordKey('a.b'), undefined);
  });
});
