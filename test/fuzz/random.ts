/** Numbers that a seed repeats (xorshift32): what a fuzzer found once it finds again. */
export class Random {
  #state: number;

  /** @param seed any integer; 0 counts as 1 */
  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  /** A whole number from 0 to `below` - 1. */
  below(below: number): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return this.#state % below;
  }

  /** True once in so many times. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; at++) bytes[at] = this.below(256);
    return bytes;
  }
}

/** Numbers at which lengths, counters and signs change their meaning. */
const EDGES_32 = [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff];

type Mutation = (input: Buffer, random: Random) => Buffer;

const splice = (input: Buffer, from: number, to: number, piece: Buffer) =>
  Buffer.concat([input.subarray(0, from), piece, input.subarray(to)]);

const MUTATIONS: readonly Mutation[] = [
  function flipBit(input, random) {
    const copy = Buffer.from(input);
    copy[random.below(copy.length)]! ^= 1 << random.below(8);
    return copy;
  },
  function setByte(input, random) {
    const copy = Buffer.from(input);
    copy[random.below(copy.length)] = random.pick([0, 9, 10, 13, 32, 37, 44, 58, 59, 61, 91, 93, 127, 128, 255]);
    return copy;
  },
  function insertBytes(input, random) {
    const at = random.below(input.length + 1);
    return splice(input, at, at, random.bytes(1 + random.below(16)));
  },
  function remove(input, random) {
    const from = random.below(input.length);
    return splice(input, from, Math.min(input.length, from + 1 + random.below(16)), Buffer.alloc(0));
  },
  function repeat(input, random) {
    const from = random.below(input.length);
    const piece = input.subarray(from, from + 1 + random.below(64));
    return splice(input, from, from, Buffer.concat(Array.from({ length: 1 + random.below(8) }, () => piece)));
  },
  function cut(input, random) {
    return input.subarray(0, random.below(input.length + 1));
  },
  function edge(input, random) {
    if (input.length < 4) return input;
    const copy = Buffer.from(input);
    const at = random.below(copy.length - 3);
    if (random.oneIn(2)) copy.writeUInt32LE(random.pick(EDGES_32), at);
    else copy.writeUInt32BE(random.pick(EDGES_32), at);
    return copy;
  },
];

/** A seed with one to five changes. Never empty seeds; the result may be empty. */
export function mutate(seed: Buffer, random: Random): Buffer {
  let input = seed;
  for (let changes = 1 + random.below(5); changes > 0 && input.length > 0; changes--)
    input = random.pick(MUTATIONS)(input, random);
  return input;
}
