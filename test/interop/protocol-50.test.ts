/**
 * What strongSwan's userspace ESP cannot speak, between two tsgw: IP protocol 50, extended
 * sequence numbers, forced encapsulation without a NAT. tshark and scapy are the oracles.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Capture, type Dissected, dissect } from '../../lab/capture.ts';
import { packetsOfPcap } from '../../lab/pcap.ts';
import type { PairSettings } from '../../lab/swanctl-conf.ts';
import { type Family, setOffloads } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { IpProtocol } from '../../src/wire/ip-protocol.ts';
import { toHex } from '../../src/wire/octets.ts';
import { onlyTsgw, subjectKind, useLab } from '../support/lab.ts';
import { type ScapyJob, scapy } from '../support/scapy-oracle.ts';

const families: readonly Family[] = ['ipv4', 'ipv6'];

describe('Two tsgw (RFC 4303)', () => {
  onlyTsgw();
  const lab = useLab({ peer: subjectKind });
  // A super-packet would be one in the capture.
  before(() => setOffloads(lab.topology, 'off'));
  afterEach(() => lab.clear());

  for (const outer of families) {
    for (const inner of families) {
      it(`carry ${inner} in ${outer} as IP protocol 50`, async () => {
        const packets = await captured({ outer, inner });
        for (const packet of packets) {
          assert.deepEqual(packet.get('udp.dstport'), [], 'not encapsulated in UDP');
        }
      });
    }
  }

  it('carry ESP in UDP when encapsulation is forced at one end', async () => {
    const packets = await captured({ g1: { connection: { encap: 'yes' } } });
    for (const packet of packets) {
      assert.deepEqual(packet.get('udp.dstport'), ['4500']);
    }
  });

  for (const espProposals of ['aes128gcm16-esn', 'aes256-sha256-esn']) {
    it(`carry packets with extended sequence numbers and ${espProposals}`, async () => {
      await lab.up('initiator', { espProposals });
      const { subjectChild } = await lab.tunnel();
      assert.equal(subjectChild.raw.esn, '1');
      await lab.carries({ count: 20 });
      const { octets } = await lab.transfer({ octets: 20_000_000 });
      assert.ok(octets > 10_000_000, `${octets} octets arrived`);
    });
  }

  for (const [outer, espProposals, crypt, auth] of [
    ['ipv4', 'aes256gcm16-esn', 'AES-GCM', null],
    ['ipv6', 'aes128-sha256-esn', 'AES-CBC', 'SHA2-256-128'],
  ] as const) {
    it(`send what scapy opens from a capture, the high half in each ICV: ${espProposals}`, async () => {
      const capture = await Capture.start(lab.topology.network, 'g1');
      await lab.up('initiator', { outer, espProposals });
      await lab.carries({ count: 10 });
      const keys = espKeys(join(lab.tsgw.keyLog, 'esp_sa'));
      const captured = packetsOfPcap(readFileSync(await capture.stop()));
      const jobs = captured.filter(isEsp).map((packet): ScapyJob => {
        const [spi = 0, low = 0] = espNumbers(packet);
        const sa = keys.get(spi);
        assert.ok(sa !== undefined, `SPI ${spi} is in the key log`);
        return {
          ...{ verb: 'open', crypt, auth, icv: auth === null ? 16 : 0, udp: false, spi },
          ...{ ...sa, esn: true, high: 0, low, packet: toHex(packet) },
        };
      });
      assert.ok(jobs.length >= 20, `${jobs.length} ESP packets captured`);
      for (const inner of scapy(jobs)) assert.match(String(inner), /^45.{16}01/, 'ICMP is inside');
      // An ICV that covers 32 bits, or another high half, would be another one.
      for (const change of [{ esn: false }, { high: 1 }]) {
        const answers = scapy(jobs.map((job) => ({ ...job, ...change })));
        for (const answer of answers) assert.notEqual(typeof answer, 'string');
      }
    });
  }

  it('carry a TCP stream each way and fragments', async () => {
    await lab.up('initiator');
    for (const reverse of [false, true]) {
      const { octets } = await lab.transfer({ octets: 20_000_000, reverse });
      assert.ok(octets > 10_000_000, `${octets} octets arrived`);
    }
    const large = await ping(lab.topology, { size: 4000 });
    assert.equal(large.lossPercent, 0);
  });

  /** Brings the tunnel up, pings, and answers the ESP packets, each with a good ICV. */
  async function captured(pair: PairSettings): Promise<readonly Dissected[]> {
    const capture = await Capture.start(lab.topology.network, 'g1');
    await lab.up('initiator', pair);
    await lab.carries({ inner: pair.inner ?? 'ipv4', count: 10 });
    const packets = await dissect(await capture.stop(), {
      fields: ['udp.dstport', 'esp.icv_good', 'esp.sequence'],
      filter: 'esp',
      keyLog: lab.tsgw.keyLog,
    });
    assert.ok(packets.length >= 20, `${packets.length} ESP packets captured`);
    for (const packet of packets) {
      assert.deepEqual(packet.get('esp.icv_good'), ['1'], 'an ICV was not found good');
    }
    return packets;
  }
});

function isEsp(packet: Uint8Array): boolean {
  return packet[packet[0] === 0x45 ? 9 : 6] === IpProtocol.ESP;
}

/** SPI and sequence number behind an outer header without options. */
function espNumbers(packet: Uint8Array): readonly number[] {
  const view = new DataView(packet.buffer, packet.byteOffset + (packet[0] === 0x45 ? 20 : 40));
  return [view.getUint32(0), view.getUint32(4)];
}

/** Wireshark's table: family, source, destination, SPI, cipher, key, MAC, key. */
function espKeys(file: string) {
  const lines = readFileSync(file, 'utf8').split('\n');
  return new Map(
    lines.map((line) => {
      const fields = [...line.matchAll(/"([^"]*)"/g)].map(([, field = '']) => field);
      const [, source = '', destination = '', spi = '', , cryptKey = '', , authKey = ''] = fields;
      const keys = { cryptKey: cryptKey.slice(2), authKey: authKey.slice(2) };
      return [Number(spi), { source, destination, ...keys }];
    }),
  );
}
