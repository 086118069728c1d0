import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IndexedHeap, NOT_IN_HEAP } from './indexed-heap.ts';

interface Item {
  readonly name: number;
  place: number;
}

function heapOfItems(count: number) {
  const items: Item[] = Array.from({ length: count }, (_, name) => ({ name, place: NOT_IN_HEAP }));
  const heap = new IndexedHeap<Item>({
    get: (item) => item.place,
    set: (item, index) => {
      item.place = index;
    },
  });
  return { items, heap };
}

describe('IndexedHeap', () => {
  it('agrees with a sorted list after any row of sets and deletes', () => {
    const step = fc.record({
      item: fc.nat({ max: 19 }),
      key: fc.option(fc.integer({ min: -5, max: 30 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200, size: 'max' }), fc.integer({ min: -6, max: 31 }), (steps, bound) => {
        const { items, heap } = heapOfItems(20);
        const expected = new Map<Item, number>();
        for (const { item: index, key } of steps) {
          const item = items[index]!;
          if (key === undefined) {
            heap.delete(item);
            expected.delete(item);
          } else {
            heap.set(item, key);
            expected.set(item, key);
          }
          const keys = [...expected.values()].toSorted((one, other) => one - other);
          expect(heap.size).toBe(expected.size);
          expect(heap.peekKey()).toBe(keys[0]);
          expect(heap.peek() && expected.get(heap.peek()!)).toBe(keys[0]);
        }
        expect(new Set(heap.values())).toEqual(new Set(expected.keys()));
        for (const item of items) expect(item.place === NOT_IN_HEAP).toBe(!expected.has(item));
        const due = heap.upTo(bound, Infinity).map((item) => expected.get(item)!);
        expect(due).toEqual([...expected.values()].filter((key) => key <= bound).toSorted((one, other) => one - other));
      }),
    );
  });

  it('gives everything in order when it was filled at once, whatever is moved or taken out first', () => {
    const step = fc.record({
      item: fc.nat({ max: 59 }),
      key: fc.option(fc.integer({ min: -5, max: 30 }), { nil: undefined }),
    });
    const filling = fc.array(fc.integer({ min: -5, max: 30 }), { maxLength: 50, size: 'max' });
    fc.assert(
      fc.property(filling, fc.array(step, { maxLength: 50, size: 'max' }), (filled, steps) => {
        const { items, heap } = heapOfItems(60);
        heap.fill(items.slice(0, filled.length), Float64Array.from(filled));
        const expected = new Map(filled.map((key, index) => [items[index]!, key]));
        for (const { item: index, key } of steps) {
          const item = items[index]!;
          if (key === undefined) {
            heap.delete(item);
            expected.delete(item);
          } else {
            heap.set(item, key);
            expected.set(item, key);
          }
        }
        for (const item of items) expect(heap.keyOf(item)).toBe(expected.get(item));
        for (const key of [...expected.values()].toSorted((one, other) => one - other)) {
          const first = heap.peek()!;
          expect([heap.peekKey(), expected.get(first)]).toEqual([key, key]);
          heap.delete(first);
        }
        expect(heap.size).toBe(0);
      }),
    );
  });

  it('is filled only while nothing was ever in it', () => {
    const { items, heap } = heapOfItems(2);
    heap.set(items[0]!, 1);
    heap.delete(items[0]!);
    expect(() => heap.fill(items, Float64Array.of(1, 2))).toThrow('a heap in use is filled');
  });

  it('finds no more than it is asked for, in order, and all of them due', () => {
    const { items, heap } = heapOfItems(1_000);
    for (const item of items) heap.set(item, (item.name * 7_919) % 1_000);
    const keyOf = (item: Item) => (item.name * 7_919) % 1_000;
    expect(heap.upTo(499, 0)).toEqual([]);
    const some = heap.upTo(499, 100).map(keyOf);
    expect(some).toHaveLength(100);
    expect(some).toEqual(some.toSorted((one, other) => one - other));
    expect(Math.max(...some)).toBeLessThanOrEqual(499);
    expect(heap.upTo(499, 10_000)).toHaveLength(500);
    expect(heap.upTo(-1, 10)).toEqual([]);
  });

  it('gives everything in order when the first is taken again and again', () => {
    const { items, heap } = heapOfItems(500);
    for (const item of items) heap.set(item, (item.name * 31) % 97);
    const taken: number[] = [];
    for (let first = heap.peek(); first; first = heap.peek()) {
      taken.push(heap.peekKey()!);
      heap.delete(first);
    }
    expect(taken).toHaveLength(500);
    expect(taken).toEqual(taken.toSorted((one, other) => one - other));
    expect(items.every(({ place }) => place === NOT_IN_HEAP)).toBe(true);
  });
});
