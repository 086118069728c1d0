import { PAIR_STATES, type PairState } from '../../protocol/codes.ts';
import { Dictionary } from './dictionary.ts';
import { SlotTable } from './slot-table.ts';
import { textHash } from './text-hash.ts';
import type { Attributes } from './where.ts';
import { foldCountry, type Labels } from './where-plan.ts';

/** What the index may see of an address, beside what conditions look at. */
export interface PoolAddress extends Attributes {
  readonly id: number;
  /** Share under `weighted`, finite; 1 where the record says nothing; 0: only where nothing else is eligible. */
  readonly weight: number;
  /** Live leases on it, of all resources. */
  readonly leaseCount: number;
  /** Token of the last lease granted on it; 0: never. */
  readonly lastToken: number;
}

/** What the pools of all its resources read of an address alike: worked out once for all of them. */
export interface AddressFacts {
  readonly id: number;
  readonly country: string;
  readonly resourceIds: readonly number[];
  readonly resourceIdsKey: string;
  readonly labels: Labels;
  readonly labelsKey: string;
  readonly weight: number;
  readonly rpw: number;
  readonly leaseCount: number;
  readonly lastToken: number;
  readonly hash: number;
  readonly otherHash: number;
}

export function factsOf(address: PoolAddress): AddressFacts {
  return {
    id: address.id,
    country: foldCountry(address.country),
    resourceIds: address.resourceIds,
    resourceIdsKey: address.resourceIds.join(),
    labels: address.labels,
    labelsKey: labelsKey(address.labels),
    weight: address.weight,
    rpw: address.rpw,
    leaseCount: address.leaseCount,
    lastToken: address.lastToken,
    hash: addressHash(address.address),
    otherHash: textHash(address.address, OTHER_HASH_SEED),
  };
}

/** Slots at first; doubled when they are full. A multiple of 32, so that a word of a bitset has all its slots. */
const SLOTS_MIN = 32;
/** Seeds of the two hashes of an address: two addresses that have one in common don't have the other too. */
const HASH_SEED = 0x2545f491;
const OTHER_HASH_SEED = 0x6c62272e;

export const STATE_CODES = Object.fromEntries(PAIR_STATES.map((state, code) => [state, code])) as Record<
  PairState,
  number
>;

/**
 * The pool as columns: what conditions and strategies look at, in one typed array each, by slot. An address keeps its slot
 * while it stays; free slots are used again. Values of a free slot are left over from whoever had it last.
 */
export class SlotColumns<A extends PoolAddress> {
  readonly addresses: (A | undefined)[] = [];
  states = new Uint8Array(SLOTS_MIN);
  /** When the pair may come free, by the coordinator's clock. */
  untilMs = new Float64Array(SLOTS_MIN);
  /** Invariant of it and the next two: what the address says, once `isUsageFollowed`, and of this one unless `isRpwStale`. */
  rpw = new Float64Array(SLOTS_MIN);
  leaseCounts = new Uint32Array(SLOTS_MIN);
  lastTokens = new Float64Array(SLOTS_MIN);
  weights = new Float64Array(SLOTS_MIN);
  countryCodes = new Uint32Array(SLOTS_MIN);
  resourceIdsCodes = new Uint32Array(SLOTS_MIN);
  labelsCodes = new Uint32Array(SLOTS_MIN);
  /** Two independent hashes of the address string. */
  hashes = new Uint32Array(SLOTS_MIN);
  otherHashes = new Uint32Array(SLOTS_MIN);

  readonly countries = new Dictionary<string>();
  readonly resourceIds = new Dictionary<readonly number[]>();
  readonly labels = new Dictionary<Labels>();

  /** The day has turned since `rpw` was read of all. */
  isRpwStale = false;
  /** Something goes by what leases change of an address. Until then they needn't tell each resource that it serves. */
  isUsageFollowed = false;

  readonly #slots = new AddressSlots(this.addresses);
  readonly #freeSlots: number[] = [];
  /** Whose slot was asked for last: a grant asks three times, and the end of a lease twice. Undefined: it may have changed. */
  #asked: A | undefined;
  #askedSlot: number | undefined;

