import { extended, type LeaseFields } from './lease-fields.ts';
import { LeaseRows, type LiveLease, NO_ROW } from './lease-rows.ts';
import { SlotTable } from './slot-table.ts';

/** Tokens that follow one another share a page, the rows of which fill a line of the processor's cache. */
const PAGE_TOKENS = 16;
const PAGES_MIN = 8;
const NO_PAGE = -1;
/** Numbers that are looked for before one goes through the pages from the first on. */
const LOOKS_MAX = 1_024;

/**
 * The live leases, by token and in the order of their tokens. What a Map would do; but tokens are beyond what V8 keeps
 * without an object of its own, and to put a million of them into a Map takes a good part of a start. Only pages with a live
 * lease are kept: what leads to them stays in the processor's cache, and a look costs the line of the page.
 */
export class LeaseTable {
  readonly rows = new LeaseRows();
  readonly #pages = new Pages();
  readonly #pageOf = new PageTable(this.#pages);
  /** Invariant: no token that was ever added is above it. */
  #lastToken = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(token: number): LiveLease | undefined {
    const row = this.#rowOf(token);
    return row === NO_ROW ? undefined : this.rows.at(row);
  }

  has(token: number): boolean {
    return this.#rowOf(token) !== NO_ROW;
  }

  /** Of a lease whose token is above all that were added before. */
  add(fields: LeaseFields): LiveLease {
    const { token } = fields;
    if (token <= this.#lastToken) throw new Error(`lease ${token} comes after lease ${this.#lastToken}`);
    const lease = this.rows.add(fields);
    this.#append(token, lease.row);
    return lease;
  }

  /** Into an empty table, at once: `tokens`, which rise, and the rows where their leases are. */
  fill(tokens: Float64Array, rows: Int32Array): void {
    if (this.#size > 0) throw new Error('a table in use is filled');
    for (let nth = 0; nth < tokens.length; nth += 1) {
      const token = tokens[nth]!;
      if (!(token > this.#lastToken)) throw new Error(`lease ${token} comes after lease ${this.#lastToken}`);
      this.#append(token, rows[nth]!);
    }
  }

  /** Of a lease that is in, and in no index beside this any more. */
  delete(token: number): void {
    const { rows, counts } = this.#pages;
    const number = Math.floor(token / PAGE_TOKENS);
    const page = this.#pageOf.get(number) ?? NO_PAGE;
    const place = placeOf(token, number, page);
    const row = page === NO_PAGE ? NO_ROW : rows[place]!;
    if (row === NO_ROW) throw new Error(`lease ${token} is none of the live ones`);
    this.rows.delete(row);
    rows[place] = NO_ROW;
    this.#size -= 1;
    counts[page]! -= 1;
    if (counts[page]! > 0) return;
    this.#pageOf.delete(number);
    this.#pages.delete(page);
  }

  /** Nothing may be added or deleted meanwhile. */
  *keys(): Generator<number> {
    for (const page of this.#pages.inOrder()) {
      for (let nth = 0; nth < PAGE_TOKENS; nth += 1) {
        if (this.#pages.rows[page * PAGE_TOKENS + nth] === NO_ROW) continue;
        yield this.#pages.numbers[page]! * PAGE_TOKENS + nth;
      }
    }
  }

  /** Those whose tokens are `from` or above. Nothing may be added or deleted meanwhile. */
  *values(from = 0): Generator<LiveLease> {
    for (const page of this.#pages.inOrder(this.#firstFrom(from))) {
      const nth = Math.max(0, from - this.#pages.numbers[page]! * PAGE_TOKENS);
      for (let at = nth; at < PAGE_TOKENS; at += 1) {
        const row = this.#pages.rows[page * PAGE_TOKENS + at]!;
        if (row !== NO_ROW) yield this.rows.at(row);
      }
    }
  }

  /**
   * A page before which there is no lease with a token of `from` or above: who goes through a million leases, thousand by
   * thousand, isn't to pass by all the pages before each time. Where it isn't soon found, the very first.
   */
  #firstFrom(from: number): number {
    const number = Math.floor(from / PAGE_TOKENS);
    const { last, numbers } = this.#pages;
    if (last === NO_PAGE || numbers[last]! < number) return NO_PAGE;
    for (let ahead = 0; ahead < LOOKS_MAX; ahead += 1) {
      const page = this.#pageOf.get(number + ahead);
      if (page !== undefined) return page;
    }
    return this.#pages.first;
  }

  #rowOf(token: number): number {
    const number = Math.floor(token / PAGE_TOKENS);
    const page = this.#pageOf.get(number);
    return page === undefined ? NO_ROW : (this.#pages.rows[placeOf(token, number, page)] ?? NO_ROW);
  }

  #append(token: number, row: number): void {
    const number = Math.floor(token / PAGE_TOKENS);
    let page = this.#pages.last;
    if (page === NO_PAGE || this.#pages.numbers[page] !== number) {
      page = this.#pages.append(number);
      this.#pageOf.add(number, page);
    }
    this.#pages.rows[placeOf(token, number, page)] = row;
    this.#pages.counts[page]! += 1;
    this.#lastToken = token;
    this.#size += 1;
  }
}

/** Among the rows of all pages. By a product: the remainder of numbers beyond 32 bits would take longer than all the rest. */
function placeOf(token: number, number: number, page: number): number {
  return page * PAGE_TOKENS + (token - number * PAGE_TOKENS);
}

/** Pages in the order of their numbers; one that is given up is used again. */
class Pages {
  /** By page, then by token; NO_ROW: it has ended, or was never given. */
  rows = new Int32Array(PAGES_MIN * PAGE_TOKENS).fill(NO_ROW);
  /** Their tokens by PAGE_TOKENS. */
  numbers = new Float64Array(PAGES_MIN);
  /** Live leases of each. */
  counts = new Uint8Array(PAGES_MIN);
  first = NO_PAGE;
  last = NO_PAGE;
  #before = new Int32Array(PAGES_MIN);
  #after = new Int32Array(PAGES_MIN);
  readonly #free: number[] = [];
  /** Pages from here on have never been used. */
  #end = 0;

  /** An empty one behind all the others. */
  append(number: number): number {
    const page = this.#free.pop() ?? this.#end;
    if (page === this.numbers.length) this.#growTo(2 * page);
    if (page === this.#end) this.#end += 1;
    this.numbers[page] = number;
    this.#before[page] = this.last;
    this.#after[page] = NO_PAGE;
    if (this.last === NO_PAGE) this.first = page;
    else this.#after[this.last] = page;
    this.last = page;
    return page;
  }

  /** Of an empty one. */
  delete(page: number): void {
    const [before, after] = [this.#before[page]!, this.#after[page]!];
    if (before === NO_PAGE) this.first = after;
    else this.#after[before] = after;
    if (after === NO_PAGE) this.last = before;
    else this.#before[after] = before;
    this.#free.push(page);
  }

  /** From that one on; none where it is NO_PAGE. */
  *inOrder(from = this.first): Generator<number> {
    for (let page = from; page !== NO_PAGE; page = this.#after[page]!) yield page;
  }

  #growTo(pages: number): void {
    this.rows = extended(this.rows, new Int32Array(pages * PAGE_TOKENS).fill(NO_ROW));
    this.numbers = extended(this.numbers, new Float64Array(pages));
    this.counts = extended(this.counts, new Uint8Array(pages));
    this.#before = extended(this.#before, new Int32Array(pages));
    this.#after = extended(this.#after, new Int32Array(pages));
  }
}

/** In which page each number stands. */
class PageTable extends SlotTable {
  readonly #pages: Pages;

  constructor(pages: Pages) {
    super();
    this.#pages = pages;
  }

  protected override idOf(page: number): number {
    return this.#pages.numbers[page]!;
  }
}
