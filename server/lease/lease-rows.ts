import { NOT_IN_HEAP } from './indexed-heap.ts';
import { extended, LeaseFieldColumns, type LeaseFields, RowLease } from './lease-fields.ts';
import { endsAtMs } from './state.ts';

const ROWS_MIN = 64;

/** Of a lease in no list. */
export const UNLISTED = -2;
/** Of the first in a list what is before it, and of the last what is behind. */
export const NO_ROW = -1;

/** Token of a row without a lease. */
const FREE = 0;

/** Leases side by side, field by field; `flags` as `LeaseFieldColumns` keeps them. */
export interface LeaseColumns {
  readonly tokens: ArrayLike<number>;
  readonly resources: ArrayLike<number>;
  readonly addressIds: ArrayLike<number>;
  readonly requestIds: ArrayLike<number>;
  readonly ttlsMs: ArrayLike<number>;
  readonly deadlinesMs: ArrayLike<number>;
  readonly grantedDays: ArrayLike<number>;
  readonly requests: ArrayLike<number>;
  readonly flags: ArrayLike<number>;
}

/**
 * What is known of the live leases, and where the indexes have them. A row that is given up is used again; there are never
 * more than there were leases at one time, and never fewer again.
 */
export class LeaseRows extends LeaseFieldColumns {
  // Where the indexes have them. Invariant: of a row without a lease, that none of them has it.
  expiryPlaces = new Int32Array(ROWS_MIN).fill(NOT_IN_HEAP);
  noticePlaces = new Int32Array(ROWS_MIN).fill(NOT_IN_HEAP);
  withdrawnPlaces = new Int32Array(ROWS_MIN).fill(NOT_IN_HEAP);
  /** Neighbours in the list of the lease's session. */
  before = new Int32Array(ROWS_MIN).fill(UNLISTED);
  after = new Int32Array(ROWS_MIN).fill(UNLISTED);

  readonly #free: number[] = [];
  /** Rows from here on have never been used. */
  #end = 0;

  constructor() {
    super(ROWS_MIN);
  }

  /** For as long as the lease lives: what is read of it later may be another one's. */
  at(row: number): LiveLease {
    return new LiveLease(this, row);
  }

  add(lease: LeaseFields): LiveLease {
    const row = this.#free.pop() ?? this.#end;
    if (row === this.#end) {
      this.reserve(row + 1);
      this.#end += 1;
    }
    this.write(row, lease);
    return this.at(row);
  }

  /** All of `columns`, one row behind the other, the first of which is returned. Their holders are the caller's to set. */
  addAll(columns: LeaseColumns): number {
    const first = this.#end;
    const end = first + columns.tokens.length;
    this.reserve(end);
    this.tokens.set(columns.tokens, first);
    this.resources.set(columns.resources, first);
    this.addressIds.set(columns.addressIds, first);
    this.requestIds.set(columns.requestIds, first);
    this.deadlinesMs.set(columns.deadlinesMs, first);
    this.ttlsMs.set(columns.ttlsMs, first);
    this.grantedDays.set(columns.grantedDays, first);
    this.requests.set(columns.requests, first);
    this.flags.set(columns.flags, first);
    this.#end = end;
    return first;
  }

  /** Every row with a lease is below it. */
  get end(): number {
    return this.#end;
  }

  has(row: number): boolean {
    return this.tokens[row] !== FREE;
  }

  /** When the lease in `row` ends. */
  endsAtMs(row: number): number {
    const revoking = this.revoking.size > 0 ? this.revoking.get(row) : undefined;
    return endsAtMs({ deadlineMs: this.deadlinesMs[row]!, revoking });
  }

  /** Of a lease that no index has any more. */
  delete(row: number): void {
    this.clear(row);
    this.tokens[row] = FREE;
    this.#free.push(row);
  }

  /** Makes room for `rows` of them in all. */
  reserve(rows: number): void {
    if (rows <= this.tokens.length) return;
    const length = Math.max(rows, 2 * this.tokens.length);
    this.lengthen(length);
    this.expiryPlaces = extended(this.expiryPlaces, new Int32Array(length).fill(NOT_IN_HEAP));
    this.noticePlaces = extended(this.noticePlaces, new Int32Array(length).fill(NOT_IN_HEAP));
    this.withdrawnPlaces = extended(this.withdrawnPlaces, new Int32Array(length).fill(NOT_IN_HEAP));
    this.before = extended(this.before, new Int32Array(length).fill(UNLISTED));
    this.after = extended(this.after, new Int32Array(length).fill(UNLISTED));
  }
}

/** A lease that somebody has. */
export class LiveLease extends RowLease {
  get end(): undefined {
    return undefined;
  }

  get endedAtMs(): undefined {
    return undefined;
  }
}
