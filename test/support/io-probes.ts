/**
 * What `io/` does to a machine, tried on one: run inside a network namespace as
 * `node io-probes.js NAME`. A probe that is not satisfied ends the process with its assertion.
 *
 * The machine has `wan` (192.0.2.1/24, 2001:db8:1::1/64, MTU 1400) to a peer at .2 and `lan`
 * (10.1.0.1/24, 2001:db8:a::1/64).
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import {
  createBatch,
  FLAG_DF,
  ORIGIN_OCTETS,
  Origin,
  PATH_OF_ORIGIN,
  WORDS,
  Word,
} from '../../src/esp/batch.ts';
import { DropReason } from '../../src/events/drop-reason.ts';
import { AddressWatch } from '../../src/io/address-watch.ts';
import { addressInside, localAddresses } from '../../src/io/addresses.ts';
import { IcmpListener } from '../../src/io/icmp-listener.ts';
import type { TooBig } from '../../src/io/icmp-too-big.ts';
import { native } from '../../src/io/native.ts';
import { NetlinkError } from '../../src/io/netlink.ts';
import { closeOuterSockets, OUTER_MARK, openOuterSockets } from '../../src/io/outer-sockets.ts';
import { ROUTE_TABLE, Routes } from '../../src/io/routes.ts';
import { Rtnetlink } from '../../src/io/rtnetlink.ts';
import { PROTOCOL_TSGW, RouteType } from '../../src/io/rtnetlink-message.ts';
import { openTunDevice } from '../../src/io/tun.ts';
import { IkeSocket } from '../../src/io/udp.ts';
import { ANY_PORTS } from '../../src/ipsec/traffic-selector.ts';
import {
  formatAddress,
  formatEndpoint,
  type IpAddress,
  parseAddress,
  parsePrefix,
  prefixRange,
} from '../../src/wire/address.ts';
import { checksum } from '../../src/wire/checksum.ts';
import { concatOctets, fromHex } from '../../src/wire/octets.ts';
import { innerPacket } from './inner-packets.ts';

const addon = native();
const EMSGSIZE = -90;
const GUEST4 = { source: '10.1.0.99', destination: '192.0.2.1' };
const GUEST6 = { source: '2001:db8:a::99', destination: '2001:db8:1::1' };

const probes: Readonly<Record<string, () => void | Promise<void>>> = {
  'tun-device': () => {
    const rtnetlink = new Rtnetlink();
    const tun = openTunDevice(rtnetlink, { name: 'tsgw0', mtu: 1380, offload: 'off' });
    assert.deepEqual(rtnetlink.link({ name: 'tsgw0' }), {
      index: tun.index,
      name: 'tsgw0',
      mtu: 1380,
      up: true,
      running: true,
    });
    assert.equal(ip('-6', 'addr', 'show', 'dev', 'tsgw0'), '', 'no link-local address');
    assert.throws(
      () => openTunDevice(rtnetlink, { name: 'tsgw0', mtu: 1380, offload: 'off' }),
      /tsgw0 exists/,
    );
    addon.close(tun.fd);
    assert.equal(rtnetlink.link({ name: 'tsgw0' }), undefined);
    const options = { vnetHeader: true, multiQueue: true, further: false };
    const further = { ...options, further: true };
    const queues = [addon.openTun('tsgw1', options), addon.openTun('tsgw1', further)];
    assert.throws(() => addon.openTun('tsgw1', options), { code: 'EBUSY' });
    assert.deepEqual(
      queues.map(({ name }) => name),
      ['tsgw1', 'tsgw1'],
    );
    for (const { fd } of queues) addon.close(fd);
    rtnetlink.close();
  },

  'tun-packets': () => {
    tunPackets();
    assert.equal(hasRing(), true, 'the writes went through one ring');
  },

  'tun-packets-without-ring': () => {
    tunPackets(takeAllDescriptors);
    assert.equal(hasRing(), false, 'there was no descriptor for a ring');
  },

  rtnetlink: () => {
    const rtnetlink = new Rtnetlink();
    const lan = rtnetlink.link({ name: 'lan' });
    assert.ok(lan);
    assert.equal(rtnetlink.link({ name: 'none' }), undefined);
    assert.equal(rtnetlink.link({ index: lan.index })?.name, 'lan');
    const ours = localAddresses(rtnetlink).map(formatAddress);
    assert.ok(ours.includes('10.1.0.1') && ours.includes('2001:db8:a::1'), ours.join());
    assert.ok(!ours.some((address) => address.startsWith('fe80')), 'no link-local ones');
    for (const text of ['10.1.5.5', '2001:db8:a::5']) {
      const address = {
        interfaceIndex: lan.index,
        address: at(text),
        prefixLength: text.includes(':') ? 128 : 32,
      };
      rtnetlink.addAddress(address);
      const range = { first: at(text), last: at(text) };
      const inside = addressInside(localAddresses(rtnetlink), [range], range.first.family);
      assert.equal(inside && formatAddress(inside), text);
      rtnetlink.deleteAddress(address);
      assert.ok(!localAddresses(rtnetlink).some((one) => formatAddress(one) === text));
    }
    for (const [destination, gateway] of [
      ['10.77.0.0/16', '192.0.2.2'],
      ['2001:db8:77::/48', '2001:db8:1::2'],
    ] as const) {
      const route = {
        destination: prefix(destination),
        table: 1077,
        protocol: 77,
        type: RouteType.UNICAST,
        gateway: at(gateway),
        mtu: 1290,
      };
      const family = route.destination.address.family;
      rtnetlink.addRoute(route);
      assert.throws(() => rtnetlink.addRoute(route), isNetlinkError(17));
      rtnetlink.replaceRoute({ ...route, mtu: 1300 });
      const found = rtnetlink.routes(family, 1077);
      assert.deepEqual(
        found.map((one) => one.mtu),
        [1300],
      );
      assert.deepEqual(rtnetlink.routes(family, 1077, 78), []);
      const rule = { family, priority: 1077, table: 1077, protocol: 77, mark: 7 };
      assert.equal(rtnetlink.addRule(rule), true);
      assert.deepEqual(
        rtnetlink.rules(family).filter((one) => one.protocol === 77),
        [{ ...rule, invert: false }],
      );
      const answer = rtnetlink.lookup(route.destination.address, 7);
      assert.equal(answer?.mtu, 1300);
      assert.equal(answer.gateway && formatAddress(answer.gateway), gateway);
      assert.equal(rtnetlink.lookup(route.destination.address, 8), undefined);
      rtnetlink.deleteRule(rule);
      rtnetlink.deleteRule(rule);
      rtnetlink.deleteRoute(route);
      rtnetlink.deleteRoute(route);
      assert.deepEqual(rtnetlink.routes(family, 1077), []);
      assert.deepEqual(rtnetlink.routes(family, 4711), []);
    }
    ip('route', 'add', 'blackhole', '10.66.0.0/16');
    assert.equal(rtnetlink.lookup(at('10.66.0.1')), undefined);
    const outside = rtnetlink.lookup(at('192.0.2.2'));
    assert.equal(outside?.source && formatAddress(outside.source), '192.0.2.1');
    assert.equal(outside?.mtu, 1400);
    assert.throws(() => rtnetlink.changeLink(lan.index, { mtu: 5 }), isNetlinkError(22));
    rtnetlink.close();
  },

  routes: () => {
    const before = machineState();
    const rtnetlink = new Rtnetlink();
    const tun = openTunDevice(rtnetlink, { name: 'tsgw0', mtu: 1380, offload: 'off' });
    const routes = new Routes(rtnetlink, tun.index);
    const lan = child(1, ['10.1.0.0/24', '2001:db8:a::/64'], ['10.2.0.0/16', '2001:db8:b::/64']);
    routes.install(lan);
    const net4 = '10.2.0.0/16 dev tsgw0 proto 220 scope link src 10.1.0.1';
    assert.deepEqual(table(4), [net4]);
    assert.deepEqual(table(6), [
      '2001:db8:b::/64 dev tsgw0 proto 220 src 2001:db8:a::1 metric 1024 pref medium',
    ]);
    // A rekeyed SA shares the route, and keeps it.
    routes.install({ ...lan, id: 2 });
    routes.remove(1);
    assert.deepEqual(table(4), [net4]);
    // Another policy for the same prefix has no source to offer; the first one's stays.
    routes.install(child(3, ['10.8.0.0/24'], ['10.2.0.0/16']));
    assert.deepEqual(table(4), [net4]);
    routes.remove(2);
    assert.deepEqual(table(4), ['10.2.0.0/16 dev tsgw0 proto 220 scope link']);
    routes.remove(3);
    assert.deepEqual([...table(4), ...table(6)], []);
    // Everything goes into the tunnel but the gateway's own packets and what lies behind us.
    routes.install(child(4, ['10.1.0.0/24', '2001:db8:a::/64'], ['0.0.0.0/0', '::/0']));
    assert.deepEqual(table(4), [
      'default dev tsgw0 proto 220 scope link src 10.1.0.1',
      'throw 10.1.0.0/24 proto 220',
    ]);
    assert.match(ip('route', 'get', '192.0.2.2'), /dev tsgw0 .*src 10\.1\.0\.1/);
    assert.match(
      ip('route', 'get', '192.0.2.2', 'mark', String(OUTER_MARK)),
      /dev wan src 192\.0\.2\.1/,
    );
    assert.match(ip('-6', 'route', 'get', '2001:db8:1::2'), /dev tsgw0/);
    assert.match(ip('-6', 'route', 'get', '2001:db8:1::2', 'mark', String(OUTER_MARK)), /dev wan/);
    assert.match(ip('route', 'get', '10.1.0.7'), /dev lan/);
    assert.equal(rtnetlink.lookup(at('192.0.2.2'))?.source?.octets.join('.'), '192.0.2.1');
    routes.install(child(5, ['192.0.2.1/32'], ['10.1.0.0/24']));
    assert.deepEqual(table(4)[1], '10.1.0.0/24 dev tsgw0 proto 220 scope link src 192.0.2.1');
    routes.remove(5);
    assert.deepEqual(table(4)[1], 'throw 10.1.0.0/24 proto 220');
    routes.close();
    addon.close(tun.fd);
    rtnetlink.close();
    assert.equal(machineState(), before);
  },

  'routes-around': () => {
    const rtnetlink = new Rtnetlink();
    const tun = openTunDevice(rtnetlink, { name: 'tsgw0', mtu: 1380, offload: 'off' });
    const routes = new Routes(rtnetlink, tun.index);
    routes.install(child(1, ['10.1.0.0/24'], ['0.0.0.0/0']));
    const around = { ...child(-1, ['10.1.0.0/24'], ['10.6.0.0/16']), action: 'bypass' as const };
    routes.install(around);
    const whole = table(4)[0] ?? '';
    assert.deepEqual(table(4).slice(1), [
      'throw 10.1.0.0/24 proto 220',
      'throw 10.6.0.0/16 proto 220',
    ]);
    // Now others are protected on the way there, and the device must tell them apart.
    routes.install(child(2, ['10.9.0.0/24'], ['10.6.0.0/16']));
    const device = '10.6.0.0/16 dev tsgw0 proto 220 scope link';
    assert.deepEqual(table(4), [whole, 'throw 10.1.0.0/24 proto 220', device]);
    routes.remove(2);
    assert.deepEqual(table(4).slice(2), ['throw 10.6.0.0/16 proto 220']);
    routes.remove(-1);
    assert.deepEqual(table(4), [whole, 'throw 10.1.0.0/24 proto 220']);
    routes.remove(1);
    assert.deepEqual(table(4), []);
    routes.close();
    addon.close(tun.fd);
    rtnetlink.close();
  },

  'route-sources': () => {
    const rtnetlink = new Rtnetlink();
    const tun = openTunDevice(rtnetlink, { name: 'tsgw0', mtu: 1380, offload: 'off' });
    const routes = new Routes(rtnetlink, tun.index);
    routes.install(child(1, ['10.1.0.0/24', '10.77.0.0/24'], ['10.2.0.0/16']));
    const route = '10.2.0.0/16 dev tsgw0 proto 220 scope link';
    assert.deepEqual(table(4), [`${route} src 10.1.0.1`]);
    ip('address', 'del', '10.1.0.1/24', 'dev', 'lan');
    routes.refresh();
    assert.deepEqual(table(4), [route]);
    ip('address', 'add', '10.77.0.5/32', 'dev', 'tsgw0');
    routes.refresh();
    assert.deepEqual(table(4), [`${route} src 10.77.0.5`]);
    routes.refresh();
    assert.deepEqual(table(4), [`${route} src 10.77.0.5`]);
    routes.close();
    addon.close(tun.fd);
    rtnetlink.close();
  },

  'plain-packets': () => {
    const rtnetlink = new Rtnetlink();
    const tun = openTunDevice(rtnetlink, { name: 'tsgw0', mtu: 1380, offload: 'off' });
    const routes = new Routes(rtnetlink, tun.index);
    const sockets = openOuterSockets({ ikePort: 500, nattPort: 4500, merged: false });
    routes.install(child(1, ['0.0.0.0/0', '::/0'], ['0.0.0.0/0', '::/0']));
    const { plain4, plain6 } = sockets;
    assert.ok(plain4 !== undefined && plain6 !== undefined);
    // A guest of ours sends to the peer, and to ourselves, where it can be heard.
    const heard = [addon.rawSocket(4, 253), addon.rawSocket(6, 253)] as const;
    const guest4 = innerPacket({ ...GUEST4, protocol: 253, upper: new Uint8Array(40) });
    const guest6 = innerPacket({ ...GUEST6, protocol: 253, upper: new Uint8Array(40).fill(7) });
    const rows = new Rows();
    for (const [row, packet] of [guest4, guest6, guest4, guest4].entries()) {
      rows.fill(row, packet, { path: row === 3 ? -1 : PATH_OF_ORIGIN });
      rows.leaveTo(row, row === 1 ? GUEST6.destination : GUEST4.destination);
    }
    rows.leaveTo(2, '192.0.2.2');
    assert.equal(addon.send(rows.number, 0, 4), 0, 'no path: not its business');
    assert.equal(addon.sendTo(plain4, 4, rows.number, 0, 4), 2);
    assert.equal(addon.sendTo(plain6, 6, rows.number, 0, 4), 1);
    assert.deepEqual(
      [0, 1, 2].map((row) => rows.word(row, Word.STATUS)),
      [0, 0, 0],
    );
    rows.empty(1000);
    assert.equal(addon.receive(heard[0], rows.number, 0, 8), 1);
    assert.deepEqual(rows.octets(0), guest4, 'as it was, its foreign source included');
    rows.empty(1000);
    assert.equal(addon.receive(heard[1], rows.number, 0, 8), 1);
    assert.deepEqual(rows.octets(0), guest6.subarray(40));
    rows.empty(1000);
    assert.equal(
      addon.readTun(tun.fd, rows.number, 0, 8, 0, 1 << 20),
      0,
      'none of them came to the device',
    );
    rows.fill(0, new Uint8Array(1500).fill(0x45, 0, 1), { path: PATH_OF_ORIGIN });
    rows.leaveTo(0, '192.0.2.2');
    assert.equal(addon.sendTo(plain4, 4, rows.number, 0, 1), 0);
    assert.equal(rows.word(0, Word.STATUS), EMSGSIZE);
    for (const fd of heard) addon.close(fd);
    closeOuterSockets(sockets);
    routes.close();
  },

  'address-watch': async () => {
    const rtnetlink = new Rtnetlink();
    const tun = openTunDevice(rtnetlink, { name: 'tsgw0', mtu: 1380, offload: 'off' });
    const changes: string[][] = [];
    let heard = (): void => undefined;
    let stirred = 0;
    const watch = new AddressWatch({
      rtnetlink,
      except: tun.index,
      stirred: () => stirred++,
      changed: (addresses) => {
        changes.push(addresses.map(formatAddress));
        heard();
      },
    });
    const changed = (): Promise<void> =>
      new Promise((resolve) => {
        heard = resolve;
      });
    const first = ['192.0.2.1', '10.1.0.1', '2001:db8:1::1', '2001:db8:a::1'];
    assert.deepEqual(watch.addresses.map(formatAddress), first);
    let next = changed();
    // What is on the device is no way to the outside; of several changes at once one is told.
    ip('address', 'add', '10.99.0.1/32', 'dev', 'tsgw0');
    ip('address', 'add', '192.0.2.77/24', 'dev', 'wan');
    ip('address', 'add', '192.0.2.78/24', 'dev', 'wan');
    await next;
    assert.deepEqual(changes, [
      [...first.slice(0, 1), '192.0.2.77', '192.0.2.78', ...first.slice(1)],
    ]);
    assert.equal(stirred, 1);
    next = changed();
    ip('link', 'set', 'lan', 'down');
    await next;
    assert.ok(!changes[1]?.includes('10.1.0.1'), 'a link that is down carries nothing');
    assert.deepEqual(watch.addresses.map(formatAddress), changes[1]);
    watch.close();
    addon.close(tun.fd);
    rtnetlink.close();
  },

  'own-packets': () => {
    const rtnetlink = new Rtnetlink();
    const tun = openTunDevice(rtnetlink, { name: 'tsgw0', mtu: 1380, offload: 'off' });
    const routes = new Routes(rtnetlink, tun.index);
    const sockets = openOuterSockets({ ikePort: 500, nattPort: 4500, merged: false });
    routes.install(child(1, ['10.1.0.0/24'], ['0.0.0.0/0']));
    const rows = new Rows();
    const { ike4, natt4, esp4 } = sockets;
    assert.ok(ike4 !== undefined && natt4 !== undefined && esp4 !== undefined);
    for (const [row, fd] of [ike4, natt4, esp4].entries()) {
      rows.fill(row, new Uint8Array(60), {
        path: rows.path(fd, '192.0.2.2', fd === esp4 ? 0 : 500),
      });
    }
    assert.equal(addon.send(rows.number, 0, 3), 3);
    rows.empty(1000);
    assert.equal(
      addon.readTun(tun.fd, rows.number, 0, 8, 0, 1 << 20),
      0,
      'none of them came to the device',
    );
    const plain = addon.udpSocket({ family: 4, port: 0 });
    rows.fill(0, new Uint8Array(60), { path: rows.path(plain, '192.0.2.2', 500) });
    assert.equal(addon.send(rows.number, 0, 1), 1);
    rows.empty(1000);
    assert.equal(
      addon.readTun(tun.fd, rows.number, 0, 8, 0, 1 << 20),
      1,
      'another program in the tunnel',
    );
    closeOuterSockets(sockets);
    routes.close();
  },

  leftovers: async () => {
    const before = machineState();
    const victim = spawn(process.execPath, [String(process.argv[1]), 'hold'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(victim.stdout, 'data');
    assert.equal(tunnelRules().length, 2);
    victim.kill('SIGKILL');
    await once(victim, 'exit');
    assert.equal(tunnelRules().length, 2, 'rules outlive a killed process');
    assert.deepEqual(table(4), ['throw 10.1.0.0/24 proto 220']);
    const rtnetlink = new Rtnetlink();
    const tun = openTunDevice(rtnetlink, { name: 'tsgw0', mtu: 1380, offload: 'off' });
    const routes = new Routes(rtnetlink, tun.index);
    assert.equal(tunnelRules().length, 2);
    assert.deepEqual([...table(4), ...table(6)], []);
    routes.close();
    addon.close(tun.fd);
    assert.equal(machineState(), before);
  },

  /** Not a probe of its own: what `leftovers` kills. */
  hold: () => {
    const rtnetlink = new Rtnetlink();
    const tun = openTunDevice(rtnetlink, { name: 'tsgw0', mtu: 1380, offload: 'off' });
    new Routes(rtnetlink, tun.index).install(child(1, ['10.1.0.0/24'], ['0.0.0.0/0', '::/0']));
    addon.watch(tun.fd, () => undefined);
    process.stdout.write('installed\n');
  },

  'protocol-50': () => {
    for (const [family, here, headerLength] of [
      [4, '127.0.0.1', 20],
      [6, '::1', 0],
    ] as const) {
      const fd = addon.rawSocket(family, 50);
      const rows = new Rows();
      const path = rows.path(fd, here, 0);
      const octets = Uint8Array.from({ length: 64 }, (_, index) => index);
      rows.fill(0, octets, { path, tos: 0xb9, flags: FLAG_DF });
      rows.fill(1, octets, { path });
      assert.equal(addon.send(rows.number, 0, 2), 2);
      rows.empty(1000);
      assert.equal(addon.receive(fd, rows.number, 0, 8), 2);
      for (const row of [0, 1]) assert.deepEqual(rows.octets(row).subarray(headerLength), octets);
      assert.equal(rows.word(0, Word.TOS), 0xb9);
      if (family === 4) {
        assert.deepEqual(
          [0, 1].map((row) => (rows.octets(row)[6] ?? 0) & 0x40),
          [0x40, 0],
        );
        assert.equal(rows.octets(0)[1], 0xb9);
      }
      addon.close(fd);
    }
  },

  'dont-fragment': () => {
    for (const [family, peer] of [
      [4, '192.0.2.2'],
      [6, '2001:db8:1::2'],
    ] as const) {
      const fd = addon.udpSocket({ family, port: 4500 });
      const rows = new Rows();
      const path = rows.path(fd, peer, 4500);
      const flags = [FLAG_DF, 0, FLAG_DF, 0, 0, FLAG_DF];
      const lengths = [1300, 1300, 1390, 1390, 3000, 1300];
      for (const [row, length] of lengths.entries()) {
        rows.fill(row, new Uint8Array(length), { path, flags: flags[row] ?? 0 });
      }
      assert.equal(addon.send(rows.number, 0, 6), 5);
      const status = lengths.map((_, row) => rows.word(row, Word.STATUS));
      assert.deepEqual(status, [0, 0, EMSGSIZE, 0, 0, 0]);
      addon.close(fd);
    }
  },

  'silent-neighbours': () => {
    const fd = addon.udpSocket({ family: 4, port: 4500, bufferOctets: 8 << 20 });
    const rows = new Rows();
    const silent = [71, 72, 73, 74].map((host) => rows.path(fd, `192.0.2.${host}`, 4500));
    const alive = rows.path(fd, '192.0.2.2', 4500);
    const start = performance.now();
    for (let turn = 0; turn < 500; turn++) {
      for (let row = 0; row < 8; row++) {
        const path = row === 7 ? alive : (silent[row % 4] ?? alive);
        rows.fill(row, new Uint8Array(1300), { path });
      }
      addon.send(rows.number, 0, 8);
      assert.equal(rows.word(7, Word.STATUS), 0, `turn ${turn}`);
    }
    assert.ok(performance.now() - start < 2000, 'nothing waited');
    addon.close(fd);
  },

  icmp: async () => {
    const heard: TooBig[] = [];
    let enough = (): void => undefined;
    const all = new Promise<void>((resolve) => {
      enough = resolve;
    });
    const listener = IcmpListener.open({
      concerns: ({ spi }) => spi === 0xdeadbeef,
      heard: (report) => {
        if (heard.push(report) === 2) enough();
      },
    });
    const rows = new Rows();
    const raw4 = addon.rawSocket(4, 1);
    const raw6 = addon.rawSocket(6, 58);
    const udp = '1194119405c80000deadbeef00000001';
    const quoted4 = fromHex(`450005dc1234400040110000c0000201c0000202${udp}`);
    const quoted6 = fromHex(
      `6000000005a0114020010db800010000000000000000000120010db8000100000000000000000002${udp}`,
    );
    const tooBig4 = concatOctets(fromHex('0304000000000514'), quoted4);
    const sum = checksum(tooBig4, 0, tooBig4.length);
    tooBig4.set([sum >>> 8, sum & 0xff], 2);
    const wrong = Uint8Array.from(tooBig4);
    wrong[7] = 1;
    const stranger = Uint8Array.from(tooBig4);
    // One SPI off, and the checksum right again.
    stranger[8 + 20 + 8 + 3] = 0xee;
    stranger.set([(sum + 1) >>> 8, (sum + 1) & 0xff], 2);
    const echo = fromHex('0800f7ff00000000');
    const here4 = rows.path(raw4, '127.0.0.1', 0);
    rows.fill(0, echo, { path: here4 });
    rows.fill(1, wrong, { path: here4 });
    rows.fill(2, stranger, { path: here4 });
    rows.fill(3, tooBig4, { path: here4 });
    rows.fill(4, concatOctets(fromHex('0200000000000500'), quoted6), {
      path: rows.path(raw6, '::1', 0),
    });
    assert.equal(addon.send(rows.number, 0, 5), 5);
    // The package does not always keep the event loop going by itself.
    const alive = setInterval(() => undefined, 1000);
    await all;
    clearInterval(alive);
    const [four, six] = heard[0]?.remote.family === 4 ? heard : heard.toReversed();
    assert.deepEqual([four?.spi, four?.mtu, four?.remotePort], [0xdeadbeef, 1300, 4500]);
    assert.equal(four?.remote && formatAddress(four.remote), '192.0.2.2');
    assert.deepEqual([six?.spi, six?.mtu], [0xdeadbeef, 1280]);
    assert.equal(six?.remote && formatAddress(six.remote), '2001:db8:1::2');
    assert.deepEqual(listener.drops, { malformed: 1, foreign: 0, 'unknown-spi': 1, excess: 0 });
    listener.close();
  },

  'ike-socket': async () => {
    const sockets = openOuterSockets({ ikePort: 500, nattPort: 4500, merged: false });
    const ike = new IkeSocket(sockets);
    const heard: string[] = [];
    const all = new Promise<void>((resolve) => {
      ike.onDatagram((local, remote, octets) => {
        heard.push(`${formatEndpoint(local)} ${formatEndpoint(remote)} ${octets.length}`);
        if (heard.length === 3) resolve();
      });
    });
    const end = (text: string, port: number) => ({ address: at(text), port });
    const plain = { nonEspMarker: false };
    const four = end('127.0.0.1', 500);
    assert.equal(ike.send(four, four, new Uint8Array(300), plain), true);
    assert.equal(ike.send(four, four, new Uint8Array(20_000), plain), true);
    const six = end('2001:db8:1::1', 500);
    assert.equal(ike.send(six, six, new Uint8Array(400), plain), true);
    await all;
    assert.deepEqual(heard.toSorted(), [
      '127.0.0.1[500] 127.0.0.1[500] 20000',
      '127.0.0.1[500] 127.0.0.1[500] 300',
      '2001:db8:1::1[500] 2001:db8:1::1[500] 400',
    ]);
    const natt = end('127.0.0.1', 4500);
    const sniffer = addon.rawSocket(4, 17);
    ike.send(four, four, Uint8Array.of(1, 2, 3), plain);
    assert.equal(ike.send(natt, natt, Uint8Array.of(1, 2, 3), { nonEspMarker: true }), true);
    const rows = new Rows();
    rows.empty(1000);
    assert.ok(sockets.natt4 !== undefined);
    assert.equal(addon.receive(sockets.natt4, rows.number, 0, 8), 1);
    assert.deepEqual(rows.octets(0), Uint8Array.of(0, 0, 0, 0, 1, 2, 3));
    rows.empty(1000);
    assert.equal(addon.receive(sniffer, rows.number, 0, 8), 2);
    const checksums = [0, 1].map((row) =>
      rows
        .octets(row)
        .subarray(26, 28)
        .some((octet) => octet),
    );
    assert.deepEqual(checksums, [true, false], 'RFC 3948 §2.1: none on 4500');
    assert.equal(ike.send(four, end('203.0.113.1', 500), Uint8Array.of(1), plain), false);
    assert.equal(ike.send(four, six, Uint8Array.of(1), plain), false);
    assert.equal(ike.send(four, four, new Uint8Array(70_000), plain), false);
    assert.equal(ike.drops[DropReason['send-unreachable']], 2);
    assert.equal(ike.drops[DropReason['send-too-big']], 1);
    assert.throws(
      () => openOuterSockets({ ikePort: 500, nattPort: 4500, merged: false }),
      /UDP port 500/,
    );
    ike.close();
    closeOuterSockets(sockets);
  },
};

