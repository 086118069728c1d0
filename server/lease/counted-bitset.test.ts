import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CountedBitset } from './counted-bitset.ts';

/** Places where words, blocks of 1,024 and groups of 32,768 begin and end, and others up to 100,000. */
const index = fc.oneof(
  fc.nat({ max: 100_000 }),
  fc
    .tuple(fc.constantFrom(32, 1_024, 32_768), fc.nat({ max: 3 }), fc.integer({ min: -1, max: 1 }))
    .map(([size, times, off]) => {
      return Math.max(0, size * times + off);
    }),
);

describe('CountedBitset', () => {
  it('agrees with a set: members, count, and the k-th of them', () => {
    const step = fc.tuple(index, fc.boolean());
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
        const bits = new CountedBitset();
        const expected = new Set<number>();
        for (const [member, isIn] of steps) {
          bits.assign(member, isIn);
          if (isIn) expected.add(member);
          else expected.delete(member);
          expect(bits.count).toBe(expected.size);
        }
        for (const [member] of steps) expect(bits.has(member)).toBe(expected.has(member));
        const sorted = [...expected].toSorted((one, other) => one - other);
        expect(sorted.map((_, rank) => bits.select(rank))).toEqual(sorted);
        for (const [from] of steps) expect(bits.next(from)).toBe(sorted.find((member) => member >= from) ?? -1);
        expect(bits.next(200_000)).toBe(-1);
      }),
    );
  });

  it('is made from words, and gives words of what is below an end', () => {
    fc.assert(
      fc.property(fc.array(index, { maxLength: 100 }), index, (members, end) => {
        const bits = new CountedBitset();
        for (const member of members) bits.assign(member, true);
        const kept = [...new Set(members)].filter((member) => member < end).toSorted((one, other) => one - other);
        const words = bits.wordsBelow(end);
        const copy = new CountedBitset(words);
        expect(copy.count).toBe(kept.length);
        expect(kept.map((_, rank) => copy.select(rank))).toEqual(kept);
        for (const member of kept) expect(words[member >>> 5]).toBe(copy.wordAt(member >>> 5));
        // The words stay the caller's.
        if (kept.length > 0) words.fill(0);
        expect(copy.count === 0 || copy.has(kept[0]!)).toBe(true);
      }),
    );
  });

  it('says whether a change changed anything', () => {
    const bits = new CountedBitset();
    expect([bits.assign(5, false), bits.assign(5, true), bits.assign(5, true), bits.assign(5, false)]).toEqual([
      false,
      true,
      false,
      true,
    ]);
  });

  it('selects in a full set of 100,000, and in what is left of it', () => {
    const bits = new CountedBitset();
    for (let member = 0; member < 100_000; member += 1) bits.assign(member, true);
    for (const rank of [0, 31, 32, 1_023, 1_024, 32_767, 32_768, 65_535, 65_536, 99_999])
      expect(bits.select(rank)).toBe(rank);
    for (let member = 0; member < 100_000; member += 1) if (member % 7 !== 3) bits.assign(member, false);
    expect(bits.count).toBe(14_286);
    for (let rank = 0; rank < bits.count; rank += 1) expect(bits.select(rank)).toBe(rank * 7 + 3);
  });

  it('has nothing beyond its end, and takes nothing out there', () => {
    const bits = new CountedBitset();
    bits.assign(5_000_000, false);
    expect(bits.has(5_000_000)).toBe(false);
    expect(bits.count).toBe(0);
  });

  it('throws on a rank that no member has', () => {
    const bits = new CountedBitset();
    expect(() => bits.select(0)).toThrow(RangeError);
    bits.assign(7, true);
    expect(bits.select(0)).toBe(7);
    expect(() => bits.select(1)).toThrow(RangeError);
    expect(() => bits.select(-1)).toThrow(RangeError);
    expect(() => bits.select(Number.NaN)).toThrow(RangeError);
  });
});
