const WORD_BITS = 32;
const BLOCK_WORDS = 32;
const BLOCK_BITS = WORD_BITS * BLOCK_WORDS;
const GROUP_BLOCKS = 32;
const GROUP_BITS = BLOCK_BITS * GROUP_BLOCKS;

/**
 * A set of small integers that knows how many it holds and which is the k-th, both without looking at all of them:
 * counts are kept per 1,024 bits and per 32,768 bits, so that `select` in a million looks at some hundred numbers.
 */
export class CountedBitset {
  #words = new Uint32Array(BLOCK_WORDS);
  #blocks = new Uint16Array(1);
  #groups = new Uint32Array(1);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  has(index: number): boolean {
    return ((this.#words[index >>> 5] ?? 0) & (1 << (index & 31))) !== 0;
  }

  /** Puts `index` in or takes it out. */
  assign(index: number, member: boolean): void {
    if (this.has(index) === member) return;
    if (index >= this.#words.length * WORD_BITS) this.#grow(index);
    const step = member ? 1 : -1;
    this.#words[index >>> 5]! ^= 1 << (index & 31);
    this.#blocks[Math.floor(index / BLOCK_BITS)]! += step;
    this.#groups[Math.floor(index / GROUP_BITS)]! += step;
    this.#count += step;
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
    return word * WORD_BITS + (31 - Math.clz32(bits & -bits));
  }

  #grow(index: number): void {
    const blocks = Math.max(this.#blocks.length * 2, Math.floor(index / BLOCK_BITS) + 1);
    this.#words = extended(new Uint32Array(blocks * BLOCK_WORDS), this.#words);
    this.#blocks = extended(new Uint16Array(blocks), this.#blocks);
    this.#groups = extended(new Uint32Array(Math.ceil(blocks / GROUP_BLOCKS)), this.#groups);
  }
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
