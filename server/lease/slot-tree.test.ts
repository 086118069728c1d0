import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../testing/seeded-random.ts';
import { CountedBitset } from './counted-bitset.ts';
import { SlotOrder } from './slot-order.ts';
import { WeightTree } from './weight-tree.ts';

/** One level, two, and three. */
const CAPACITIES = [32, 1_024, 2_048, 40_000] as const;

describe('SlotOrder', () => {
  const capacity = fc.constantFrom(...CAPACITIES);
  const change = fc.record({
    slot: fc.nat(),
    isEligible: fc.boolean(),
    first: fc.nat({ max: 3 }),
    second: fc.nat({ max: 3 }),
  });

  it('gives the best ones of any count as a sorted list would, after any row of changes', () => {
    fc.assert(
      fc.property(
        capacity,
        fc.array(change, { maxLength: 100, size: 'max' }),
        fc.array(change, { maxLength: 100, size: 'max' }),
        (slots, before, after) => {
          const eligible = new CountedBitset();
          const first = new Float64Array(slots);
          const second = new Float64Array(slots);
          const take = (step: (typeof before)[number]) => {
            const slot = step.slot % slots;
            eligible.assign(slot, step.isEligible);
            first[slot] = step.first;
            second[slot] = step.second;
            return slot;
          };
          for (const step of before) take(step);
          const order = new SlotOrder(slots, eligible, { first, second });
          for (const step of after) order.update(take(step));
          const sorted = Array.from({ length: slots }, (_, slot) => slot)
            .filter((slot) => eligible.has(slot))
            .sort((one, other) => first[one]! - first[other]! || second[one]! - second[other]! || one - other);
          for (const count of [1, 2, 7, 100]) expect(order.best(count)).toEqual(sorted.slice(0, count));
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('WeightTree', () => {
  it('never drifts: after many changes of any weights it is the tree that is made anew', () => {
    const seed = 11;
    const random = seededRandom(seed);
    const eligible = new CountedBitset();
    const weights = new Float64Array(2_048);
    const tree = new WeightTree(2_048, eligible, weights);
    for (let step = 0; step < 20_000; step += 1) {
      const slot = Math.floor(random() * 2_048);
      eligible.assign(slot, random() < 0.5);
      weights[slot] = random() < 0.1 ? 0 : 10 ** (random() * 20 - 10);
      tree.update(slot);
      if (step % 100 === 0) {
        const drawn = tree.draw(5, random);
        expect(new Set(drawn).size).toBe(drawn.length);
        for (const each of drawn) expect(eligible.has(each) && weights[each]! > 0).toBe(true);
      }
    }
    expect(tree.equals(new WeightTree(2_048, eligible, weights)), `seed ${seed}`).toBe(true);
  });

  it('draws something that weighs, however chance and rounding fall', () => {
    const eligible = new CountedBitset();
    const weights = new Float64Array(40_000);
    for (const slot of [3, 40, 5_000, 39_999]) eligible.assign(slot, true);
    weights.set([0.1], 3);
    weights.set([0.2], 40);
    weights.set([0.7], 5_000);
    const tree = new WeightTree(40_000, eligible, weights);
    expect(tree.draw(1, () => 0)).toEqual([3]);
    expect(tree.draw(1, () => 1 - 2 ** -53)).toEqual([5_000]);
    expect(
      tree.draw(1, () => 1),
      'a faulty generator even',
    ).toEqual([5_000]);
    expect(
      tree.draw(4, () => 0),
      'what weighs nothing is not drawn',
    ).toEqual([3, 40, 5_000]);
    expect(
      tree.draw(4, () => 0),
      'drawing changes nothing',
    ).toEqual([3, 40, 5_000]);
  });

  it('is as it was, though the generator threw in the middle of a draw', () => {
    const eligible = new CountedBitset(new Uint32Array([7]));
    const tree = new WeightTree(32, eligible, new Float64Array(32).fill(1));
    let calls = 0;
    const failing = () => {
      calls += 1;
      if (calls === 2) throw new Error('no chance');
      return 0;
    };
    expect(() => tree.draw(3, failing)).toThrow('no chance');
    expect(tree.draw(3, () => 0)).toEqual([0, 1, 2]);
  });
});
