import { type CountedBitset, lowestBit } from './counted-bitset.ts';
import { FAN_OUT, SlotTree } from './slot-tree.ts';

/**
 * The weights of eligible slots, summed up so that one is drawn by its share in O(log n). A change makes the sums above it
 * anew rather than adding a difference: they never drift from what they are sums of.
 */
export class WeightTree extends SlotTree {
  readonly #eligible: CountedBitset;
  readonly #weights: Float64Array;
  /** By level and node. */
  readonly #sums: Float64Array[];
  /** Slots that count as nothing for the length of one `draw`. */
  readonly #drawn = new Set<number>();

  constructor(capacity: number, eligible: CountedBitset, weights: Float64Array) {
    super(capacity);
    this.#eligible = eligible;
    this.#weights = weights;
    this.#sums = this.sizes.map((size) => new Float64Array(size));
    this.renewAll();
  }

  /** `count` different slots, each drawn by its share of those left; fewer where no more weigh anything. */
  draw(count: number, random: () => number): number[] {
    try {
      while (this.#drawn.size < count && this.#sums.at(-1)![0]! > 0) {
        const slot = this.#drawOne(random());
        this.#drawn.add(slot);
        if (count > 1) this.update(slot);
      }
      return [...this.#drawn];
    } finally {
      const drawn = [...this.#drawn];
      this.#drawn.clear();
      if (count > 1) for (const slot of drawn) this.update(slot);
    }
  }

  /** Whether all sums are the same to the last bit, as they have to be however the tree came to them. */
  equals(other: WeightTree): boolean {
    return this.#sums.every((sums, level) => sums.every((sum, node) => sum === other.#sums[level]![node]));
  }

  protected override renew(level: number, node: number): boolean {
    const sum = level === 0 ? this.#sumOfWord(node) : this.#sumOfNodes(level - 1, node);
    const sums = this.#sums[level]!;
    if (sums[node] === sum) return false;
    sums[node] = sum;
    return true;
  }

  #sumOfWord(word: number): number {
    let sum = 0;
    for (let bits = this.#eligible.wordAt(word); bits !== 0; bits &= bits - 1) sum += this.#weightOf(word, bits);
    return sum;
  }

  /** Of the slot of the lowest bit. */
  #weightOf(word: number, bits: number): number {
    const slot = word * FAN_OUT + lowestBit(bits);
    return this.#drawn.size > 0 && this.#drawn.has(slot) ? 0 : this.#weights[slot]!;
  }

  #sumOfNodes(level: number, parent: number): number {
    const sums = this.#sums[level]!;
    const end = Math.min((parent + 1) * FAN_OUT, sums.length);
    let sum = 0;
    for (let node = parent * FAN_OUT; node < end; node += 1) sum += sums[node]!;
    return sum;
  }

  /** The slot at `share` (below 1) of the whole. Rounding may lead past the last one that weighs anything: then it is that. */
  #drawOne(share: number): number {
    let rest = share * this.#sums.at(-1)![0]!;
    let node = 0;
    for (let level = this.sizes.length - 2; level >= 0; level -= 1) {
      const sums = this.#sums[level]!;
      const end = Math.min((node + 1) * FAN_OUT, sums.length);
      let passed = 0;
      for (let child = node * FAN_OUT; child < end; child += 1) {
        const sum = sums[child]!;
        if (sum === 0) continue;
        rest -= passed;
        passed = sum;
        node = child;
        if (rest < sum) break;
      }
    }
    let slot = node;
    let passed = 0;
    for (let bits = this.#eligible.wordAt(node); bits !== 0; bits &= bits - 1) {
      const weight = this.#weightOf(node, bits);
      if (weight === 0) continue;
      rest -= passed;
      passed = weight;
      slot = node * FAN_OUT + lowestBit(bits);
      if (rest < weight) break;
    }
    return slot;
  }
}
