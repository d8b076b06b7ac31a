/**
 * What a node says and does not say of shared addresses, in the three modes, with the clock in hand.
 */
import assert from 'node:assert/strict';
import { decodeArp, encodeArp } from '../../../src/cluster/virtual-address/arp.ts';
import {
  decodeFrame,
  EtherType,
  encodeFrame,
  formatHardwareAddress,
  type HardwareAddress,
  parseHardwareAddress,
} from '../../../src/cluster/virtual-address/ethernet.ts';
import {
  decodeNeighbourMessage,
  encodeNeighbourMessage,
} from '../../../src/cluster/virtual-address/neighbour-discovery.ts';
import {
  type LinkAction,
  type LinkMode,
  SharedLink,
} from '../../../src/cluster/virtual-address/shared-link.ts';
import { formatAddress, type IpAddress, parseAddress } from '../../../src/wire/address.ts';
import { type Instant, instant } from '../../../src/wire/instant.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const FOREVER = instant(Number.POSITIVE_INFINITY);

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

function hardware(text: string): HardwareAddress {
  const parsed = parseHardwareAddress(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

const REAL = hardware('02:00:00:00:00:01');
const PEER = hardware('02:00:00:00:00:99');
const GROUP_V4 = hardware('01:00:5e:00:00:20');
const GROUP_V6 = hardware('33:33:00:00:00:20');
const VIRTUAL = hardware('00:00:5e:00:01:07');
const OTHER_VIRTUAL = hardware('00:00:5e:00:01:08');
const V4 = address('192.0.2.100');
const V6 = address('2001:db8::64');
const SECOND = address('192.0.2.101');

function link(mode: LinkMode): SharedLink {
  const active = mode === 'active-active';
  const settings = {
    mode,
    node: 1,
    hardwareAddress: REAL,
    own: { ipv4: address('192.0.2.1'), linkLocal: address('fe80::1') },
    shared: [
      { address: V4, hardwareAddress: active ? GROUP_V4 : VIRTUAL },
      { address: V6, hardwareAddress: active ? GROUP_V6 : VIRTUAL },
      { address: SECOND, hardwareAddress: active ? GROUP_V4 : OTHER_VIRTUAL },
    ],
  };
  return new SharedLink(settings, seededRandom(1));
}

const at = (milliseconds: number): Instant => instant(1_000_000 + milliseconds);

function serve(
  one: SharedLink,
  addresses: readonly IpAddress[],
  now = 0,
  until: Instant = FOREVER,
) {
  return one.handle({ kind: 'serve', addresses, until }, at(now));
}

/** `arp reply 192.0.2.100 is 01:... from 02:... to ff:...`, a line for each frame. */
function said(actions: readonly LinkAction[]): readonly string[] {
  return actions.flatMap((action) => {
    if (action.kind !== 'send') return [];
    const { destination, source, type, payload } = decodeFrame(action.frame);
    const ends = `from ${formatHardwareAddress(source)} to ${formatHardwareAddress(destination)}`;
    if (type === EtherType.ARP) {
      const { operation, sender, senderHardware } = decodeArp(payload);
      const what = operation === 1 ? 'request' : 'reply';
      return `arp ${what} ${formatAddress(sender)} is ${formatHardwareAddress(senderHardware)} ${ends}`;
    }
    const message = decodeNeighbourMessage(payload);
    if (message?.kind !== 'advertisement') return `other ${ends}`;
    const { target, hardwareAddress = new Uint8Array(6), router, solicited, override } = message;
    const flags = [router && 'R', solicited && 'S', override && 'O'].filter(Boolean).join('');
    return `na ${flags} ${formatAddress(target)} is ${formatHardwareAddress(hardwareAddress)} ${ends}`;
  });
}

function arpRequest(target: IpAddress, sender = address('192.0.2.9')): Uint8Array {
  const payload = encodeArp({
    operation: 1,
    senderHardware: PEER,
    sender,
    targetHardware: new Uint8Array(6),
    target,
  });
  return encodeFrame({
    destination: hardware('ff:ff:ff:ff:ff:ff'),
    source: PEER,
    type: EtherType.ARP,
    payload,
  });
}

function solicitation(source = 'fe80::99', withHardware = true): Uint8Array {
  const payload = encodeNeighbourMessage({
    kind: 'solicitation',
    source: address(source),
    destination: address('ff02::1:ff00:64'),
    target: V6,
    hardwareAddress: withHardware ? PEER : undefined,
  });
  return encodeFrame({
    destination: hardware('33:33:ff:00:00:64'),
    source: PEER,
    type: EtherType.IPV6,
    payload,
  });
}

const frame = (octets: Uint8Array) => ({ kind: 'frame', octets }) as const;

/** Everything that is due until the time, each at its own. */
function pass(one: SharedLink, until: number): readonly string[] {
  const lines: string[] = [];
  for (
    let next = one.nextDeadline();
    next !== undefined && next <= at(until);
    next = one.nextDeadline()
  ) {
    lines.push(
      ...said(one.handle({ kind: 'timer' }, next)).map((line) => `${next - at(0)}: ${line}`),
    );
  }
  return lines;
}

describe('A shared address, active-active', () => {
  it('is told with the hardware address of the group, from the real one', () => {
    const one = link('active-active');
    serve(one, [V4, V6, SECOND]);
    assert.deepEqual(said(one.handle(frame(arpRequest(V4)), at(10))), [
      'arp reply 192.0.2.100 is 01:00:5e:00:00:20 from 02:00:00:00:00:01 to 02:00:00:00:00:99',
    ]);
    assert.deepEqual(said(one.handle(frame(solicitation()), at(10))), [
      'na RSO 2001:db8::64 is 33:33:00:00:00:20 from 02:00:00:00:00:01 to 02:00:00:00:00:99',
    ]);
    assert.deepEqual(said(one.handle(frame(solicitation('fe80::99', false)), at(10))), [
      'na RSO 2001:db8::64 is 33:33:00:00:00:20 from 02:00:00:00:00:01 to 02:00:00:00:00:99',
    ]);
    assert.deepEqual(one.counts, { answered: 3, announced: 3, malformed: 0 });
  });

  it('is told to all where somebody wants to take it (RFC 4861 §7.2.4)', () => {
    const one = link('active-active');
    serve(one, [V6]);
    assert.deepEqual(said(one.handle(frame(solicitation('::', false)), at(10))), [
      'na RO 2001:db8::64 is 33:33:00:00:00:20 from 02:00:00:00:00:01 to 33:33:00:00:00:01',
    ]);
  });

  it('listens to the group from the start, and where it is asked for', () => {
    const heard = link('active-active')
      .handle({ kind: 'start' }, at(0))
      .map((action) =>
        action.kind === 'listen'
          ? [formatHardwareAddress(action.hardwareAddress), action.on]
          : action,
      );
    assert.deepEqual(heard, [
      ['01:00:5e:00:00:20', true],
      ['33:33:00:00:00:20', true],
      ['33:33:ff:00:00:64', true],
      ['01:00:5e:00:00:20', true],
    ]);
  });

  it('is announced twice and not again: nobody learns a group', () => {
    const one = link('active-active');
    const first = said(serve(one, [V4]));
    assert.equal(first.length, 2);
    assert.deepEqual(
      pass(one, 3_600_000).map((line) => line.split(' ')[0]),
      ['1000:', '1000:'],
    );
  });
});

describe('A shared address, active-passive', () => {
  it('is announced at 0 and 1 s from its virtual hardware address, and now and then', () => {
    const one = link('active-passive');
    const lines = [
      'arp request 192.0.2.100 is 00:00:5e:00:01:07 from 00:00:5e:00:01:07 to ff:ff:ff:ff:ff:ff',
      'arp reply 192.0.2.100 is 00:00:5e:00:01:07 from 00:00:5e:00:01:07 to ff:ff:ff:ff:ff:ff',
      'na RO 2001:db8::64 is 00:00:5e:00:01:07 from 00:00:5e:00:01:07 to 33:33:00:00:00:01',
    ];
    assert.deepEqual(said(serve(one, [V4, V6])), lines);
    assert.deepEqual(
      pass(one, 1_000),
      lines.map((line) => `1000: ${line}`),
    );
    assert.deepEqual(
      pass(one, 61_000),
      lines.map((line) => `61000: ${line}`),
    );
  });

  it('is answered for while it is served, and only then', () => {
    const one = link('active-passive');
    assert.deepEqual(one.handle(frame(arpRequest(V4)), at(0)), []);
    serve(one, [V4]);
    assert.deepEqual(said(one.handle(frame(arpRequest(V4)), at(10))), [
      'arp reply 192.0.2.100 is 00:00:5e:00:01:07 from 00:00:5e:00:01:07 to 02:00:00:00:00:99',
    ]);
    assert.deepEqual(one.handle(frame(arpRequest(SECOND)), at(10)), [], 'of another master');
    assert.deepEqual(one.handle(frame(solicitation()), at(10)), []);
  });

  it('has a master of its own: what is given away is not announced, what stays is not again', () => {
    const one = link('active-passive');
    serve(one, [V4, SECOND]);
    const given = serve(one, [SECOND], 500);
    assert.deepEqual(said(given), []);
    assert.deepEqual(
      given.map(
        (action) =>
          action.kind === 'listen' && [formatHardwareAddress(action.hardwareAddress), action.on],
      ),
      [['00:00:5e:00:01:07', false]],
    );
    assert.deepEqual(
      pass(one, 1_000).map((line) => line.split(' ')[3]),
      ['192.0.2.101', '192.0.2.101'],
    );
    const taken = serve(one, [V4, SECOND], 1_500);
    assert.deepEqual(
      said(taken).map((line) => line.split(' ')[2]),
      ['192.0.2.100', '192.0.2.100'],
    );
  });

  it('is announced again by who keeps it when a split heals', () => {
    const one = link('active-passive');
    serve(one, [V4]);
    pass(one, 5_000);
    assert.equal(said(one.handle({ kind: 'announce' }, at(5_000))).length, 2);
    assert.deepEqual(pass(one, 6_000).length, 2);
  });

  it('is left in silence when the right to serve it has run out, whatever was due', () => {
    const one = link('active-passive');
    serve(one, [V4], 0, at(250));
    assert.deepEqual(pass(one, 60_000), [], 'the second announcement falls behind the end');
    assert.deepEqual(one.handle(frame(arpRequest(V4)), at(251)), []);
    assert.deepEqual(one.handle({ kind: 'announce' }, at(300)), []);
  });

  it('is not announced anew by renewals, but after a gap', () => {
    const one = link('active-passive');
    serve(one, [V4], 0, at(250));
    for (let now = 100; now <= 900; now += 100) {
      assert.deepEqual(serve(one, [V4], now, at(now + 250)), [], `${now}`);
    }
    assert.equal(said(one.handle({ kind: 'timer' }, at(1_000))).length, 2);
    assert.equal(said(serve(one, [V4], 1_400, at(1_650))).length, 2, 'there was a gap of 250 ms');
  });

  it('says where somebody else claims it, at most every ten seconds', () => {
    const one = link('active-passive');
    serve(one, [V4, V6]);
    const claim = arpRequest(address('192.0.2.50'), V4);
    const conflicts = (now: number, octets = claim) =>
      one.handle(frame(octets), at(now)).filter(({ kind }) => kind === 'conflict');
    assert.deepEqual(conflicts(10), [{ kind: 'conflict', address: V4, hardwareAddress: PEER }]);
    assert.deepEqual(conflicts(20), []);
    assert.equal(conflicts(10_010).length, 1);
    const told = encodeNeighbourMessage({
      kind: 'advertisement',
      source: V6,
      destination: address('ff02::1'),
      target: V6,
      hardwareAddress: undefined,
      router: false,
      solicited: false,
      override: true,
    });
    const claimV6 = encodeFrame({
      destination: hardware('33:33:00:00:00:01'),
      source: PEER,
      type: EtherType.IPV6,
      payload: told,
    });
    assert.deepEqual(conflicts(30, claimV6), [
      { kind: 'conflict', address: V6, hardwareAddress: PEER },
    ]);
  });

  it('is no conflict where another node of the cluster says the same', () => {
    const one = link('active-passive');
    const other = link('active-passive');
    serve(one, [V4, V6]);
    for (const action of serve(other, [V4, V6])) {
      if (action.kind !== 'send') continue;
      assert.deepEqual(said(one.handle(frame(action.frame), at(10))), []);
      assert.deepEqual(one.handle(frame(action.frame), at(10)), []);
    }
  });
});

describe('A shared address, forward', () => {
  it('is never mentioned on the link', () => {
    const one = link('forward');
    const inputs = [
      { kind: 'start' },
      { kind: 'serve', addresses: [V4, V6, SECOND], until: FOREVER },
      frame(arpRequest(V4)),
      frame(solicitation()),
      { kind: 'announce' },
      { kind: 'timer' },
      { kind: 'probe-asked', node: 2, nonce: new Uint8Array(16) },
    ] as const;
    for (const input of inputs) assert.deepEqual(one.handle(input, at(0)), [], input.kind);
    assert.equal(one.nextDeadline(), undefined);
    assert.deepEqual(one.handle({ kind: 'test-flooding', members: [1, 2] }, at(0)), [
      { kind: 'flooding-tested', deaf: [], rounds: 0 },
    ]);
  });
});

describe('Frames that are none of its business', () => {
  it('are passed over: its own, of other types, malformed', () => {
    const one = link('active-active');
    serve(one, [V4, V6]);
    const own = arpRequest(V4);
    own.set(REAL, 6);
    assert.deepEqual(one.handle(frame(own), at(10)), []);
    for (const octets of [
      new Uint8Array(0),
      arpRequest(V4).subarray(0, 30),
      solicitation().subarray(0, 80),
    ]) {
      assert.deepEqual(one.handle(frame(octets), at(10)), []);
    }
    assert.equal(one.counts.malformed, 3);
    const reply = arpRequest(V4);
    reply[21] = 2;
    assert.deepEqual(one.handle(frame(reply), at(10)), []);
    assert.deepEqual(one.handle(frame(arpRequest(address('192.0.2.1'))), at(10)), []);
  });
});
