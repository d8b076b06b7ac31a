/**
 * The segment hash against the kernel's own: one nft counter for each of 256 segments, and packets with
 * SPIs and addresses of every form that a filter looks at.
 */
import assert from 'node:assert/strict';
import { Network } from '../../lab/namespaces.ts';
import { jhash, scaled } from '../../src/cluster/segment-hash.ts';
import { concatOctets, fromHex, toHex } from '../../src/wire/octets.ts';
import {
  espPayload,
  ethernetFrame,
  hardwareAddress,
  type IkeFields,
  ikePayload,
  ipPacket,
  NON_ESP_MARKER,
  sendFrames,
  udpPacket,
} from '../support/ethernet-frames.ts';
import { seededRandom } from '../support/seeded-random.ts';

const SEED = 0x5eed;
const COUNT = 256;
const KEYS = 48;
const ESP = 50;

const random = seededRandom(256);
const FOUR = { source: Uint8Array.of(192, 0, 2, 2), destination: Uint8Array.of(192, 0, 2, 1) };
const SIX = {
  source: fromHex('20010db800010000 0000000000000002'),
  destination: fromHex('20010db800010000 0000000000000001'),
};

/** What nft hashes, the length of it, and a packet that has it there. */
interface Form {
  readonly name: string;
  /** As nft writes it, behind a match that only packets of this form pass. */
  readonly match: string;
  readonly key: string;
  readonly octets: number;
  readonly packet: (key: Uint8Array) => Uint8Array;
}

function ike(key: Uint8Array, where: 'initiatorSpi' | 'responderSpi'): Uint8Array {
  const fields: IkeFields = {
    initiatorSpi: random(8),
    responderSpi: random(8),
    exchange: 37,
    initiator: where === 'responderSpi',
  };
  return ikePayload({ ...fields, [where]: key });
}

const word = (key: Uint8Array) => new DataView(key.buffer, key.byteOffset).getUint32(0);
const FORMS: readonly Form[] = [FOUR, SIX].flatMap((ends) => {
  const [family, ip] = ends === FOUR ? ['v4', 'ip'] : ['v6', 'ip6'];
  const protocol = `meta protocol ${ip}`;
  const to = (port: number) => `${protocol} udp dport ${port}`;
  return [
    {
      name: `ESP over I${family}`,
      match: `${protocol} meta l4proto esp`,
      key: 'esp spi',
      octets: 4,
      packet: (key) => ipPacket(ends, ESP, espPayload(word(key), 1)),
    },
    {
      name: `ESP in UDP over I${family}`,
      match: `${to(4500)} @th,64,32 != 0`,
      key: '@th,64,32',
      octets: 4,
      packet: (key) => udpPacket(ends, { from: 4500, to: 4500 }, espPayload(word(key), 1)),
    },
    {
      name: `an IKE initiator's SPI on 500 over I${family}`,
      match: `${to(500)} @th,216,8 & 0x08 == 0`,
      key: '@th,64,64',
      octets: 8,
      packet: (key) => udpPacket(ends, { from: 500, to: 500 }, ike(key, 'initiatorSpi')),
    },
    {
      name: `an IKE responder's SPI on 500 over I${family}`,
      match: `${to(500)} @th,216,8 & 0x08 != 0`,
      key: '@th,128,64',
      octets: 8,
      packet: (key) => udpPacket(ends, { from: 500, to: 500 }, ike(key, 'responderSpi')),
    },
    {
      name: `an IKE responder's SPI on 4500 over I${family}`,
      match: `${to(4500)} @th,64,32 == 0 @th,248,8 & 0x08 != 0`,
      key: '@th,160,64',
      octets: 8,
      packet: (key) => {
        const message = concatOctets(NON_ESP_MARKER, ike(key, 'responderSpi'));
        return udpPacket(ends, { from: 4500, to: 4500 }, message);
      },
    },
    {
      name: `a source address of I${family}`,
      match: `${protocol} udp dport 9`,
      key: `${ip} saddr`,
      octets: ends === FOUR ? 4 : 16,
      packet: (key) => udpPacket({ ...ends, source: key }, { from: 9, to: 9 }, new Uint8Array(1)),
    },
  ] satisfies readonly Form[];
});

function ruleset(): string {
  const chains = FORMS.map(({ key }, index) => {
    const rules = Array.from(
      { length: COUNT },
      (_, segment) => `jhash ${key} mod ${COUNT} seed ${SEED} ${segment} counter`,
    );
    return `chain form${index} {\n${rules.join('\n')}\n}`;
  });
  const jumps = FORMS.map(({ match }, index) => `${match} jump form${index}`);
  const hook = 'type filter hook ingress device "wan" priority 0; policy accept;';
  return `table netdev count {\n${chains.join('\n')}\nchain in {\n${hook}\n${jumps.join('\n')}\n}\n}\n`;
}

describe('The segment hash and the kernel', function () {
  this.timeout(30_000);
  let network: Network;

  before(async () => {
    network = new Network();
    await network.addNode('a', []);
    await network.addNode('b', []);
    await network.link(
      { node: 'a', device: 'wan', addresses: [] },
      { node: 'b', device: 'wan', addresses: [] },
    );
    await network.exec('a', ['nft', '-f', '-'], { input: ruleset() });
  });

  after(() => network.destroy());

  for (const [index, { name, octets, packet }] of FORMS.entries()) {
    it(`agree about ${name}`, async () => {
      const ends = {
        from: await hardwareAddress(network, 'b', 'wan'),
        to: await hardwareAddress(network, 'a', 'wan'),
      };
      const keys = [
        new Uint8Array(octets).fill(0xff),
        ...Array.from({ length: KEYS }, () => random(octets)),
      ];
      const frames = keys.map((key) => ethernetFrame(ends, packet(key)));
      await sendFrames(network, 'b', 'wan', frames);
      const expected = new Array<number>(COUNT).fill(0);
      for (const key of keys) {
        const segment = scaled(jhash(key, SEED), COUNT);
        expected[segment] = (expected[segment] ?? 0) + 1;
      }
      const { stdout } = await network.exec('a', [
        'nft',
        'list',
        'chain',
        'netdev',
        'count',
        `form${index}`,
      ]);
      const counted = [...stdout.matchAll(/counter packets (\d+)/g)].map(([, packets]) =>
        Number(packets),
      );
      assert.deepEqual(counted, expected, `SPIs ${keys.map(toHex)}`);
    });
  }
});
