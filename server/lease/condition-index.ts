import type { CountedBitset } from './counted-bitset.ts';
import type { PoolAddress, SlotColumns } from './slot-columns.ts';
import { SlotOrder } from './slot-order.ts';
import { WeightTree } from './weight-tree.ts';

/** What eligible addresses can be ordered by, each followed by `lastToken` and then by the slot. */
export type OrderName = 'rpw' | 'leaseCount' | 'lastToken';

/** Which slots meet one condition and which of them are eligible, with an order or a tree of weights where one is asked for. */
export class ConditionIndex<A extends PoolAddress> {
  readonly matching: CountedBitset;
  /** Invariant: within `matching`. */
  readonly eligible: CountedBitset;
  readonly #columns: SlotColumns<A>;
  readonly #orders = new Map<OrderName, SlotOrder>();
  #weights: WeightTree | undefined;

  constructor(columns: SlotColumns<A>, matching: CountedBitset, eligible: CountedBitset) {
    this.#columns = columns;
    this.matching = matching;
    this.eligible = eligible;
  }

  /** Made the first time it is asked for; follows every change from then on. */
  order(name: OrderName): SlotOrder {
    let order = this.#orders.get(name);
    if (!order) {
      const columns = this.#columns;
      if (name === 'rpw') columns.refreshRpw();
      else columns.followUsage();
      const first = { rpw: columns.rpw, leaseCount: columns.leaseCounts, lastToken: columns.lastTokens }[name];
      order = new SlotOrder(columns.capacity, this.eligible, { first, second: columns.lastTokens });
      this.#orders.set(name, order);
    }
    return order;
  }

  /** As `order`. */
  weights(): WeightTree {
    this.#weights ??= new WeightTree(this.#columns.capacity, this.eligible, this.#columns.weights);
    return this.#weights;
  }

  assign(slot: number, matches: boolean, isEligible: boolean): void {
    this.matching.assign(slot, matches);
    if (this.eligible.assign(slot, matches && isEligible)) this.#update(slot);
  }

  /** Where nothing is in yet: the first `slots` of them match, and those that are set in `eligible` are so. */
  fill(slots: number, eligible: Uint32Array): void {
    const all = new Uint32Array(eligible.length).fill(0xffffffff);
    if (slots % 32 > 0) all[all.length - 1] = 2 ** (slots % 32) - 1;
    this.matching.fill(all);
    this.eligible.fill(eligible);
  }

  setEligible(slot: number, isEligible: boolean): void {
    if (this.eligible.assign(slot, isEligible && this.matching.has(slot))) this.#update(slot);
  }

  /** A column that an order or the weights go by has another value in `slot`. */
  keysChanged(slot: number): void {
    if (this.eligible.has(slot)) this.#update(slot);
  }

  /** The columns have grown into new arrays. */
  forgetTrees(): void {
    this.#orders.clear();
    this.#weights = undefined;
  }

  forgetRpw(): void {
    this.#orders.delete('rpw');
  }

  /** Invariant check for tests: throws where a tree says something else than one that is made now. */
  verify(): void {
    const { size, capacity, weights } = this.#columns;
    for (const name of Array.from(this.#orders.keys())) {
      const followed = this.order(name).best(size);
      this.#orders.delete(name);
      if (followed.join() !== this.order(name).best(size).join()) throw new Error(`the order by ${name} is wrong`);
    }
    const anew = new WeightTree(capacity, this.eligible, weights);
    if (this.#weights && !this.#weights.equals(anew)) throw new Error('the tree of weights is wrong');
  }

  #update(slot: number): void {
    if (this.#orders.size > 0) for (const order of this.#orders.values()) order.update(slot);
    this.#weights?.update(slot);
  }
}
