import type { LeaseFields } from './lease-fields.ts';
import { LeaseRows, type LiveLease, NO_ROW } from './lease-rows.ts';

const SLOTS_MIN = 64;

/**
 * The live leases, by token and in the order of their tokens. What a Map would do; but tokens are beyond what V8 keeps
 * without an object of its own, and to put a million of them into a Map takes a good part of a start.
 */
export class LeaseTable {
  readonly rows = new LeaseRows();
  /** By slot, rising; a slot that a lease has left keeps its token. */
  #tokens: Float64Array = new Float64Array(SLOTS_MIN);
  /** By slot; NO_ROW: it has ended. */
  #rowsOf: Int32Array = new Int32Array(SLOTS_MIN);
  /** Slots in use. */
  #end = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(token: number): LiveLease | undefined {
    const slot = this.#slotFrom(token);
    if (slot === this.#end || this.#tokens[slot] !== token) return undefined;
    const row = this.#rowsOf[slot]!;
    return row === NO_ROW ? undefined : this.rows.at(row);
  }

  has(token: number): boolean {
    return this.get(token) !== undefined;
  }

  /** Of a lease whose token is above all that were added before. */
  add(fields: LeaseFields): LiveLease {
    const { token } = fields;
    const slot = this.#end;
    if (slot > 0 && token <= this.#tokens[slot - 1]!) {
      throw new Error(`lease ${token} comes after lease ${this.#tokens[slot - 1]}`);
    }
    if (slot === this.#tokens.length) this.#resize(2 * slot);
    const lease = this.rows.add(fields);
    this.#tokens[slot] = token;
    this.#rowsOf[slot] = lease.row;
    this.#end += 1;
    this.#size += 1;
    return lease;
  }

  /**
   * Into an empty table, at once: the first `count` of `tokens`, which rise, and the rows where their leases are. Both are the
   * table's from here on; what they have beyond is room for more.
   */
  fill(tokens: Float64Array, rows: Int32Array, count: number): void {
    if (this.#end > 0) throw new Error('a table in use is filled');
    if (count === 0) return;
    for (let slot = 1; slot < count; slot += 1) {
      if (!(tokens[slot - 1]! < tokens[slot]!))
        throw new Error(`lease ${tokens[slot]} comes after lease ${tokens[slot - 1]}`);
    }
    this.#tokens = tokens;
    this.#rowsOf = rows;
    this.#end = count;
    this.#size = count;
  }

  /** Of a lease that is in, and in no index beside this any more. */
  delete(token: number): void {
    const slot = this.#slotFrom(token);
    const row = slot < this.#end && this.#tokens[slot] === token ? this.#rowsOf[slot]! : NO_ROW;
    if (row === NO_ROW) throw new Error(`lease ${token} is none of the live ones`);
    this.rows.delete(row);
    this.#rowsOf[slot] = NO_ROW;
    this.#size -= 1;
    if (this.#end > 2 * this.#size + SLOTS_MIN) this.#closeGaps();
  }

  *keys(): Generator<number> {
    for (let slot = 0; slot < this.#end; slot += 1) if (this.#rowsOf[slot] !== NO_ROW) yield this.#tokens[slot]!;
  }

  /** Those whose tokens are `from` or above. Nothing may be added or deleted meanwhile. */
  *values(from = 0): Generator<LiveLease> {
    for (let slot = this.#slotFrom(from); slot < this.#end; slot += 1) {
      const row = this.#rowsOf[slot]!;
      if (row !== NO_ROW) yield this.rows.at(row);
    }
  }

  /**
   * The first slot whose token is `token` or above. Tokens of one run lie close together, and far from those of another: the
   * place that a token should have among its like is next to right, or says nothing; so every other step halves.
   */
  #slotFrom(token: number): number {
    const tokens = this.#tokens;
    const end = this.#end;
    let low = 0;
    let high = end - 1;
    if (end === 0 || tokens[high]! < token) return end;
    for (let isHalving = false; low < high; isHalving = !isHalving) {
      const least = tokens[low]!;
      if (least >= token) return low;
      const share = isHalving ? 0.5 : (token - least) / (tokens[high]! - least);
      const middle = Math.min(low + Math.floor(share * (high - low)), high - 1);
      if (tokens[middle]! < token) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Of up to two million slots, in one go: the leases themselves are let alone. */
  #closeGaps(): void {
    let end = 0;
    for (let slot = 0; slot < this.#end; slot += 1) {
      if (this.#rowsOf[slot] === NO_ROW) continue;
      this.#tokens[end] = this.#tokens[slot]!;
      this.#rowsOf[end] = this.#rowsOf[slot]!;
      end += 1;
    }
    this.#end = end;
    // Not at once as far as it could: where leases come and go it would soon be too little again.
    const needed = Math.max(SLOTS_MIN, 2 * end);
    if (this.#tokens.length > 4 * needed) this.#resize(needed);
  }

  #resize(slots: number): void {
    const [tokens, rows] = [this.#tokens.subarray(0, this.#end), this.#rowsOf.subarray(0, this.#end)];
    this.#tokens = new Float64Array(slots);
    this.#tokens.set(tokens);
    this.#rowsOf = new Int32Array(slots);
    this.#rowsOf.set(rows);
  }
}
