/**
 * A delta segment: a header (file-header.ts), then batches (batch.ts), each on a 512-byte boundary, in a file that was
 * filled with zeros before its first use. Overwriting written blocks changes no metadata, so a commit is one write to
 * a file opened with O_DSYNC, and what follows the last batch is zeros and nothing else.
 *
 * Invariant: a segment gets its name when all before it is durable, and holds the batches of one run only. So only the
 * last segment of a folder can end in a torn batch, and a good header proves every position before its own.
 */
import { join } from 'node:path';
import type { Scheduler } from '../coordinator/scheduler.ts';
import { SECTOR_BYTES } from './batch.ts';
import { type Disk, type DiskFile, isShortage } from './disk.ts';
import { type DeltaHeader, encodeDeltaHeader, HEADER_BYTES } from './file-header.ts';
import { deltaName, TEMPORARY_SUFFIX } from './file-names.ts';
import { fillWithZeros, onceThereAreDescriptors } from './room.ts';

export const SEGMENT_BYTES_DEFAULT = 16 * 1024 * 1024;
export const SEGMENT_BYTES_MIN = 4 * 1024 * 1024;
/** A segment is read in one piece. */
export const SEGMENT_BYTES_MAX = 256 * 1024 * 1024;
/**
 * What file systems keep in memory and write as one. One that is written in part is read first, within the commit, where
 * memory doesn't hold it any more; and a segment may have been prepared long ago.
 */
export const BLOCK_BYTES = 4096;

/** A segment filled with zeros that has no name yet. */
export interface PreparedSegment {
  readonly file: DiskFile;
  readonly path: string;
  readonly sizeBytes: number;
}

/** `number` is another for each that exists at one time. On an error nothing is left behind but, at worst, a temporary file. */
export async function prepareSegment(
  disk: Disk,
  dir: string,
  number: number,
  sizeBytes: number,
): Promise<PreparedSegment> {
  const path = join(dir, `prepared-${number}.delta${TEMPORARY_SUFFIX}`);
  const file = await disk.open(path, 'createDurable');
  try {
    await fillWithZeros(file, 0, sizeBytes);
    return { file, path, sizeBytes };
  } catch (error) {
    // After any other failure the process ends, and no commit may come between.
    if (isShortage(error)) await discardSegment(disk, { file, path, sizeBytes }).catch(() => undefined);
    throw error;
  }
}

export async function discardSegment(disk: Disk, prepared: PreparedSegment): Promise<void> {
  await prepared.file.close();
  await disk.remove(prepared.path);
}

/**
 * Gives a prepared segment its header, then its name, each durable before the next step. `emptySegment`: name of one without a
 * batch, which may have to give way.
 */
export async function placeSegment(
  { disk, dir, scheduler }: { readonly disk: Disk; readonly dir: string; readonly scheduler: Scheduler },
  prepared: PreparedSegment,
  header: DeltaHeader,
  emptySegment?: string,
): Promise<Segment> {
  const name = deltaName(header.firstPosition);
  // A rename would replace it without a word, and with it what may be the only copy of acknowledged events.
  const names = await onceThereAreDescriptors(scheduler, () => disk.list(dir));
  if (name !== emptySegment && names.includes(name))
    throw new Error(`${name} exists: was the folder recovered before this run?`);
  await prepared.file.write(encodeDeltaHeader(header), 0);
  await disk.rename(prepared.path, join(dir, name));
  await onceThereAreDescriptors(scheduler, () => disk.syncFolder(dir));
  return new Segment(prepared.file, header.firstPosition, prepared.sizeBytes);
}

/**
 * Of the last segment of a folder, whose batches, torn ones included, end at `endOffset`: as long as no other has followed, there
 * is room behind them. So where none is left, somebody else has taken away a file, or the end of this one.
 */
export function notesOfNoRoom(name: string, sizeBytes: number, endOffset: number): string[] {
  if (sizeBytes > Math.ceil(endOffset / SECTOR_BYTES) * SECTOR_BYTES) return [];
  return [`${name} has no room left behind its batches: what followed, if anything, is gone`];
}

/** The segment that is written to. */
export class Segment {
  readonly firstPosition: number;
  readonly #file: DiskFile;
  readonly #sizeBytes: number;
  /** Invariant: all before is durable, all behind is zeros (until a write fails). */
  #usedBytes = HEADER_BYTES;

  constructor(file: DiskFile, firstPosition: number, sizeBytes: number) {
    this.#file = file;
    this.firstPosition = firstPosition;
    this.#sizeBytes = sizeBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get isEmpty(): boolean {
    return this.#usedBytes === HEADER_BYTES;
  }

  /** What can still be written to it. A sector stays: see notesOfNoRoom. */
  get roomBytes(): number {
    return this.#sizeBytes - SECTOR_BYTES - this.#usedBytes;
  }

  fits(frameBytes: number): boolean {
    return frameBytes <= this.roomBytes;
  }

  /**
   * Writes the first `frameBytes` of `buffer`, and behind them, where zeros are already, zeros up to the end of the block:
   * `buffer` needs BLOCK_BYTES for that. Durable when it resolves. Rejects with any part written: then nothing more may be
   * written to it.
   */
  async write(buffer: Buffer, frameBytes: number): Promise<void> {
    const end = this.#usedBytes + frameBytes;
    const blocksEnd = Math.min(Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES, this.#sizeBytes);
    const frame = buffer.subarray(0, blocksEnd - this.#usedBytes).fill(0, frameBytes);
    await this.#file.write(frame, this.#usedBytes);
    this.#usedBytes = end;
  }

  /** Gives back the room that was not used, and closes. */
  async seal(): Promise<void> {
    await this.#file.truncate(this.#usedBytes);
    await this.#file.sync();
    await this.#file.close();
  }

  /** Closes after a failed write: the file stays as it is, for recovery to judge. */
  async abandon(): Promise<void> {
    await this.#file.close();
  }
}
