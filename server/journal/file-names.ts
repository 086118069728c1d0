/**
 * Names in the data folder. They sort by position:
 *
 *   00000000000000004097.delta      a segment of batches, named for its first event
 *   00000000000000004096.snapshot   the state after that event
 *   stopped                         the last run stopped cleanly, and this is where: clean-stop.ts
 *   prepared-7.delta.tmp            room for the next segments
 *   room.snapshot.tmp               room for the next snapshot, or one being made
 *   <position>.delta.tmp, …         being made; what has any of these names at a start is removed
 *
 * Other names are somebody else's: passed over, never touched.
 */
import type { Disk } from './disk.ts';

export const TEMPORARY_SUFFIX = '.tmp';
export const STOPPED_NAME = 'stopped';
/** Room held for the next snapshot, which is written over it: snapshot-room.ts. */
export const SNAPSHOT_ROOM_NAME = `room.snapshot${TEMPORARY_SUFFIX}`;

const POSITION_DIGITS = 20;
const NAME = /^(\d{20})\.(delta|snapshot)$/;
const TEMPORARY_NAME = /^(?:prepared-\d+\.delta|\d{20}\.(?:delta|snapshot)|room\.snapshot|stopped)\.tmp$/;

export interface PositionedFile {
  readonly name: string;
  readonly position: number;
}

/** Files in the order of their positions. */
export interface FolderListing {
  readonly deltas: readonly PositionedFile[];
  readonly snapshots: readonly PositionedFile[];
  readonly temporaries: readonly string[];
  readonly hasStopped: boolean;
}

export function deltaName(firstPosition: number): string {
  return `${String(firstPosition).padStart(POSITION_DIGITS, '0')}.delta`;
}

export function snapshotName(lastPosition: number): string {
  return `${String(lastPosition).padStart(POSITION_DIGITS, '0')}.snapshot`;
}

export async function listFolder(disk: Disk, dir: string): Promise<FolderListing> {
  const deltas: PositionedFile[] = [];
  const snapshots: PositionedFile[] = [];
  const temporaries: string[] = [];
  let hasStopped = false;
  for (const name of (await disk.list(dir)).sort()) {
    const match = NAME.exec(name);
    if (match) (match[2] === 'delta' ? deltas : snapshots).push({ name, position: Number(match[1]) });
    else if (TEMPORARY_NAME.test(name)) temporaries.push(name);
    else if (name === STOPPED_NAME) hasStopped = true;
  }
  return { deltas, snapshots, temporaries, hasStopped };
}

/**
 * A snapshot is made once the segment behind it has its name, and no crash takes that away: where none is there, somebody has
 * removed it.
 */
export function notesOfNoDelta({ deltas }: FolderListing, snapshotPosition: number): string[] {
  if (deltas.some(({ position }) => position > snapshotPosition)) return [];
  return [`no delta follows ${snapshotName(snapshotPosition)}: what was written behind it, if anything, is gone`];
}
