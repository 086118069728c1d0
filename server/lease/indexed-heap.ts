/** Where an item stands in one heap: a field of the item's own, so that finding it costs nothing. */
export interface HeapPlace<Item> {
  get(item: Item): number;
  set(item: Item, index: number): void;
}

/** Place of an item that is in no heap. */
export const NOT_IN_HEAP = -1;

/** A binary min-heap whose items can be moved and removed in O(log n) wherever they are. */
export class IndexedHeap<Item> {
  readonly #items: Item[] = [];
  /** Invariant: `#keys[i]` is the key of `#items[i]`. Apart from the items, so that numbers stay unboxed. */
  readonly #keys: number[] = [];
  readonly #place: HeapPlace<Item>;

  constructor(place: HeapPlace<Item>) {
    this.#place = place;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): Item | undefined {
    return this.#items[0];
  }

  /** The smallest key, or undefined where the heap is empty. */
  peekKey(): number | undefined {
    return this.#keys[0];
  }

  has(item: Item): boolean {
    return this.#place.get(item) !== NOT_IN_HEAP;
  }

  /** Undefined where it isn't in the heap. */
  keyOf(item: Item): number | undefined {
    return this.#keys[this.#place.get(item)];
  }

  /** Puts `item` at `key`, wherever it was before. */
  set(item: Item, key: number): void {
    let index = this.#place.get(item);
    if (index === NOT_IN_HEAP) {
      index = this.#items.length;
      this.#items.push(item);
      this.#keys.push(key);
      this.#place.set(item, index);
      this.#siftUp(index);
      return;
    }
    const before = this.#keys[index]!;
    this.#keys[index] = key;
    if (key < before) this.#siftUp(index);
    else this.#siftDown(index);
  }

  /** Does nothing where `item` isn't in the heap. */
  delete(item: Item): void {
    const index = this.#place.get(item);
    if (index === NOT_IN_HEAP) return;
    this.#place.set(item, NOT_IN_HEAP);
    const lastItem = this.#items.pop()!;
    const lastKey = this.#keys.pop()!;
    if (index === this.#items.length) return;
    this.#items[index] = lastItem;
    this.#keys[index] = lastKey;
    this.#place.set(lastItem, index);
    this.#siftUp(index);
    this.#siftDown(this.#place.get(lastItem));
  }

  /**
   * Items with a key of at most `key`, `limit` of them at most, in the order of their keys; where there are more, which
   * ones is left open. Costs by what it finds, not by size.
   */
  upTo(key: number, limit: number): Item[] {
    const found: number[] = [];
    const open = [0];
    while (open.length > 0 && found.length < limit) {
      const node = open.pop()!;
      if (node >= this.#items.length || this.#keys[node]! > key) continue;
      found.push(node);
      open.push(2 * node + 1, 2 * node + 2);
    }
    found.sort((one, other) => this.#keys[one]! - this.#keys[other]!);
    return found.map((index) => this.#items[index]!);
  }

  values(): Iterable<Item> {
    return this.#items;
  }

  #siftUp(start: number): void {
    const item = this.#items[start]!;
    const key = this.#keys[start]!;
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.#keys[parent]! <= key) break;
      this.#move(parent, index);
      index = parent;
    }
    this.#put(item, key, index);
  }

  #siftDown(start: number): void {
    const item = this.#items[start]!;
    const key = this.#keys[start]!;
    const size = this.#items.length;
    let index = start;
    while (true) {
      let child = 2 * index + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#keys[child + 1]! < this.#keys[child]!) child += 1;
      if (this.#keys[child]! >= key) break;
      this.#move(child, index);
      index = child;
    }
    this.#put(item, key, index);
  }

  #move(from: number, to: number): void {
    this.#put(this.#items[from]!, this.#keys[from]!, to);
  }

  #put(item: Item, key: number, index: number): void {
    this.#items[index] = item;
    this.#keys[index] = key;
    this.#place.set(item, index);
  }
}
