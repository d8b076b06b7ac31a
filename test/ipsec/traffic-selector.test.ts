import assert from 'node:assert/strict';
import { formatSelectorTemplate, resolveSelector } from '../../src/ipsec/connection.ts';
import {
  ANY_PORTS,
  formatSelector,
  hostSelector,
  intersectSelectors,
  narrow,
  OPAQUE_PORTS,
  selectorContains,
  type TrafficSelector,
} from '../../src/ipsec/traffic-selector.ts';
import { parseAddress, parsePrefix, prefixRange } from '../../src/wire/address.ts';

function selector(
  where: string,
  protocol = 0,
  startPort: number = ANY_PORTS.startPort,
  endPort: number = startPort === 0 ? ANY_PORTS.endPort : startPort,
): TrafficSelector {
  const [from = '', to] = where.split('-');
  const prefix = parsePrefix(from);
  const last = to === undefined ? undefined : parseAddress(to);
  assert.ok(prefix !== undefined);
  const range = last === undefined ? prefixRange(prefix) : { first: prefix.address, last };
  return { range, protocol, startPort, endPort };
}

const opaque = (where: string): TrafficSelector => ({ ...selector(where), ...OPAQUE_PORTS });
const names = (selectors: readonly TrafficSelector[]): readonly string[] =>
  selectors.map(formatSelector);

describe('Selector text (as strongSwan 5.9.8 prints it, ports as numbers)', () => {
  const cases: readonly (readonly [TrafficSelector, string])[] = [
    [selector('10.1.0.0/16'), '10.1.0.0/16'],
    [selector('10.0.0.1'), '10.0.0.1/32'],
    [selector('0.0.0.0/0'), '0.0.0.0/0'],
    [selector('10.0.0.1-10.0.0.9'), '10.0.0.1..10.0.0.9'],
    [selector('10.0.0.0-10.0.0.255'), '10.0.0.0/24'],
    [selector('fd00::1-fd00::5', 58), 'fd00::1..fd00::5[ipv6-icmp]'],
    [selector('10.1.0.0/16', 6, 22), '10.1.0.0/16[tcp/22]'],
    [selector('10.0.0.1', 17), '10.0.0.1/32[udp]'],
    [selector('10.0.0.1', 0, 53), '10.0.0.1/32[0/53]'],
    [selector('10.0.0.1', 253), '10.0.0.1/32[253]'],
    [selector('10.0.0.1', 6, 1000, 2000), '10.0.0.1/32[tcp/1000-2000]'],
    [selector('10.0.0.1', 6, 0, 0), '10.0.0.1/32[tcp/0]'],
    [selector('10.0.0.1', 1, 8 * 256), '10.0.0.1/32[icmp/8]'],
    [selector('10.0.0.1', 1, 8 * 256 + 1), '10.0.0.1/32[icmp/8(1)]'],
    [selector('10.0.0.1', 1, 2048, 2050), '10.0.0.1/32[icmp/8-8(2)]'],
    [selector('fd00::/64', 58, 128 * 256), 'fd00::/64[ipv6-icmp/128]'],
    [{ ...selector('10.0.0.1', 6), ...OPAQUE_PORTS }, '10.0.0.1/32[tcp/OPAQUE]'],
    [opaque('10.0.0.1'), '10.0.0.1/32[0/OPAQUE]'],
  ];
  for (const [value, text] of cases) {
    it(text, () => assert.equal(formatSelector(value), text));
  }

  it('dynamic selectors keep their ports when an address replaces them', () => {
    const address = parseAddress('192.0.2.7');
    assert.ok(address !== undefined);
    const template = { kind: 'dynamic', protocol: 6, startPort: 22, endPort: 22 } as const;
    assert.equal(formatSelectorTemplate(template), 'dynamic[tcp/22]');
    assert.equal(formatSelectorTemplate({ ...template, protocol: 0, ...ANY_PORTS }), 'dynamic');
    assert.equal(formatSelector(resolveSelector(template, address)), '192.0.2.7/32[tcp/22]');
    const fixed = { kind: 'fixed', selector: selector('10.0.0.0/8') } as const;
    assert.equal(formatSelectorTemplate(fixed), '10.0.0.0/8');
    assert.equal(resolveSelector(fixed, address), fixed.selector);
    assert.equal(formatSelector(hostSelector(address)), '192.0.2.7/32');
  });
});

