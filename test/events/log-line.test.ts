import assert from 'node:assert/strict';
import fc from 'fast-check';
import { eventLevel, isShown, logLine, logRecord } from '../../src/events/log-line.ts';
import { sampleEvents } from '../support/sample-events.ts';

describe('The log line of an event', () => {
  it('starts with level and kind, then whom it is about, then what happened', () => {
    assert.equal(
      logLine(sampleEvents.childSaDown),
      'notice child-sa-down ike-sa=1 connection=peer local=192.0.2.1[500] peer=192.0.2.2[500] ' +
        'child=net child-sa=1 spi-in=b6583d96 spi-out=55c36b9d reason="deleted by the peer"',
    );
    assert.equal(logLine(sampleEvents.daemon), 'notice daemon what=ready');
    assert.match(logLine(sampleEvents.message), /^trace message .* payloads=SA,KE,No,N\(/);
  });

  it('says each refused transform', () => {
    assert.match(
      logLine(sampleEvents.refused),
      /transforms="ENCR: offered AES_CBC_128 accepted AES_CBC_256\/AES_GCM_16_256,KE: /,
    );
  });

  it('names a failure as monitoring knows it', () => {
    assert.match(
      logLine(sampleEvents.refused),
      / peer=192\.0\.2\.2\[500\] alert=proposal-mismatch-ike by=us /,
    );
    assert.match(logLine(sampleEvents.peerUnreachable), / alert=retransmit-send-timeout /);
    assert.doesNotMatch(logLine(sampleEvents.retransmit), /alert=/);
    assert.equal(logLine(sampleEvents.alert).match(/alert=/g)?.length, 1);
  });

  it('uses one key for one thing in all events', () => {
    for (const event of Object.values(sampleEvents)) {
      assert.doesNotMatch(logLine(event), / [a-z]*[A-Z]\w*=/, event.kind);
    }
  });

  it('is one line of printable characters, whatever a peer sends', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const line = logLine({ ...sampleEvents.ikeSaUp, remoteId: text });
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not pass
        assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
        assert.match(line, / spi-i=d337a0ccf1b1cee2 /);
      }),
      { numRuns: 200 },
    );
  });

  it('as a record keeps numbers and lists', () => {
    assert.deepEqual(logRecord(sampleEvents.retransmit), {
      level: 'debug',
      event: 'retransmit',
      'ike-sa': 1,
      connection: 'peer',
      local: '192.0.2.1[500]',
      peer: '192.0.2.2[500]',
      'message-id': 0,
      attempt: 1,
    });
  });
});

describe('Levels', () => {
  it('a message is a trace, a failed authentication an error, the daemon brings its own', () => {
    assert.equal(eventLevel(sampleEvents.message), 'trace');
    assert.equal(eventLevel(sampleEvents.authenticationFailed), 'error');
    assert.equal(eventLevel({ ...sampleEvents.daemon, level: 'error' }), 'error');
    assert.equal(eventLevel(sampleEvents.refused), 'error');
    assert.equal(eventLevel({ ...sampleEvents.refused, ikeSa: 0 }), 'debug', 'a stranger');
  });

  it('show what is at least as grave as asked for', () => {
    assert.equal(isShown('error', 'notice'), true);
    assert.equal(isShown('notice', 'notice'), true);
    assert.equal(isShown('debug', 'notice'), false);
  });
});
