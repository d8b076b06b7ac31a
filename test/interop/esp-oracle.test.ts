/**
 * Others judge our ESP packets: scapy opens what we sealed and seals what we open, tshark decrypts
 * what it has algorithms for. Needs python3 with scapy, tshark and the addon; without one it fails.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EncryptionId, IntegrityId } from '../../src/crypto/transform.ts';
import { espSuite } from '../../src/esp/esp-suite.ts';
import { IpProtocol } from '../../src/wire/ip-protocol.ts';
import { concatOctets, fromHex, toHex } from '../../src/wire/octets.ts';
import {
  type ChildSaOptions,
  childSa,
  clusterParameters,
  type EspGateway,
  espPair,
  mirrored,
  RAW6,
  selector,
  testKeys,
  UDP,
} from '../support/esp-gateway.ts';
import { icmpPacket, innerPacket, udpPacket } from '../support/inner-packets.ts';
import { NativeSealer } from '../support/native-sealer.ts';
import { scapy } from '../support/scapy-oracle.ts';
import { segmentsOf, superPacket } from '../support/super-packets.ts';

const FOUR = ['10.1.0.10', '10.2.0.10'] as const;
const SIX = ['2001:db8:1::10', '2001:db8:2::10'] as const;

interface Suite {
  readonly name: string;
  readonly options: Pick<ChildSaOptions, 'encr' | 'integ'>;
  /** Name in scapy; undefined where it has no such algorithm. */
  readonly crypt: string | undefined;
  readonly auth: string | null;
  /** Octets the cipher itself makes; 0 where `auth` does. */
  readonly icv: number;
  /** Names in tshark's table; undefined where it has no such algorithm. */
  readonly tshark?: readonly [encryption: string, authentication: string];
}

const CBC = 'AES-CBC [RFC3602]';
const CTR = 'AES-CTR [RFC3686]';
const ANY_96 = 'ANY 96 bit authentication [no checking]';
const SHA2_256 = ['SHA2-256-128', 'HMAC-SHA-256-128 [RFC4868]'] as const;

const { AES_GCM_16, AES_GCM_12, AES_GCM_8, AES_CCM_16, AES_CCM_12, AES_CCM_8 } = EncryptionId;
const { AES_CBC, AES_CTR, NULL } = EncryptionId;
const { AUTH_HMAC_SHA2_256_128, AUTH_AES_CMAC_96, AUTH_AES_XCBC_96 } = IntegrityId;

const suites: readonly Suite[] = [
  aead('AES-GCM', AES_GCM_16, 128, 16, 'AES-GCM with 16 octet ICV [RFC4106]'),
  aead('AES-GCM', AES_GCM_16, 192, 16, 'AES-GCM with 16 octet ICV [RFC4106]'),
  aead('AES-GCM', AES_GCM_16, 256, 16, 'AES-GCM with 16 octet ICV [RFC4106]'),
  // scapy's GCM has tags of 16 octets only.
  {
    ...aead('AES-GCM', AES_GCM_12, 128, 12, 'AES-GCM with 12 octet ICV [RFC4106]'),
    crypt: undefined,
  },
  { ...aead('AES-GCM', AES_GCM_8, 256, 8, 'AES-GCM with 8 octet ICV [RFC4106]'), crypt: undefined },
  aead('AES-CCM', AES_CCM_16, 128, 16),
  aead('AES-CCM', AES_CCM_12, 192, 12),
  aead('AES-CCM', AES_CCM_8, 256, 8),
  aead('AES-GMAC', EncryptionId.NULL_AUTH_AES_GMAC, 256, 16),
  {
    name: 'ChaCha20-Poly1305',
    options: { encr: { id: EncryptionId.CHACHA20_POLY1305 } },
    crypt: 'CHACHA20-POLY1305',
    auth: null,
    icv: 16,
  },
  classic('AES-CBC', AES_CBC, 128, IntegrityId.AUTH_HMAC_SHA1_96, [
    'HMAC-SHA1-96',
    'HMAC-SHA-1-96 [RFC2404]',
    CBC,
  ]),
  classic('AES-CBC', AES_CBC, 192, AUTH_HMAC_SHA2_256_128, [...SHA2_256, CBC]),
  classic('AES-CBC', AES_CBC, 256, IntegrityId.AUTH_HMAC_SHA2_384_192, [
    'SHA2-384-192',
    'HMAC-SHA-384-192 [RFC4868]',
    CBC,
  ]),
  classic('AES-CBC', AES_CBC, 256, IntegrityId.AUTH_HMAC_SHA2_512_256, [
    'SHA2-512-256',
    'HMAC-SHA-512-256 [RFC4868]',
    CBC,
  ]),
  classic('AES-CBC', AES_CBC, 128, AUTH_AES_CMAC_96, ['AES-CMAC-96', ANY_96, CBC]),
  classic('AES-CTR', AES_CTR, 128, AUTH_HMAC_SHA2_256_128, [...SHA2_256, CTR]),
  classic('AES-CTR', AES_CTR, 192, AUTH_AES_CMAC_96, ['AES-CMAC-96', ANY_96, CTR]),
  classic('AES-CTR', AES_CTR, 256, AUTH_AES_XCBC_96, ['AES-XCBC-96', ANY_96, CTR]),
  classic('3DES', EncryptionId['3DES'], undefined, AUTH_HMAC_SHA2_256_128, [
    ...SHA2_256,
    'TripleDES-CBC [RFC2451]',
  ]),
  classic('NULL', NULL, undefined, AUTH_HMAC_SHA2_256_128, [...SHA2_256, 'NULL']),
  classic('NULL', NULL, undefined, AUTH_AES_XCBC_96, ['AES-XCBC-96', ANY_96, 'NULL']),
];

