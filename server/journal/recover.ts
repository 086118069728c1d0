/**
 * From files to state: the newest good snapshot, then the deltas behind it. The same code serves the coordinator's
 * start, the snapshot worker and the offline tools.
 *
 * What a crash can leave is put right: the torn end of the last segment, temporary files. A last segment without a batch stays
 * until the next run's first takes its name: a folder that had none would look as if somebody had taken it away.
 * Whatever else is wrong is damage, and then nothing is written: see DeltaReader for the rules.
 */
import { join } from 'node:path';
import type { Replica } from '../coordinator/replica.ts';
import { SECTOR_BYTES } from './batch.ts';
import { readStopped } from './clean-stop.ts';
import { DeltaReader, type TornTail } from './delta-reader.ts';
import { type Disk, isDiskFailure, isShortage } from './disk.ts';
import { CorruptJournalError, UnknownFormatError } from './errors.ts';
import type { StoppedHeader } from './file-header.ts';
import {
  type FolderListing,
  listFolder,
  notesOfNoDelta,
  type PositionedFile,
  STOPPED_NAME,
  TEMPORARY_SUFFIX,
} from './file-names.ts';
import { notesOfNoRoom } from './segment.ts';
import { checkSnapshot, readSnapshot } from './snapshot.ts';

export interface RecoverOptions {
  /** False: nothing is written; what would be cut is only reported. Default true. */
  readonly cut?: boolean;
  /** Stops behind the last batch that ends at or before this position. Only with `cut: false`. */
  readonly upTo?: number;
}

