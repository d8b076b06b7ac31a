/**
 * Frames of shared addresses as scapy and tshark read them, and scapy's as we do. Needs no root and no network.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { run } from '../../lab/command.ts';
import { decodeArp } from '../../src/cluster/virtual-address/arp.ts';
import {
  decodeFrame,
  EtherType,
  encodeFrame,
  groupHardwareAddress,
} from '../../src/cluster/virtual-address/ethernet.ts';
import { encodeProbe } from '../../src/cluster/virtual-address/flooding-probe.ts';
import {
  generalQueries,
  routerPresence,
} from '../../src/cluster/virtual-address/multicast-router.ts';
import { decodeNeighbourMessage } from '../../src/cluster/virtual-address/neighbour-discovery.ts';
import {
  announce,
  answerArp,
  answerSolicitation,
} from '../../src/cluster/virtual-address/shared-address.ts';
import { formatAddress, type IpAddress, parseAddress } from '../../src/wire/address.ts';
import { fromHex, toHex } from '../../src/wire/octets.ts';
import { framesFile } from '../support/pcap.ts';

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

const REAL = fromHex('020000000001');
const GROUP = '01:00:5e:00:00:20';
const VIRTUAL = '00:00:5e:00:01:07';
const V4 = { address: address('192.0.2.100'), hardwareAddress: fromHex(GROUP) };
const V6 = { address: address('2001:db8::64'), hardwareAddress: fromHex('33:33:00:00:00:20') };
const OWN = { ipv4: address('192.0.2.1'), linkLocal: address('fe80::1') };

type Layer = readonly [string, Readonly<Record<string, string | number | null>>];
interface Read {
  readonly layers: readonly Layer[];
  readonly sum: boolean;
}

/** One scapy for all: it takes longer to start than to answer. */
class Scapy {
  readonly #child = spawn('/usr/bin/python3', ['test/support/scapy-frames.py'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  readonly #lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();