  get size(): number {
    return this.#slots.size;
  }

  get capacity(): number {
    return this.states.length;
  }

  /** Every slot in use is below it. */
  get slotsEnd(): number {
    return this.addresses.length;
  }

  slotOf(address: A): number | undefined {
    if (address !== this.#asked) {
      this.#askedSlot = this.#slots.get(address.id);
      this.#asked = address;
    }
    return this.#askedSlot;
  }

  /** Takes in `address`, which isn't in yet; gives its slot. */
  add(address: A, facts = factsOf(address)): number {
    const slot = this.#freeSlots.pop() ?? this.addresses.length;
    if (slot === this.capacity) this.#growTo(this.capacity * 2);
    this.#read(slot, address, facts);
    this.#slots.add(facts.id, slot);
    this.#asked = undefined;
    return slot;
  }

  /**
   * Into an empty table, at once: what stands in `slots` of `other`, in that order, but for the states. Looks at no address, and
   * doesn't grow step by step: arrays that are doubled again and again make V8 collect the whole heap each time.
   */
  fill(other: SlotColumns<A>, slots: Uint32Array): void {
    if (this.addresses.length > 0) throw new Error('a table in use is filled');
    const { length } = slots;
    if (length > this.capacity) this.#growTo(Math.ceil(length / SLOTS_MIN) * SLOTS_MIN);
    gather(this.weights, other.weights, slots);
    gather(this.hashes, other.hashes, slots);
    gather(this.otherHashes, other.otherHashes, slots);
    gather(this.rpw, other.rpw, slots);
    gather(this.leaseCounts, other.leaseCounts, slots);
    gather(this.lastTokens, other.lastTokens, slots);
    const codes = new Uint32Array(length);
    gather(codes, other.countryCodes, slots);
    this.countries.acquireAll(other.countries, codes, this.countryCodes);
    gather(codes, other.resourceIdsCodes, slots);
    this.resourceIds.acquireAll(other.resourceIds, codes, this.resourceIdsCodes);
    gather(codes, other.labelsCodes, slots);
    this.labels.acquireAll(other.labels, codes, this.labelsCodes);
    this.#slots.reserve(length);
    for (let slot = 0; slot < length; slot += 1) {
      const address = other.addresses[slots[slot]!]!;
      this.addresses.push(address);
      this.#slots.add(address.id, slot);
    }
    this.#asked = undefined;
  }

  /** Looks again at all that the address in `slot` says of itself. */
  reread(slot: number, address: A, facts = factsOf(address)): void {
    this.#releaseCodes(slot);
    this.#read(slot, address, facts);
  }

  rereadUsage(slot: number, address: A): void {
    this.rpw[slot] = address.rpw;
    this.leaseCounts[slot] = address.leaseCount;
    this.lastTokens[slot] = address.lastToken;
  }

  setState(slot: number, state: PairState, untilMs: number): void {
    this.states[slot] = STATE_CODES[state];
    this.untilMs[slot] = untilMs;
  }

  stateOf(slot: number): PairState {
    return PAIR_STATES[this.states[slot]!]!;
  }

  delete(slot: number): void {
    this.#slots.delete(this.addresses[slot]!.id);
    this.#asked = undefined;
    this.#releaseCodes(slot);
    this.addresses[slot] = undefined;
    this.#freeSlots.push(slot);
  }

  /** To be called before anything goes by `leaseCounts` or `lastTokens`. Looks at every address the first time. */
  followUsage(): void {
    if (this.isUsageFollowed) return;
    this.isUsageFollowed = true;
    this.isRpwStale = false;
    for (const [slot, address] of this.addresses.entries()) if (address) this.rereadUsage(slot, address);
  }

  /** The same of `rpw`, which it brings to the present day, if it isn't. */
  refreshRpw(): void {
    this.followUsage();
    if (!this.isRpwStale) return;
    this.isRpwStale = false;
    for (const [slot, address] of this.addresses.entries()) if (address) this.rpw[slot] = address.rpw;
  }

