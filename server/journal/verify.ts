/**
 * Looks at every byte of a data folder and reports all that is wrong with it. Reads only and takes no lock: it may be
 * the folder of a running coordinator, whose last batch is then perhaps half written, or a copy.
 *
 * Where files are sound their events are replayed, and each snapshot is held against the state that they give: it must
 * be the very same, record by record.
 */
import { join } from 'node:path';
import type { Replica } from '../coordinator/replica.ts';
import { readStopped } from './clean-stop.ts';
import { scanDeltas } from './delta-scan.ts';
import { type Disk, errorCode } from './disk.ts';
import { UnknownFormatError } from './errors.ts';
import type { Fault } from './fault.ts';
import { decodeDeltaHeader, decodeSnapshotHeader, HEADER_BYTES, type SnapshotHeader } from './file-header.ts';
import { type FolderListing, listFolder, notesOfNoDelta, type PositionedFile, STOPPED_NAME } from './file-names.ts';
import { FolderCheck, type SnapshotFile } from './folder-check.ts';
import { scanSnapshot } from './snapshot.ts';

/** A running coordinator may remove old files while they are read: then all is looked at anew, so often at most. */
const ATTEMPTS_MAX = 5;

export interface FileReport {
  readonly name: string;
  readonly kind: 'delta' | 'snapshot';
  readonly bytes: number;
  /** undefined: it holds no good batch, or its header is damaged. */
  readonly fromPosition: number | undefined;
  readonly toPosition: number | undefined;
  readonly fromUtcMs: number | undefined;
  readonly toUtcMs: number | undefined;
  readonly batches: number;
  /** Events of a delta, records of a snapshot. */
  readonly records: number;
  readonly state: 'good' | 'empty' | 'torn' | 'damaged';
}

/** Batches one behind the other, each following from the one before. */
export interface Run {
  /** Of its first event. */
  readonly fromPosition: number;
  /** Of the last; one less than `fromPosition` where it is only the header of an empty segment. */
  readonly toPosition: number;
  readonly segments: readonly RunSegment[];
  /** Sound snapshots that lead into it. */
  readonly snapshots: readonly number[];
  /** The beginning of all data leads into it. */
  readonly isFromBeginning: boolean;
}

/** What of a segment belongs to a run. */
export interface RunSegment {
  readonly name: string;
  readonly fromPosition: number;
  readonly toPosition: number;
  /** Of the batch before its first; what its header has to say. */
  readonly previousCrc: number;
  readonly epoch: number;
  /** It begins with the segment's first batch, at its place. */
  readonly isFromStart: boolean;
  /** Behind its last good batch. */
  readonly endOffset: number;
}

export interface VerifyReport {
  /** In the order of their positions. */
  readonly files: readonly FileReport[];
  readonly faults: readonly Fault[];
  /** Found beyond FAULTS_MAX, and only counted. */
  readonly faultsBeyond: number;
  /** What is worth saying and no fault: a torn tail, leftovers. */
  readonly notes: readonly string[];
  readonly runs: readonly Run[];
  /** Of the last event found, in deltas or in a sound snapshot; 0: none. */
  readonly lastPosition: number;
  /** Positions of snapshots that are sound in themselves. */
  readonly goodSnapshots: readonly number[];
  readonly dataId: Uint8Array | undefined;
  readonly hasStopMark: boolean;
}

/** Where a clean stop says that the journal ends. */
export interface StopMark {
  readonly position: number;
  readonly batchCrc: number;
  readonly lastDeltaBytes: number;
}

export interface VerifyOptions {
  readonly disk: Disk;
  readonly dir: string;
  /** A new one, at the beginning of all data. */
  readonly createReplica: () => Replica;
  /** Absent: readStopped. */
  readonly readStopMark?: (disk: Disk, dir: string) => Promise<StopMark>;
}

/** Rejects with the system's own error where the folder can't be read. */
export async function verifyFolder(options: VerifyOptions): Promise<VerifyReport> {
  return onUnmovedFolder(() => verifyOnce(options));
}