/** Inner packets of both families whose lengths leave every padding. */
const packets = Array.from({ length: 18 }, (_, data) => [
  udpPacket(...FOUR, data),
  udpPacket(...SIX, data),
]).flat();

const outers = [
  { name: 'UDP over IPv4', udp: true, a: '192.0.2.1', b: '192.0.2.2' },
  { name: 'UDP over IPv6', udp: true, a: '2001:db8:ff::1', b: '2001:db8:ff::2' },
  { name: 'protocol 50 over IPv4', udp: false, a: '192.0.2.1', b: '192.0.2.2' },
  { name: 'protocol 50 over IPv6', udp: false, a: '2001:db8:ff::1', b: '2001:db8:ff::2' },
] as const;

describe('scapy opens what we sealed and seals what we open', function () {
  this.timeout(120_000);
  const cases = suites
    .filter(({ crypt }) => crypt !== undefined)
    .flatMap((suite) =>
      [false, true].map((esn) => ({
        ...{ suite, esn, title: `${suite.name}${esn ? ' with ESN' : ''}` },
        first: esn ? { high: 2, low: 0xffff_fff0 } : { high: 0, low: 1 },
      })),
    );
  const judged = new Map<string, Judged>();

  before(() => {
    // One process for all: scapy takes longer to start than to open or seal what is asked.
    const asked = cases.map((one) => ({ ...one, ...question(one) }));
    const answers = scapy(asked.flatMap(({ jobs }) => jobs));
    let from = 0;
    for (const { title, pairs, jobs } of asked) {
      judged.set(title, { pairs, answers: answers.slice(from, from + jobs.length) });
      from += jobs.length;
    }
  });

  for (const { title, esn, first } of cases) {
    it(title, () => {
      const { pairs, answers } = judged.get(title) ?? { pairs: [], answers: [] };
      assert.equal(answers.length, 2 * outers.length * packets.length);
      const expected = packets.map(toHex);
      for (const [index, { outer, b, saB }] of pairs.entries()) {
        const opened = index * packets.length;
        assert.deepEqual(answers.slice(opened, opened + packets.length), expected, outer.name);
        if (esn) saB.window.update(first.high, first.low - 1);
        const sealed = answers.length / 2 + opened;
        const datagrams = answers.slice(sealed, sealed + packets.length);
        b.fromSocket(
          outer.udp ? UDP : RAW6,
          ...datagrams.map((hex) => ({ octets: fromHex(String(hex)) })),
        );
        assert.deepEqual(b.drops(), {}, outer.name);
        assert.deepEqual(b.delivered.map(toHex), expected, outer.name);
      }
    });
  }

  for (const suite of suites.filter(inTransport)) {
    it(`${suite.name} in transport mode`, () => {
      // The outer addresses are the packet's own.
      const hosts = [FOUR, SIX].map(([a, b]) => {
        return { udp: false, a, b, packets: packets.filter((one) => isFrom(one, a)) };
      });
      const pairs = hosts.map((host) => ({ host, ...hostPair(suite, host) }));
      const jobs = pairs.flatMap(({ host, a }) => {
        a.fromTun(...host.packets);
        const job = { ...jobOf(suite, false, host), transport: true, high: 0 };
        return [
          ...a.sent.map(({ octets }, index) => {
            const packet = toHex(outerPacket(host, octets));
            return { ...job, verb: 'open', low: index + 1, packet };
          }),
          ...host.packets.map((packet, index) => {
            return { ...job, verb: 'seal', low: index + 1, packet: toHex(packet) };
          }),
        ];
      });
      const answers = scapy(jobs).map(String);
      for (const [index, { host, b }] of pairs.entries()) {
        const count = host.packets.length;
        const opened = answers.slice(2 * index * count, (2 * index + 1) * count);
        assert.deepEqual(opened, host.packets.map(toHex), host.a);
        const sealed = answers.slice((2 * index + 1) * count, 2 * (index + 1) * count);
        b.fromSocket(RAW6, ...sealed.map((hex) => ({ octets: fromHex(hex) })));
        assert.deepEqual(b.drops(), {}, host.a);
        const made = { identification: 0, dontFragment: true };
        const ends = [host.a, host.b] as const;
        const expected = host.packets.map((_, data) => toHex(udpPacket(...ends, data, made)));
        assert.deepEqual(b.delivered.map(toHex), expected, host.a);
      }
    });
  }

  it('also where the high half changes within a super-packet', () => {
    const payload = Uint8Array.from({ length: 6500 }, (_, index) => index * 7);
    const stream = { family: 6, protocol: 'tcp', segment: 700, payload } as const;
    const first = { high: 0, low: 0xffff_fffb };
    const known = suites.filter(({ crypt }) => crypt !== undefined);
    const offload = { offload: { udp: true }, sealer: new NativeSealer() };
    const jobs = known.flatMap((suite) => {
      const { a, saA } = espPair({ ...suite.options, esn: true }, offload);
      saA.sequence.resumeAfter(first.high, first.low - 1);
      a.fromDevice(superPacket(stream));
      return a.sent.map(({ octets }, index) => ({
        ...{ ...jobOf(suite, true, outers[0]), ...sequenceAt(first, index), verb: 'open' },
        packet: toHex(outerPacket(outers[0], octets)),
      }));
    });
    const expected = segmentsOf(stream).map(toHex);
    assert.ok(expected.length === 10 && jobs.some(({ high }) => high === 1));
    const answers = scapy(jobs);
    for (const [index, { name }] of known.entries()) {
      assert.deepEqual(answers.slice(index * 10, index * 10 + 10), expected, name);
    }
  });

  it('also where the IV says which node of a cluster sealed, by every library', () => {
    const used = { high: 1, low: 0xffff_fffd };
    const reserved = { high: 2, low: 0x100 };
    const known = suites.filter(({ crypt }) => crypt !== undefined);
    const inner = [4, 5, 6].map((data) => udpPacket(...FOUR, data));
    const runs = known.flatMap((suite, index) =>
      (['evp', 'ipsec-mb'] as const).map((library) => ({ suite, library, sid: 0xff00 + index })),
    );
    const jobs = runs.flatMap(({ suite, library, sid }) => {
      const cluster = { ...clusterParameters, sid, used, reserved };
      const sealer = new NativeSealer(library);
      const { a } = espPair({ ...suite.options, esn: true, cluster }, { sealer });
      a.fromTun(...inner);
      return a.sent.map(({ octets }, index) => {
        if (espSuite(childSa(suite.options)).sequenceIv) {
          assert.equal(toHex(octets.subarray(8, 16)), `${sid.toString(16)}00000000000${index + 1}`);
        }
        return {
          ...{ ...jobOf(suite, true, outers[0]), verb: 'open' },
          ...sequenceAt({ high: 1, low: 0xffff_fffe }, index),
          packet: toHex(outerPacket(outers[0], octets)),
        };
      });
    });
    assert.ok(jobs.length === 6 * known.length && jobs.some(({ high }) => high === 2));
    const answers = scapy(jobs);
    for (const [index, { suite, library }] of runs.entries()) {
      const opened = answers.slice(index * 3, index * 3 + 3);
      assert.deepEqual(opened, inner.map(toHex), `${suite.name} by ${library}`);
    }
  });

  it('also on both sides of a take-over at the end of the low half, both ways', () => {
    const [suite = assert.fail('there is one'), outer] = [suites[0], outers[0]];
    const start = { high: 0, low: 0xffff_fff0 };
    const cluster = { ...clusterParameters, used: start, edge: start };
    const reserved = { high: 1, low: 0x10 };
    const [sampling, esn] = [{ every: 4, residue: 0 }, true];
    const sealer = new NativeSealer();
    const options = { ...suite.options, esn };
    const active = { ...cluster, sid: 0x0a, reserved };
    const passive = { ...cluster, role: 'passive', sid: 0x0b, sampling } as const;
    const { a: first } = espPair({ ...options, cluster: active }, { sealer });
    const { a: second, saA } = espPair({ ...options, cluster: passive }, { sealer });
    const inner = Array.from({ length: 24 }, (_, data) => udpPacket(...FOUR, data));
    // scapy is the peer: what it seals arrives, what arrives at it is opened.
    const peer = { ...jobOf(suite, esn, outer), spi: childSa().spiIn };
    const back = Array.from({ length: 24 }, (_, data) => udpPacket(FOUR[1], FOUR[0], data));
    const keys = { cryptKey: toHex(testKeys(childSa(options), 2).encryption) };
    const sealed = scapy(
      back.map((packet, index) => ({
        ...{ ...peer, ...keys, verb: 'seal', ...sequenceAt(start, index + 1) },
        packet: toHex(packet),
      })),
    ).map((hex) => ({ octets: fromHex(String(hex)) }));
    second.fromSocket(UDP, ...sealed.slice(0, 18));
    assert.deepEqual([saA.window.topHigh, saA.window.topLow], [1, 0]);
    first.fromTun(...inner.slice(0, 20));
    second.engine.take(
      saA,
      {
        sid: 0x0b,
        used: reserved,
        reserved: { high: 1, low: 0x20 },
        solo: false,
        window: 'bounded',
      },
      second.now,
    );
    second.fromSocket(UDP, ...sealed);
    assert.deepEqual(second.delivered, back.slice(16), 'all that is above the edge');
    second.fromTun(...inner.slice(20));
    const jobs = [
      ...first.sent.map(({ octets }, index) => ({ octets, ...sequenceAt(start, index + 1) })),
      ...second.sent.map(({ octets }, index) => ({ octets, ...sequenceAt(reserved, index + 1) })),
    ].map(({ octets, ...number }) => ({
      ...{ ...jobOf(suite, esn, outer), ...number, verb: 'open' },
      packet: toHex(outerPacket(outer, octets)),
    }));
    assert.ok(jobs.some(({ high }) => high === 0) && jobs.at(-1)?.high === 1);
    assert.deepEqual(scapy(jobs), inner.map(toHex));
  });

  it('says no to a wrong octet', () => {
    const known = suites.filter(({ crypt }) => crypt !== undefined);
    const answers = scapy(
      known.map((suite) => {
        const { a } = pair(suite, false, true);
        a.fromTun(udpPacket(...FOUR, 40));
        const octets = a.sent[0]?.octets.slice() ?? fromHex('');
        octets[octets.length - 1] = (octets.at(-1) ?? 0) ^ 1;
        const packet = toHex(outerPacket(outers[0], octets));
        return { ...jobOf(suite, false, outers[0]), high: 0, low: 1, verb: 'open', packet };
      }),
    );
    for (const [index, { name }] of known.entries()) {
      assert.notEqual(typeof answers[index], 'string', name);
    }
  });
});

