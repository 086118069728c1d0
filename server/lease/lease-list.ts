import { type LeaseRows, type LiveLease, NO_ROW, UNLISTED } from './lease-rows.ts';

/** The leases of one session, linked by their rows; added as they were granted, so in the order of their tokens. */
export class LeaseList implements Iterable<LiveLease> {
  readonly #rows: LeaseRows;
  #first = NO_ROW;
  #last = NO_ROW;

  constructor(rows: LeaseRows) {
    this.#rows = rows;
  }

  /** Of a lease that is in no list. */
  add({ row }: LiveLease): void {
    const { before, after } = this.#rows;
    before[row] = this.#last;
    after[row] = NO_ROW;
    if (this.#last === NO_ROW) this.#first = row;
    else after[this.#last] = row;
    this.#last = row;
  }

  /** Of a lease that is in. */
  delete({ row, token }: LiveLease): void {
    const { before, after } = this.#rows;
    if (after[row] === UNLISTED) throw new Error(`lease ${token} isn't one of its session`);
    const [previous, next] = [before[row]!, after[row]!];
    if (previous === NO_ROW) this.#first = next;
    else after[previous] = next;
    if (next === NO_ROW) this.#last = previous;
    else before[next] = previous;
    before[row] = UNLISTED;
    after[row] = UNLISTED;
  }

  /** Nothing may be added or deleted meanwhile. */
  *[Symbol.iterator](): Generator<LiveLease> {
    for (let row = this.#first; row !== NO_ROW; row = this.#rows.after[row]!) yield this.#rows.at(row);
  }
}
