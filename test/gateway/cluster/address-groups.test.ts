import assert from 'node:assert/strict';
import {
  segmentHash,
  segmentOfAddress,
  segmentOfIkeSpi,
} from '../../../src/cluster/segment-hash.ts';
import { loadConfig } from '../../../src/config/config.ts';
import { AddressGroups } from '../../../src/gateway/cluster/address-groups.ts';
import { type ArrivedIke, segmentOfIke } from '../../../src/gateway/cluster/ike-segment.ts';
import { ClusterSpis } from '../../../src/gateway/cluster-spis.ts';
import { type IpAddress, ipAddress, parseAddress } from '../../../src/wire/address.ts';
import { fromHex } from '../../../src/wire/octets.ts';
import { NO_FILES } from '../../config/reading.ts';
import { ikePayload } from '../../support/ethernet-frames.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const hash = segmentHash(256, 0x74736777);
const random = seededRandom(90);
const ALL = Array.from({ length: 256 }, (_, segment) => segment);
const [FIRST, FIRST_6, SECOND, THIRD, OTHER] = [
  '192.0.2.100',
  '2001:db8::100',
  '192.0.2.101',
  '192.0.2.102',
  '192.0.2.1',
].map(address);

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

function groupsOf(mode: string): AddressGroups {
  const one = (name: string, addrs: string, side = 'wan') =>
    `${name} {\n addrs = ${addrs}\n device = ${side}\n side = ${side}\n}\n`;
  const addresses = `${one('a', '192.0.2.100, 2001:db8::100')}${one('l', '10.0.0.1', 'lan')}${one('b', '192.0.2.101')}${one('c', '192.0.2.102')}`;
  const nodes = 'nodes { a { addrs = 10.77.0.1\n}\n b { addrs = 10.77.0.2\n}\n }';
  const text = `cluster { self = a\nsecret = 0x${'5f'.repeat(32)}\nmode = ${mode}\n${nodes}\naddresses {\n${addresses}}\n}`;
  const { cluster } = loadConfig(text, 'swanctl.conf', NO_FILES);
  assert.ok(cluster !== undefined);
  return new AddressGroups(cluster);
}

const groups = groupsOf('active-passive');

describe('Segments of an address that has a master of its own', () => {
  it('are every third of three addresses, each as often as others', () => {
    for (const [local, group] of [
      [FIRST, 0],
      [FIRST_6, 0],
      [SECOND, 1],
      [THIRD, 2],
    ] as const) {
      assert.ok(local !== undefined);
      const hit = ALL.map((segment) => groups.segmentAt(local, segment));
      assert.ok(hit.every((segment) => segment % 3 === group && segment < 256));
      assert.ok(new Set(hit).size >= 85);
      assert.deepEqual(
        groups.among(local, [3, 4, 5, 6]),
        [3, 4, 5, 6].filter((s) => s % 3 === group),
      );
    }
  });

  it('are all segments for other addresses, and in other modes', () => {
    assert.ok(OTHER !== undefined && SECOND !== undefined);
    assert.deepEqual(groups.among(OTHER, ALL), ALL);
    assert.equal(groups.segmentAt(OTHER, 5), 5);
    for (const mode of ['active-active', 'forward']) {
      assert.equal(groupsOf(mode).segmentAt(SECOND, 5), 5);
      assert.deepEqual(groupsOf(mode).among(SECOND, ALL), ALL);
    }
  });

  it('are those of the SPIs of its IKE SAs, whoever begins, and of requests that have none', () => {
    const sourceSeed = 7;
    const spis = new ClusterSpis({ hash, sourceSeed, random, groups, own: () => ALL });
    for (const [local, group] of [
      [FIRST, 0],
      [SECOND, 1],
      [THIRD, 2],
    ] as const) {
      assert.ok(local !== undefined);
      for (let each = 0; each < 20; each++) {
        const asker = ipAddress(random(4));
        const answered = spis.ikeSpi({ asker, local, isFree: () => true });
        const begun = spis.ikeSpi({ local, isFree: () => true });
        assert.ok(answered !== undefined && begun !== undefined);
        const segment = segmentOfIkeSpi(fromHex(answered), hash);
        assert.equal(segment % 3, group);
        assert.equal(segmentOfIkeSpi(fromHex(begun), hash) % 3, group);
        const octets = ikePayload({
          initiatorSpi: random(8),
          responderSpi: new Uint8Array(8),
          exchange: 34,
          initiator: true,
        });
        const port = 500;
        const arrived: ArrivedIke = {
          octets,
          local: { address: local, port },
          remote: { address: asker, port },
        };
        assert.equal(segmentOfIke(arrived, { hash, sourceSeed, groups }), segment);
        const asked = segmentOfAddress(asker, { ...hash, seed: sourceSeed });
        assert.equal(segmentOfIke(arrived, { hash, sourceSeed }), asked, 'without groups');
      }
    }
  });
});
