/** Changes to a chain of payloads, drawn by a seed: bits, lengths, whole payloads. */
import { concatOctets } from '../../src/wire/octets.ts';

export interface Chain {
  readonly first: number;
  readonly octets: Uint8Array;
}

/** One to four changes; `others` are chains whose payloads may be spliced in. */
export function mutate(chain: Chain, others: readonly Chain[], chance: () => number): Chain {
  let mutated = chain;
  // Half of them keep their shape, so that more is looked at than that.
  if (chance() < 0.5) return changeBody(chain, others, chance);
  for (let count = 1 + Math.floor(chance() * 4); count > 0; count--) {
    mutated = pick(MUTATIONS, chance)(mutated, others, chance);
  }
  return mutated;
}

type Mutation = (chain: Chain, others: readonly Chain[], chance: () => number) => Chain;

const PAYLOAD_HEADER_OCTETS = 4;

/** A bit of what is inside a payload. */
function changeBody(chain: Chain, _: readonly Chain[], chance: () => number): Chain {
  const all = split(chain);
  const parts = all.filter(({ octets }) => octets.length > PAYLOAD_HEADER_OCTETS);
  if (parts.length === 0) return chain;
  const part = pick(parts, chance);
  const offset = PAYLOAD_HEADER_OCTETS + int(part.octets.length - PAYLOAD_HEADER_OCTETS, chance);
  const octets = changed(part.octets, offset, (one) => one ^ (1 << int(8, chance)));
  return join(all.map((one) => (one === part ? { ...one, octets } : one)));
}

const MUTATIONS: readonly Mutation[] = [
  changeBody,
  function flipBit({ first, octets }, _, chance) {
    return {
      first,
      octets: changed(octets, at(octets, chance), (one) => one ^ (1 << int(8, chance))),
    };
  },
  function setOctet({ first, octets }, _, chance) {
    const value = pick([0, 1, 0x7f, 0x80, 0xff, int(256, chance)], chance);
    return { first, octets: changed(octets, at(octets, chance), () => value) };
  },
  function changeLength(chain, _, chance) {
    const parts = split(chain);
    if (parts.length === 0) return chain;
    const index = int(parts.length, chance);
    const offset = parts.slice(0, index).reduce((sum, { octets }) => sum + octets.length, 0);
    const by = pick([-4, -1, 1, 4, 250], chance);
    return { ...chain, octets: changed(chain.octets, offset + 3, (one) => one + by) };
  },
  function cut({ first, octets }, _, chance) {
    return { first, octets: octets.slice(0, at(octets, chance)) };
  },
  function insert({ first, octets }, _, chance) {
    const where = at(octets, chance);
    const more = Uint8Array.from({ length: 1 + int(8, chance) }, () => int(256, chance));
    return { first, octets: concatOctets(octets.slice(0, where), more, octets.slice(where)) };
  },
  function swap(chain, _, chance) {
    const parts = [...split(chain)];
    if (parts.length < 2) return chain;
    const [one, other] = [int(parts.length, chance), int(parts.length, chance)];
    const [a, b] = [parts[one], parts[other]];
    if (a && b) [parts[one], parts[other]] = [b, a];
    return join(parts);
  },
  function repeat(chain, _, chance) {
    const parts = split(chain);
    return parts.length === 0 ? chain : join([...parts, pick(parts, chance)]);
  },
  function leaveOut(chain, _, chance) {
    const parts = split(chain);
    const without = int(Math.max(1, parts.length), chance);
    return join(parts.filter((_part, index) => index !== without));
  },
  function splice(chain, others, chance) {
    const foreign = split(pick(others, chance));
    return foreign.length === 0 ? chain : join([...split(chain), pick(foreign, chance)]);
  },
];

interface Part {
  readonly type: number;
  readonly octets: Uint8Array;
}

/** The payloads of a chain as far as it is one. */
function split({ first, octets }: Chain): readonly Part[] {
  const parts: Part[] = [];
  let type = first;
  for (let offset = 0; type !== 0 && offset + PAYLOAD_HEADER_OCTETS <= octets.length; ) {
    const length = (octets[offset + 2] ?? 0) * 256 + (octets[offset + 3] ?? 0);
    if (length < PAYLOAD_HEADER_OCTETS || offset + length > octets.length) break;
    parts.push({ type, octets: octets.slice(offset, offset + length) });
    type = octets[offset] ?? 0;
    offset += length;
  }
  return parts;
}

/** A chain of them, each naming the next. */
function join(parts: readonly Part[]): Chain {
  const linked = parts.map(({ octets }, index) =>
    changed(octets, 0, () => parts[index + 1]?.type ?? 0),
  );
  return { first: parts[0]?.type ?? 0, octets: concatOctets(...linked) };
}

function changed(octets: Uint8Array, index: number, change: (octet: number) => number): Uint8Array {
  const copy = octets.slice();
  if (index < copy.length) copy[index] = change(copy[index] ?? 0);
  return copy;
}

function at(octets: Uint8Array, chance: () => number): number {
  return int(Math.max(1, octets.length), chance);
}

function int(below: number, chance: () => number): number {
  return Math.floor(chance() * below);
}

function pick<T>(items: readonly T[], chance: () => number): T {
  const item = items[int(items.length, chance)];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
}
