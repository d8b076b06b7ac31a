/** What scripts write to charon's FIFO. */
import assert from 'node:assert/strict';
import { parseHaCommands } from '../../../src/cluster/charon-ha/fifo-command.ts';

describe('Commands of the FIFO charon.ha', () => {
  it('take, drop and resync a segment', () => {
    assert.deepEqual(parseHaCommands('+1\n-16\n*3\n', 16), {
      commands: [
        { kind: 'take', segment: 1 },
        { kind: 'drop', segment: 16 },
        { kind: 'resync', segment: 3 },
      ],
      refused: [],
    });
  });

  it('may come without a line end, with blanks around, and several at once', () => {
    assert.deepEqual(parseHaCommands('  + 2 \r\n\n-1', 2).commands, [
      { kind: 'take', segment: 2 },
      { kind: 'drop', segment: 1 },
    ]);
    assert.deepEqual(parseHaCommands('', 2), { commands: [], refused: [] });
  });

  for (const line of ['+0', '+3', '1', '+', '+1x', '-1 2', '++1', '#1', '+-1', '+999999', '+1.5']) {
    it(`are not: ${line}`, () => {
      assert.deepEqual(parseHaCommands(`${line}\n+1\n`, 2), {
        commands: [{ kind: 'take', segment: 1 }],
        refused: [line],
      });
    });
  }

  it('that are long are answered short', () => {
    assert.deepEqual(parseHaCommands('x'.repeat(100), 2).refused, ['x'.repeat(32)]);
  });
});
