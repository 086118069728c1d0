import { describe, expect, it } from 'vitest';
import { recordsOf } from '../testing/coordinator-bench.ts';
import { BatchBuilder } from './batch-builder.ts';
import type { EventRecord } from './domain.ts';

describe('BatchBuilder', () => {
  it('gives back what it was given, in order', () => {
    const builder = new BatchBuilder(10_000, 10);
    builder.add([record('a'), record('b')]);
    builder.add([]);
    builder.add([record('c')]);
    const batch = builder.take()!;
    expect(batch.eventCount).toBe(3);
    expect(recordsOf(batch.payload)).toEqual([record('a'), record('b'), record('c')]);
    expect(builder.take()).toBeUndefined();
    expect(builder.isEmpty).toBe(true);
    expect(builder.bytes).toBe(0);
  });

  it('closes a batch that has as many events as it may, and tears no decision apart', () => {
    const builder = new BatchBuilder(10_000, 10);
    builder.add(records(6));
    builder.add(records(4));
    builder.add(records(6));
    builder.add(records(5));
    builder.add(records(1));
    expect([builder.take(), builder.take(), builder.take()].map((batch) => batch?.eventCount)).toEqual([10, 6, 6]);
    expect(builder.isEmpty).toBe(true);
  });

  it('closes a batch that has as many bytes as it may', () => {
    const builder = new BatchBuilder(1_000, 1_000);
    for (let index = 0; index < 10; index += 1) builder.add([record('x'.repeat(300))]);
    const sizes: number[] = [];
    let waiting = builder.bytes;
    for (let batch = builder.take(); batch; batch = builder.take()) {
      sizes.push(batch.eventCount);
      expect(batch.payload.length).toBeLessThanOrEqual(1_000);
      waiting -= batch.payload.length;
      expect(builder.bytes).toBe(waiting);
    }
    expect(sizes).toEqual([3, 3, 3, 1]);
    expect(waiting).toBe(0);
  });

  it('takes a decision that fills a whole batch, and throws on one that exceeds it', () => {
    const builder = new BatchBuilder(1_000, 10);
    builder.add(records(10));
    expect(() => builder.add(records(11))).toThrow('more than a batch may hold');
    expect(() => builder.add([record('x'.repeat(1_001))])).toThrow('more than a batch may hold');
    expect(builder.take()?.eventCount).toBe(10);
    expect(builder.isEmpty).toBe(true);
  });
});

function record(text: string): EventRecord {
  return ['bench', 'Happened', 1, text];
}

function records(count: number): EventRecord[] {
  return Array.from({ length: count }, () => record('e'));
}
