import { decodeHeader } from '../../src/ike/message/header.ts';
import { ExchangeType } from '../../src/ike/message/message.ts';
import { formatAddress } from '../../src/wire/address.ts';
import { child, connection } from '../support/connections.ts';
import { A, B, type Flight, type Pair, type Side, type WireOptions } from '../support/pair.ts';
import { assertAgreement, deleteChild, rekey, tunnel } from '../support/rekeying.ts';
import { seededNumbers } from '../support/seeded-random.ts';

/** What a side does of its own. */
type Deed = 'rekey-child' | 'rekey-ike' | 'delete-child' | 'nothing';

const DEEDS: readonly Deed[] = ['rekey-child', 'rekey-ike', 'delete-child', 'nothing'];

/** Long enough for every retransmission, second try and patience of either side. */
const QUIET_MS = 400_000;
const { TSGW_SEEDS = '2000' } = process.env;
const SEEDS = Number(TSGW_SEEDS);

function perform(pair: Pair, side: Side, deed: Deed, request: number): void {
  if (deed === 'rekey-child') rekey(pair, side, 'child', request);
  if (deed === 'rekey-ike') rekey(pair, side, 'ike', request);
  if (deed === 'delete-child') deleteChild(pair, side, request);
}

function survivors(...deeds: readonly Deed[]): number {
  return deeds.includes('delete-child') ? 0 : 1;
}

/** Loses the datagrams with these numbers, counted from now. */
function lose(pair: Pair, ...numbers: readonly number[]): void {
  let count = 0;
  pair.translate = (flight: Flight) => (numbers.includes(count++) ? undefined : flight);
}

describe('Both ends act at once (RFC 7296 §2.8.1, §2.8.2, §2.25)', function () {
  this.timeout(30_000);
  const ran = { losses: 0, seeds: 0 };
  after(() => {
    console.log(
      `\n  collisions: both ends agreed after ${ran.seeds} seeds and ${ran.losses} patterns of lost messages`,
    );
  });
  for (const a of DEEDS) {
    for (const b of DEEDS) {
      it(`${a} against ${b}, with any one or two messages lost`, () => {
        for (let first = -1; first < 8; first++) {
          for (let second = first; second < 8; second++) {
            const pair = tunnel(connection(), { seed: 11 + first * 8 + second });
            lose(pair, first, second);
            pair.trafficEveryMs = 200;
            pair.trafficDelayMs = 3000;
            perform(pair, pair.a, a, 2);
            perform(pair, pair.b, b, 3);
            pair.run(pair.now + 60_000);
            pair.trafficEveryMs = 0;
            pair.run(pair.now + QUIET_MS);
            const about = `${a} against ${b}, messages ${first} and ${second} lost`;
            assertAgreement(pair, survivors(a, b), about);
            assertNothingLost(pair, survivors(a, b), about);
            ran.losses++;
          }
        }
      });
    }
  }

  it(`by chance, over a wire that loses, doubles and reorders: ${SEEDS} seeds`, function () {
    this.timeout(SEEDS * 40);
    for (let seed = 1; seed <= SEEDS; seed++) {
      const chance = seededNumbers(seed * 7919);
      const wire: WireOptions = {
        loss: chance() < 0.5 ? 0 : chance() * 0.4,
        duplicate: chance() * 0.5,
        delayMs: 1 + chance() * 50,
        jitterMs: chance() < 0.5 ? 0 : chance() * 3000,
      };
      const pair = tunnel(connection({ children: [child()] }), { seed, wire });
      const deeds: Deed[] = [];
      let request = 2;
      for (let step = 0; step < 2 + Math.floor(chance() * 4); step++) {
        for (const side of [pair.a, pair.b]) {
          const deed = DEEDS[Math.floor(chance() * (step === 0 ? 4 : 2))] ?? 'nothing';
          deeds.push(deed);
          perform(pair, side, deed, request++);
        }
        pair.run(pair.now + chance() * (chance() < 0.5 ? 100 : 8000));
      }
      pair.wire = {};
      pair.run(pair.now + QUIET_MS);
      assertAgreement(pair, survivors(...deeds), `seed ${seed} (${deeds.join(' ')})`);
      ran.seeds++;
    }
  });
});

/** Traffic notices nothing of what the ends do, unless they take the tunnel down. */
function assertNothingLost(pair: Pair, tunnels: number, about: string): void {
  if (tunnels === 0) return;
  for (const { name, packetsLost } of [pair.a, pair.b]) {
    if (packetsLost > 0) throw new Error(`${about}: ${packetsLost} packets of ${name} lost`);
  }
}

describe('Messages of collisions', () => {
  it('are few: each side answers each request once', () => {
    const pair = tunnel();
    rekey(pair, pair.a, 'child', 2);
    rekey(pair, pair.b, 'child', 3);
    const before = pair.flights.length;
    pair.run(pair.now + 60_000);
    const exchanges = pair.flights
      .slice(before)
      .map(({ octets }) => decodeHeader(octets).exchangeType);
    // Two rekeys, and one Delete by each end.
    if (exchanges.length > 8) throw new Error(`${exchanges.length} datagrams`);
  });
});

describe('Both ends rekey the IKE SA and one answer is lost (RFC 7296 §2.8.2)', () => {
  for (const unheard of ['a', 'b'] as const) {
    it(`leaves one IKE SA as soon as ${unheard} has asked again`, () => {
      for (let seed = 1; seed <= 20; seed++) {
        const pair = tunnel(connection(), { seed });
        rekey(pair, pair.a, 'ike', 2);
        rekey(pair, pair.b, 'ike', 3);
        let lost = 0;
        pair.translate = (flight) => {
          const { exchangeType, isResponse } = decodeHeader(flight.octets);
          const isAnswer = exchangeType === ExchangeType.CREATE_CHILD_SA && isResponse;
          const toUnheard = formatAddress(flight.to.address) === (unheard === 'a' ? A : B);
          if (!isAnswer || !toUnheard) return flight;
          lost += 1;
          return lost === 1 ? undefined : flight;
        };
        pair.run(pair.now + 15_000);
        assertAgreement(pair, 1, `seed ${seed}`);
      }
    });
  }
});
