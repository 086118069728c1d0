/**
 * Carries out a repair plan. Every original that goes or is changed stays, under its name, in a folder of its own: as a
 * hard link, so that keeping it needs no room.
 *
 * Invariants:
 * - No name in the data folder changes before every original is durable in the other one too.
 * - Whenever it ends, by a crash or by an error, a coordinator either refuses the data folder or makes of it what the
 *   whole repair does; a second repair completes it.
 */
import { join } from 'node:path';
import { batchesFrom, lastPositionOf, sectorEnd } from './batch.ts';
import { scanDeltas } from './delta-scan.ts';
import { type Disk, readWhole } from './disk.ts';
import { decodeDeltaHeader, encodeDeltaHeader, HEADER_BYTES } from './file-header.ts';
import { listFolder, TEMPORARY_SUFFIX } from './file-names.ts';
import type { RepairPlan, Rewrite } from './repair-plan.ts';
import { SEGMENT_BYTES_MAX } from './segment.ts';
import { onUnmovedFolder } from './verify.ts';

export interface RepairDisk extends Disk {
  /** A second name for a file. Rejects where `name` is there already. */
  link(existing: string, name: string): Promise<void>;
}

type Repair = Extract<RepairPlan, { kind: 'repair' }>;

/** Batches that a repair gives up, as far as they can still be read. */
export interface LostEvents {
  readonly fromPosition: number;
  readonly toPosition: number;
  readonly fromUtcMs: number;
  readonly toUtcMs: number;
  readonly events: number;
}

/** By the holder of the folder's lock. `keptIn`: a folder in `dir` that isn't there yet. */
export async function applyRepair(disk: RepairDisk, dir: string, plan: Repair, keptIn: string): Promise<void> {
  const kept = join(dir, keptIn);
  if (!(await disk.makeFolder(kept))) throw new Error(`${kept} is there already`);
  await disk.syncFolder(dir);
  const names = new Set([
    ...plan.setAside.map(({ name }) => name),
    ...plan.rewrites.map(({ segment }) => segment.name),
  ]);
  for (const name of names) await disk.link(join(dir, name), join(kept, name));
  await disk.syncFolder(kept);

  for (const { name } of plan.setAside) {
    await disk.remove(join(dir, name));
    // Each before the next: their order is what makes a half repaired folder safe.
    await disk.syncFolder(dir);
  }
  for (const rewrite of plan.rewrites) await rewriteSegment(disk, dir, plan.dataId, rewrite);
}

/** Good batches behind its last position, in whatever file. undefined: none can be read. */
export async function findLost(disk: Disk, dir: string, plan: Repair): Promise<LostEvents | undefined> {
  return onUnmovedFolder(async () => {
    let lost: LostEvents | undefined;
    const { deltas } = await listFolder(disk, dir);
    for await (const item of scanDeltas(disk, dir, deltas, plan.dataId)) {
      if (item.type !== 'batch' || item.stored.batch.position <= plan.lastPosition) continue;
      const { batch } = item.stored;
      const last = lastPositionOf(batch);
      lost = {
        fromPosition: Math.min(lost?.fromPosition ?? batch.position, batch.position),
        toPosition: Math.max(lost?.toPosition ?? last, last),
        fromUtcMs: Math.min(lost?.fromUtcMs ?? batch.utcMs, batch.utcMs),
        toUtcMs: Math.max(lost?.toUtcMs ?? batch.utcMs, batch.utcMs),
        events: (lost?.events ?? 0) + batch.eventCount,
      };
    }
    return lost;
  });
}

async function rewriteSegment(disk: RepairDisk, dir: string, dataId: Uint8Array, { segment }: Rewrite): Promise<void> {
  const { name, fromPosition, previousCrc, epoch, endOffset } = segment;
  const bytes = await readWhole(disk, join(dir, name), SEGMENT_BYTES_MAX);
  const good = Buffer.alloc(sectorEnd(endOffset));
  const header = decodeDeltaHeader(bytes, name);
  const isSound = header?.firstPosition === fromPosition;
  // The chain runs through the batches themselves: they say all that stood in a damaged header.
  good.set(
    isSound
      ? bytes.subarray(0, HEADER_BYTES)
      : encodeDeltaHeader({ dataId, firstPosition: fromPosition, previousCrc, epoch }),
  );
  // Batch by batch, so that what fills up their sectors is zero again.
  for (const { offset, endOffset: end } of batchesFrom(bytes.subarray(0, endOffset), HEADER_BYTES)) {
    good.set(bytes.subarray(offset, end), offset);
  }
  const temporary = join(dir, name + TEMPORARY_SUFFIX);
  const file = await disk.open(temporary, 'create');
  try {
    await file.write(good, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, join(dir, name));
  await disk.syncFolder(dir);
}