/** Calls `read` again where a file went away meanwhile, as old ones do behind a new snapshot. */
export async function onUnmovedFolder<Result>(read: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await read();
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

async function verifyOnce(options: VerifyOptions): Promise<VerifyReport> {
  const { disk, dir, createReplica } = options;
  const listing = await listFolder(disk, dir);
  const stop = await readStopMark(options);
  const dataId = await prevailingDataId(disk, dir, listing);
  const check: FolderCheck = new FolderCheck(createReplica, (snapshot) =>
    restore(disk, dir, snapshot, createReplica(), check),
  );
  for (const name of listing.temporaries) check.note(`${name}: no fault: it is being made, or a start removes it`);
  const newest = listing.snapshots.at(-1);
  for (const note of newest ? notesOfNoDelta(listing, newest.position) : []) check.note(note);
  for (const file of listing.snapshots) check.takeSnapshot(await readSnapshotFile(disk, dir, file, dataId));
  for await (const item of scanDeltas(disk, dir, listing.deltas, dataId)) {
    // What looks like the last segment has been sealed since, where a coordinator is writing.
    if (item.type === 'note' && (await hasFollower(disk, dir, listing))) continue;
    await check.take(item);
  }
  await check.end();
  // A coordinator that has started meanwhile has removed it before it wrote anything.
  if (stop && (await disk.list(dir)).includes(STOPPED_NAME)) {
    if ('kind' in stop) check.fault(stop);
    else check.compareWithStop(stop);
  }
  return { ...check.report(), dataId, hasStopMark: stop !== undefined };
}

/** Whether a segment has been named behind those of `listing`. */
async function hasFollower(disk: Disk, dir: string, listing: FolderListing): Promise<boolean> {
  const { deltas } = await listFolder(disk, dir);
  return (deltas.at(-1)?.position ?? 0) > listing.deltas.at(-1)!.position;
}

async function readStopMark({
  disk,
  dir,
  readStopMark = readStopped,
}: VerifyOptions): Promise<StopMark | Fault | undefined> {
  if (!(await disk.list(dir)).includes(STOPPED_NAME)) return undefined;
  try {
    return await readStopMark(disk, dir);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    if (error instanceof Error && 'errno' in error) throw error;
    const kind = error instanceof UnknownFormatError ? 'newer_version' : 'stop_mark';
    return { file: STOPPED_NAME, offset: 0, kind, message: (error as Error).message };
  }
}

/** The one that most files carry; of as many, the one of the oldest. undefined: none does. */
async function prevailingDataId(
  disk: Disk,
  dir: string,
  { deltas, snapshots }: FolderListing,
): Promise<Uint8Array | undefined> {
  const counts = new Map<string, { readonly dataId: Uint8Array; count: number }>();
  const count = async (
    { name }: PositionedFile,
    decode: (bytes: Buffer, file: string) => SnapshotHeader | { dataId: Uint8Array } | undefined,
  ) => {
    const file = await disk.open(join(dir, name), 'read');
    try {
      const bytes = Buffer.alloc(HEADER_BYTES);
      if ((await file.read(bytes, 0)) < HEADER_BYTES) return;
      const dataId = decode(bytes, name)?.dataId;
      if (!dataId) return;
      const key = Buffer.from(dataId).toString('hex');
      const entry = counts.get(key) ?? { dataId, count: 0 };
      entry.count += 1;
      counts.set(key, entry);
    } catch (error) {
      // Reported when it is the file's turn.
      if (!(error instanceof UnknownFormatError)) throw error;
    } finally {
      await file.close();
    }
  };
  for (const file of deltas) await count(file, decodeDeltaHeader);
  for (const file of snapshots) await count(file, decodeSnapshotHeader);
  let best: { readonly dataId: Uint8Array; readonly count: number } | undefined;
  for (const entry of counts.values()) if (!best || entry.count > best.count) best = entry;
  return best?.dataId;
}

/** Of its bytes alone; whether its records make sense is seen when it is restored. */
async function readSnapshotFile(
  disk: Disk,
  dir: string,
  { name, position }: PositionedFile,
  dataId: Uint8Array | undefined,
): Promise<SnapshotFile> {
  const faults: Fault[] = [];
  let header: SnapshotHeader | undefined;
  try {
    for await (const part of scanSnapshot(disk, dir, name, position)) {
      if (part.type === 'header') header = part.header;
      if (part.type !== 'fault') continue;
      const kind = part.offset === 0 ? 'bad_header' : 'bad_snapshot';
      faults.push({ file: name, offset: part.offset, kind, message: part.reason });
    }
  } catch (error) {
    if (!(error instanceof UnknownFormatError)) throw error;
    faults.push({ file: name, offset: 0, kind: 'newer_version', message: error.message });
  }
  if (header && dataId && !Buffer.from(header.dataId).equals(dataId)) {
    const message = 'it belongs to other data: its data id differs';
    faults.push({ file: name, offset: 0, kind: 'foreign_data', message });
  }
  const bytes = await sizeOf(disk, join(dir, name));
  return { name, position, bytes, header, faults };
}

async function sizeOf(disk: Disk, path: string): Promise<number> {
  const file = await disk.open(path, 'read');
  try {
    return await file.sizeBytes();
  } finally {
    await file.close();
  }
}

/** The replica, or undefined where the records can't be restored: that is reported. */
async function restore(
  disk: Disk,
  dir: string,
  { name, position }: PositionedFile,
  replica: Replica,
  check: FolderCheck,
): Promise<Replica | undefined> {
  for await (const part of scanSnapshot(disk, dir, name, position)) {
    if (part.type === 'chunk' && !check.restoreChunk(name, part, replica)) return undefined;
  }
  return replica;
}
