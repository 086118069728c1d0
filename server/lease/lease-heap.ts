import { type HeapPlace, IndexedHeap } from './indexed-heap.ts';
import type { LeaseRows, LiveLease } from './lease-rows.ts';

/** An `IndexedHeap` of leases, by their rows. */
export class LeaseHeap {
  readonly #rows: LeaseRows;
  readonly #heap: IndexedHeap<number>;

  constructor(rows: LeaseRows, place: HeapPlace<number>) {
    this.#rows = rows;
    this.#heap = new IndexedHeap(place);
  }

  loosen(): void {
    this.#heap.loosen();
  }

  order(): void {
    this.#heap.order();
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