  async ask(question: unknown): Promise<string> {
    this.#child.stdin.write(`${JSON.stringify(question)}\n`);
    const { value } = await this.#lines.next();
    return String(value);
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}

let scapy: Scapy | undefined;

async function askScapy(question: unknown): Promise<string> {
  scapy ??= new Scapy();
  return scapy.ask(question);
}

async function scapyReads(frames: readonly Uint8Array[]): Promise<readonly Read[]> {
  const answers: readonly Read[] = JSON.parse(await askScapy(frames.map(toHex)));
  assert.equal(answers.length, frames.length);
  return answers;
}

/** The fields that are named of the layer that has that name. */
function fields(
  read: Read | undefined,
  layer: string,
  ...names: readonly string[]
): readonly unknown[] {
  const found = read?.layers.find(([name]) => name === layer)?.[1];
  assert.ok(found !== undefined, `no ${layer} in ${JSON.stringify(read)}`);
  return names.map((name) => found[name]);
}

async function scapyFrames(): Promise<Readonly<Record<string, Uint8Array>>> {
  const made: Readonly<Record<string, string>> = JSON.parse(await askScapy('make'));
  return Object.fromEntries(Object.entries(made).map(([name, hex]) => [name, fromHex(hex)]));
}

function toGroup({ group, packet }: { readonly group: IpAddress; readonly packet: Uint8Array }) {
  const type = group.family === 4 ? EtherType.IPV4 : EtherType.IPV6;
  const destination = groupHardwareAddress(group);
  return encodeFrame({ destination, source: REAL, type, payload: packet });
}

function probe(to: IpAddress, from: IpAddress): Uint8Array {
  const type = to.family === 4 ? EtherType.IPV4 : EtherType.IPV6;
  const payload = encodeProbe({ node: 3, nonce: new Uint8Array(16).fill(7), to }, from);
  return encodeFrame({ destination: V4.hardwareAddress, source: REAL, type, payload });
}

describe('Frames of a shared address, read by others', function () {
  this.timeout(30_000);
  after(() => scapy?.stop());

  it('announce it', async () => {
    const virtual = { ...V4, hardwareAddress: fromHex(VIRTUAL) };
    const frames = [...announce(virtual, REAL), ...announce(V6, REAL)];
    const [request, reply, advertisement] = await scapyReads(frames);
    assert.deepEqual(fields(request, 'Ethernet', 'src', 'dst'), [VIRTUAL, 'ff:ff:ff:ff:ff:ff']);
    const arp = ['op', 'hwsrc', 'psrc', 'pdst'];
    assert.deepEqual(fields(request, 'ARP', ...arp), [1, VIRTUAL, '192.0.2.100', '192.0.2.100']);
    assert.deepEqual(fields(reply, 'ARP', ...arp), [2, VIRTUAL, '192.0.2.100', '192.0.2.100']);
    const name = 'ICMPv6 Neighbor Discovery - Neighbor Advertisement';
    assert.deepEqual(fields(advertisement, name, 'R', 'S', 'O', 'tgt'), [1, 0, 1, '2001:db8::64']);
    const option = 'ICMPv6 Neighbor Discovery Option - Destination Link-Layer Address';
    assert.deepEqual(fields(advertisement, option, 'lladdr'), ['33:33:00:00:00:20']);
    assert.deepEqual(fields(advertisement, 'IPv6', 'hlim', 'dst'), [255, 'ff02::1']);
    assert.deepEqual(fields(advertisement, 'Ethernet', 'src', 'dst'), [
      '02:00:00:00:00:01',
      '33:33:00:00:00:01',
    ]);
    assert.equal(advertisement?.sum, true);
  });

  it('answer what scapy asks', async () => {
    const asked = await scapyFrames();
    const arp = decodeFrame(asked.arpRequest ?? REAL);
    const solicitation = decodeFrame(asked.solicitation ?? REAL);
    const message = decodeNeighbourMessage(solicitation.payload);
    assert.ok(message?.kind === 'solicitation');
    assert.equal(formatAddress(message.target), '2001:db8::64');
    const answers = [
      answerArp(V4, decodeArp(arp.payload), REAL),
      answerSolicitation(V6, message, solicitation.source, REAL),
    ].filter((one) => one !== undefined);
    const [reply, advertisement] = await scapyReads(answers);
    assert.deepEqual(fields(reply, 'Ethernet', 'src', 'dst'), [
      '02:00:00:00:00:01',
      '02:00:00:00:00:09',
    ]);
    assert.deepEqual(fields(reply, 'ARP', 'op', 'hwsrc', 'psrc', 'hwdst', 'pdst'), [
      ...[2, GROUP, '192.0.2.100', '02:00:00:00:00:09', '192.0.2.9'],
    ]);
    const name = 'ICMPv6 Neighbor Discovery - Neighbor Advertisement';
    assert.deepEqual(fields(advertisement, name, 'R', 'S', 'O', 'tgt'), [1, 1, 1, '2001:db8::64']);
    assert.deepEqual(fields(advertisement, 'IPv6', 'src', 'dst'), ['2001:db8::64', '2001:db8::9']);
    assert.equal(advertisement?.sum, true);
  });

  it('are understood when scapy makes them', async () => {
    const made = await scapyFrames();
    const payload = (name: string) => decodeFrame(made[name] ?? REAL).payload;
    const { operation, sender, target, senderHardware } = decodeArp(payload('arpReply'));
    assert.deepEqual(
      [operation, formatAddress(sender), formatAddress(target), toHex(senderHardware)],
      [2, '192.0.2.100', '192.0.2.9', '020000000009'],
    );
    const duplicate = decodeNeighbourMessage(payload('duplicate'));
    assert.equal(duplicate && formatAddress(duplicate.source), '::');
    assert.equal(duplicate?.hardwareAddress, undefined);
    const advertisement = decodeNeighbourMessage(payload('advertisement'));
    assert.ok(advertisement?.kind === 'advertisement');
    const { router, solicited, override, hardwareAddress = REAL } = advertisement;
    assert.deepEqual(
      [router, solicited, override, toHex(hardwareAddress)],
      [false, false, true, '020000000009'],
    );
  });

  it('say that a multicast router is here', async () => {
    const [advertisement4, hello4, advertisement6, hello6] = await scapyReads(
      routerPresence(OWN).map(toGroup),
    );
    assert.deepEqual(fields(advertisement4, 'IP', 'ttl', 'dst', 'src'), [
      1,
      '224.0.0.106',
      '192.0.2.1',
    ]);
    assert.deepEqual(fields(hello4, 'IP', 'ttl', 'dst', 'proto'), [1, '224.0.0.13', 103]);
    const pim = 'Protocol Independent Multicast Version 2 Header';
    assert.deepEqual(fields(hello4, pim, 'version', 'type'), [2, 0]);
    assert.equal(hello4?.sum, true);
    assert.deepEqual(fields(advertisement6, 'Ethernet', 'dst'), ['33:33:00:00:00:6a']);
    assert.deepEqual(fields(hello6, 'IPv6', 'hlim', 'dst', 'nh'), [1, 'ff02::d', 103]);
    const [igmp, mld] = await scapyReads(generalQueries(OWN).map(toGroup));
    assert.deepEqual(fields(igmp, 'Ethernet', 'dst'), ['01:00:5e:00:00:01']);
    assert.equal(igmp?.sum, true);
    assert.deepEqual(fields(mld, 'Ethernet', 'dst'), ['33:33:00:00:00:01']);
  });

  it('have right lengths and sums, and nothing that tshark finds fault with', async () => {
    const frames = [
      ...announce(V4, REAL),
      ...announce(V6, REAL),
      ...routerPresence(OWN).map(toGroup),
      ...generalQueries(OWN).map(toGroup),
      probe(V4.address, OWN.ipv4),
      probe(V6.address, OWN.linkLocal),
    ];
    const directory = mkdtempSync(join(tmpdir(), 'tsgw-frames-'));
    const file = join(directory, 'frames.pcap');
    try {
      writeFileSync(file, framesFile(frames));
      const sums = ['ip', 'udp'].flatMap((one) => ['-o', `${one}.check_checksum:TRUE`]);
      const named = ['_ws.col.Protocol', '_ws.col.Info', '_ws.expert.message', ...SUMS];
      const columns = ['-T', 'fields', '-E', 'separator=|', ...named.flatMap((one) => ['-e', one])];
      const { stdout } = await run(['tshark', '-r', file, ...sums, ...columns]);
      assert.deepEqual(stdout.trimEnd().split('\n'), READ_BY_TSHARK);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

/** Whether tshark found the sums right: 1. */
const SUMS = ['ip', 'udp', 'igmp', 'pim.cksum', 'icmpv6'].map((one) =>
  one.includes('.') ? `${one}.status` : `${one}.checksum.status`,
);

const READ_BY_TSHARK: readonly string[] = [
  'ARP|ARP Announcement for 192.0.2.100||||||',
  'ARP|Gratuitous ARP for 192.0.2.100 (Reply)||||||',
  'ICMPv6|Neighbor Advertisement 2001:db8::64 (rtr, ovr) is at 33:33:00:00:00:20||||||1',
  // tshark 4.0 does not know RFC 4286 over IGMP.
  'IGMP|Unknown Type:0x30||1||||',
  'PIMv2|Hello||1|||1|',
  'ICMPv6|Multicast Router Advertisement||||||1',
  'PIMv2|Hello|||||1|',
  'IGMPv3|Membership Query, general||1||1||',
  'ICMPv6|Multicast Listener Query||||||1',
  // Meant so: the probe is not to leave the link.
  'UDP|9 → 9 Len=47|"Time To Live" only 1|1|1|||',
  'UDP|9 → 9 Len=47|||1|||',
];
