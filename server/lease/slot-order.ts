import type { CountedBitset } from './counted-bitset.ts';
import { FAN_OUT, SlotTree } from './slot-tree.ts';

/**
 * What eligible slots are ordered by: the first key, where that is equal the second, and then the slot. Lowest first.
 * Invariant: finite, so that what isn't eligible loses to all that is.
 */
export interface OrderKeys {
  readonly first: Float64Array | Uint32Array;
  readonly second: Float64Array;
}

const NONE = -1;

/** Where a tree's best slots are looked for next: a node, or at level -1 a slot; with the keys of the best slot in it. */
interface Place {
  readonly level: number;
  readonly node: number;
  readonly slot: number;
  readonly first: number;
  readonly second: number;
}

/** The eligible slots in an order of preference: a tournament, each node of which knows the winner below it. */
export class SlotOrder extends SlotTree {
  readonly #eligible: CountedBitset;
  readonly #keys: OrderKeys;
  /** By level and node: the winning slot, NONE where nothing is eligible, and its keys, so that a match stays in one place. */
  readonly #slots: Int32Array[];
  readonly #firsts: Float64Array[];
  readonly #seconds: Float64Array[];

  constructor(capacity: number, eligible: CountedBitset, keys: OrderKeys) {
    super(capacity);
    this.#eligible = eligible;
    this.#keys = keys;
    this.#slots = this.sizes.map((size) => new Int32Array(size).fill(NONE));
    this.#firsts = this.sizes.map((size) => new Float64Array(size).fill(Infinity));
    this.#seconds = this.sizes.map((size) => new Float64Array(size).fill(Infinity));
    this.renewAll();
  }

  /** The `count` best slots, or all where there are fewer, best first. */
  best(count: number): number[] {
    const winner = this.#slots.at(-1)![0]!;
    if (count === 1) return winner === NONE ? [] : [winner];
    const found: number[] = [];
    // Sorted, best last; what can't be among the `count` best any more falls out of it.
    const open: Place[] = [];
    this.#offer(open, this.sizes.length - 1, 0, count);
    while (found.length < count) {
      const place = open.pop();
      if (!place) break;
      if (place.level < 0) {
        found.push(place.slot);
        continue;
      }
      const childLevel = place.level - 1;
      const start = place.node * FAN_OUT;
      const end = childLevel < 0 ? start + FAN_OUT : Math.min(start + FAN_OUT, this.sizes[childLevel]!);
      for (let child = start; child < end; child += 1) this.#offer(open, childLevel, child, count - found.length);
    }
    return found;
  }

  protected override renew(level: number, node: number): boolean {
    return level === 0 ? this.#renewWord(node) : this.#renewNode(level, node);
  }

  #renewWord(word: number): boolean {
    const { first, second } = this.#keys;
    let slot = NONE;
    let slotFirst = Infinity;
    let slotSecond = Infinity;
    for (let bits = this.#eligible.wordAt(word); bits !== 0; bits &= bits - 1) {
      const other = word * FAN_OUT + 31 - Math.clz32(bits & -bits);
      const otherFirst = first[other]!;
      if (slot !== NONE && (otherFirst > slotFirst || (otherFirst === slotFirst && second[other]! >= slotSecond)))
        continue;
      slot = other;
      slotFirst = otherFirst;
      slotSecond = second[other]!;
    }
    return this.#crown(0, word, slot, slotFirst, slotSecond);
  }

  #renewNode(level: number, node: number): boolean {
    const slots = this.#slots[level - 1]!;
    const firsts = this.#firsts[level - 1]!;
    const seconds = this.#seconds[level - 1]!;
    const end = Math.min((node + 1) * FAN_OUT, slots.length);
    let winner = node * FAN_OUT;
    for (let child = winner + 1; child < end; child += 1) {
      const isEqual = firsts[child] === firsts[winner];
      if (isEqual ? seconds[child]! < seconds[winner]! : firsts[child]! < firsts[winner]!) winner = child;
    }
    return this.#crown(level, node, slots[winner]!, firsts[winner]!, seconds[winner]!);
  }

  #crown(level: number, node: number, slot: number, first: number, second: number): boolean {
    const slots = this.#slots[level]!;
    const firsts = this.#firsts[level]!;
    const seconds = this.#seconds[level]!;
    if (slots[node] === slot && firsts[node] === first && seconds[node] === second) return false;
    slots[node] = slot;
    firsts[node] = first;
    seconds[node] = second;
    return true;
  }

  /** Puts a node (or a slot, at level -1) among the open places, of which the `placesMax` best are kept. */
  #offer(open: Place[], level: number, node: number, placesMax: number): void {
    const place = this.#placeOf(level, node);
    if (!place) return;
    let low = 0;
    let high = open.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(place, open[middle]!)) low = middle + 1;
      else high = middle;
    }
    if (open.length >= placesMax) {
      if (low === 0) return;
      open.shift();
      low -= 1;
    }
    open.splice(low, 0, place);
  }

  #placeOf(level: number, node: number): Place | undefined {
    if (level < 0) {
      if (!this.#eligible.has(node)) return undefined;
      return { level, node, slot: node, first: this.#keys.first[node]!, second: this.#keys.second[node]! };
    }
    const slot = this.#slots[level]![node]!;
    if (slot === NONE) return undefined;
    return { level, node, slot, first: this.#firsts[level]![node]!, second: this.#seconds[level]![node]! };
  }
}

function isBefore(one: Place, other: Place): boolean {
  if (one.first !== other.first) return one.first < other.first;
  if (one.second !== other.second) return one.second < other.second;
  return one.slot < other.slot;
}
