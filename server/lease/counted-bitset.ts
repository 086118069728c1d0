const WORD_BITS = 32;
const BLOCK_WORDS = 32;
const BLOCK_BITS = WORD_BITS * BLOCK_WORDS;
const GROUP_BLOCKS = 32;
const GROUP_WORDS = BLOCK_WORDS * GROUP_BLOCKS;
const GROUP_BITS = BLOCK_BITS * GROUP_BLOCKS;

/**
 * A set of small integers that knows how many it holds, which is the k-th and which comes next, without looking at all of
 * them: counts are kept per 1,024 bits and per 32,768 bits, so that `select` in a million looks at some hundred numbers.
 */
export class CountedBitset {
  #words = new Uint32Array(BLOCK_WORDS);
  #blocks = new Uint16Array(1);
  #groups = new Uint32Array(1);
  #count = 0;

  /** Holds the bits that are set in `words`, which stay the caller's. */
  constructor(words?: Uint32Array) {
    if (words) this.fill(words);
  }

  /** The same of an empty set. */
  fill(words: Uint32Array): void {
    if (this.#count > 0) throw new Error('a set in use is filled');
    if (words.length > this.#words.length) this.#grow(words.length * WORD_BITS - 1);
    for (let word = 0; word < words.length; word += 1) {
      if (words[word]! === 0) continue;
      const members = popcount(words[word]!);
      this.#words[word] = words[word]!;
      this.#blocks[word >>> 5]! += members;
      this.#groups[word >>> 10]! += members;
      this.#count += members;
    }
  }

  get count(): number {
    return this.#count;
  }

  has(index: number): boolean {
    return ((this.#words[index >>> 5] ?? 0) & (1 << (index & 31))) !== 0;
  }

  /** The members among the 32 integers from `32 * word` on, the least at the lowest bit. */
  wordAt(word: number): number {
    return this.#words[word] ?? 0;
  }

  /** A copy of the bits of the integers below `end`, 32 to a word. */
  wordsBelow(end: number): Uint32Array {
    if (end >= this.#words.length * WORD_BITS) return this.#words.slice();
    const words = this.#words.slice(0, Math.ceil(end / WORD_BITS));
    if (end % WORD_BITS > 0) words[words.length - 1]! &= (1 << (end % WORD_BITS)) - 1;
    return words;
  }

  /** Puts `index` in or takes it out; says whether that changed anything. */
  assign(index: number, member: boolean): boolean {
    if (this.has(index) === member) return false;
    if (index >= this.#words.length * WORD_BITS) this.#grow(index);
    const step = member ? 1 : -1;
    this.#words[index >>> 5]! ^= 1 << (index & 31);
    this.#blocks[Math.floor(index / BLOCK_BITS)]! += step;
    this.#groups[Math.floor(index / GROUP_BITS)]! += step;
    this.#count += step;
    return true;
  }

  /** The member with `rank` smaller ones before it. Throws where there are too few: a bug of the caller's. */
  select(rank: number): number {
    if (!(rank >= 0 && rank < this.#count)) throw new RangeError(`rank ${rank} of ${this.#count}`);
    let rest = rank;
    let group = 0;
    while (this.#groups[group]! <= rest) rest -= this.#groups[group++]!;
    let block = group * GROUP_BLOCKS;
    while (this.#blocks[block]! <= rest) rest -= this.#blocks[block++]!;
    let word = block * BLOCK_WORDS;
    let bits = this.#words[word]!;
    for (let members = popcount(bits); members <= rest; members = popcount(bits)) {
      rest -= members;
      word += 1;
      bits = this.#words[word]!;
    }
    for (; rest > 0; rest -= 1) bits &= bits - 1;
    return word * WORD_BITS + lowestBit(bits);
  }

  /** The least member that is `from` or more; -1 where there is none. */
  next(from: number): number {
    let word = from >>> 5;
    let bits = this.wordAt(word) & (-1 << (from & 31));
    while (bits === 0) {
      word += 1;
      // At the start of a group or block whose count says that nothing is in it, to the one behind it.
      while (word % GROUP_WORDS === 0 && this.#groups[word / GROUP_WORDS] === 0) word += GROUP_WORDS;
      while (word % BLOCK_WORDS === 0 && this.#blocks[word / BLOCK_WORDS] === 0) word += BLOCK_WORDS;
      if (word >= this.#words.length) return -1;
      bits = this.#words[word]!;
    }
    return word * WORD_BITS + lowestBit(bits);
  }

  #grow(index: number): void {
    const blocks = Math.max(this.#blocks.length * 2, Math.floor(index / BLOCK_BITS) + 1);
    this.#words = extended(new Uint32Array(blocks * BLOCK_WORDS), this.#words);
    this.#blocks = extended(new Uint16Array(blocks), this.#blocks);
    this.#groups = extended(new Uint32Array(Math.ceil(blocks / GROUP_BLOCKS)), this.#groups);
  }
}

/** Place of the lowest bit of a word that isn't 0. */
export function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

function extended<Numbers extends Uint32Array | Uint16Array>(larger: Numbers, present: Numbers): Numbers {
  larger.set(present);
  return larger;
}

function popcount(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return (((bits + (bits >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}
