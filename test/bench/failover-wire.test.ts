/**
 * What is made of a capture: ESP packets of one end whose number or IV came twice.
 */
import assert from 'node:assert/strict';
import { repeatsOnWire } from '../../bench/failover-wire.ts';
import { fromHex } from '../../src/wire/octets.ts';

interface Sent {
  readonly spi?: string;
  readonly sequence: number;
  readonly iv?: number;
  readonly from?: string;
  readonly port?: number;
}

/** An IPv4 packet with ESP in UDP: gateway 192.0.2.5 to 192.0.2.9 unless told. */
function packet({
  spi = 'c0ffee01',
  sequence,
  iv = sequence,
  from,
  port = 4500,
}: Sent): Uint8Array {
  const hex = (value: number, octets: number) => value.toString(16).padStart(2 * octets, '0');
  return fromHex(
    [
      `4500 0000 0000 0000 40 11 0000 ${from ?? 'c0000205'} c0000209`,
      `${hex(port, 2)} ${hex(port, 2)} 0000 0000`,
      `${spi} ${hex(sequence, 4)} ${hex(iv, 8)} 0011223344556677`,
    ].join(' '),
  );
}

function repeats(...sent: readonly Sent[]) {
  return repeatsOnWire(sent.map(packet), '192.0.2.5');
}

describe('Numbers and IVs that came twice on the wire', () => {
  it('are none where each is new', () => {
    const expected = { packets: 3, sequences: 0, ivs: 0 };
    assert.deepEqual(repeats({ sequence: 1 }, { sequence: 2 }, { sequence: 3 }), expected);
  });

  it('are told apart', () => {
    assert.deepEqual(repeats({ sequence: 1 }, { sequence: 1, iv: 9 }, { sequence: 3, iv: 9 }), {
      ...{ packets: 3, sequences: 1, ivs: 1 },
    });
  });

  it('count for each SPI by itself', () => {
    const other = { spi: 'c0ffee02', sequence: 1 };
    assert.deepEqual(repeats({ sequence: 1 }, other, other), { packets: 3, sequences: 1, ivs: 1 });
  });

  it('are of ESP in UDP of the gateway alone', () => {
    const kept = { sequence: 7 };
    const others: readonly Sent[] = [
      { ...kept, from: 'c0000209' },
      { ...kept, port: 500 },
      { ...kept, spi: '00000000' },
    ];
    assert.deepEqual(repeats(kept, ...others), { packets: 1, sequences: 0, ivs: 0 });
    const short = packet(kept).subarray(0, 40);
    assert.deepEqual(repeatsOnWire([short, new Uint8Array(0)], '192.0.2.5').packets, 0);
  });

  it('are seen in IPv6, too', () => {
    const header = `6000 0000 0000 11 40 ${'20010db8000f'.padEnd(31, '0')}5 ${'0'.repeat(32)}`;
    const udp = packet({ sequence: 1 }).subarray(20);
    const six = new Uint8Array([...fromHex(header), ...udp]);
    const expected = { packets: 2, sequences: 1, ivs: 1 };
    assert.deepEqual(repeatsOnWire([six, six], '2001:db8:f::5'), expected);
    assert.equal(repeatsOnWire([six], '2001:db8:f::6').packets, 0);
  });
});
