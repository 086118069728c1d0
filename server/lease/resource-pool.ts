import { PAIR_STATES, type PairState } from '../../protocol/codes.ts';
import { WAITING_CONDITIONS_MAX } from '../../protocol/limits.ts';
import type { Where } from '../../protocol/where.ts';
import { type Condition, type ConditionHost, PoolCondition } from './condition.ts';
import { ConditionIndex } from './condition-index.ts';
import { CountedBitset } from './counted-bitset.ts';
import { HashRing } from './hash-ring.ts';
import { firstRelaxation } from './relaxation.ts';
import { factsOf, type PoolAddress, SlotColumns, STATE_CODES } from './slot-columns.ts';
import { compileWhere, whereKey } from './where.ts';
import { narrow } from './where-columns.ts';
import { planOf } from './where-plan.ts';

export type { Condition, Survey } from './condition.ts';
export { factsOf, type PoolAddress } from './slot-columns.ts';
export type { Choice } from './strategies.ts';

/** Conditions kept per resource while nobody pins them; the one unused for longest makes room. */
const CONDITIONS_MAX = 64;
/**
 * Conditions, pinned or not, that have an index, beside the whole pool; the one whose index was unused for longest loses it
 * until it is needed again. Every change of a pair looks at each of them. There is room for all that may wait at a time:
 * they are asked one after the other whenever something comes free, and each that had lost its index would cost a scan.
 */
const INDEXES_MAX = WAITING_CONDITIONS_MAX + CONDITIONS_MAX;

export interface PairStatus {
  readonly state: PairState;
  /** When it may come free, by the coordinator's clock; Infinity where nobody can say. */
  readonly untilMs: number;
  readonly isEligible: boolean;
}

/** The addresses of one pool, gathered for `fill`, and in which state their pairs are. */
export class PoolFilling {
  /** Where each stands among all addresses. */
  readonly slots: Uint32Array;
  /** Code of the state. */
  readonly states: Uint8Array;
  readonly untilMs: Float64Array;
  /** By index, 32 to a word: whether it is eligible. */
  readonly eligible: Uint32Array;
  #size = 0;

  /** For `size` addresses. */
  constructor(size: number) {
    this.slots = new Uint32Array(size);
    this.states = new Uint8Array(size);
    this.untilMs = new Float64Array(size);
    this.eligible = new Uint32Array(Math.ceil(size / 32));
  }

  get isFull(): boolean {
    return this.#size === this.slots.length;
  }

  add(slot: number, { state, untilMs, isEligible }: PairStatus): void {
    const index = this.#size;
    if (this.isFull) throw new Error(`a pool has more than ${index} addresses`);
    this.#size += 1;
    this.slots[index] = slot;
    this.states[index] = STATE_CODES[state];
    this.untilMs[index] = untilMs;
    if (isEligible) this.eligible[index >>> 5]! |= 1 << (index & 31);
  }
}

/**
 * Which addresses serve one resource, in which state their pairs are, and which are to be had under the conditions asked for
 * of late, by any strategy. An index: it holds nothing that the state doesn't say, is not persisted, and answers in a time
 * that doesn't grow with the pool; only a condition or strategy that is asked for anew looks at every slot once.
 */
export class ResourcePool<A extends PoolAddress> {
  readonly #columns = new SlotColumns<A>();
  readonly #counts = new Uint32Array(PAIR_STATES.length);
  readonly #host: ConditionHost<A>;
  readonly #whole: PoolCondition<A>;
  readonly #wholeIndex: ConditionIndex<A>;
  readonly #pinned = new Map<string, PoolCondition<A>>();
  readonly #unpinned = new Map<string, PoolCondition<A>>();
  /** Conditions with an index, `#whole` first. */
  readonly #indexed: PoolCondition<A>[];
  #ring: HashRing | undefined;
  #uses = 0;
  #lastWhere: Where | undefined;
  #lastKey = '';