/** Rows of a batch, filled and read one at a time. */
class Rows {
  readonly #batch = createBatch(8, 9408);
  readonly number = addon.batch(this.#batch.arena, this.#batch.words, this.#batch.origins);
  readonly words = this.#batch.words;

  path(fd: number, remote: string, port: number): number {
    const { family, octets } = at(remote);
    return addon.path({ fd, family, remote: octets, port });
  }

  fill(
    row: number,
    octets: Uint8Array,
    words: { readonly path?: number; readonly tos?: number; readonly flags?: number },
  ): void {
    const first = row * WORDS;
    this.words.fill(0, first, first + WORDS);
    this.words[first + Word.OFFSET] = row * this.#batch.slotOctets;
    this.words[first + Word.LENGTH] = octets.length;
    this.words[first + Word.PATH] = words.path ?? -1;
    this.words[first + Word.TOS] = words.tos ?? 0;
    this.words[first + Word.FLAGS] = words.flags ?? 0;
    this.#batch.arena.set(octets, row * this.#batch.slotOctets);
  }

  /** Names the destination of a row that leaves as it is. */
  leaveTo(row: number, destination: string): void {
    const { family, octets } = at(destination);
    const origin = row * ORIGIN_OCTETS;
    this.#batch.origins[origin + Origin.FAMILY] = family;
    this.#batch.origins.set(octets, origin + Origin.DESTINATION);
  }

  empty(room: number): void {
    for (let row = 0; row < 8; row++) {
      this.words[row * WORDS + Word.OFFSET] = row * this.#batch.slotOctets;
      this.words[row * WORDS + Word.LENGTH] = room;
    }
  }

  word(row: number, word: number): number | undefined {
    return this.words[row * WORDS + word];
  }

  octets(row: number): Uint8Array {
    const offset = this.word(row, Word.OFFSET) ?? 0;
    return this.#batch.arena.subarray(offset, offset + (this.word(row, Word.LENGTH) ?? 0));
  }
}

function child(id: number, local: readonly string[], remote: readonly string[]) {
  const selectors = (texts: readonly string[]) =>
    texts.map((text) => ({ range: prefixRange(prefix(text)), protocol: 0, ...ANY_PORTS }));
  const ends = { localTs: selectors(local), remoteTs: selectors(remote) };
  return { id, action: 'protect' as const, priority: 0, ...ends };
}

function ip(...words: readonly string[]): string {
  return execFileSync('ip', words, { encoding: 'utf8' }).trim();
}

function lines(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));
}