describe('tshark decrypts what we sealed', function () {
  this.timeout(60_000);

  for (const suite of suites) {
    const { tshark } = suite;
    if (tshark === undefined) continue;
    it(suite.name, () => {
      // What is outside does not depend on the algorithms: all of it for the first of them.
      for (const outer of suite === suites[0] ? outers : outers.slice(0, 1)) {
        const { a } = pair(suite, false, outer.udp);
        a.fromTun(icmpPacket(...FOUR, 8), icmpPacket(...SIX, 128));
        const keys = testKeys(childSa(suite.options), 1);
        const table = [
          outer.a.includes(':') ? 'IPv6' : 'IPv4',
          outer.a,
          outer.b,
          '0xc0000002',
          tshark[0],
          `0x${toHex(keys.encryption)}`,
          tshark[1],
          keys.integrity.length === 0 ? '' : `0x${toHex(keys.integrity)}`,
        ];
        const seen = tsharkFields(
          a.sent.map(({ octets }) => outerPacket(outer, octets)),
          table,
        );
        // tshark finds no ICV good that it does not compute.
        const good: string = tshark[1] === ANY_96 ? '0' : '1';
        assert.deepEqual(seen, [`${good} 8 `, `${good}  128`], outer.name);
      }
    });
  }
});

interface Judged {
  readonly pairs: ReturnType<typeof question>['pairs'];
  /** What we sealed, opened, for each way out; then the same packets sealed by scapy. */
  readonly answers: readonly unknown[];
}

