import { arrayWithRoom } from './array-with-room.ts';

/** Where an item keeps what one heap knows it by: a field of the item's own, so that finding it costs nothing. */
export interface HeapPlace<Item> {
  get(item: Item): number;
  set(item: Item, handle: number): void;
}

/** Place of an item that is in no heap. */
export const NOT_IN_HEAP = -1;

const HANDLES_MIN = 16;

/**
 * A binary min-heap whose items can be moved and removed in O(log n) wherever they are. An item keeps its handle as long as
 * it is in; what moves are keys and handles, in arrays of plain numbers. The items themselves are let alone: where there are
 * a million, each one that is touched has to be fetched from memory.
 */
export class IndexedHeap<Item> {
  /** By handle; undefined where the handle is free. */
  #items: (Item | undefined)[] = [];
  /** By handle: its index in the heap. */
  #indexes = new Int32Array(HANDLES_MIN);
  /** By index, as many as there are items. Invariant: `#indexes[#handles[i]]` is `i`. */
  #handles = new Int32Array(HANDLES_MIN);
  /** By index: what the item is ordered by. Invariant: no smaller than that of `(i - 1) >> 1`. */
  #keys = new Float64Array(HANDLES_MIN);
  readonly #freeHandles: number[] = [];
  readonly #place: HeapPlace<Item>;
  #size = 0;

  constructor(place: HeapPlace<Item>) {
    this.#place = place;
  }

  /** Into a heap that never had an item, at once: each of `items` at the key beside it. In O(n), less than item by item. */
  fill(items: ArrayLike<Item>, keys: Float64Array): void {
    if (this.#items.length > 0) throw new Error('a heap in use is filled');
    const { length } = items;
    if (length > this.#indexes.length) this.#growTo(length + (length >> 3));
    this.#items = arrayWithRoom(length);
    for (let index = 0; index < length; index += 1) {
      const item = items[index]!;
      this.#items[index] = item;
      this.#place.set(item, index);
      this.#handles[index] = index;
      this.#indexes[index] = index;
    }
    this.#keys.set(keys);
    this.#size = length;
    for (let index = (length >> 1) - 1; index >= 0; index -= 1) this.#siftDown(index);
  }

  get size(): number {
    return this.#size;
  }

  peek(): Item | undefined {
    return this.#size === 0 ? undefined : this.#itemAt(0);
  }

  /** The smallest key, or undefined where the heap is empty. */
  peekKey(): number | undefined {
    return this.#size === 0 ? undefined : this.#keys[0];
  }

  has(item: Item): boolean {
    return this.#place.get(item) !== NOT_IN_HEAP;
  }

  /** Undefined where it isn't in the heap. */
  keyOf(item: Item): number | undefined {
    const handle = this.#place.get(item);
    return handle === NOT_IN_HEAP ? undefined : this.#keys[this.#indexes[handle]!];
  }

  /** Puts `item` at `key`, wherever it was before. */
  set(item: Item, key: number): void {
    const handle = this.#place.get(item);
    if (handle === NOT_IN_HEAP) {
      const index = this.#size;
      this.#size += 1;
      this.#put(this.#take(item), key, index);
      return this.#siftUp(index);
    }
    const index = this.#indexes[handle]!;
    const before = this.#keys[index]!;
    if (key === before) return;
    this.#keys[index] = key;
    if (key < before) this.#siftUp(index);
    else this.#siftDown(index);
  }

  /** Does nothing where `item` isn't in the heap. */
  delete(item: Item): void {
    // Most heaps of what is rare are empty, and then the item needn't be asked.
    if (this.#size === 0) return;
    const handle = this.#place.get(item);
    if (handle === NOT_IN_HEAP) return;
    this.#place.set(item, NOT_IN_HEAP);
    this.#items[handle] = undefined;
    this.#freeHandles.push(handle);
    this.#size -= 1;
    const index = this.#indexes[handle]!;
    if (index === this.#size) return;
    const last = this.#handles[this.#size]!;
    this.#put(last, this.#keys[this.#size]!, index);
    this.#siftUp(index);
    this.#siftDown(this.#indexes[last]!);
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
      if (node >= this.#size || this.#keys[node]! > key) continue;
      found.push(node);
      open.push(2 * node + 1, 2 * node + 2);
    }
    found.sort((one, other) => this.#keys[one]! - this.#keys[other]!);
    return found.map((index) => this.#itemAt(index));
  }

  *values(): Generator<Item> {
    for (let index = 0; index < this.#size; index += 1) yield this.#itemAt(index);
  }

  #itemAt(index: number): Item {
    return this.#items[this.#handles[index]!]!;
  }

  /** Gives a new item its handle. There are never more handles than there were items at one time. */
  #take(item: Item): number {
    const handle = this.#freeHandles.pop() ?? this.#items.length;
    this.#items[handle] = item;
    this.#place.set(item, handle);
    if (handle === this.#indexes.length) this.#growTo(2 * handle);
    return handle;
  }

  #growTo(handles: number): void {
    const [indexes, before, keys] = [this.#indexes, this.#handles, this.#keys];
    this.#indexes = new Int32Array(handles);
    this.#indexes.set(indexes);
    this.#handles = new Int32Array(handles);
    this.#handles.set(before);
    this.#keys = new Float64Array(handles);
    this.#keys.set(keys);
  }

  #siftUp(start: number): void {
    const handle = this.#handles[start]!;
    const key = this.#keys[start]!;
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.#keys[parent]! <= key) break;
      this.#move(parent, index);
      index = parent;
    }
    this.#put(handle, key, index);
  }

  #siftDown(start: number): void {
    const handle = this.#handles[start]!;
    const key = this.#keys[start]!;
    const size = this.#size;
    let index = start;
    while (true) {
      let child = 2 * index + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#keys[child + 1]! < this.#keys[child]!) child += 1;
      if (this.#keys[child]! >= key) break;
      this.#move(child, index);
      index = child;
    }
    this.#put(handle, key, index);
  }

  #move(from: number, to: number): void {
    this.#put(this.#handles[from]!, this.#keys[from]!, to);
  }

  #put(handle: number, key: number, index: number): void {
    this.#handles[index] = handle;
    this.#keys[index] = key;
    this.#indexes[handle] = index;
  }
}