/** Reads what is routed into the device and writes it back, in rows of every kind. */
function tunPackets(beforeWrite: () => void = () => undefined): void {
  const rtnetlink = new Rtnetlink();
  const tun = openTunDevice(rtnetlink, { name: 'tsgw0', mtu: 1380, offload: 'off' });
  rtnetlink.addAddress({ interfaceIndex: tun.index, address: at('10.9.0.1'), prefixLength: 24 });
  const rows = new Rows();
  const udp = addon.udpSocket({ family: 4, port: 7000, address: at('10.9.0.1').octets });
  const path = rows.path(udp, '10.9.0.2', 7000);
  for (let row = 0; row < 3; row++) rows.fill(row, new Uint8Array(100 + row).fill(row), { path });
  assert.equal(addon.send(rows.number, 0, 3), 3);
  rows.empty(1000);
  rows.words[WORDS + Word.LENGTH] = 50;
  assert.equal(addon.readTun(tun.fd, rows.number, 0, 8, 0, 1 << 20), 3);
  assert.deepEqual(
    [0, 1, 2].map((row) => rows.word(row, Word.LENGTH)),
    [128, 50, 130],
  );
  assert.deepEqual(
    [0, 1, 2].map((row) => rows.word(row, Word.STATUS)),
    [0, EMSGSIZE, 0],
  );
  // Echo: with both addresses exchanged every checksum stays right.
  for (const row of [0, 2]) {
    const packet = rows.octets(row);
    const addresses = packet.slice(12, 20);
    packet.set(addresses.subarray(4), 12);
    packet.set(addresses.subarray(0, 4), 16);
    rows.words[row * WORDS + Word.DROP] = 0;
  }
  rows.words[WORDS + Word.DROP] = DropReason['truncated-datagram'];
  rows.fill(3, new Uint8Array(0), {});
  rows.fill(4, new Uint8Array(20), {});
  beforeWrite();
  assert.equal(addon.writeTun(tun.fd, rows.number, 0, 5, 0), 2);
  assert.deepEqual(
    [0, 2, 3, 4].map((row) => rows.word(row, Word.STATUS)),
    [0, 0, -22, -22],
  );
  rows.empty(1000);
  assert.equal(addon.receive(udp, rows.number, 0, 8), 2);
  assert.deepEqual(rows.octets(1), new Uint8Array(102).fill(2));
  addon.close(tun.fd);
  assert.throws(() => addon.readTun(tun.fd, rows.number, 0, 1, 0, 1 << 20), { code: 'EBADF' });
}

