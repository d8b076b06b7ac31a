import assert from 'node:assert/strict';
import { PassedPrefixes, type RoutedPolicy } from '../../src/io/passed-prefixes.ts';
import type { TrafficSelector } from '../../src/ipsec/traffic-selector.ts';
import { formatPrefix, parsePrefix } from '../../src/wire/address.ts';
import { selector } from '../support/child-sas.ts';

const LAN = '192.168.1.0/24';

function policy(
  id: number,
  action: RoutedPolicy['action'],
  local: string,
  remote: string | TrafficSelector,
  priority = 0,
): RoutedPolicy {
  const remoteTs = [typeof remote === 'string' ? selector(remote) : remote];
  return { id, action, localTs: [selector(local)], remoteTs, priority };
}

function passes(passed: PassedPrefixes, text: string): boolean {
  const prefix = parsePrefix(text);
  assert.ok(prefix);
  return passed.has(prefix);
}

describe('Destinations that go around the device', () => {
  it('are those of bypasses', () => {
    const passed = new PassedPrefixes();
    passed.add(policy(1, 'protect', LAN, '0.0.0.0/0'));
    assert.ok(!passes(passed, LAN));
    assert.deepEqual(passed.add(policy(-1, 'bypass', LAN, LAN)).map(formatPrefix), [LAN]);
    assert.ok(passes(passed, LAN) && !passes(passed, '192.168.1.0/25'));
    assert.deepEqual(passed.remove(-1).map(formatPrefix), [LAN]);
    assert.ok(!passes(passed, LAN));
    assert.deepEqual(passed.remove(-1), []);
  });

  it('are every prefix of a range', () => {
    const passed = new PassedPrefixes();
    const { range: first } = selector('10.0.0.1/32');
    const { range: last } = selector('10.0.0.2/32');
    const range = { first: first.first, last: last.last };
    passed.add(policy(-1, 'bypass', '0.0.0.0/0', { ...selector(LAN), range }));
    assert.ok(passes(passed, '10.0.0.1/32') && passes(passed, '10.0.0.2/32'));
  });

  it('have neither protocol nor ports, which no route sees', () => {
    const passed = new PassedPrefixes();
    for (const more of [{ protocol: 17 }, { startPort: 53, endPort: 53 }]) {
      assert.deepEqual(passed.add(policy(-1, 'bypass', LAN, { ...selector(LAN), ...more })), []);
    }
    assert.ok(!passes(passed, LAN));
  });

  it('stay in the device while other sources are protected on the way there', () => {
    for (const action of ['protect', 'trap', 'discard'] as const) {
      const passed = new PassedPrefixes();
      passed.add(policy(-1, 'bypass', LAN, LAN));
      const other = policy(7, action, '10.9.0.0/16', '192.168.0.0/16');
      assert.deepEqual(passed.add(other).map(formatPrefix), [LAN]);
      assert.ok(!passes(passed, LAN), action);
      assert.deepEqual(passed.remove(7).map(formatPrefix), [LAN]);
      assert.ok(passes(passed, LAN));
      passed.add(other);
      passed.remove(-1);
      passed.add(policy(-1, 'bypass', LAN, LAN));
      assert.ok(!passes(passed, LAN), 'whichever came first');
      passed.add(policy(-2, 'bypass', '0.0.0.0/0', LAN));
      assert.ok(passes(passed, LAN), 'a bypass for every source does not mind');
    }
  });

  it('are not in the way of narrower routes, nor of those elsewhere or of the other family', () => {
    const passed = new PassedPrefixes();
    passed.add(policy(-1, 'bypass', LAN, LAN));
    for (const [id, remote] of ['192.168.1.0/25', '10.0.0.0/8', '::/0'].entries()) {
      const local = remote.includes(':') ? '2001:db8::/32' : '10.9.0.0/16';
      assert.deepEqual(passed.add(policy(id, 'protect', local, remote)), []);
    }
    const both = policy(9, 'protect', '2001:db8::/32', LAN);
    passed.add({ ...both, localTs: [...both.localTs, selector('192.168.1.7/32')] });
    assert.ok(passes(passed, LAN));
  });

  it('stay in the device where a policy is stronger than the bypass', () => {
    const passed = new PassedPrefixes();
    passed.add(policy(-1, 'bypass', LAN, LAN));
    passed.add(policy(1, 'protect', LAN, '0.0.0.0/0', 1000));
    assert.ok(!passes(passed, LAN));
    passed.remove(-1);
    passed.add(policy(-1, 'bypass', LAN, LAN, 999));
    assert.ok(passes(passed, LAN));
  });
});
