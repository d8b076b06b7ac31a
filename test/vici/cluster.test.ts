import assert from 'node:assert/strict';
import type { ViciContent, ViciSection } from '../../src/vici/message.ts';
import {
  decodeViciMessage,
  encodeViciMessage,
  viciSection,
  viciText,
} from '../../src/vici/message.ts';
import { FakeCluster } from '../support/fake-cluster.ts';
import { TestServer } from '../support/vici-server.ts';

describe('The cluster over vici', () => {
  let test: TestServer;
  let cluster: FakeCluster;

  beforeEach(async () => {
    test = await TestServer.start();
    cluster = new FakeCluster();
    test.control.clusterControl = cluster;
  });

  afterEach(() => test.stop());

  async function ordered(
    ...pairs: readonly (readonly [string, ViciContent])[]
  ): Promise<ViciSection> {
    const client = await test.client();
    return client.request('tsgw-cluster-order', viciSection(pairs));
  }

  async function refusal(...pairs: readonly (readonly [string, ViciContent])[]): Promise<string> {
    const answer = await ordered(...pairs);
    assert.equal(viciText(answer, 'success'), 'no');
    assert.deepEqual(cluster.orders, []);
    return viciText(answer, 'errmsg') ?? '';
  }

  it('its status is one message that encodes', async () => {
    const client = await test.client();
    const answer = await client.request('tsgw-cluster-status');
    assert.equal(viciText(answer, 'success'), 'yes');
    assert.deepEqual(decodeViciMessage(encodeViciMessage(answer)), answer);
  });

  it('segments are rows, one each', async () => {
    const client = await test.client();
    const rows = await client.list('tsgw-cluster-segments', 'tsgw-cluster-segment');
    assert.equal(rows.length, 8);
    assert.deepEqual(
      rows[7],
      viciSection([
        ['segment', 7],
        ['here', false],
        ['epoch', 17],
        ['ike-sas', 7],
        ['child-sas', 14],
      ]),
    );
  });

  it('orders arrive as they were meant', async () => {
    await ordered(['order', 'take'], ['segments', ['1-2', '5']]);
    await ordered(['order', 'give'], ['segments', ['all']], ['node', 'b']);
    await ordered(['order', 'rekey'], ['segments', ['7']]);
    await ordered(['order', 'demote'], ['amount', 50]);
    await ordered(['order', 'declare-dead'], ['node', 'c']);
    await ordered(
      ['order', 'simulate-failure'],
      ['failure', 'stop'],
      ['milliseconds', 60_000],
      ['confirmed', true],
    );
    for (const kind of ['drain', 'undrain', 'unpin', 'resync', 'rotate-key', 'probe']) {
      assert.equal(viciText(await ordered(['order', kind]), 'what'), `${kind}: done`);
    }
    assert.deepEqual(cluster.orders, [
      { kind: 'take', segments: [1, 2, 5] },
      { kind: 'give', segments: [0, 1, 2, 3, 4, 5, 6, 7], node: 'b' },
      { kind: 'rekey', segments: [7] },
      { kind: 'demote', amount: 50 },
      { kind: 'declare-dead', node: 'c' },
      { kind: 'simulate-failure', failure: 'stop', milliseconds: 60_000 },
      { kind: 'drain' },
      { kind: 'undrain' },
      { kind: 'unpin' },
      { kind: 'resync' },
      { kind: 'rotate-key' },
      { kind: 'probe' },
    ]);
  });

  it('what cannot be meant is refused with what could', async () => {
    assert.match(await refusal(['order', 'fly']), /^order fly: it is one of take, give, /);
    assert.match(await refusal(), /^order missing: /);
    assert.match(await refusal(['order', 'take']), /^segments: write which/);
    assert.match(await refusal(['order', 'take'], ['segments', ['8']]), /^segment 8: there are 8/);
    const give = [
      ['order', 'give'],
      ['segments', ['1']],
    ] as const;
    assert.equal(await refusal(...give, ['node', 'd']), 'there is no node d: the others are b, c');
    assert.equal(await refusal(...give, ['node', 'a']), 'a is this node: the others are b, c');
    assert.match(await refusal(['order', 'declare-dead']), /^there is no node /);
    assert.equal(await refusal(['order', 'demote'], ['amount', 241]), 'amount: write 0 to 240');
    assert.equal(await refusal(['order', 'demote'], ['amount', -1]), 'amount: write 0 to 240');
    const fail = ['order', 'simulate-failure'] as const;
    assert.match(
      await refusal(fail, ['failure', 'fire']),
      /^failure fire: it is one of stop, crash/,
    );
    assert.match(await refusal(fail, ['failure', 'crash']), /confirm it$/);
    const long = [
      ['failure', 'stop'],
      ['confirmed', true],
      ['milliseconds', 600_001],
    ] as const;
    assert.match(await refusal(fail, ...long), /^milliseconds 600001: write up to 600000/);
  });

  it('an order that fails says why', async () => {
    cluster.outcome = async () => ({ kind: 'failed', what: 'b has nothing' });
    const answer = await ordered(['order', 'take'], ['segments', ['5']]);
    assert.equal(viciText(answer, 'errmsg'), 'b has nothing');
    assert.equal(viciText(answer, 'tsgw-outcome'), 'failed');
  });

  it('an order that takes too long goes on, and says what holds it up', async () => {
    cluster.outcome = () => new Promise(() => {});
    const answer = await ordered(['order', 'drain'], ['timeout', 5]);
    assert.equal(viciText(answer, 'tsgw-outcome'), 'timeout');
    assert.equal(
      viciText(answer, 'errmsg'),
      '4 segments are still here after 0.0 s; c is unheard: the node goes on draining, undrain ends it',
    );
    assert.equal(cluster.orders.length, 1);
  });

  it('without a cluster says so', async () => {
    test.control.clusterControl = undefined;
    const client = await test.client();
    const answer = await client.request('tsgw-cluster-status');
    assert.match(viciText(answer, 'errmsg') ?? '', /no node of a cluster/);
    assert.match(
      viciText(await ordered(['order', 'drain']), 'errmsg') ?? '',
      /no node of a cluster/,
    );
    assert.deepEqual(await client.list('tsgw-cluster-segments', 'tsgw-cluster-segment'), []);
  });
});
