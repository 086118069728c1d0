/** Which snapshots are kept. Pure. */
import type { PositionedFile } from './file-names.ts';

/** Generations kept: two are for safety, more are for looking back. */
export const SNAPSHOTS_KEPT_MIN = 2;

export interface Retention {
  /** Snapshots that stay, at least SNAPSHOTS_KEPT_MIN. */
  readonly count: number;
  /** Bytes of deltas that whoever looks back may have to read behind the snapshot that it begins with. */
  readonly spanBytes: number;
  /** Of the deltas behind one position, up to the other. */
  readonly bytesBetween: (fromPosition: number, toPosition: number) => number;
}

/**
 * Of good snapshots, oldest first, those that stay: the newest two, and before them, to look back from, each without which
 * there would be more than `spanBytes` of deltas from the one before it to the one behind. From 4 on they reach back over
 * `count - 3` times as much at least, however closely they come: with a large state, `count` that follow one another would reach
 * back a few minutes.
 */
export function snapshotsToKeep(
  snapshots: readonly PositionedFile[],
  { count, spanBytes, bytesBetween }: Retention,
): PositionedFile[] {
  const newest = snapshots.slice(-SNAPSHOTS_KEPT_MIN);
  const older: PositionedFile[] = [];
  for (const [index, snapshot] of snapshots.slice(0, -SNAPSHOTS_KEPT_MIN).entries()) {
    const before = older.at(-1);
    const behind = snapshots[index + 1]!;
    if (!before || bytesBetween(before.position, behind.position) > spanBytes) older.push(snapshot);
  }
  const olderCount = count - SNAPSHOTS_KEPT_MIN;
  return [...(olderCount > 0 ? older.slice(-olderCount) : []), ...newest];
}