/** What scapy is asked about a suite: to open what we sealed for each way out, and to seal the same. */
function question({ suite, esn, first }: { suite: Suite; esn: boolean; first: SequenceNumber }) {
  const pairs = outers.map((outer) => ({ outer, ...pair(suite, esn, outer.udp) }));
  const opening = pairs.flatMap(({ outer, a, saA }) => {
    saA.sequence.resumeAfter(first.high, first.low - 1);
    a.fromTun(...packets);
    const job = { ...jobOf(suite, esn, outer), verb: 'open' };
    return a.sent.map(({ octets }, index) => ({
      ...job,
      ...sequenceAt(first, index),
      packet: toHex(outerPacket(outer, octets)),
    }));
  });
  const sealing = pairs.flatMap(({ outer }) => {
    const job = { ...jobOf(suite, esn, outer), verb: 'seal' };
    return packets.map((packet, index) => ({
      ...job,
      ...sequenceAt(first, index),
      packet: toHex(packet),
    }));
  });
  return { pairs, jobs: [...opening, ...sealing] };
}

interface SequenceNumber {
  readonly high: number;
  readonly low: number;
}

/** One suite of each kind; what stands around the cipher does not depend on the others. */
function inTransport({ crypt, options }: Suite): boolean {
  const { encr, integ } = options;
  if (encr?.id === AES_CBC) return integ?.id === AUTH_HMAC_SHA2_256_128;
  const others: readonly unknown[] = [EncryptionId.CHACHA20_POLY1305, AES_CCM_8];
  const gcm = encr?.id === AES_GCM_16 && encr.keyLength === 128;
  return crypt !== undefined && (gcm || others.includes(encr?.id));
}

