/**
 * What `io/` does for shared addresses to a machine, tried on one: run inside a network namespace as
 * `node link-probes.js NAME`. A probe that is not satisfied ends the process with its assertion.
 *
 * The machine has `x` and `y`, the two ends of one cable.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeArp, encodeArp, gratuitousArp } from '../../src/cluster/virtual-address/arp.ts';
import { EtherType, encodeFrame } from '../../src/cluster/virtual-address/ethernet.ts';
import { encodeProbe } from '../../src/cluster/virtual-address/flooding-probe.ts';
import { encodeNeighbourMessage } from '../../src/cluster/virtual-address/neighbour-discovery.ts';
import { createBatch, emptyRows, WORDS, Word } from '../../src/esp/batch.ts';
import {
  applySettings,
  settingText,
  sharedAddressSettings,
  wrongSettings,
} from '../../src/io/kernel-settings.ts';
import { LinkSocket } from '../../src/io/link-socket.ts';
import { LocalAddresses } from '../../src/io/local-addresses.ts';
import { native } from '../../src/io/native.ts';
import { Nft, NftError } from '../../src/io/nft.ts';
import { NftSets } from '../../src/io/nft-sets.ts';
import { Rtnetlink } from '../../src/io/rtnetlink.ts';
import { formatAddress, type IpAddress, parseAddress } from '../../src/wire/address.ts';
import { concatOctets, fromHex, toHex } from '../../src/wire/octets.ts';
import { ipPacket, udpPacket } from './ethernet-frames.ts';

const addon = native();
const EINVAL = -22;
const EMSGSIZE = -90;
const GROUP = fromHex('01005e000020');
const VIRTUAL = fromHex('00005e000107');
const FROM = fromHex('020000000009');

const probes: Readonly<Record<string, () => void | Promise<void>>> = {
  'packet-sockets': () => {
    const rtnetlink = new Rtnetlink();
    const [x, y] = [indexOf(rtnetlink, 'x'), indexOf(rtnetlink, 'y')];
    const batch = createBatch(4, 2048);
    const number = addon.batch(batch.arena, batch.words, batch.origins);
    const [from, to, six] = [
      addon.packetSocket({ interfaceIndex: x, etherType: EtherType.ARP }),
      addon.packetSocket({ interfaceIndex: y, etherType: EtherType.ARP }),
      addon.packetSocket({ interfaceIndex: y, etherType: EtherType.IPV6 }),
    ];
    const frame = arpFrame('192.0.2.100');
    emptyRows(batch, 4);
    for (const row of [0, 1, 2, 3]) {
      const at = row * WORDS;
      batch.arena.set(frame, batch.words[at + Word.OFFSET] ?? 0);
      batch.words[at + Word.LENGTH] = frame.length;
    }
    batch.words[WORDS + Word.OFFSET] = batch.arena.length - 10;
    batch.words[2 * WORDS + Word.LENGTH] = 2_000;
    assert.equal(addon.sendFrames(from, number, 0, 4), 2);
    const status = [0, 1, 2, 3].map((row) => batch.words[row * WORDS + Word.STATUS]);
    assert.deepEqual(status, [0, EINVAL, EMSGSIZE, 0]);
    emptyRows(batch, 4);
    batch.words[WORDS + Word.LENGTH] = 20;
    assert.equal(addon.receive(to, number, 0, 4), 2);
    const offset = batch.words[Word.OFFSET] ?? 0;
    assert.deepEqual(batch.arena.slice(offset, offset + (batch.words[Word.LENGTH] ?? 0)), frame);
    assert.equal(batch.words[WORDS + Word.STATUS], EMSGSIZE, 'cut to the room of its row');
    emptyRows(batch, 4);
    assert.equal(addon.receive(from, number, 0, 4), 0, 'not what it sent itself');
    assert.equal(addon.receive(six, number, 0, 4), 0, 'of its EtherType only');
    for (const fd of [from, to, six]) addon.close(fd);
    addon.freeBatch(number);
    assert.throws(() => addon.packetSocket({ interfaceIndex: 99, etherType: 0x806 }), {
      code: 'ENODEV',
      syscall: 'bind',
    });
    rtnetlink.close();
  },

  memberships: () => {
    const rtnetlink = new Rtnetlink();
    const y = indexOf(rtnetlink, 'y');
    const fd = addon.packetSocket({ interfaceIndex: y, etherType: EtherType.ARP });
    const groups = () => groupsOf('y');
    for (const join of [true, false]) {
      addon.packetMembership(fd, y, GROUP, join);
      assert.equal(groups().includes('01:00:5e:00:00:20'), join);
      addon.packetMembership(fd, y, VIRTUAL, join);
    }
    addon.packetMembership(fd, y, GROUP, true);
    addon.close(fd);
    assert.ok(!groups().includes('01:00:5e:00:00:20'), 'gone with the socket');
    rtnetlink.close();
  },

  'link-socket': async () => {
    const rtnetlink = new Rtnetlink();
    const options = { rtnetlink, probePort: 9 };
    const [x, y] = ['x', 'y'].map((device) => new LinkSocket({ device, ...options }));
    assert.ok(x !== undefined && y !== undefined);
    assert.equal(toHex(y.hardwareAddress), hardwareOf('y'));
    y.listen(GROUP, true);
    assert.match(groupsOf('y'), /01:00:5e:00:00:20/);
    const heard: string[] = [];
    y.onFrame((octets) => heard.push(toHex(octets)));
    const wanted = wantedFrames();
    // Many more than rows, and what the filters leave in the kernel between them.
    const frames = Array.from({ length: 20 }, () => [...unwantedFrames(), ...wanted]).flat();
    assert.equal(x.send(frames), frames.length);
    assert.equal(x.send([new Uint8Array(2000)]), 0, 'longer than a frame of ours');
    assert.equal(x.drops.unsent, 1);
    const expected = wanted.map(toHex);
    await until(() => heard.length >= 20 * expected.length);
    assert.deepEqual(
      heard.toSorted(),
      Array.from({ length: 20 }, () => expected)
        .flat()
        .toSorted(),
    );
    execFileSync('ip', ['link', 'set', 'x', 'down']);
    assert.equal(x.send(wanted), 0, 'the interface is down');
    for (const socket of [x, y]) socket.close();
    assert.throws(() => new LinkSocket({ device: 'none', ...options }), /interface none: there is/);
    assert.throws(() => new LinkSocket({ device: 'tun0', ...options }), /no hardware address/);
    rtnetlink.close();
  },

  'local-addresses': () => {
    const rtnetlink = new Rtnetlink();
    const shown = () =>
      execFileSync('ip', ['-o', 'address', 'show', 'dev', 'lo'], { encoding: 'utf8' });
    const local = new LocalAddresses(rtnetlink);
    local.have([addressOf('192.0.2.100'), addressOf('2001:db8::64')]);
    assert.match(shown(), /192\.0\.2\.100\/32/);
    assert.match(shown(), /2001:db8::64\/128/);
    local.have([addressOf('2001:db8::64'), addressOf('192.0.2.101')]);
    assert.equal(String(local), '2001:db8::64, 192.0.2.101');
    assert.doesNotMatch(shown(), /192\.0\.2\.100/);
    execFileSync('ip', ['address', 'add', '192.0.2.102/32', 'dev', 'lo']);
    // As after a SIGKILL: the next one finds what this one left, and nothing of others.
    const next = new LocalAddresses(rtnetlink);
    assert.doesNotMatch(shown(), /192\.0\.2\.101|2001:db8/);
    assert.match(shown(), /192\.0\.2\.102/);
    next.have([addressOf('192.0.2.100')]);
    execFileSync('ip', ['address', 'delete', '192.0.2.100/32', 'dev', 'lo']);
    next.close();
    const linked = new LocalAddresses(rtnetlink, 'x');
    linked.have([addressOf('192.0.2.100')]);
    const onLink = execFileSync('ip', ['-o', 'address', 'show', 'dev', 'x'], { encoding: 'utf8' });
    assert.match(onLink, /192\.0\.2\.100\/32/);
    linked.close();
    assert.throws(() => new LocalAddresses(rtnetlink, 'none'), /interface none: there is none/);
    rtnetlink.close();
  },

  settings: () => {
    const wanted = sharedAddressSettings('x');
    const read = (name: string) => Number(readFileSync(join('/proc/sys', name), 'utf8'));
    const before = wanted.map(({ name }) => read(name));
    const wrong = wrongSettings(wanted).map(settingText);
    assert.ok(
      wrong.includes(
        'net.ipv4.conf.x.arp_ignore is 0 and must be 1: the kernel would answer ARP for shared addresses with a hardware address of its own',
      ),
      wrong.join('\n'),
    );
    const restore = applySettings(wanted);
    assert.deepEqual(wrongSettings(wanted), []);
    restore();
    assert.deepEqual(
      wanted.map(({ name }) => read(name)),
      before,
    );
    assert.throws(
      () => applySettings(sharedAddressSettings('none')),
      /none\.arp_ignore is not there/,
    );
    assert.deepEqual(
      wanted.map(({ name }) => read(name)),
      before,
      'what was set before the refusal is put back',
    );
  },

  nft: async () => {
    const nft = new Nft();
    const table = (rule: string) =>
      `table inet probe {\ncounter one {\n}\nchain c {\n${rule}\n}\n}\n`;
    await nft.apply('the probe', table('counter name "one"'));
    assert.deepEqual(
      [...(await nft.counters('inet', 'probe'))],
      [['one', { packets: 0, octets: 0 }]],
    );
    assert.deepEqual([...(await nft.counters('inet', 'nowhere'))], []);
    const refused = (error: unknown) =>
      error instanceof NftError && /^the probe: nft: line 5:.*in "countre/.test(error.message);
    await assert.rejects(nft.apply('the probe', table('countre')), refused);
    await assert.rejects(
      new Nft('nft-of-nobody').apply('x', ''),
      /x: nft-of-nobody is not installed/,
    );
    // In order, whatever becomes of one of them: the last stays.
    const turns = [
      nft.apply('1', 'delete table inet probe\n'),
      nft.apply('2', 'nonsense\n'),
      nft.apply('3', table('return')),
    ];
    const ends = await Promise.allSettled(turns);
    assert.deepEqual(
      ends.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.match(execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }), /return/);
  },

  'nft-sets': async () => {
    const sets = new NftSets();
    const own = (...numbers: readonly number[]) => ({
      set: 'own',
      keys: numbers.map((one) => Uint8Array.of(one, one >>> 8, 0, 0)),
    });
    assert.throws(
      () => sets.replace('probe', [own(1)]),
      /^NetlinkError: sets own of table probe: errno 2$/,
    );
    const named = 'set own {\ntypeof numgen inc mod 2\n}\nset mastered {\ntype ether_addr\n}\n';
    await new Nft().apply('the probe', `table netdev probe {\n${named}}\n`);
    const listed = (set: string) => {
      const argv = ['list', set === 'm' ? 'map' : 'set', 'netdev', 'probe', set];
      const printed = execFileSync('nft', argv, { encoding: 'utf8' });
      return /elements = \{([^}]*)\}/
        .exec(printed)?.[1]
        ?.split(',')
        .map((one) => one.trim());
    };
    sets.replace('probe', [own(5, 256), { set: 'mastered', keys: [VIRTUAL] }]);
    assert.deepEqual([listed('own'), listed('mastered')], [['5', '256'], ['00:00:5e:00:01:07']]);
    const wrong = { set: 'mastered', keys: [Uint8Array.of(1)] };
    assert.throws(() => sets.replace('probe', [own(6), wrong]), /errno 22/);
    assert.deepEqual(listed('own'), ['5', '256'], 'all or nothing');
    const many = Array.from({ length: 4096 }, (_, index) => index);
    sets.replace('probe', [own(...many), { set: 'mastered', keys: [] }]);
    assert.deepEqual(
      listed('own')?.toSorted((a, b) => Number(a) - Number(b)),
      many.map(String),
    );
    assert.equal(listed('mastered'), undefined);
    await new Nft().apply(
      'the probe',
      `table netdev probe {\nmap m {\ntype ipv6_addr : mark\n}\n}\n`,
    );
    const key = (last: number) => new Uint8Array(16).fill(0x20, 0, 1).fill(last, 15);
    const come = [1, 2].map((last) => ({ key: key(last), value: Uint8Array.of(last, 0, 0, 0x80) }));
    sets.change('probe', [{ map: 'm', gone: [], come }]);
    assert.deepEqual(listed('m'), ['2000::1 : 0x80000001', '2000::2 : 0x80000002']);
    const again = [{ key: key(1), value: Uint8Array.of(9, 0, 0, 0x80) }];
    sets.change('probe', [{ map: 'm', gone: [key(1), key(2)], come: again }]);
    assert.deepEqual(listed('m'), ['2000::1 : 0x80000009']);
    assert.throws(() => sets.change('probe', [{ map: 'm', gone: [key(7)], come: [] }]), /errno 2/);
    sets.close();
  },
};

/** Everything a link with shared addresses wants to hear of. */
function wantedFrames(): readonly Uint8Array[] {
  const solicitation = {
    kind: 'solicitation' as const,
    source: addressOf('fe80::9'),
    destination: addressOf('ff02::1:ff00:64'),
    target: addressOf('2001:db8::64'),
    hardwareAddress: FROM,
  };
  const flags = { router: false, solicited: false, override: true };
  const advertisement = { ...solicitation, ...flags, kind: 'advertisement' as const };
  const probe = { node: 1, nonce: new Uint8Array(16) };
  return [
    arpFrame('192.0.2.100'),
    frameOf(encodeNeighbourMessage(solicitation)),
    frameOf(encodeNeighbourMessage(advertisement)),
    frameOf(encodeProbe({ ...probe, to: addressOf('192.0.2.100') }, addressOf('192.0.2.9'))),
    frameOf(encodeProbe({ ...probe, to: addressOf('2001:db8::64') }, addressOf('fe80::9'))),
  ];
}

