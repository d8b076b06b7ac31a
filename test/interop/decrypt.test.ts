/**
 * A whole run as an independent reader sees it: tshark opens every message and every packet with
 * the key log and finds every ICV good.
 */
import assert from 'node:assert/strict';
import { Capture, dissect } from '../../lab/capture.ts';
import type { PairSettings } from '../../lab/swanctl-conf.ts';
import { setOffloads } from '../../lab/topology.ts';
import { onlyTsgw, type Role, roles, useLab } from '../support/lab.ts';

const runs: readonly (readonly [string, PairSettings])[] = [
  ['AES-GCM', { proposals: 'aes256gcm16-prfsha384-ecp384', espProposals: 'aes256gcm16' }],
  ['AES-CBC with SHA2-256', { proposals: 'aes128-sha256-x25519', espProposals: 'aes128-sha256' }],
  [
    'AES-CBC with SHA2-512, IPv6',
    {
      proposals: 'aes256-sha512-modp2048',
      espProposals: 'aes256-sha512',
      outer: 'ipv6',
      inner: 'ipv6',
    },
  ],
];

/** What else tshark has a name for; who begins makes no difference to it. */
const otherRuns: readonly (readonly [string, PairSettings])[] = [
  [
    'AES-GCM with ICVs of 8 and 12',
    { proposals: 'aes128gcm8-prfaescmac-x25519', espProposals: 'aes192gcm12' },
  ],
  [
    'AES-CCM for IKE, AES-CTR for ESP',
    { proposals: 'aes256ccm12-prfaesxcbc-x448', espProposals: 'aes256ctr-sha256' },
  ],
  [
    'AES-CTR with AES-XCBC for IKE, NULL for ESP',
    { proposals: 'aes256ctr-aesxcbc-ecp256bp', espProposals: 'null-sha512' },
  ],
];

describe('A captured run with the key log (tshark)', () => {
  onlyTsgw();
  const lab = useLab();
  afterEach(() => lab.clear());

  for (const role of roles) {
    for (const [name, pair] of runs) {
      it(`opens with ${name} as ${role}`, () => opens(role, pair));
    }
  }

  for (const [name, pair] of otherRuns) {
    it(`opens with ${name}`, () => opens('initiator', pair));
  }

  async function opens(role: Role, pair: PairSettings): Promise<void> {
    const { keyLog } = lab.tsgw;
    const inner = pair.inner ?? 'ipv4';
    // Every datagram as a wire carries it: links that pass super-packets show them uncut.
    await setOffloads(lab.topology, 'off');
    const capture = await Capture.start(lab.topology.network, 'g1');
    await lab.up(role, pair);
    await lab.carries({ inner, count: 10 });
    await lab.transfer({ family: inner, octets: 1_000_000 });
    await lab.clear();
    const file = await capture.stop();

    const sealed = await dissect(file, {
      fields: ['isakmp.exchangetype', 'isakmp.enc.pad_length', 'isakmp.typepayload'],
      filter: 'isakmp.exchangetype >= 35',
      keyLog,
    });
    assert.ok(sealed.length >= 4, 'IKE_AUTH and the Delete, requests and responses');
    for (const message of sealed) {
      assert.ok(message.get('isakmp.enc.pad_length')?.length, 'an SK payload stayed closed');
    }
    const payloads = sealed.map((message) => message.get('isakmp.typepayload') ?? []);
    assert.ok(
      payloads.some((types) => types.includes('39')),
      'AUTH is seen',
    );
    assert.ok(
      payloads.some((types) => types.includes('42')),
      'Delete is seen',
    );

    const packets = await dissect(file, {
      fields: ['esp.icv_good', 'esp.icv_bad', 'esp.protocol', 'icmp.type', 'icmpv6.type'],
      filter: 'esp',
      keyLog,
    });
    assert.ok(packets.length >= 100, `${packets.length} ESP packets captured`);
    for (const packet of packets) {
      assert.deepEqual(packet.get('esp.icv_good'), ['1'], 'an ICV was not found good');
      assert.deepEqual(packet.get('esp.icv_bad'), ['0']);
    }
    const echoes = packets.filter(
      (packet) =>
        packet.get('icmp.type')?.length === 1 ||
        ['128', '129'].includes(packet.get('icmpv6.type')?.[0] ?? ''),
    );
    assert.ok(echoes.length >= 20, `${echoes.length} echo requests and replies inside`);
  }
});
