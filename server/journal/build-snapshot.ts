import type { Replica } from '../coordinator/replica.ts';
import type { Disk } from './disk.ts';
import { recover } from './recover.ts';
import { writeSnapshot } from './snapshot.ts';

export interface BuiltSnapshot {
  /** Names of snapshots that were found damaged on the way to it, and passed over. They count as no generation. */
  readonly badSnapshots: readonly string[];
  /** What the operator should read in the log, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Makes the snapshot of `upToPosition` from the one before it and the sealed deltas since, with recovery's own code and
 * in a replica of its own: to be called in a worker thread, beside a journal that goes on writing behind that position.
 * Rejects, leaving the folder as it was, where the position isn't a batch's last or the files are damaged.
 */
export async function buildSnapshot(
  disk: Disk,
  dir: string,
  replica: Replica,
  upToPosition: number,
): Promise<BuiltSnapshot> {
  const recovered = await recover(disk, dir, replica, { cut: false, upTo: upToPosition });
  if (recovered.position !== upToPosition || !recovered.dataId) {
    throw new Error(`a snapshot of position ${upToPosition}: the files only lead to ${recovered.position}`);
  }
  const { badSnapshots, notes } = recovered;
  // It is there already, and sound; whoever made it may have come no further than its name.
  if (recovered.snapshotPosition === upToPosition) {
    await disk.syncFolder(dir);
    return { badSnapshots, notes };
  }
  const { dataId, epoch, clockMs, utcMs, lastBatchCrc: batchCrc } = recovered;
  const header = { dataId, position: upToPosition, batchCrc, epoch, clockMs, utcMs };
  await writeSnapshot(disk, dir, header, replica.encode());
  return { badSnapshots, notes };
}
