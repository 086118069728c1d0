const TABLE_MIN = 64;
const EMPTY = -1;
/** Sixteen ids that follow one another stand together, in one line of the processor's cache: most are asked for in a row. */
const BLOCK_BITS = 4;
const BLOCK_LAST = 2 ** BLOCK_BITS - 1;
/** 2³² by the golden ratio: blocks that follow one another in whatever step come to lie far apart. */
const SPREAD = 0x9e3779b1;

/**
 * In which slot each id stands: a hash table with open addressing of nothing but slots, a third of what a Map takes, and
 * filled in a fraction of the time. The ids stand with whoever has the slots.
 */
export abstract class SlotTable {
  #slots = new Int32Array(TABLE_MIN).fill(EMPTY);
  #size = 0;

  /** The id that has `slot`. */
  protected abstract idOf(slot: number): number;

  get size(): number {
    return this.#size;
  }

  /** Makes room for so many ids at once. */
  reserve(ids: number): void {
    let length = this.#slots.length;
    while (length < 2 * ids) length *= 2;
    if (length > this.#slots.length) this.#growTo(length);
  }

  get(id: number): number | undefined {
    const slot = this.#slots[this.#find(id)]!;
    return slot === EMPTY ? undefined : slot;
  }

  /** Of an id that has no slot yet. `idOf(slot)` gives it from here on. */
  add(id: number, slot: number): void {
    this.#size += 1;
    if (2 * this.#size > this.#slots.length) this.#growTo(2 * this.#slots.length);
    this.#slots[this.#emptyFrom(this.#homeOf(id))] = slot;
  }

  /** Of an id that has a slot, which `idOf` still tells. */
  delete(id: number): void {
    this.#size -= 1;
    const last = this.#slots.length - 1;
    let gap = this.#find(id);
    // What stands behind the gap moves into it where it would not be found otherwise.
    for (let at = (gap + 1) & last; this.#slots[at] !== EMPTY; at = (at + 1) & last) {
      const home = this.#homeOf(this.idOf(this.#slots[at]!));
      if (((at - home) & last) < ((at - gap) & last)) continue;
      this.#slots[gap] = this.#slots[at]!;
      gap = at;
    }
    this.#slots[gap] = EMPTY;
  }

  /** Where the slot of `id` stands, or the empty place where it would. */
  #find(id: number): number {
    const last = this.#slots.length - 1;
    let at = this.#homeOf(id);
    while (this.#slots[at] !== EMPTY && this.idOf(this.#slots[at]!) !== id) at = (at + 1) & last;
    return at;
  }

  #emptyFrom(start: number): number {
    const last = this.#slots.length - 1;
    let at = start;
    while (this.#slots[at] !== EMPTY) at = (at + 1) & last;
    return at;
  }

  #homeOf(id: number): number {
    const block = Math.imul(id >>> BLOCK_BITS, SPREAD) >>> (Math.clz32(this.#slots.length) + 1 + BLOCK_BITS);
    return (block << BLOCK_BITS) | (id & BLOCK_LAST);
  }

  #growTo(length: number): void {
    const before = this.#slots;
    this.#slots = new Int32Array(length).fill(EMPTY);
    for (const slot of before) if (slot !== EMPTY) this.#slots[this.#emptyFrom(this.#homeOf(this.idOf(slot)))] = slot;
  }
}
