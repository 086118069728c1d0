import { addressHash, type PoolAddress, type SlotColumns } from './slot-columns.ts';
import type { AddressTest, Plan, RpwTest } from './where-plan.ts';

/** A table of so many places, a power of two, says of most addresses, by their hash alone, that a condition doesn't name them. */
const NAMED_PLACES = 2 ** 16;
/** What a list of figures says of one below this is looked up once per figure, not once per address. */
const FIGURES_REMEMBERED = 2 ** 16;

/**
 * Leaves in `words` (a bit a slot, 32 to a word) only the slots whose address meets `plan`: column after column, with no
 * call per slot. `rpw` has to be fresh where the plan reads it.
 */
export function narrow<A extends PoolAddress>(plan: Plan, columns: SlotColumns<A>, words: Uint32Array): void {
  if (plan === true) return;
  if (plan === false) {
    words.fill(0);
    return;
  }
  switch (plan.kind) {
    case 'all':
      for (const part of plan.parts) narrow(part, columns, words);
      return;
    case 'any': {
      // What no alternative has met so far: the others needn't be looked at again.
      const rest = words.slice();
      for (const part of plan.parts) removeMatches(part, columns, rest);
      return subtract(words, rest);
    }
    case 'not':
      return removeMatches(plan.part, columns, words);
    case 'address':
      return narrowByAddress(plan, columns, words);
    case 'country':
      return narrowByCode(columns.countries.verdicts(plan.holds), columns.countryCodes, words);
    case 'rpw':
      return narrowByRpw(plan, columns.rpw, words);
    case 'resource_ids':
      return narrowByCode(columns.resourceIds.verdicts(plan.holds), columns.resourceIdsCodes, words);
    case 'label':
      return narrowByCode(columns.labels.verdicts(plan.holds), columns.labelsCodes, words);
  }
}

function removeMatches<A extends PoolAddress>(plan: Plan, columns: SlotColumns<A>, words: Uint32Array): void {
  const matches = words.slice();
  narrow(plan, columns, matches);
  subtract(words, matches);
}

/** Takes out of `words` what is in `others`, which is as long. */
function subtract(words: Uint32Array, others: Uint32Array): void {
  for (let word = 0; word < words.length; word += 1) words[word]! &= ~others[word]!;
}

// In the loops below the slots of one word are looked at without a branch: that is faster than to pick those in question.

function narrowByCode(verdicts: Uint8Array, codes: Uint32Array, words: Uint32Array): void {
  for (let word = 0; word < words.length; word += 1) {
    if (words[word] === 0) continue;
    let met = 0;
    for (let bit = 0, slot = word * 32; bit < 32; bit += 1, slot += 1) met |= verdicts[codes[slot]!]! << bit;
    words[word]! &= met;
  }
}

function narrowByRpw(test: RpwTest, rpw: Float64Array, words: Uint32Array): void {
  const { gt, gte, lt, lte, asksMore } = test;
  const holds = asksMore ? remembering(test.holds) : test.holds;
  const slotHolds = (slot: number) => holds(rpw[slot]!);
  for (let word = 0; word < words.length; word += 1) {
    if (words[word] === 0) continue;
    let met = 0;
    for (let bit = 0, slot = word * 32; bit < 32; bit += 1, slot += 1) {
      const figure = rpw[slot]!;
      met |= (+(figure > gt) & +(figure >= gte) & +(figure < lt) & +(figure <= lte)) << bit;
    }
    met &= words[word]!;
    words[word] = asksMore ? confirmed(met, word, slotHolds) : met;
  }
}

function narrowByAddress<A extends PoolAddress>(test: AddressTest, columns: SlotColumns<A>, words: Uint32Array): void {
  const { hashes, addresses } = columns;
  const places = new Uint8Array(NAMED_PLACES);
  const namedHashes = new Set(Array.from(test.named, addressHash));
  for (const hash of namedHashes) places[hash & (NAMED_PLACES - 1)] = 1;
  const slotHolds = (slot: number) =>
    namedHashes.has(hashes[slot]!) ? test.holds(addresses[slot]!.address) : test.holdsElse;
  for (let word = 0; word < words.length; word += 1) {
    const bits = words[word]!;
    if (bits === 0) continue;
    let maybeNamed = 0;
    for (let bit = 0, slot = word * 32; bit < 32; bit += 1, slot += 1) {
      maybeNamed |= places[hashes[slot]! & (NAMED_PLACES - 1)]! << bit;
    }
    maybeNamed &= bits;
    const met = confirmed(maybeNamed, word, slotHolds);
    words[word] = met | (test.holdsElse ? bits & ~maybeNamed : 0);
  }
}

function remembering(holds: (figure: number) => boolean): (figure: number) => boolean {
  /** 0: not asked for yet. */
  const verdicts = new Uint8Array(FIGURES_REMEMBERED);
  const [yes, no] = [1, 2];
  return (figure) => {
    if (figure >= FIGURES_REMEMBERED) return holds(figure);
    const verdict = verdicts[figure] || (verdicts[figure] = holds(figure) ? yes : no);
    return verdict === yes;
  };
}

/** Those bits of word number `word` whose slot `holds`. */
function confirmed(bits: number, word: number, holds: (slot: number) => boolean): number {
  let met = bits;
  for (let rest = bits; rest !== 0; rest &= rest - 1) {
    const bit = 31 - Math.clz32(rest & -rest);
    if (!holds(word * 32 + bit)) met &= ~(1 << bit);
  }
  return met;
}
