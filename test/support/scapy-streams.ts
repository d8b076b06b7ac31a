/**
 * Streams that scapy builds (`scapy-streams.py`) and super-packets that the kernel cuts
 * (`kernel-segments.py`): what segmentation and coalescing have to agree with.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { TcpFlag } from '../../src/wire/tcp.ts';

export interface ScapyStream {
  readonly family: 4 | 6;
  readonly protocol: 'tcp' | 'udp';
  /** Octets of payload in all, and in each segment. */
  readonly octets: number;
  readonly segment: number;
  /** What the payload starts with. */
  readonly fill: number;
  /** The first segment's checksum is zero. */
  readonly zero: boolean;
  readonly class: number;
  readonly hops: number;
  readonly port: number;
  /** IPv4. */
  readonly identification: number;
  /** From one packet's identification to the next one's. */
  readonly step: number;
  /** Flags of fragmentation; the evil one is reserved (RFC 791 §3.1). */
  readonly fragment: '' | 'DF' | 'evil' | 'DF+evil';
  readonly nops: number;
  /** Of a datagram, where it is not what stands there. */
  readonly length: number | null;
  /** IPv6. */
  readonly label: number;
  readonly extensions: readonly ('hop' | 'destination' | 'routing')[];
  /** TCP. */
  readonly sequence: number;
  readonly ack: number;
  readonly flags: number;
  readonly reserved: number;
  readonly window: number;
  readonly urgent: number;
  readonly options: readonly (readonly [string | number, unknown])[];
}

/** A stream as scapy has built it, in hex. */
export interface BuiltStream {
  readonly packets: readonly string[];
  readonly whole: string;
  readonly vnet: string;
}

const PLAIN: ScapyStream = {
  ...{ family: 4, protocol: 'tcp', octets: 3500, segment: 1000, fill: 0, zero: false },
  ...{ class: 0, hops: 64, port: 40_000, identification: 0x1234, nops: 0 },
  ...{ step: 1, fragment: '', length: null },
  ...{ label: 0, extensions: [], sequence: 0, ack: 77, flags: TcpFlag.ACK, reserved: 0 },
  ...{ window: 501, urgent: 0, options: [] },
};

export function scapyStream(change: Partial<ScapyStream> = {}): ScapyStream {
  return { ...PLAIN, ...change };
}

const timestamps = ['Timestamp', [0x1234_5678, 0xfedc_ba98]] as const;
const noOperation = ['NOP', null] as const;

/** What real stacks put there, and what they never do. */
const optionLists: readonly ScapyStream['options'][] = [
  [],
  [noOperation, noOperation, timestamps],
  [noOperation, noOperation, timestamps, noOperation, noOperation, ['SAck', [1000, 2000]]],
  [noOperation, noOperation, ['SAck', [1, 2, 3, 4, 0xffff_fff0, 5]]],
  [['MSS', 1460], ['SAckOK', ''], timestamps, noOperation, ['WScale', 7]],
  [[253, 'a1b2c3d4e5f60718293a']],
  Array.from({ length: 40 }, () => noOperation),
];

/** Streams of two packets or more, of every kind the device knows. */
export function scapyStreams(): fc.Arbitrary<ScapyStream> {
  return fc
    .record({
      family: fc.constantFrom<4 | 6>(4, 6),
      protocol: fc.constantFrom<'tcp' | 'udp'>('tcp', 'tcp', 'udp'),
      segment: fc.oneof(fc.integer({ min: 2, max: 60 }), fc.integer({ min: 61, max: 1448 })),
      packets: fc.integer({ min: 2, max: 9 }),
      last: fc.integer({ min: 1, max: 1448 }),
      fill: fc.integer({ min: 0, max: 255 }),
      zero: fc.boolean(),
      class: fc.integer({ min: 0, max: 255 }),
      hops: fc.integer({ min: 2, max: 255 }),
      port: fc.integer({ min: 1, max: 65_535 }),
      identification: fc.oneof(fc.constantFrom(0, 0xfffe), fc.integer({ min: 0, max: 65_535 })),
      fragment: fc.constantFrom<ScapyStream['fragment']>('', '', 'DF', 'DF', 'evil', 'DF+evil'),
      nops: fc.constantFrom(0, 0, 0, 4, 40),
      label: fc.integer({ min: 0, max: 0xf_ffff }),
      extensions: fc.oneof(
        fc.constant([]),
        fc.uniqueArray(
          fc.constantFrom<'hop' | 'destination' | 'routing'>('destination', 'routing'),
        ),
        fc.constant(['hop' as const, 'destination' as const]),
      ),
      sequence: fc.constantFrom(0, 1, 0x7fff_fff0, 0xffff_ff00),
      ack: fc.integer({ min: 0, max: 0xffff_ffff }),
      flags: fc.integer({ min: 0, max: 255 }),
      reserved: fc.integer({ min: 0, max: 7 }),
      window: fc.integer({ min: 0, max: 65_535 }),
      urgent: fc.constantFrom(0, 0, 1, 500),
      options: fc.constantFrom(...optionLists),
    })
    .map(({ packets, last, ...stream }) => ({
      ...stream,
      ...{ step: 1, length: null },
      octets: (packets - 1) * stream.segment + Math.min(last, stream.segment),
      // scapy wants the flags of a datagram to be none.
      flags: stream.protocol === 'tcp' ? stream.flags : 0,
    }));
}

/** One process builds all of them. */
export function build(streams: readonly ScapyStream[]): readonly BuiltStream[] {
  return answers<BuiltStream>(['/usr/bin/python3', 'test/support/scapy-streams.py'], streams);
}

/** The kernel cuts each; root, and a network namespace that goes with the process. */
export function kernelCuts(
  writes: readonly { readonly octets: string; readonly vnet: string }[],
): readonly (readonly string[])[] {
  const script = 'test/support/kernel-segments.py';
  return answers<string[]>(['unshare', '--net', '/usr/bin/python3', script], writes);
}

function answers<Answer>(
  [file = '', ...argv]: readonly string[],
  jobs: readonly object[],
): readonly Answer[] {
  const printed = execFileSync(file, argv, {
    input: JSON.stringify(jobs),
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'inherit'],
    maxBuffer: 1 << 28,
  });
  const found: Answer[] = JSON.parse(printed);
  assert.equal(found.length, jobs.length);
  return found;
}
