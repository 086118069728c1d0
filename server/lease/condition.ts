import { PAIR_STATES, type PairState } from '../../protocol/codes.ts';
import type { ConditionIndex } from './condition-index.ts';
import type { CountedBitset } from './counted-bitset.ts';
import type { HashRing } from './hash-ring.ts';
import type { PoolAddress, SlotColumns } from './slot-columns.ts';
import { type Choice, chooseSlots } from './strategies.ts';
import type { CompiledWhere } from './where.ts';

/** The addresses of a pool under one condition. */
export interface Condition<A> {
  /** One text for conditions that differ in nothing but the order of their keys. */
  readonly key: string;
  /** Whether `address`, of the pool or not, meets it. */
  holds(address: A): boolean;
  readonly matchingCount: number;
  readonly eligibleCount: number;
  /** Whether `address` is in the pool, meets it, and its pair is eligible. */
  isEligible(address: A): boolean;
  /** Different eligible addresses, `count` of them or all there are, in the order of preference. Changes nothing. */
  choose(choice: Choice): A[];
  /** An address was granted under this condition by round robin: the ring goes on behind it. */
  advance(address: A): void;
  /** Why nothing may be eligible: exact where no more than `candidatesMax` addresses match, else from the first of these. */
  survey(candidatesMax: number): Survey;
}

export interface Survey {
  /** Matching addresses by the state of their pair; states of none are absent. Scaled up where not exact. */
  readonly states: Partial<Record<PairState, number>>;
  /** Always exact. */
  readonly matching: number;
  /** When the first that matches and isn't eligible may come free; Infinity where nobody can say. */
  readonly soonestMs: number;
  readonly isExact: boolean;
}

/** The pool as its conditions see it. */
export interface ConditionHost<A extends PoolAddress> {
  readonly columns: SlotColumns<A>;
  /** Of the whole pool. */
  readonly eligible: CountedBitset;
  indexOf(condition: PoolCondition<A>): ConditionIndex<A>;
  ring(): HashRing;
}

/** A condition of a pool. What it knows of slots is in an index, made when first needed, that the pool may take away again. */
export class PoolCondition<A extends PoolAddress> implements Condition<A> {
  readonly key: string;
  readonly where: CompiledWhere;
  readonly #host: ConditionHost<A>;
  /** Where round robin goes on; undefined until its first grant. */
  #cursor: number | undefined;

  // The pool's book-keeping.
  index: ConditionIndex<A> | undefined;
  pins = 0;
  /** The pool's count of uses at the last use of the condition, and of its index. */
  usedAt = 0;
  indexUsedAt = 0;

  constructor(key: string, where: CompiledWhere, host: ConditionHost<A>) {
    this.key = key;
    this.where = where;
    this.#host = host;
  }

  holds(address: A): boolean {
    return this.where.holds(address);
  }

  get matchingCount(): number {
    return this.#host.indexOf(this).matching.count;
  }

  get eligibleCount(): number {
    return this.#host.indexOf(this).eligible.count;
  }

  isEligible(address: A): boolean {
    const { columns, eligible } = this.#host;
    const slot = columns.slotOf(address);
    if (slot === undefined || !eligible.has(slot)) return false;
    return this.index ? this.index.eligible.has(slot) : this.where.holds(address);
  }

  choose(choice: Choice): A[] {
    const { columns } = this.#host;
    const index = this.#host.indexOf(this);
    const slots = chooseSlots({ columns, index, cursor: this.#cursor, host: this.#host }, choice);
    return slots.map((slot) => columns.addresses[slot]!);
  }

  advance(address: A): void {
    const slot = this.#host.columns.slotOf(address);
    if (slot !== undefined) this.#cursor = slot + 1;
  }

  survey(candidatesMax: number): Survey {
    const { columns } = this.#host;
    const { matching, eligible } = this.#host.indexOf(this);
    const counts = new Uint32Array(PAIR_STATES.length);
    const lookedMax = Math.min(matching.count, candidatesMax);
    let looked = 0;
    let soonestMs = Infinity;
    for (let slot = matching.next(0); looked < lookedMax; slot = matching.next((slot | 31) + 1)) {
      const word = slot >>> 5;
      const eligibleBits = eligible.wordAt(word);
      for (let bits = matching.wordAt(word); bits !== 0 && looked < lookedMax; bits &= bits - 1, looked += 1) {
        const bit = 31 - Math.clz32(bits & -bits);
        counts[columns.states[word * 32 + bit]!]! += 1;
        if ((eligibleBits & (1 << bit)) === 0) soonestMs = Math.min(soonestMs, columns.untilMs[word * 32 + bit]!);
      }
    }
    const scale = looked === 0 ? 1 : matching.count / looked;
    const states: Partial<Record<PairState, number>> = {};
    for (let code = 0; code < PAIR_STATES.length; code += 1) {
      if (counts[code]! > 0) states[PAIR_STATES[code]!] = Math.round(counts[code]! * scale);
    }
    return { states, matching: matching.count, soonestMs, isExact: looked === matching.count };
  }
}
