import assert from 'node:assert/strict';
import { distance, nearest, nearestFew, pairMisses } from '../../src/ipsec/policy-trace.ts';
import { ANY_PORTS, type TrafficSelector } from '../../src/ipsec/traffic-selector.ts';
import { parseTraceQuestion } from '../../src/vici/trace-question.ts';
import { parsePrefix, prefixRange } from '../../src/wire/address.ts';
import type { Flow } from '../../src/wire/flow.ts';

function selector(text: string, protocol = 0, port?: number): TrafficSelector {
  const prefix = parsePrefix(text);
  assert.ok(prefix);
  const ports = port === undefined ? ANY_PORTS : { startPort: port, endPort: port };
  return { range: prefixRange(prefix), protocol, ...ports };
}

function flow(traffic: string): Flow {
  const packet = { source: '10.1.0.5', destination: '10.2.0.9', sourcePort: undefined };
  const words = { ...packet, traffic, dontFragment: false, inbound: false };
  const question = parseTraceQuestion(words);
  if (typeof question === 'string') assert.fail(question);
  return question.flow;
}

const LOCAL = selector('10.1.0.0/16');
const REMOTE = selector('10.2.0.0/16');

describe('Why a policy is passed by (RFC 4301 §4.4.1.1)', () => {
  it('names what does not fit, at either end', () => {
    const misses = (local: TrafficSelector, remote: TrafficSelector, traffic = 'tcp/443') =>
      pairMisses(local, remote, flow(traffic), 'out');
    assert.deepEqual(misses(LOCAL, REMOTE), []);
    assert.deepEqual(misses(LOCAL, selector('10.3.0.0/16')), ['remote address']);
    assert.deepEqual(misses(selector('2001:db8::/32'), REMOTE), ['local address']);
    assert.deepEqual(misses(selector('10.1.0.0/16', 6, 22), REMOTE), ['local port']);
    assert.deepEqual(misses(LOCAL, selector('10.2.0.0/24', 6, 80)), ['remote port']);
    assert.deepEqual(misses(LOCAL, selector('10.2.0.0/24', 6, 443), 'any'), ['protocol']);
    assert.deepEqual(misses(LOCAL, selector('10.2.0.0/24', 6, 443), 'tcp'), ['remote port']);
    assert.deepEqual(misses(LOCAL, selector('10.2.0.0/24', 0, 443), '47'), ['remote port']);
  });

  it('names the protocol once, and no port of another protocol', () => {
    const [local, remote] = [selector('10.1.0.0/16', 6, 22), selector('10.2.0.0/16', 6, 80)];
    assert.deepEqual(pairMisses(local, remote, flow('udp/53'), 'out'), ['protocol']);
  });

  it('turns the ends round for what comes in', () => {
    assert.deepEqual(pairMisses(REMOTE, LOCAL, flow('tcp/443'), 'in'), []);
    assert.deepEqual(pairMisses(LOCAL, REMOTE, flow('tcp/443'), 'in'), [
      'remote address',
      'local address',
    ]);
  });

  it('is least for a port, most for both addresses', () => {
    const passed = [
      { name: 'far', misses: ['remote address', 'local address'] as const },
      { name: 'address', misses: ['local address'] as const },
      { name: 'other', misses: ['protocol'] as const },
      { name: 'ports', misses: ['local port', 'remote port'] as const },
      { name: 'port', misses: ['remote port'] as const },
      { name: 'later', misses: ['local port'] as const },
    ];
    assert.equal(distance(['protocol', 'local address']), 6);
    assert.equal(nearest(passed)?.name, 'port');
    assert.equal(nearest([]), undefined);
    assert.deepEqual(
      nearestFew(passed, 3).map(({ name }) => name),
      ['other', 'port', 'later'],
    );
    assert.equal(nearestFew(passed, 6), passed);
  });
});