describe('Narrowing (RFC 7296 §2.9)', () => {
  it('takes what both sides have', () => {
    const both = intersectSelectors(selector('10.1.0.0/16', 0, 53), selector('10.0.0.0/8', 17));
    assert.equal(both && formatSelector(both), '10.1.0.0/16[udp/53]');
    assert.equal(intersectSelectors(selector('10.1.0.0/16'), selector('10.2.0.0/16')), undefined);
    assert.equal(intersectSelectors(selector('0.0.0.0/0'), selector('::/0')), undefined);
    assert.equal(intersectSelectors(selector('10.0.0.1', 6), selector('10.0.0.1', 17)), undefined);
  });

  it('gives the subset of the offer that the policy allows, in the order of the offer', () => {
    const policy = [selector('10.1.0.0/16'), selector('10.2.0.0/16')];
    const offer = [selector('10.2.3.0/24'), selector('10.0.0.0/15'), selector('192.0.2.0/24')];
    assert.deepEqual(names(narrow(policy, offer)), ['10.2.3.0/24', '10.1.0.0/16']);
  });

  it('leaves out selectors that others contain, and repetitions', () => {
    const policy = [selector('10.0.0.0/8')];
    const offer = [selector('10.1.1.1', 6, 80), selector('10.1.0.0/16'), selector('10.1.0.0/16')];
    assert.deepEqual(names(narrow(policy, offer)), ['10.1.0.0/16']);
    const again = [selector('10.1.0.0/16'), selector('10.2.0.0/16'), selector('10.1.0.0/16')];
    assert.deepEqual(names(narrow(policy, again)), ['10.1.0.0/16', '10.2.0.0/16']);
  });

  it('leaves nothing of an offer outside the policy', () => {
    assert.deepEqual(narrow([selector('10.0.0.0/8')], [selector('172.16.0.0/12')]), []);
    assert.deepEqual(narrow([], [selector('172.16.0.0/12')]), []);
    const backwards = selector('10.0.0.1', 6, 90, 80);
    assert.deepEqual(narrow([selector('10.0.0.0/8')], [backwards]), []);
  });

  it('answers no more selectors than TSi can hold, whatever offer and policy come to (§3.13)', () => {
    const policy = [selector('10.1.0.0/24'), selector('10.1.1.0/24')];
    const offer = Array.from({ length: 255 }, (_, port) => selector('10.1.0.0/16', 6, port + 1));
    const chosen = narrow(policy, offer);
    assert.equal(chosen.length, 255);
    assert.ok(chosen.every((one) => policy.some((allowed) => selectorContains(allowed, one))));
  });

  it('compares a bounded number of selectors, however many both sides have', () => {
    const policy = Array.from({ length: 64 }, (_, net) => selector(`10.1.${net}.0/24`));
    const ports = Array.from({ length: 255 }, (_, port) => selector('10.1.0.0/16', 6, port + 1));
    // Comparing each of these 16,320 with each other takes minutes.
    assert.equal(narrow(policy, ports).length, 255);
    // Each of 254 hosts is in each of 255 policies: after the first it is nothing new.
    const same = Array.from({ length: 255 }, () => selector('10.1.0.0/16'));
    const hosts = Array.from({ length: 254 }, (_, host) => selector(`10.1.0.${host + 1}`));
    const found = narrow(same, hosts);
    assert.deepEqual(names(found), names(hosts.slice(0, found.length)));
  });

  it('knows OPAQUE as a part of ANY and of nothing else (RFC 4301 §4.4.1.1)', () => {
    const any = selector('10.0.0.1');
    const port = selector('10.0.0.1', 0, 80);
    assert.deepEqual(intersectSelectors(any, opaque('10.0.0.1')), opaque('10.0.0.1'));
    assert.deepEqual(
      intersectSelectors(opaque('10.0.0.1'), opaque('10.0.0.1')),
      opaque('10.0.0.1'),
    );
    assert.equal(intersectSelectors(port, opaque('10.0.0.1')), undefined);
    assert.ok(selectorContains(any, opaque('10.0.0.1')));
    assert.ok(!selectorContains(opaque('10.0.0.1'), any));
    assert.ok(!selectorContains(selector('10.0.0.1', 0, 1, 65_535), opaque('10.0.0.1')));
  });
});