/** The native layer opened an io_uring. */
function hasRing(): boolean {
  return readdirSync('/proc/self/fd').some((fd) => {
    const path = `/proc/self/fd/${fd}`;
    return existsSync(path) && readlinkSync(path).includes('io_uring');
  });
}

/** From here on the process can open nothing. */
function takeAllDescriptors(): void {
  execFileSync('prlimit', ['--pid', String(process.pid), '--nofile=100:100']);
  try {
    for (;;) openSync('/dev/null', 'r');
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error && error.code === 'EMFILE');
  }
}

/** The tunnel table as `ip` prints it. */
function table(family: 4 | 6): readonly string[] {
  return lines(ip(`-${family}`, 'route', 'show', 'table', String(ROUTE_TABLE)));
}

function tunnelRules(): readonly string[] {
  return [4, 6].flatMap((family) =>
    lines(ip(`-${family}`, '-d', 'rule')).filter((line) => line.includes(`proto ${PROTOCOL_TSGW}`)),
  );
}

/**
 * Everything a process could leave behind. The link-local addresses of the links of the network are not in it: the
 * kernel adds each when it has found no duplicate (RFC 4862 §5.4), a second or two after the link is up.
 */
function machineState(): string {
  const parts = [4, 6].flatMap((family) => [
    ip(`-${family}`, 'rule'),
    ...lines(ip(`-${family}`, 'route', 'show', 'table', 'all')).filter(
      (line) => !/^local fe80::\S+ dev (?:wan|lan) /.test(line),
    ),
  ]);
  return [...parts, ip('-br', 'link')].join('\n');
}

function at(text: string): IpAddress {
  const address = parseAddress(text);
  assert.ok(address, text);
  return address;
}

function prefix(text: string) {
  const parsed = parsePrefix(text);
  assert.ok(parsed, text);
  return parsed;
}

function isNetlinkError(errno: number): (error: unknown) => boolean {
  return (error) => error instanceof NetlinkError && error.errno === errno;
}

const probe = probes[process.argv[2] ?? ''];
assert.ok(probe, `no probe ${process.argv[2]}`);
await probe();
