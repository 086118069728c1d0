import type { Where } from '../../protocol/where.ts';
import { CountedBitset } from './counted-bitset.ts';
import { type Attributes, type CompiledWhere, compileWhere } from './where.ts';

/** Conditions kept compiled and indexed per resource; the one unused for longest makes room. */
const CONDITIONS_MAX = 64;

export interface Condition extends CompiledWhere {
  /** Slots whose address meets it. */
  readonly matching: CountedBitset;
  /** Invariant: `matching` and free. */
  readonly eligible: CountedBitset;
}

export interface Candidates {
  /** Addresses that serve the resource and meet the condition. */
  readonly matchingCount: number;
  /** Those of them that are free. */
  readonly eligibleCount: number;
  /** Id of the `rank`-th eligible address, in an order that stays while the pool does. */
  addressIdAt(rank: number): number;
}

/**
 * Which addresses serve one resource, which are free, and which meet the conditions asked for of late. An index: it holds
 * nothing that the state doesn't say, is not persisted, and answers in a time that doesn't grow with the pool.
 */
export class ResourcePool<Address extends Attributes & { readonly id: number }> {
  /** Invariant: dense; `#slots` is its inverse. */
  readonly #addresses: Address[] = [];
  readonly #slots = new Map<number, number>();
  readonly #free = new CountedBitset();
  /** In the order of their last use. */
  readonly #conditions = new Map<string, Condition>();

  get size(): number {
    return this.#addresses.length;
  }

  get freeCount(): number {
    return this.#free.count;
  }

  /** Takes `address` in, or looks again at what a condition may see of it. */
  set(address: Address, isFree: boolean): void {
    let slot = this.#slots.get(address.id);
    if (slot === undefined) {
      slot = this.#addresses.length;
      this.#addresses.push(address);
      this.#slots.set(address.id, slot);
    }
    this.#fill(slot, address, isFree);
  }

  /** Does nothing where the address isn't served. */
  delete(address: Address): void {
    const slot = this.#slots.get(address.id);
    if (slot === undefined) return;
    const lastSlot = this.#addresses.length - 1;
    const last = this.#addresses[lastSlot]!;
    if (slot !== lastSlot) {
      this.#addresses[slot] = last;
      this.#slots.set(last.id, slot);
      this.#fill(slot, last, this.#free.has(lastSlot));
    }
    this.#addresses.pop();
    this.#slots.delete(address.id);
    this.#free.assign(lastSlot, false);
    for (const condition of this.#conditions.values()) {
      condition.matching.assign(lastSlot, false);
      condition.eligible.assign(lastSlot, false);
    }
  }

  setFree(address: Address, isFree: boolean): void {
    const slot = this.#slots.get(address.id);
    if (slot === undefined) return;
    this.#free.assign(slot, isFree);
    for (const { matching, eligible } of this.#conditions.values()) eligible.assign(slot, isFree && matching.has(slot));
  }

  rpwChanged(address: Address): void {
    const slot = this.#slots.get(address.id);
    if (slot === undefined) return;
    for (const condition of this.#conditions.values()) {
      if (condition.readsRpw) this.#assess(condition, slot, address, this.#free.has(slot));
    }
  }

  /** A day has turned: every address may count anew. What reads it is built again when next asked for. */
  forgetRpw(): void {
    for (const [key, condition] of this.#conditions) if (condition.readsRpw) this.#conditions.delete(key);
  }

  candidates(where: Where | undefined): Candidates {
    const condition = where && this.condition(where);
    const eligible = condition?.eligible ?? this.#free;
    return {
      matchingCount: condition?.matching.count ?? this.#addresses.length,
      eligibleCount: eligible.count,
      addressIdAt: (rank) => this.#addresses[eligible.select(rank)]!.id,
    };
  }

  /** `where`, compiled and indexed: made the first time it is asked for, kept while it is in use. */
  condition(where: Where): Condition {
    const key = JSON.stringify(where);
    const known = this.#conditions.get(key);
    if (known) {
      this.#conditions.delete(key);
      this.#conditions.set(key, known);
      return known;
    }
    const condition = { ...compileWhere(where), matching: new CountedBitset(), eligible: new CountedBitset() };
    for (const [slot, address] of this.#addresses.entries()) {
      this.#assess(condition, slot, address, this.#free.has(slot));
    }
    if (this.#conditions.size >= CONDITIONS_MAX) this.#conditions.delete(this.#conditions.keys().next().value!);
    this.#conditions.set(key, condition);
    return condition;
  }

  /** Invariant check for tests: throws where the index says something else than its addresses do. */
  verify(isFree: (address: Address) => boolean): void {
    for (const [slot, address] of this.#addresses.entries()) {
      const fault = (what: string) => new Error(`${what} of address ${address.id} is wrong in the index`);
      if (this.#slots.get(address.id) !== slot) throw fault('slot');
      if (this.#free.has(slot) !== isFree(address)) throw fault('free bit');
      for (const [key, condition] of this.#conditions) {
        if (condition.matching.has(slot) !== condition.holds(address)) throw fault(`match with ${key}`);
        if (condition.eligible.has(slot) !== (condition.holds(address) && isFree(address))) {
          throw fault(`eligibility for ${key}`);
        }
      }
    }
  }

  #fill(slot: number, address: Address, isFree: boolean): void {
    this.#free.assign(slot, isFree);
    for (const condition of this.#conditions.values()) this.#assess(condition, slot, address, isFree);
  }

  #assess(condition: Condition, slot: number, address: Address, isFree: boolean): void {
    const holds = condition.holds(address);
    condition.matching.assign(slot, holds);
    condition.eligible.assign(slot, holds && isFree);
  }
}
