/**
 * How much room there is for events, in three levels.
 *
 * - `ample`: there is a reserve for an end of everything that lives and for the next snapshot, and more.
 * - `low`: only the reserve is left. Nothing new is taken, so that what lives can end and a snapshot can make room.
 * - `least`: what may be done with the reserve has been; the rest is for ends alone.
 */
import type { StorageLevel } from '../coordinator/domain.ts';
import { SECTOR_BYTES } from './batch.ts';

/** Twice what an end takes where it is a batch of its own: the upper half is for renewals, reports and clock marks. */
export const END_BYTES = 2 * SECTOR_BYTES;
/** For what isn't an end: the mark of a stop, the first events of a next run. */
export const ENDS_MARGIN_BYTES = 64 * 1024;

export interface Room {
  /** What the file system would still give. */
  readonly freeBytes: number;
  readonly segmentBytes: number;
  /** In the present segment and in those prepared. */
  readonly journalBytes: number;
  /** Of everything that lives. */
  readonly endsBytes: number;
  /** What the next snapshot needs beyond the room that is held for it. */
  readonly snapshotMissingBytes: number;
  /** An attempt to hold room has failed, and none has succeeded since. */
  readonly isShort: boolean;
}

export function storageLevel(room: Room): StorageLevel {
  const { freeBytes, segmentBytes, journalBytes, endsBytes, snapshotMissingBytes, isShort } = room;
  // Events only go into whole segments.
  const hasSegment = !isShort && freeBytes >= segmentBytes + snapshotMissingBytes;
  if (hasSegment && journalBytes + freeBytes - snapshotMissingBytes >= endsBytes) return 'ample';
  const usableBytes = journalBytes + (hasSegment ? freeBytes : 0);
  return usableBytes * 2 >= endsBytes ? 'low' : 'least';
}