function isFrom(packet: Uint8Array, source: string): boolean {
  return (packet[0] ?? 0) >>> 4 === (source.includes(':') ? 6 : 4);
}

/** Two hosts over the native layer. */
function hostPair(
  suite: Suite,
  { a, b }: { readonly a: string; readonly b: string },
): ReturnType<typeof espPair> {
  const [localTs, remoteTs] = [a, b].map((end) => [
    selector(`${end}/${end.includes(':') ? 128 : 32}`),
  ]);
  const hosts = { localTs: localTs ?? [], remoteTs: remoteTs ?? [] };
  const options = { ...suite.options, ...hosts, mode: 'transport' } as const;
  return espPair(options, { sealer: new NativeSealer() });
}

function aead(crypt: string, id: number, keyLength: number, icv: number, tshark?: string): Suite {
  return {
    name: `${crypt}-${keyLength} with an ICV of ${icv} octets`,
    options: { encr: { id, keyLength } },
    crypt,
    auth: null,
    icv,
    ...(tshark && { tshark: [tshark, 'NULL'] as const }),
  };
}

/** `names`: of the MAC to scapy and to tshark, of the cipher to tshark. */
function classic(
  crypt: string,
  id: number,
  keyLength: number | undefined,
  integ: number,
  [auth, integrity, encryption]: readonly [string, string, string],
): Suite {
  const encr = keyLength === undefined ? { id } : { id, keyLength };
  return {
    name: `${crypt}${keyLength === undefined ? '' : `-${keyLength}`} with ${auth}`,
    options: { encr, integ: { id: integ } },
    crypt,
    auth,
    icv: 0,
    tshark: [encryption, integrity],
  };
}