function unwantedFrames(): readonly Uint8Array[] {
  const four = ends('192.0.2.9', '192.0.2.100');
  const six = ends('2001:db8::9', '2001:db8::64');
  const ports = { from: 9, to: 4500 };
  const fragment = udpPacket(four, { from: 9, to: 9 }, new Uint8Array(64));
  fragment[7] = 1;
  return [
    frameOf(udpPacket(four, ports, new Uint8Array(64))),
    frameOf(udpPacket(six, ports, new Uint8Array(64))),
    frameOf(ipPacket(four, 50, new Uint8Array(64))),
    frameOf(ipPacket(six, 50, new Uint8Array(64))),
    frameOf(ipPacket(six, 58, Uint8Array.of(128, 0, 0, 0, 0, 0, 0, 0))),
    frameOf(fragment),
  ];
}

function ends(source: string, destination: string) {
  return { source: addressOf(source).octets, destination: addressOf(destination).octets };
}

function frameOf(payload: Uint8Array): Uint8Array {
  const type = (payload[0] ?? 0) >> 4 === 4 ? EtherType.IPV4 : EtherType.IPV6;
  return encodeFrame({ destination: GROUP, source: FROM, type, payload });
}

function arpFrame(address: string): Uint8Array {
  const packet = gratuitousArp(1, addressOf(address), FROM);
  const payload = concatOctets(encodeArp(packet), new Uint8Array(18));
  assert.equal(formatAddress(decodeArp(payload).sender), address);
  return encodeFrame({ destination: GROUP, source: FROM, type: EtherType.ARP, payload });
}

function addressOf(text: string): IpAddress {
  const address = parseAddress(text);
  assert.ok(address !== undefined, text);
  return address;
}

function indexOf(rtnetlink: Rtnetlink, name: string): number {
  const link = rtnetlink.link({ name });
  assert.ok(link !== undefined, name);
  return link.index;
}

function groupsOf(device: string): string {
  return execFileSync('ip', ['maddr', 'show', 'dev', device], { encoding: 'utf8' });
}

function hardwareOf(device: string): string {
  return readFileSync(`/sys/class/net/${device}/address`, 'utf8').trim().replaceAll(':', '');
}

async function until(ready: () => boolean): Promise<void> {
  const start = performance.now();
  while (!ready()) {
    assert.ok(performance.now() - start < 5_000, 'waited 5 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const probe = probes[process.argv[2] ?? ''];
assert.ok(probe, `no probe ${process.argv[2]}`);
await probe();
process.exit();
