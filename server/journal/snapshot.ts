/**
 * A snapshot: the state after one position, as a stream of records. Integers are little-endian.
 *
 *   header             512 bytes, file-header.ts
 *   chunk, repeated    u32 payload bytes (at least 1), u32 CRC32 of the payload, payload: snapshot records
 *                      (`[domain, record]`) as MessagePack values, one behind the other
 *   end                u32 0, u32 CRC32 of all chunk CRCs one behind the other and the next field, u64 record count
 *
 * A snapshot is good if all of it is and nothing follows. It is written under a temporary name, over whatever that held,
 * read back, and only then gets its own: a file that carries the name was good once.
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { SnapshotRecord } from '../coordinator/replica.ts';
import { type Disk, type DiskFile, isDiskFailure } from './disk.ts';
import { recordsError } from './errors.ts';
import { decodeSnapshotHeader, encodeSnapshotHeader, HEADER_BYTES, type SnapshotHeader } from './file-header.ts';
import { SNAPSHOT_ROOM_NAME, snapshotName } from './file-names.ts';
import { packValue, unpackValues } from './msgpack.ts';

/** A chunk is closed by the record that reaches this size: whoever makes a snapshot beside commits rests between two. */
const CHUNK_BYTES = 16 * 1024;
/** A longer chunk is neither written nor read: it bounds what one length field can make a reader allocate. */
const CHUNK_BYTES_MAX = 64 * 1024 * 1024;
/** Written back to the disk this often, so that no commit queues behind a whole snapshot. */
const SYNC_BYTES = 1024 * 1024;
const CHUNK_HEADER_BYTES = 8;
const END_BYTES = 16;

export type SnapshotCheck =
  | { readonly good: true; readonly header: SnapshotHeader }
  | { readonly good: false; readonly offset: number; readonly reason: string };

/**
 * Makes the snapshot durable under its name, over the room that is held for it. On an error the folder is as it was, but
 * that the room is free; or the snapshot is there, and its name not durable yet.
 */
export async function writeSnapshot(
  disk: Disk,
  dir: string,
  header: SnapshotHeader,
  records: Iterable<SnapshotRecord>,
): Promise<void> {
  const name = snapshotName(header.position);
  const temporary = SNAPSHOT_ROOM_NAME;
  const file = await disk.open(join(dir, temporary), 'keep');
  try {
    await writeRecordsAndClose(file, header, records);
    const check = await checkSnapshot(disk, dir, temporary, header.position);
    if (!check.good) throw new Error(`${temporary} can't be read back: ${check.reason} at byte ${check.offset}`);
    await disk.rename(join(dir, temporary), join(dir, name));
  } catch (error) {
    // After a failure of the disk the process ends, and no commit may come between.
    if (!isDiskFailure(error)) await disk.remove(join(dir, temporary)).catch(() => undefined);
    throw error;
  }
  await disk.syncFolder(dir);
}

async function writeRecordsAndClose(file: DiskFile, header: SnapshotHeader, records: Iterable<SnapshotRecord>) {
  try {
    await file.truncate(await writeRecords(file, header, records));
    await file.sync();
  } catch (error) {
    if (!isDiskFailure(error)) await file.close();
    throw error;
  }
  await file.close();
}

/** Resolves to the bytes written. */
async function writeRecords(
  file: DiskFile,
  header: SnapshotHeader,
  records: Iterable<SnapshotRecord>,
): Promise<number> {
  await file.write(encodeSnapshotHeader(header), 0);
  let offset = HEADER_BYTES;
  let crcOfCrcs = 0;
  let recordCount = 0;
  let unsyncedBytes = 0;
  let values: Uint8Array[] = [];
  let valuesBytes = 0;
  const closeChunk = async () => {
    if (valuesBytes > CHUNK_BYTES_MAX) throw new Error(`a snapshot record of more than ${CHUNK_BYTES_MAX} bytes`);
    const chunk = Buffer.concat([Buffer.alloc(CHUNK_HEADER_BYTES), ...values]);
    chunk.writeUInt32LE(valuesBytes, 0);
    chunk.writeUInt32LE(crc32(chunk.subarray(CHUNK_HEADER_BYTES)), 4);
    crcOfCrcs = crc32(chunk.subarray(4, CHUNK_HEADER_BYTES), crcOfCrcs);
    await file.write(chunk, offset);
    offset += chunk.length;
    unsyncedBytes += chunk.length;
    if (unsyncedBytes >= SYNC_BYTES) {
      await file.sync();
      unsyncedBytes = 0;
    }
    values = [];
    valuesBytes = 0;
  };
  for (const record of records) {
    const value = packValue(record);
    values.push(value);
    valuesBytes += value.length;
    recordCount += 1;
    if (valuesBytes >= CHUNK_BYTES) await closeChunk();
  }
  if (valuesBytes > 0) await closeChunk();
  const end = Buffer.alloc(END_BYTES);
  end.writeBigUInt64LE(BigInt(recordCount), 8);
  end.writeUInt32LE(crc32(end.subarray(8), crcOfCrcs), 4);
  await file.write(end, offset);
  return offset + end.length;
}

/** Reads all of a snapshot and decodes nothing. */
export function checkSnapshot(disk: Disk, dir: string, name: string, position: number): Promise<SnapshotCheck> {
  return readChunks(disk, dir, name, position, () => undefined);
}