  /** Invariant check for tests: throws where a column says something else of a slot than its address does. */
  verify(slot: number): void {
    const address = this.addresses[slot]!;
    const facts: Readonly<Record<string, boolean>> = {
      slot: this.slotOf(address) === slot,
      rpw: !this.isUsageFollowed || this.isRpwStale || this.rpw[slot] === address.rpw,
      leaseCount: !this.isUsageFollowed || this.leaseCounts[slot] === address.leaseCount,
      lastToken: !this.isUsageFollowed || this.lastTokens[slot] === address.lastToken,
      weight: this.weights[slot] === address.weight,
      country: this.countries.valueOf(this.countryCodes[slot]!) === foldCountry(address.country),
      resourceIds: this.resourceIds.valueOf(this.resourceIdsCodes[slot]!).join() === address.resourceIds.join(),
      labels: labelsKey(this.labels.valueOf(this.labelsCodes[slot]!)) === labelsKey(address.labels),
      address: this.hashes[slot] === addressHash(address.address),
    };
    for (const [what, isRight] of Object.entries(facts)) {
      if (!isRight) throw new Error(`${what} of address ${address.id} is wrong in the index`);
    }
  }

  #read(slot: number, address: A, facts: AddressFacts): void {
    this.addresses[slot] = address;
    this.countryCodes[slot] = this.countries.acquire(facts.country, facts.country);
    this.resourceIdsCodes[slot] = this.resourceIds.acquire(facts.resourceIdsKey, facts.resourceIds);
    this.labelsCodes[slot] = this.labels.acquire(facts.labelsKey, facts.labels);
    this.weights[slot] = facts.weight;
    this.hashes[slot] = facts.hash;
    this.otherHashes[slot] = facts.otherHash;
    this.rpw[slot] = facts.rpw;
    this.leaseCounts[slot] = facts.leaseCount;
    this.lastTokens[slot] = facts.lastToken;
  }

  #releaseCodes(slot: number): void {
    this.countries.release(this.countryCodes[slot]!);
    this.resourceIds.release(this.resourceIdsCodes[slot]!);
    this.labels.release(this.labelsCodes[slot]!);
  }

  #growTo(slots: number): void {
    this.states = extended(new Uint8Array(slots), this.states);
    this.untilMs = extended(new Float64Array(slots), this.untilMs);
    this.rpw = extended(new Float64Array(slots), this.rpw);
    this.leaseCounts = extended(new Uint32Array(slots), this.leaseCounts);
    this.lastTokens = extended(new Float64Array(slots), this.lastTokens);
    this.weights = extended(new Float64Array(slots), this.weights);
    this.countryCodes = extended(new Uint32Array(slots), this.countryCodes);
    this.resourceIdsCodes = extended(new Uint32Array(slots), this.resourceIdsCodes);
    this.labelsCodes = extended(new Uint32Array(slots), this.labelsCodes);
    this.hashes = extended(new Uint32Array(slots), this.hashes);
    this.otherHashes = extended(new Uint32Array(slots), this.otherHashes);
  }
}

/** In which slot each address stands, by its id. */
class AddressSlots extends SlotTable {
  readonly #addresses: readonly (PoolAddress | undefined)[];

  constructor(addresses: readonly (PoolAddress | undefined)[]) {
    super();
    this.#addresses = addresses;
  }

  protected override idOf(slot: number): number {
    return this.#addresses[slot]!.id;
  }
}

type Column = Uint8Array | Uint32Array | Float64Array;

function extended<C extends Column>(larger: C, present: C): C {
  larger.set(present);
  return larger;
}

/** What stands in `slots` of `from`, in that order. */
function gather(into: Column, from: Column, slots: Uint32Array): void {
  for (let slot = 0; slot < slots.length; slot += 1) into[slot] = from[slots[slot]!]!;
}

/** The hash of an address string that stands in `hashes`. */
export function addressHash(address: string): number {
  return textHash(address, HASH_SEED);
}

/** The same labels in another order get a code of their own, which does no harm. */
function labelsKey(labels: Labels): string {
  return labels === undefined ? '{}' : JSON.stringify(labels);
}
