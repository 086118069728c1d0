import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlotTable } from './slot-table.ts';

class Table extends SlotTable {
  readonly idOf: (slot: number) => number;

  constructor(idOf: (slot: number) => number) {
    super();
    this.idOf = idOf;
  }
}

describe('SlotTable', () => {
  it('agrees with a Map after any row of additions and deletions, whatever the ids have in common', () => {
    const ids = fc.integer({ min: 1, max: 2 ** 33 });
    const step = fc.record({ id: fc.nat({ max: 199 }), isAdded: fc.boolean() });
    fc.assert(
      fc.property(
        ids,
        fc.constantFrom(1, 64, 4_096),
        fc.array(step, { maxLength: 600, size: 'max' }),
        (first, by, steps) => {
          const idOf = (slot: number) => first + by * slot;
          const table = new Table(idOf);
          const expected = new Map<number, number>();
          for (const { id: slot, isAdded } of steps) {
            const id = idOf(slot);
            if (isAdded && !expected.has(id)) {
              expected.set(id, slot);
              table.add(id, slot);
            } else if (!isAdded && expected.delete(id)) table.delete(id);
          }
          expect(table.size).toBe(expected.size);
          for (let slot = 0; slot < 200; slot += 1) expect(table.get(idOf(slot))).toBe(expected.get(idOf(slot)));
        },
      ),
    );
  });

  it('keeps what is in when room is made for more', () => {
    const table = new Table((slot) => slot + 1);
    for (let slot = 0; slot < 30; slot += 1) table.add(slot + 1, slot);
    table.reserve(10_000);
    for (let slot = 0; slot < 30; slot += 1) expect(table.get(slot + 1)).toBe(slot);
    expect(table.get(31)).toBeUndefined();
  });
});