/** Two gateways over the native layer; `b` has what scapy needs to pretend to be `a`. */
function pair(
  suite: Suite,
  esn: boolean,
  udpEncapsulation: boolean,
): ReturnType<typeof espPair> & { readonly a: EspGateway } {
  return espPair({ ...suite.options, esn, udpEncapsulation }, { sealer: new NativeSealer() });
}

interface Outer {
  readonly udp: boolean;
  readonly a: string;
  readonly b: string;
}

function jobOf(suite: Suite, esn: boolean, outer: Outer) {
  const parameters = childSa(suite.options);
  const keys = testKeys(parameters, 1);
  return {
    spi: mirrored(parameters).spiIn,
    crypt: suite.crypt,
    cryptKey: toHex(keys.encryption),
    auth: suite.auth,
    icv: suite.icv,
    authKey: toHex(keys.integrity),
    esn,
    udp: outer.udp,
    source: outer.a,
    destination: outer.b,
  };
}

function sequenceAt(first: SequenceNumber, index: number) {
  const low = first.low + index;
  return low > 0xffff_ffff
    ? { high: first.high + 1, low: low - 2 ** 32 }
    : { high: first.high, low };
}

/** What the kernel's sockets put around an ESP packet. */
function outerPacket(outer: Outer, esp: Uint8Array): Uint8Array {
  const { a: source, b: destination } = outer;
  if (!outer.udp) return innerPacket({ source, destination, protocol: IpProtocol.ESP, upper: esp });
  const length = 8 + esp.length;
  const header = Uint8Array.of(0x11, 0x94, 0x11, 0x94, length >> 8, length & 0xff, 0, 0);
  return innerPacket({ source, destination, upper: concatOctets(header, esp) });
}

/** ICV verdict, ICMP type and ICMPv6 type of each packet, as tshark reads them. */
function tsharkFields(
  packetList: readonly Uint8Array[],
  table: readonly string[],
): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'tsgw-oracle-'));
  try {
    const capture = join(folder, 'esp.pcap');
    writeFileSync(capture, pcap(packetList));
    const row = table.map((field) => `"${field}"`).join(',');
    const printed = execFileSync(
      'tshark',
      [
        ...['-r', capture, '-o', 'esp.enable_encryption_decode:TRUE'],
        ...['-o', 'esp.enable_authentication_check:TRUE', '-o', `uat:esp_sa:${row}`],
        ...['-T', 'fields', '-E', 'separator=/s'],
        ...['-e', 'esp.icv_good', '-e', 'icmp.type', '-e', 'icmpv6.type'],
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    return printed.split('\n').slice(0, -1);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A capture file of raw IP packets (LINKTYPE_RAW). */
function pcap(packetList: readonly Uint8Array[]): Uint8Array {
  const header = new Uint8Array(24);
  const view = new DataView(header.buffer);
  view.setUint32(0, 0xa1b2_c3d4);
  view.setUint16(4, 2);
  view.setUint16(6, 4);
  view.setUint32(16, 0x1_0000);
  view.setUint32(20, 101);
  const records = packetList.map((packet) => {
    const record = new Uint8Array(16);
    new DataView(record.buffer).setUint32(8, packet.length);
    new DataView(record.buffer).setUint32(12, packet.length);
    return concatOctets(record, packet);
  });
  return concatOctets(header, ...records);
}