export interface Recovered {
  /** Of the last event there is; 0: none. */
  readonly position: number;
  /** The highest of any run that left a batch or a segment; 0: none. A new run takes a higher one. */
  readonly epoch: number;
  /** The clock as of the last batch. */
  readonly clockMs: number;
  /** Wall clock as of the last batch, ms since 1970. */
  readonly utcMs: number;
  /** What the next batch is chained to; 0: there is none before it. */
  readonly lastBatchCrc: number;
  /** undefined: the folder holds no data yet. */
  readonly dataId: Uint8Array | undefined;
  /** Whether the last batch is the mark of a clean stop. */
  readonly cleanStop: boolean;
  /** The torn end that was cut (with `cut: false`: that would be). */
  readonly cutTail?: TornTail;
  /** Position of the snapshot it began with, if any. */
  readonly snapshotPosition: number | undefined;
  /** Newer snapshots that were damaged. They count as no generation. */
  readonly badSnapshots: readonly string[];
  /** Name of the last segment, where no batch is in it. */
  readonly emptySegment: string | undefined;
  /** Bytes of batches behind the snapshot. */
  readonly deltaBytes: number;
  /** Of the events in them. */
  readonly eventBytes: number;
  /** What the operator should read in the log, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Rebuilds the state in `replica`, which must be new. Throws CorruptJournalError on damage, UnknownFormatError or the
 * replica's own error on data of a newer version; the replica is of no use then. One process at a time may call it with
 * `cut`: the holder of the folder's lock.
 */
export async function recover(
  disk: Disk,
  dir: string,
  replica: Replica,
  { cut = true, upTo }: RecoverOptions = {},
): Promise<Recovered> {
  if (cut && upTo !== undefined) throw new Error('upTo is for reading only: what is behind it must not be cut');
  const listing = await listFolder(disk, dir);
  const stopped = listing.hasStopped && upTo === undefined ? await readStopped(disk, dir) : undefined;
  const isWanted = ({ position }: PositionedFile) => upTo === undefined || position <= upTo;

  const { base, badSnapshots } = await restoreSnapshot(disk, dir, listing.snapshots.filter(isWanted), replica);
  const reader = new DeltaReader(disk, dir, replica, base);
  const [newestBad] = badSnapshots;
  try {
    await reader.readAll(listing.deltas.filter(isWanted), upTo ?? Number.POSITIVE_INFINITY);
  } catch (error) {
    if (!newestBad || !(error instanceof CorruptJournalError)) throw error;
    // Otherwise a sound delta would be blamed for leading nowhere without the snapshot.
    throw new CorruptJournalError(newestBad.name, newestBad.offset, `${newestBad.reason}; and ${error.message}`);
  }
  const { end, tornTail } = reader;

  if (newestBad && end.position < newestBad.position) {
    const reason = `${newestBad.reason}, and the deltas only reach position ${end.position}`;
    throw new CorruptJournalError(newestBad.name, newestBad.offset, reason);
  }
  if (stopped) compareWithStop(stopped, reader);
  const notes = badSnapshots.map(({ name, reason, offset }) => `${name} was passed over: ${reason} at byte ${offset}`);
  if (tornTail) notes.push(`a torn batch of ${tornTail.bytes} bytes ends ${tornTail.file} at byte ${tornTail.offset}`);
  if (base && upTo === undefined) notes.push(...notesOfNoDelta(listing, base.position));
  const { lastSegment } = reader;
  if (lastSegment && upTo === undefined && !end.isCleanStop) {
    const endOffset = tornTail ? tornTail.offset + tornTail.bytes : lastSegment.goodBytes.length;
    notes.push(...notesOfNoRoom(lastSegment.name, lastSegment.sizeBytes, endOffset));
  }
  if (cut) await settle(disk, dir, reader, listing);
  return {
    position: end.position,
    epoch: end.epoch,
    clockMs: end.clockMs,
    utcMs: end.utcMs,
    lastBatchCrc: end.batchCrc,
    dataId: reader.dataId,
    cleanStop: end.isCleanStop,
    ...(tornTail ? { cutTail: tornTail } : {}),
    snapshotPosition: base?.position,
    badSnapshots: badSnapshots.map(({ name }) => name),
    emptySegment: lastSegment?.isEmpty ? lastSegment.name : undefined,
    deltaBytes: reader.deltaBytes,
    eventBytes: reader.eventBytes,
    notes,
  };
}

/** After a clean stop nothing was being written: what is not as it was then is damage, a torn end included. */
function compareWithStop(
  { position, batchCrc, lastDeltaBytes }: StoppedHeader,
  { end, tornTail, lastSegment, dirtyFilling }: DeltaReader,
) {
  const what = `though the last run stopped cleanly at position ${position}`;
  if (tornTail) throw new CorruptJournalError(tornTail.file, tornTail.offset, `a bad batch, ${what}`);
  const file = lastSegment?.name ?? STOPPED_NAME;
  const sizeBytes = lastSegment?.sizeBytes ?? 0;
  if (end.position !== position || end.batchCrc !== batchCrc) {
    throw new CorruptJournalError(file, sizeBytes, `the deltas end at position ${end.position}, ${what}`);
  }
  if (sizeBytes !== lastDeltaBytes) {
    const offset = Math.min(sizeBytes, lastDeltaBytes);
    throw new CorruptJournalError(file, offset, `it has ${sizeBytes} bytes instead of ${lastDeltaBytes}, ${what}`);
  }
  if (dirtyFilling) {
    const reason = `what fills up the sector behind a batch is not zero, ${what}`;
    throw new CorruptJournalError(dirtyFilling.file, dirtyFilling.offset, reason);
  }
}

interface BadSnapshot extends PositionedFile {
  readonly offset: number;
  readonly reason: string;
}

/** The newest good one. That it is good is known at its end: what one that isn't has restored is thrown away. */
async function restoreSnapshot(disk: Disk, dir: string, snapshots: readonly PositionedFile[], replica: Replica) {
  const badSnapshots: BadSnapshot[] = [];
  for (const { name, position } of snapshots.toReversed()) {
    const read = await readSnapshot(disk, dir, name, position, (record) => replica.restore(record)).catch(
      async (error: unknown) => {
        if (isDiskFailure(error) || isShortage(error) || error instanceof UnknownFormatError) throw error;
        // Each chunk may be good, and the whole no snapshot: then what it holds has made no sense, and need not.
        const check = await checkSnapshot(disk, dir, name, position);
        if (check.good) throw error;
        return check;
      },
    );
    if (read.good) return { base: read.header, badSnapshots };
    badSnapshots.push({ name, position, offset: read.offset, reason: read.reason });
    replica.startOver();
  }
  return { base: undefined, badSnapshots };
}

/** What the crash left half done is ended: only once all has been read and found sound. */
async function settle(
  disk: Disk,
  dir: string,
  reader: DeltaReader,
  { temporaries, hasStopped }: FolderListing,
): Promise<void> {
  for (const name of temporaries) await disk.remove(join(dir, name));
  const last = reader.lastSegment;
  // Behind the file `stopped` it is durable as it stands; the mark inside alone may have been read from memory.
  if (last && !hasStopped) await writeAnew(disk, dir, last.name, last.goodBytes);
  await disk.syncFolder(dir);
}

/**
 * Puts a durable copy of the good part in the place of the last segment. That cuts what is torn, and it makes sure of
 * the last batch: it was read from memory, maybe, after the run that wrote it died of a failed write to the disk. The mark
 * of a clean stop is no exception: a process killed while it wrote that leaves it to be read, and not yet on disk.
 */
async function writeAnew(disk: Disk, dir: string, name: string, goodBytes: Uint8Array): Promise<void> {
  // With room behind, as in the place of one that no other has followed: see notesOfNoRoom.
  const bytes = Buffer.concat([goodBytes, Buffer.alloc(SECTOR_BYTES)]);
  const temporary = join(dir, name + TEMPORARY_SUFFIX);
  const file = await disk.open(temporary, 'create');
  try {
    await file.write(bytes, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, join(dir, name));
}
