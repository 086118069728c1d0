import { type HeapPlace, IndexedHeap } from './indexed-heap.ts';
import type { LeaseRows, LiveLease } from './lease-rows.ts';

/** Leases that are gathered for `fill`. */
export class LeaseHeapFilling {
  readonly #rows: Int32Array;
  readonly #keys: Float64Array;
  #size = 0;

  /** For `room` of them at most. */
  constructor(room: number) {
    this.#rows = new Int32Array(room);
    this.#keys = new Float64Array(room);
  }

  get rows(): Int32Array {
    return this.#rows.subarray(0, this.#size);
  }

  get keys(): Float64Array {
    return this.#keys.subarray(0, this.#size);
  }

  add(row: number, key: number): void {
    if (this.#size === this.#rows.length) throw new Error(`a heap is filled with more than ${this.#size} leases`);
    this.#rows[this.#size] = row;
    this.#keys[this.#size] = key;
    this.#size += 1;
  }
}

/** An `IndexedHeap` of leases, by their rows. */
export class LeaseHeap {
  readonly #rows: LeaseRows;
  readonly #heap: IndexedHeap<number>;

  constructor(rows: LeaseRows, place: HeapPlace<number>) {
    this.#rows = rows;
    this.#heap = new IndexedHeap(place);
  }

  /** As `IndexedHeap.fill`. */
  fill({ rows, keys }: LeaseHeapFilling): void {
    this.#heap.fill(rows, keys);
  }

  get size(): number {
    return this.#heap.size;
  }

  peek(): LiveLease | undefined {
    const row = this.#heap.peek();
    return row === undefined ? undefined : this.#rows.at(row);
  }

  peekKey(): number | undefined {
    return this.#heap.peekKey();
  }

  set(lease: LiveLease, key: number): void {
    this.#heap.set(lease.row, key);
  }

  delete(lease: LiveLease): void {
    this.#heap.delete(lease.row);
  }

  upTo(key: number, limit: number): LiveLease[] {
    return this.#heap.upTo(key, limit).map((row) => this.#rows.at(row));
  }

  *values(): Generator<LiveLease> {
    for (const row of this.#heap.values()) yield this.#rows.at(row);
  }
}