  constructor() {
    const columns = this.#columns;
    this.#wholeIndex = new ConditionIndex(columns, new CountedBitset(), new CountedBitset());
    this.#host = {
      columns,
      eligible: this.#wholeIndex.eligible,
      indexOf: (condition) => this.#indexOf(condition),
      ring: () => this.#ringOfAll(),
    };
    this.#whole = new PoolCondition<A>('{}', compileWhere({}), this.#host);
    this.#whole.index = this.#wholeIndex;
    this.#indexed = [this.#whole];
  }

  get size(): number {
    return this.#columns.size;
  }

  countOf(state: PairState): number {
    return this.#counts[STATE_CODES[state]]!;
  }

  has(address: A): boolean {
    return this.#columns.slotOf(address) !== undefined;
  }

  /** Takes `address` in, or looks again at all that a condition or strategy may see of it. */
  set(address: A, status: PairStatus, facts = factsOf(address)): void {
    const columns = this.#columns;
    let slot = columns.slotOf(address);
    if (slot === undefined) {
      const { capacity } = columns;
      slot = columns.add(address, facts);
      if (columns.capacity > capacity) for (const { index } of this.#indexed) index!.forgetTrees();
    } else {
      this.#counts[columns.states[slot]!]! -= 1;
      this.#ring?.delete(slot, columns);
      columns.reread(slot, address, facts);
    }
    columns.setState(slot, status.state, status.untilMs);
    this.#counts[columns.states[slot]!]! += 1;
    this.#ring?.add(slot, columns);
    for (const { index, where } of this.#indexed) {
      index!.assign(slot, where.holds(address), status.isEligible);
      index!.keysChanged(slot);
    }
  }

  /** Takes addresses, which stand in `all`, into an empty pool of which nothing has been asked yet: what `set` would come to. */
  fill(all: SlotColumns<A>, filling: PoolFilling): void {
    const { slots, states, untilMs, eligible, isFull } = filling;
    if (this.size > 0 || this.#indexed.length > 1 || this.#ring) throw new Error('a pool in use is filled');
    if (!isFull) throw new Error(`a pool has fewer than ${slots.length} addresses`);
    const columns = this.#columns;
    columns.fill(all, slots);
    columns.states.set(states);
    columns.untilMs.set(untilMs);
    for (const state of states) this.#counts[state]! += 1;
    this.#wholeIndex.fill(slots.length, eligible);
  }

  /** Does nothing where the address isn't in. */
  delete(address: A): void {
    const columns = this.#columns;
    const slot = columns.slotOf(address);
    if (slot === undefined) return;
    this.#counts[columns.states[slot]!]! -= 1;
    this.#ring?.delete(slot, columns);
    for (const { index } of this.#indexed) index!.assign(slot, false, false);
    columns.delete(slot);
  }

  /** Does nothing where the address isn't in. */
  setStatus(address: A, status: PairStatus): void {
    const columns = this.#columns;
    const slot = columns.slotOf(address);
    if (slot === undefined) return;
    this.#counts[columns.states[slot]!]! -= 1;
    columns.setState(slot, status.state, status.untilMs);
    this.#counts[columns.states[slot]!]! += 1;
    if (this.#wholeIndex.eligible.has(slot) === status.isEligible) return;
    for (const { index } of this.#indexed) index!.setEligible(slot, status.isEligible);
  }

  /** Its rpw, leaseCount or lastToken changed. Does nothing where the address isn't in. */
  usageChanged(address: A): void {
    const columns = this.#columns;
    if (!columns.isUsageFollowed) return;
    const slot = columns.slotOf(address);
    if (slot === undefined) return;
    const rpwBefore = columns.rpw[slot]!;
    columns.rereadUsage(slot, address);
    const rpw = columns.rpw[slot]!;
    const isEligible = this.#wholeIndex.eligible.has(slot);
    for (const { index, where } of this.#indexed) {
      if (where.readsRpw && where.mayTurn(rpwBefore, rpw)) index!.assign(slot, where.holds(address), isEligible);
      index!.keysChanged(slot);
    }
  }

  /** A day has turned: every address may count anew. What was derived from rpw is made again when next asked for. */
  forgetRpw(): void {
    this.#columns.isRpwStale = true;
    for (const condition of this.#indexed.filter(({ where }) => where.readsRpw)) this.#dropIndex(condition);
    for (const { index } of this.#indexed) index!.forgetRpw();
  }

  /** `where`, compiled: kept while it is in use. Undefined or empty: the whole pool. */
  condition(where: Where | undefined): Condition<A> {
    const condition = this.#known(where) ?? this.#remember(where!);
    this.#uses += 1;
    condition.usedAt = this.#uses;
    return condition;
  }

  /** `where` where it is kept compiled. That it was asked for doesn't keep it any longer. */
  known(where: Where | undefined): Condition<A> | undefined {
    return this.#known(where);
  }

  /** As `condition`, and kept until it is unpinned as often as it was pinned. */
  pin(where: Where | undefined): Condition<A> {
    const condition = this.#known(where) ?? new PoolCondition<A>(this.#keyOf(where!), compileWhere(where!), this.#host);
    condition.pins += 1;
    if (condition.pins > 1 || condition === this.#whole) return condition;
    this.#unpinned.delete(condition.key);
    this.#pinned.set(condition.key, condition);
    return condition;
  }

  unpin(condition: Condition<A>): void {
    const pinned = condition === this.#whole ? this.#whole : this.#pinned.get(condition.key);
    if (pinned !== condition || pinned.pins === 0) throw new Error(`condition ${condition.key} isn't pinned`);
    pinned.pins -= 1;
    if (pinned.pins > 0 || pinned === this.#whole) return;
    this.#pinned.delete(pinned.key);
    this.#keep(pinned);
  }

  /**
   * Path of the first part whose dropping alone would leave an eligible address that meets `fixed` and all other parts.
   * Looks at the first `candidatesMax` slots; Infinity: at all.
   */
  relaxation(
    fixed: Where | undefined,
    parts: readonly { readonly path: string; readonly where: Where }[],
    candidatesMax: number,
  ): string | undefined {
    const plans = parts.map(({ where }) => planOf(where));
    const part = firstRelaxation(this.#columns, {
      candidates: this.#wholeIndex.eligible.wordsBelow(candidatesMax),
      fixed: planOf(fixed ?? {}),
      plans,
    });
    return part < 0 ? undefined : parts[part]!.path;
  }

  /** Invariant check for tests: throws where the index says something else than its addresses do. */
  verify(statusOf: (address: A) => PairStatus): void {
    const columns = this.#columns;
    const slots = Array.from(columns.addresses.keys()).filter((slot) => columns.addresses[slot]);
    const counts = new Uint32Array(PAIR_STATES.length);
    for (const slot of slots) {
      counts[columns.states[slot]!]! += 1;
      const address = columns.addresses[slot]!;
      const fault = (what: string) => new Error(`${what} of address ${address.id} is wrong in the index`);
      columns.verify(slot);
      const { state, untilMs, isEligible } = statusOf(address);
      if (columns.stateOf(slot) !== state || columns.untilMs[slot] !== untilMs) throw fault('state');
      for (const { key, where, index } of this.#indexed) {
        const holds = where.holds(address);
        if (index!.matching.has(slot) !== holds) throw fault(`match with ${key}`);
        if (index!.eligible.has(slot) !== (holds && isEligible)) throw fault(`eligibility for ${key}`);
      }
    }
    for (const [code, state] of PAIR_STATES.entries()) {
      if (this.#counts[code] !== counts[code])
        throw new Error(`${this.#counts[code]} pairs are counted as ${state}, not ${counts[code]}`);
    }
    if (this.#wholeIndex.matching.count !== slots.length) throw new Error('a free slot is taken for an address');
    for (const { key, index } of this.#indexed) {
      const free = slots.filter((slot) => index!.matching.has(slot)).length - index!.matching.count;
      if (free !== 0) throw new Error(`a free slot matches ${key}`);
      index!.verify();
    }
    this.#ring?.verify(slots, columns);
  }

  #known(where: Where | undefined): PoolCondition<A> | undefined {
    if (where === undefined) return this.#whole;
    const key = this.#keyOf(where);
    return key === this.#whole.key ? this.#whole : (this.#pinned.get(key) ?? this.#unpinned.get(key));
  }

  /** One request is looked at several times in a row: its text is made once. */
  #keyOf(where: Where): string {
    if (where !== this.#lastWhere) {
      this.#lastWhere = where;
      this.#lastKey = whereKey(where);
    }
    return this.#lastKey;
  }

  #remember(where: Where): PoolCondition<A> {
    const condition = new PoolCondition<A>(this.#keyOf(where), compileWhere(where), this.#host);
    this.#keep(condition);
    return condition;
  }

  #keep(condition: PoolCondition<A>): void {
    if (this.#unpinned.size >= CONDITIONS_MAX) {
      const oldest = leastRecent(this.#unpinned.values(), ({ usedAt }) => usedAt)!;
      this.#unpinned.delete(oldest.key);
      this.#dropIndex(oldest);
    }
    this.#uses += 1;
    condition.usedAt = this.#uses;
    this.#unpinned.set(condition.key, condition);
  }

  #indexOf(condition: PoolCondition<A>): ConditionIndex<A> {
    this.#uses += 1;
    condition.indexUsedAt = this.#uses;
    return condition.index ?? this.#makeIndex(condition);
  }

  #makeIndex(condition: PoolCondition<A>): ConditionIndex<A> {
    const columns = this.#columns;
    const { plan, readsRpw } = condition.where;
    if (readsRpw) columns.refreshRpw();
    const matching = this.#wholeIndex.matching.wordsBelow(columns.slotsEnd);
    narrow(plan, columns, matching);
    const eligible = this.#wholeIndex.eligible.wordsBelow(columns.slotsEnd);
    for (let word = 0; word < eligible.length; word += 1) eligible[word]! &= matching[word]!;
    condition.index = new ConditionIndex(columns, new CountedBitset(matching), new CountedBitset(eligible));
    if (this.#indexed.length > INDEXES_MAX) {
      this.#dropIndex(leastRecent(this.#indexed.slice(1), ({ indexUsedAt }) => indexUsedAt)!);
    }
    this.#indexed.push(condition);
    return condition.index;
  }

  #dropIndex(condition: PoolCondition<A>): void {
    if (!condition.index) return;
    condition.index = undefined;
    this.#indexed.splice(this.#indexed.indexOf(condition), 1);
  }

  #ringOfAll(): HashRing {
    const { addresses } = this.#columns;
    this.#ring ??= HashRing.of(
      Array.from(addresses.keys()).filter((slot) => addresses[slot]),
      this.#columns,
    );
    return this.#ring;
  }
}

function leastRecent<Used>(all: Iterable<Used>, usedAt: (it: Used) => number): Used | undefined {
  let least: Used | undefined;
  for (const it of all) if (!least || usedAt(it) < usedAt(least)) least = it;
  return least;
}
