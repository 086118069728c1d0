import { LEASE_ENDS, type LeaseEnd } from '../../protocol/codes.ts';
import { LeaseFieldColumns, type LeaseFields, RowLease } from './lease-fields.ts';
import { SlotTable } from './slot-table.ts';
import type { EndedLease } from './state.ts';

/** Ended leases that are remembered, for a late report and a second release: so many at most … */
export const ENDED_LEASES_MAX = 100_000;
/** … and so long at most. */
export const ENDED_LEASES_MS = 600_000;

const ROWS_MIN = 64;

/** Leases in the order of their ends; the oldest are forgotten by number and by age. */
export class EndedLeases implements Iterable<EndedLease> {
  /** A ring of as many rows as are needed. Invariant: `#count` leases from row `#first` on. */
  #columns = new EndedColumns(ROWS_MIN);
  #first = 0;
  #count = 0;
  /** By token. */
  #rows = new EndedRows(this.#columns);

  get size(): number {
    return this.#count;
  }

  /** For as long as it is remembered: what is read of it later may be another one's. */
  get(token: number): EndedLease | undefined {
    const row = this.#rows.get(token);
    return row === undefined ? undefined : new EndedRow(this.#columns, row);
  }

  /** Takes in what there is to remember of `lease`, which ends, and forgets what is too old by `endedAtMs`. */
  add(lease: LeaseFields, end: LeaseEnd, endedAtMs: number): void {
    if (this.#count === ENDED_LEASES_MAX) this.#forgetOldest();
    if (this.#count === this.#columns.rows) this.#growTo(Math.min(2 * this.#count, ENDED_LEASES_MAX));
    this.#put(lease, end, endedAtMs);
    while (this.#columns.endedAtMs[this.#first]! <= endedAtMs - ENDED_LEASES_MS) this.#forgetOldest();
  }

  *[Symbol.iterator](): Generator<EndedLease> {
    for (let index = 0; index < this.#count; index += 1) yield new EndedRow(this.#columns, this.#rowAt(index));
  }

  #rowAt(index: number): number {
    return (this.#first + index) % this.#columns.rows;
  }

  #put(lease: LeaseFields, end: LeaseEnd, endedAtMs: number): void {
    const row = this.#rowAt(this.#count);
    this.#count += 1;
    this.#columns.write(row, lease);
    this.#columns.ends[row] = LEASE_ENDS.indexOf(end);
    this.#columns.endedAtMs[row] = endedAtMs;
    this.#rows.add(lease.token, row);
  }

  #forgetOldest(): void {
    this.#rows.delete(this.#columns.tokens[this.#first]!);
    this.#columns.clear(this.#first);
    this.#first = this.#rowAt(1);
    this.#count -= 1;
  }

  #growTo(rows: number): void {
    const before = [...this];
    this.#columns = new EndedColumns(rows);
    this.#rows = new EndedRows(this.#columns);
    this.#rows.reserve(rows);
    this.#first = 0;
    this.#count = 0;
    for (const lease of before) this.#put(lease, lease.end, lease.endedAtMs);
  }
}

class EndedColumns extends LeaseFieldColumns {
  readonly rows: number;
  /** Each by its place among LEASE_ENDS. */
  readonly ends: Uint8Array;
  readonly endedAtMs: Float64Array;

  constructor(rows: number) {
    super(rows);
    this.rows = rows;
    this.ends = new Uint8Array(rows);
    this.endedAtMs = new Float64Array(rows);
  }
}

/** In which row each token stands. */
class EndedRows extends SlotTable {
  readonly #columns: EndedColumns;

  constructor(columns: EndedColumns) {
    super();
    this.#columns = columns;
  }

  protected override idOf(row: number): number {
    return this.#columns.tokens[row]!;
  }
}

class EndedRow extends RowLease implements EndedLease {
  readonly #columns: EndedColumns;

  constructor(columns: EndedColumns, row: number) {
    super(columns, row);
    this.#columns = columns;
  }

  get end(): LeaseEnd {
    return LEASE_ENDS[this.#columns.ends[this.row]!]!;
  }

  get endedAtMs(): number {
    return this.#columns.endedAtMs[this.row]!;
  }
}
