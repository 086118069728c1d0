/**
 * The mark of a clean stop, beside the deltas: the file `stopped`, a header of file-header.ts. Where it is there, the journal
 * ends where it says, to the byte; anything else is damage, since nothing was being written. The last batch of the run
 * says that it is the last, too, but could be damaged itself, and would then look like a torn one.
 *
 * Invariant: it is gone, durably, before the next run names its first segment.
 */
import { join } from 'node:path';
import { type Disk, readWhole } from './disk.ts';
import { CorruptJournalError } from './errors.ts';
import { decodeStoppedHeader, encodeStoppedHeader, HEADER_BYTES, type StoppedHeader } from './file-header.ts';
import { STOPPED_NAME, TEMPORARY_SUFFIX } from './file-names.ts';
import { SEGMENT_BYTES_MAX } from './segment.ts';

/** Durable under its name when it resolves. Only once the last delta has its last byte. */
export async function writeStopped(disk: Disk, dir: string, header: StoppedHeader): Promise<void> {
  const temporary = join(dir, STOPPED_NAME + TEMPORARY_SUFFIX);
  const file = await disk.open(temporary, 'create');
  try {
    await file.write(encodeStoppedHeader(header), 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, join(dir, STOPPED_NAME));
  await disk.syncFolder(dir);
}

/** Throws CorruptJournalError where it is damaged: it is never half written under its name. */
export async function readStopped(disk: Disk, dir: string): Promise<StoppedHeader> {
  const bytes = await readWhole(disk, join(dir, STOPPED_NAME), SEGMENT_BYTES_MAX);
  const header = bytes.length === HEADER_BYTES ? decodeStoppedHeader(bytes, STOPPED_NAME) : undefined;
  if (!header) throw new CorruptJournalError(STOPPED_NAME, 0, 'the mark of a clean stop is damaged');
  return header;
}

/** A run begins. */
export async function removeStopped(disk: Disk, dir: string): Promise<void> {
  await disk.remove(join(dir, STOPPED_NAME));
  await disk.syncFolder(dir);
}
