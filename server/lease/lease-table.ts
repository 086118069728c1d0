import type { Lease } from './state.ts';

const SLOTS_MIN = 64;

/**
 * The live leases, by token and in the order of their tokens. What a Map would do; but tokens are beyond what V8 keeps
 * without an object of its own, and to put a million of them into a Map takes a good part of a start.
 */
export class LeaseTable {
  /** By slot, rising; a slot that a lease has left keeps its token. */
  #tokens: Float64Array = new Float64Array(SLOTS_MIN);
  /** By slot; undefined: it has ended. */
  #leases: (Lease | undefined)[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(token: number): Lease | undefined {
    const slot = this.#slotFrom(token);
    return slot < this.#leases.length && this.#tokens[slot] === token ? this.#leases[slot] : undefined;
  }

  has(token: number): boolean {
    return this.get(token) !== undefined;
  }

  /** Of a lease whose token is above all that were added before. */
  add(lease: Lease): void {
    const { token } = lease;
    const slot = this.#leases.length;
    if (slot > 0 && token <= this.#tokens[slot - 1]!) {
      throw new Error(`lease ${token} comes after lease ${this.#tokens[slot - 1]}`);
    }
    if (slot === this.#tokens.length) this.#tokens = extended(this.#tokens, 2 * slot);
    this.#tokens[slot] = token;
    this.#leases.push(lease);
    this.#size += 1;
  }

  /** Into an empty table, at once: `leases` with their `tokens`, which rise. Both are the table's from here on. */
  fill(tokens: Float64Array, leases: Lease[]): void {
    if (this.#leases.length > 0) throw new Error('a table in use is filled');
    if (leases.length === 0) return;
    this.#tokens = tokens;
    this.#leases = leases;
    this.#size = leases.length;
  }

  /** Of a lease that is in. */
  delete(token: number): void {
    const slot = this.#slotFrom(token);
    if (this.#tokens[slot] !== token || !this.#leases[slot]) throw new Error(`lease ${token} is none of the live ones`);
    this.#leases[slot] = undefined;
    this.#size -= 1;
    if (this.#leases.length > 2 * this.#size + SLOTS_MIN) this.#closeGaps();
  }

  *keys(): Generator<number> {
    for (const { token } of this.values()) yield token;
  }

  /** Those whose tokens are `from` or above. Nothing may be added or deleted meanwhile. */
  *values(from = 0): Generator<Lease> {
    for (let slot = this.#slotFrom(from); slot < this.#leases.length; slot += 1) {
      const lease = this.#leases[slot];
      if (lease) yield lease;
    }
  }

  /**
   * The first slot whose token is `token` or above. Tokens of one run lie close together, and far from those of another: the
   * place that a token should have among its like is next to right, or says nothing; so every other step halves.
   */
  #slotFrom(token: number): number {
    const tokens = this.#tokens;
    const end = this.#leases.length;
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

  #closeGaps(): void {
    const tokens = new Float64Array(Math.max(SLOTS_MIN, 2 * this.#size));
    const leases: Lease[] = [];
    // Of up to two million slots, in one go: the leases themselves are let alone.
    for (let slot = 0; slot < this.#leases.length; slot += 1) {
      const lease = this.#leases[slot];
      if (!lease) continue;
      tokens[leases.length] = this.#tokens[slot]!;
      leases.push(lease);
    }
    this.#tokens = tokens;
    this.#leases = leases;
  }
}

function extended(numbers: Float64Array, length: number): Float64Array {
  const longer = new Float64Array(length);
  longer.set(numbers);
  return longer;
}
