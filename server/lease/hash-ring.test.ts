import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CountedBitset } from './counted-bitset.ts';
import { HashRing, ringPosition } from './hash-ring.ts';
import { type PoolAddress, SlotColumns } from './slot-columns.ts';
import { nearestByDistance, nearestByWalk } from './strategies.ts';

const addressOf = (id: number): PoolAddress => {
  const plain = { country: 'US', rpw: 0, resourceIds: [7], labels: undefined, weight: 1, leaseCount: 0, lastToken: 0 };
  return { ...plain, id, address: `http://10.0.${id >>> 8}.${id & 255}:8080` };
};

function columnsOf(size: number): SlotColumns<PoolAddress> {
  const columns = new SlotColumns<PoolAddress>();
  for (let id = 0; id < size; id += 1) columns.add(addressOf(id));
  return columns;
}

const slotsBelow = (end: number) => Array.from({ length: end }, (_, slot) => slot);

function bitsetOf(slots: Iterable<number>): CountedBitset {
  const bits = new CountedBitset();
  for (const slot of slots) bits.assign(slot, true);
  return bits;
}

describe('HashRing', () => {
  it('has exactly the points of its slots, however they came and went', () => {
    const columns = columnsOf(300);
    const start = fc.uniqueArray(fc.nat({ max: 299 }), { maxLength: 300, size: 'max' });
    const toggled = fc.array(fc.nat({ max: 299 }), { maxLength: 400, size: 'max' });
    fc.assert(
      fc.property(start, toggled, (slots, toggles) => {
        const present = new Set(slots);
        const ring = HashRing.of(slots, columns);
        ring.verify([...present], columns);
        for (const slot of toggles) {
          if (present.delete(slot)) ring.delete(slot, columns);
          else {
            present.add(slot);
            ring.add(slot, columns);
          }
        }
        ring.verify([...present], columns);
      }),
      { numRuns: 60 },
    );
  });

  it('has the same points, made at once or one after the other', () => {
    const columns = columnsOf(5_000);
    const grown = new HashRing();
    for (const slot of slotsBelow(5_000)) grown.add(slot, columns);
    grown.verify(slotsBelow(5_000), columns);
    HashRing.of(slotsBelow(5_000), columns).verify(slotsBelow(5_000), columns);
    for (const slot of slotsBelow(4_990)) grown.delete(slot, columns);
    grown.verify([4_990, 4_991, 4_992, 4_993, 4_994, 4_995, 4_996, 4_997, 4_998, 4_999], columns);
  });

  it('keeps points that crowd in one place, at the end of the ring too', () => {
    for (const crowded of [0, 2 ** 31, 2 ** 32 - 1]) {
      // A step of zero can't be had; equal hashes of addresses can.
      const hashes = { hashes: new Uint32Array(400), otherHashes: new Uint32Array(400).fill(crowded) };
      const ring = new HashRing();
      for (const slot of slotsBelow(400).toReversed()) ring.add(slot, hashes);
      ring.verify(slotsBelow(400), hashes);
      for (const slot of slotsBelow(399)) ring.delete(slot, hashes);
      ring.verify([399], hashes);
    }
  });

  it('throws on a slot that is not on it', () => {
    const columns = columnsOf(2);
    const ring = HashRing.of([0], columns);
    expect(() => ring.delete(1, columns)).toThrow('slot 1');
  });
});

describe('sticky', () => {
  it('gives by a walk what it gives by comparing distances', () => {
    const columns = columnsOf(300);
    const ring = HashRing.of(slotsBelow(300), columns);
    const eligible = fc.uniqueArray(fc.nat({ max: 299 }), { minLength: 1, maxLength: 300, size: 'max' });
    fc.assert(
      fc.property(eligible, fc.string(), fc.integer({ min: 1, max: 10 }), (slots, text, wanted) => {
        const bits = bitsetOf(slots);
        const count = Math.min(wanted, slots.length);
        const position = ringPosition(text);
        const walked = nearestByWalk(ring, bits, count, position);
        expect(walked).toHaveLength(count);
        expect(nearestByDistance(columns, bits, count, position)).toEqual(walked);
      }),
      { numRuns: 300 },
    );
  });

  const SIZE = 200;
  const TEXTS = Array.from({ length: 20_000 }, (_, index) => `collector ${index}`);
  const columns = columnsOf(SIZE);
  const ownersOf = (slots: readonly number[]) => {
    const ring = HashRing.of(slots, columns);
    const bits = bitsetOf(slots);
    return TEXTS.map((text) => nearestByWalk(ring, bits, 1, ringPosition(text))[0]!);
  };
  const owners = ownersOf(slotsBelow(SIZE));

  it('moves only the strings that were on an address that is removed, and only to it what an added one gets', () => {
    for (const gone of [0, 57, SIZE - 1]) {
      const without = ownersOf(slotsBelow(SIZE).filter((slot) => slot !== gone));
      const moved = TEXTS.flatMap((_, index) => (without[index] === owners[index] ? [] : [owners[index]]));
      expect(new Set(moved), 'the other way round, adding it takes strings to itself alone').toEqual(new Set([gone]));
      expect(moved).toHaveLength(owners.filter((slot) => slot === gone).length);
    }
  });

  it('spreads what was on a removed address over several others', () => {
    const without = ownersOf(slotsBelow(SIZE).filter((slot) => slot !== 57));
    const heirs = new Set(without.filter((_, index) => owners[index] === 57));
    expect(heirs.size).toBeGreaterThanOrEqual(4);
  });

  it('gives every address a share: of eight points each, within a third and two and a half times the mean', () => {
    const shares = slotsBelow(SIZE).map((slot) => owners.filter((owner) => owner === slot).length);
    const mean = TEXTS.length / SIZE;
    const sorted = shares.toSorted((one, other) => one - other);
    expect(sorted[0]).toBeGreaterThan(mean / 6);
    expect(sorted.at(-1)).toBeLessThan(2.5 * mean);
    const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / SIZE;
    expect(Math.sqrt(variance) / mean, 'one over the root of eight, about').toBeLessThan(0.45);
  });
});