/**
 * Gives the records of a snapshot to `restore`, in their order. What that throws is rejected with, as recordsError says: the
 * whole need not be good then.
 */
export async function readSnapshot(
  disk: Disk,
  dir: string,
  name: string,
  position: number,
  restore: (record: SnapshotRecord) => void,
): Promise<SnapshotCheck> {
  return readChunks(disk, dir, name, position, (payload, offset) => {
    try {
      for (const record of unpackValues(payload)) restore(record as SnapshotRecord);
    } catch (error) {
      throw recordsError(name, offset, "its records can't be restored", error);
    }
  });
}

/** Stops at the first fault. `take` must not keep its payload. */
async function readChunks(
  disk: Disk,
  dir: string,
  name: string,
  position: number,
  take: (payload: Buffer, offset: number) => void,
): Promise<SnapshotCheck> {
  let header: SnapshotHeader | undefined;
  for await (const part of scanSnapshot(disk, dir, name, position)) {
    if (part.type === 'fault') return { good: false, offset: part.offset, reason: part.reason };
    if (part.type === 'header') header = part.header;
    else take(part.payload, part.offset);
  }
  if (!header) throw new Error(`${name} was read to its end without a header`);
  return { good: true, header };
}

export type SnapshotPart =
  | { readonly type: 'header'; readonly header: SnapshotHeader }
  | { readonly type: 'chunk'; readonly offset: number; readonly payload: Buffer }
  | { readonly type: 'fault'; readonly offset: number; readonly reason: string };

/**
 * All of a snapshot, piece by piece; the next chunk is read while one is looked at, into the bytes of the one before. Behind a
 * chunk with a wrong CRC it goes on where the chunk's length leads; whatever else is wrong ends it. Throws
 * UnknownFormatError as decodeSnapshotHeader does.
 */
export async function* scanSnapshot(
  disk: Disk,
  dir: string,
  name: string,
  position: number,
): AsyncGenerator<SnapshotPart> {
  const file = await disk.open(join(dir, name), 'read');
  let ahead: Promise<unknown> = Promise.resolve();
  try {
    const fileBytes = await file.sizeBytes();
    const fault = (offset: number, reason: string) => ({ type: 'fault', offset, reason }) as const;
    // A buffer for each chunk would do, but memory outside the heap makes V8 collect all of the heap every 64 MB of it.
    const bufferBytes = Math.min(2 * CHUNK_BYTES, fileBytes);
    const buffers: [Buffer, Buffer] = [Buffer.allocUnsafe(bufferBytes), Buffer.allocUnsafe(bufferBytes)];
    let reads = 0;
    const read = (offset: number, bytes: number): Promise<Buffer> => {
      const count = Math.max(0, Math.min(bytes, fileBytes - offset));
      if (count === 0) return Promise.resolve(Buffer.alloc(0));
      reads += 1;
      const which = reads % 2 === 0 ? 0 : 1;
      if (buffers[which].length < count) buffers[which] = Buffer.allocUnsafe(count);
      const buffer = buffers[which].subarray(0, count);
      const pending = file.read(buffer, offset).then((taken) => buffer.subarray(0, taken));
      ahead = pending.catch(() => undefined);
      return pending;
    };
    /** What a chunk begins with, or the end: the end is longer than the one, and a chunk is followed by it at least. */
    const begin = (offset: number, head: Buffer) => {
      if (offset + END_BYTES > fileBytes) return fault(offset, 'the end is missing');
      const [payloadBytes, crc] = [head.readUInt32LE(0), head.readUInt32LE(4)];
      if (payloadBytes === 0) return { type: 'end', crc } as const;
      const payloadOffset = offset + CHUNK_HEADER_BYTES;
      if (payloadBytes > CHUNK_BYTES_MAX || payloadOffset + payloadBytes > fileBytes) {
        return fault(offset, 'a chunk is cut');
      }
      return { type: 'chunk', payloadBytes, crc, bytes: read(payloadOffset, payloadBytes + END_BYTES) } as const;
    };
    const header = decodeSnapshotHeader(await read(0, HEADER_BYTES), name);
    if (header?.position === position) yield { type: 'header', header };
    else yield fault(0, 'the header is damaged');
    let offset = HEADER_BYTES;
    let crcOfCrcs = 0;
    let head = Buffer.from(await read(offset, END_BYTES));
    for (let part = begin(offset, head); ; ) {
      if (part.type === 'fault') return yield part;
      if (part.type === 'end') {
        if (crc32(head.subarray(8), crcOfCrcs) !== part.crc) yield fault(offset, 'the end does not match the chunks');
        else if (offset + END_BYTES !== fileBytes) yield fault(offset + END_BYTES, 'something follows the end');
        return;
      }
      const { payloadBytes, crc } = part;
      const bytes = await part.bytes;
      const payload = bytes.subarray(0, payloadBytes);
      const chunkOffset = offset;
      crcOfCrcs = crc32(head.subarray(4, CHUNK_HEADER_BYTES), crcOfCrcs);
      offset += CHUNK_HEADER_BYTES + payloadBytes;
      head = Buffer.from(bytes.subarray(payloadBytes));
      part = begin(offset, head);
      if (crc32(payload) === crc) yield { type: 'chunk', offset: chunkOffset, payload };
      else yield fault(chunkOffset, 'a chunk is damaged');
    }
  } finally {
    // Whoever stops in between must not have it closed under a read.
    await ahead;
    await file.close();
  }
}
