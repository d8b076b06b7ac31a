import assert from 'node:assert/strict';
import { NO_PINS } from '../../../src/cluster/pinned-ranges.ts';
import { formatHardwareAddress } from '../../../src/cluster/virtual-address/ethernet.ts';
import { loadConfig } from '../../../src/config/config.ts';
import { plannedAddresses, servedAddresses } from '../../../src/gateway/cluster/address-plan.ts';
import { filterText } from '../../../src/gateway/cluster/filter-text.ts';
import { placeOf } from '../../../src/gateway/cluster/place-of.ts';
import { formatAddress } from '../../../src/wire/address.ts';
import { NO_FILES } from '../../config/reading.ts';

const ADDRESSES = `addresses {
  one { addrs = 192.0.2.100, 2001:db8:1::100
    device = wan
  }
  inside { addrs = 10.1.0.100
    device = lan
    side = lan
  }
  two { addrs = 198.51.100.100
    device = wan2
    prefer = b
  }
  within { addrs = 10.2.0.100
    device = lan
    side = lan
  }
  more { addrs = 10.3.0.100
    device = lan
    side = lan
  }
}`;

function configOf(mode: string, addresses = ADDRESSES) {
  const nodes = 'nodes { a { addrs = 10.77.0.1\n}\n b { addrs = 10.77.0.2\n}\n }';
  const text = `cluster { self = a\nsecret = 0x${'5f'.repeat(32)}\nmode = ${mode}\n${nodes}\n${addresses}\n}`;
  const { cluster } = loadConfig(text, 'swanctl.conf', NO_FILES);
  assert.ok(cluster !== undefined);
  return cluster;
}

const served = (mode: 'active-active' | 'active-passive' | 'forward', own: readonly number[]) => {
  const planned = plannedAddresses(configOf(mode));
  return servedAddresses(mode, planned, new Set(own)).map(({ address }) => formatAddress(address));
};

function textOf(mode: string, own: readonly number[], whole = true): string {
  const config = configOf(mode);
  const planned = plannedAddresses(config);
  const mastered = servedAddresses(config.mode, planned, new Set(own));
  return filterText({
    ...{ config, planned, mastered, whole },
    ports: { ike: 500, natT: 4500 },
    own: new Set(own),
    ownLan: new Set(own),
    pins: NO_PINS,
    samplings: [],
  });
}

describe('The shared addresses of a configuration', () => {
  it('have masters by their place on the WAN, and those of the LAN go with them', () => {
    const planned = plannedAddresses(configOf('active-passive'));
    assert.deepEqual(
      planned.map(({ name, masterSegment }) => [name, masterSegment]),
      [
        ['one', 0],
        ['one', 0],
        ['inside', 0],
        ['two', 1],
        ['within', 1],
        ['more', 0],
      ],
    );
  });

  it('have each a hardware address of its own, or the one that is written', () => {
    for (const mode of ['active-active', 'active-passive']) {
      const hardware = plannedAddresses(configOf(mode)).map((one) =>
        formatHardwareAddress(one.hardwareAddress),
      );
      assert.equal(new Set(hardware).size, hardware.length, hardware.join());
    }
    const mac = mode('active-passive', '02:00:5e:00:00:07');
    const [first, second] = plannedAddresses(mac);
    assert.ok(first !== undefined && second !== undefined);
    assert.equal(formatHardwareAddress(first.hardwareAddress), '02:00:5e:00:00:07');
    assert.deepEqual(first.hardwareAddress, second.hardwareAddress);
    function mode(name: string, written: string) {
      return configOf(
        name,
        ADDRESSES.replace('device = wan\n', `device = wan\n mac = ${written}\n`),
      );
    }
  });

  it('are served by all owners, by masters, or by nobody', () => {
    const all = ['192.0.2.100', '2001:db8:1::100', '10.1.0.100', '198.51.100.100', '10.2.0.100'];
    assert.deepEqual(served('active-active', [9]), [...all, '10.3.0.100']);
    assert.deepEqual(served('active-active', []), []);
    assert.deepEqual(served('active-passive', [1, 3, 5]), ['198.51.100.100', '10.2.0.100']);
    assert.deepEqual(served('active-passive', [2, 4]), []);
    assert.deepEqual(served('forward', [0, 1]), []);
  });

  it('are placed with the node that is preferred for them', () => {
    const advert = (node: number) => ({ node, demotion: 0, advbase: 1, advskew: 0 });
    const place = placeOf(configOf('active-passive'));
    assert.deepEqual(place([advert(1), advert(2)]).slice(0, 4), [1, 2, 1, 2]);
    assert.deepEqual(place([advert(1)]).slice(0, 4), [1, 1, 1, 1]);
    for (const mode of ['active-active', 'forward']) {
      const placed = placeOf(configOf(mode))([advert(1), advert(2)]);
      assert.equal(placed.filter((node) => node === 1).length, 128, mode);
    }
  });
});

describe('The packet filter of a configuration', () => {
  it('has every device of each side', () => {
    const text = textOf('active-active', [5]);
    assert.match(text, /hook ingress device "wan" .*\nip daddr \{ 192.0.2.100, 198.51.100.100 \}/);
    assert.match(text, /hook ingress device "wan2" .*\nip daddr \{ 192.0.2.100, 198.51.100.100 \}/);
    assert.match(text, /chain from_lan_0 \{\ntype filter hook ingress device "lan"/);
    assert.match(text, /own \{ 5 \}/);
    assert.match(text, /^jhash ip daddr mod 256 seed \w+ @own_lan meta pkttype set host counter/m);
    assert.match(text, /@th,32,32 & 63 == 1 counter name "esp_sampled"/);
    const change = textOf('active-active', [5, 6], false);
    assert.ok(!change.includes('chain') && change.includes('own { 5, 6 }'), change);
  });

  it('takes frames to what the node is master of, and to nothing else', () => {
    const planned = plannedAddresses(configOf('active-passive'));
    const text = textOf('active-passive', [1, 3]);
    for (const { hardwareAddress, masterSegment, name } of planned) {
      const isNamed = text.includes(formatHardwareAddress(hardwareAddress));
      assert.equal(isNamed, masterSegment === 1, name);
    }
    assert.doesNotMatch(text, /from_wan/);
  });
});
