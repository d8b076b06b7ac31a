import assert from 'node:assert/strict';
import {
  compare,
  nearest,
  nearestFew,
  packetEnds,
  pairFits,
} from '../../src/ipsec/policy-trace.ts';
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
      compare({ local, remote }, packetEnds(flow(traffic), 'out')).misses;
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
    assert.deepEqual(compare({ local, remote }, packetEnds(flow('udp/53'), 'out')).misses, [
      'protocol',
    ]);
  });

  it('turns the ends round for what comes in', () => {
    assert.deepEqual(
      compare({ local: REMOTE, remote: LOCAL }, packetEnds(flow('tcp/443'), 'in')).misses,
      [],
    );
    assert.deepEqual(
      compare({ local: LOCAL, remote: REMOTE }, packetEnds(flow('tcp/443'), 'in')).misses,
      ['remote address', 'local address'],
    );
  });

  it('names the type of ICMP, which stands for both ports', () => {
    const [local, remote] = [selector('10.1.0.0/16', 1, 0x800), selector('10.2.0.0/16', 1, 0x800)];
    assert.deepEqual(compare({ local, remote }, packetEnds(flow('icmp/13'), 'out')).misses, [
      'ICMP type',
    ]);
    assert.ok(pairFits({ local, remote }, packetEnds(flow('icmp/8'), 'out')));
    assert.ok(!pairFits({ local, remote }, packetEnds(flow('icmp/8'), 'in')));
  });

  it('is least for a port, more for an address, the more the further that is', () => {
    const local = LOCAL;
    const passed = [
      { name: 'both', local: selector('10.5.0.0/16'), remote: selector('10.7.0.0/16') },
      { name: 'far', local, remote: selector('192.0.2.0/24') },
      { name: 'near', local, remote: selector('10.2.1.0/24') },
      { name: 'protocol', local, remote: selector('10.2.0.0/16', 17) },
      {
        name: 'ports',
        local: selector('10.1.0.0/16', 6, 22),
        remote: selector('10.2.0.0/16', 6, 22),
      },
      { name: 'port', local, remote: selector('10.2.0.0/16', 6, 22) },
      { name: 'later', local, remote: selector('10.2.0.0/16', 6, 23) },
    ].map((pair) => compare(pair, packetEnds(flow('tcp/443'), 'out')));
    const names = (few: readonly { readonly pair: { readonly name: string } }[]) =>
      few.map(({ pair }) => pair.name);
    assert.equal(nearest(passed)?.pair.name, 'port');
    assert.equal(nearest([]), undefined);
    assert.deepEqual(names(nearestFew(passed, 3)), ['ports', 'port', 'later']);
    assert.deepEqual(names(nearestFew(passed, 5)), ['near', 'protocol', 'ports', 'port', 'later']);
    assert.equal(names(nearestFew(passed, 6))[0], 'far');
    assert.equal(nearestFew(passed, 7), passed);
    // The remote address of 10.2.1.0/24 is 9 bits away: 10.2.0.0/23 would cover it.
    assert.equal(passed[2]?.distance, 4009);
  });
});
