import assert from 'node:assert/strict';
import {
  FloodingWatch,
  type FloodingWord,
  RETEST_MILLISECONDS,
} from '../../../src/gateway/cluster/flooding-watch.ts';
import { instant } from '../../../src/wire/instant.ts';

const NAMES = new Map([1, 2, 3].map((node) => [node, `n${node}`]));
const at = (milliseconds: number) => instant(1_000 + milliseconds);
const device = (name: string) => ({ device: name, hardwareAddresses: ['01:00:5e:00:00:a0'] });

/** Of node 1. */
function watch(...devices: readonly string[]): FloodingWatch {
  return new FloodingWatch(NAMES, devices.map(device));
}

function said(words: readonly FloodingWord[]): readonly string[] {
  return words.map((word) => {
    if (word.kind === 'test') return `test ${word.device} ${word.members.join()}`;
    if (word.kind === 'tell') return `tell ${word.to} ${word.device} ${word.heard}`;
    return `${word.level} ${word.what.slice(0, 61)}`;
  });
}

describe('Whether frames reach all members', () => {
  it('is tested when a node joins, and on every device', () => {
    const one = watch('wan', 'lan');
    assert.deepEqual(said(one.members(new Set())), []);
    assert.deepEqual(said(one.members(new Set([3, 2]))), ['test wan 2,3', 'test lan 2,3']);
    assert.deepEqual(said(one.members(new Set([3]))), [], 'one that leaves needs no test');
    assert.equal(said(one.members(new Set([3, 2]))).length, 2, 'it may be another port now');
  });

  it('is not known beside others before the first test has ended, and of no matter alone', () => {
    const one = watch('wan', 'lan');
    assert.equal(one.refuses, false);
    one.members(new Set([2]));
    assert.equal(one.refuses, true);
    one.tested('wan', [], at(0));
    assert.equal(one.refuses, true);
    one.tested('lan', [], at(0));
    assert.equal(one.refuses, false);
  });

  it('is said to each member, and to the operator where one is deaf, by name and once', () => {
    const one = watch('wan');
    one.members(new Set([2, 3]));
    assert.deepEqual(said(one.tested('wan', [3], at(0))), [
      'tell 2 wan true',
      'tell 3 wan false',
      'error device wan: frames to 01:00:5e:00:00:a0 do not reach node n3:',
    ]);
    assert.deepEqual(said(one.tested('wan', [3], at(1))).slice(2), []);
    assert.deepEqual(said(one.tested('wan', [], at(2))).slice(2), [
      'notice device wan: frames to 01:00:5e:00:00:a0 reach node n3 now',
    ]);
    assert.deepEqual(one.result('wan'), { tested: true, deaf: [], hearsNobody: false });
  });

  it('is tested again while one is deaf', () => {
    const one = watch('wan');
    one.members(new Set([2]));
    one.tested('wan', [2], at(0));
    assert.equal(one.nextDeadline(), at(RETEST_MILLISECONDS));
    assert.deepEqual(said(one.due(at(RETEST_MILLISECONDS - 1))), []);
    assert.deepEqual(said(one.due(at(RETEST_MILLISECONDS))), ['test wan 2']);
    assert.equal(one.nextDeadline(), undefined);
    one.tested('wan', [], at(RETEST_MILLISECONDS));
    assert.equal(one.nextDeadline(), undefined);
  });

  it('keeps a node from serving that hears nobody, with what helps', () => {
    const one = watch('wan');
    one.members(new Set([2, 3]));
    one.tested('wan', [], at(0));
    const [word] = one.verdict(2, 'wan', false);
    assert.ok(word?.kind === 'say' && word.level === 'error');
    assert.match(
      word.what,
      /refused.*this node.*mcast_snooping 0.*querier.*mcast_router 2.*forward/,
    );
    assert.deepEqual([one.refuses, one.isDeafOn('wan')], [true, true]);
    assert.deepEqual(said(one.verdict(3, 'wan', true)), [
      'notice device wan: frames to 01:00:5e:00:00:a0 reach this node again',
    ]);
    assert.equal(one.refuses, false);
    assert.deepEqual(one.verdict(2, 'wan', false), [], 'it hears node 3: what fails is of node 2');
  });

  it('forgets what nodes said that are gone', () => {
    const one = watch('wan');
    one.members(new Set([2]));
    one.tested('wan', [2], at(0));
    one.verdict(2, 'wan', false);
    assert.equal(one.refuses, true);
    const words = one.members(new Set());
    assert.match(said(words).join(), /reach this node again/);
    assert.deepEqual([one.refuses, one.result('wan')?.deaf], [false, []]);
    assert.deepEqual(one.verdict(2, 'wan', false), [], 'nor believes it afterwards');
    assert.deepEqual(one.verdict(3, 'other', false), []);
  });
});
