import { describe, expect, it } from 'vitest';
import { snapshotName } from './file-names.ts';
import { snapshotsToKeep } from './retention.ts';

/** Keeps what is to be kept after each of `positions`, as a journal does; the deltas have a byte an event. */
function keptAfter(positions: readonly number[], count: number, spanBytes: number): number[][] {
  let snapshots: { name: string; position: number }[] = [];
  const bytesBetween = (from: number, to: number) => to - from;
  return positions.map((position) => {
    snapshots = snapshotsToKeep([...snapshots, { name: snapshotName(position), position }], {
      count,
      spanBytes,
      bytesBetween,
    });
    return snapshots.map((snapshot) => snapshot.position);
  });
}

describe('of the snapshots', () => {
  it('those stay that were made each after as many deltas as there may be, up to the count', () => {
    expect(keptAfter([10, 20, 30, 40, 50], 4, 10).at(-1)).toEqual([20, 30, 40, 50]);
    expect(keptAfter([10, 25, 40, 55, 70], 3, 10).at(-1)).toEqual([40, 55, 70]);
  });

  it('only the newest two stay where no more are wanted', () => {
    expect(keptAfter([10, 20, 30, 40], 2, 10).at(-1)).toEqual([30, 40]);
    expect(keptAfter([1, 2, 3, 4], 2, 10).at(-1)).toEqual([3, 4]);
    expect(keptAfter([1], 2, 10)).toEqual([[1]]);
    expect(keptAfter([], 2, 10)).toEqual([]);
  });

  it('those that follow one another closely stay as far apart as there may be deltas, and reach as far back', () => {
    const kept = keptAfter(
      Array.from({ length: 100 }, (_, index) => 3 * (index + 1)),
      6,
      20,
    );
    for (const [index, positions] of kept.entries()) {
      expect(positions.length).toBeLessThanOrEqual(6);
      expect(positions.slice(-2)).toEqual([3 * index, 3 * (index + 1)].slice(index === 0 ? 1 : 0));
      for (const [nth, position] of positions.entries()) {
        const before = positions[nth - 1] ?? position;
        expect(position - before, positions.join(' ')).toBeLessThanOrEqual(20);
        const beforeThat = positions[nth - 2];
        // The last three may be close: the newest two stay whatever lies between.
        if (beforeThat !== undefined && nth < positions.length - 1) expect(position - beforeThat).toBeGreaterThan(20);
      }
    }
    expect(300 - kept.at(-1)![0]!).toBeGreaterThan(3 * 20);
  });
});
