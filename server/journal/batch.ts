/**
 * A batch: what one commit writes. Integers are little-endian.
 *
 *   offset  bytes
 *        0      4  magic "LHB1"
 *        4      4  payload bytes, n
 *        8      8  position of its first event
 *       16      4  event count, at least 1
 *       20      4  epoch
 *       24      8  clock ms, float64
 *       32      8  UTC ms, float64
 *       40      4  CRC of the batch before it (0 for the very first)
 *       44      4  flags; bit 0: clean stop, the last batch of its run
 *       48      n  payload: the event records as MessagePack values, one behind the other
 *     48+n      4  CRC32 of bytes 0 to 47+n
 *
 * A batch begins on a 512-byte boundary of its segment; zeros fill up to the next one. It is good if the CRC is right;
 * it belongs where it stands if position and the CRC of the batch before it continue what went before.
 */
import { crc32 } from 'node:zlib';
import type { Batch } from '../coordinator/event-log.ts';

export const SECTOR_BYTES = 512;
/** Payload bytes of one batch at most, in any journal; one may be opened for less. */
export const BATCH_BYTES_MAX = 1024 * 1024;
/** Events of one batch at most. */
export const BATCH_EVENTS_MAX = 1_000;

const MAGIC = Buffer.from('LHB1').readUInt32LE();
const PAYLOAD_OFFSET = 48;
const CRC_BYTES = 4;
const FLAG_CLEAN_STOP = 1;

/** A good batch found in a segment. */
export interface StoredBatch {
  /** Its payload is a view of the bytes that it was found in. */
  readonly batch: Batch;
  readonly previousCrc: number;
  readonly crc: number;
  readonly isCleanStop: boolean;
  readonly offset: number;
  /** Where its last byte ends; the next batch begins at the sector's end. */
  readonly endOffset: number;
}

/** The sector boundary at or behind `offset`. */
export function sectorEnd(offset: number): number {
  return Math.ceil(offset / SECTOR_BYTES) * SECTOR_BYTES;
}

/** A batch of so many payload bytes as it stands on disk. */
export function frameBytesOf(payloadBytes: number): number {
  return sectorEnd(PAYLOAD_OFFSET + payloadBytes + CRC_BYTES);
}

export function lastPositionOf(batch: Batch): number {
  return batch.position + batch.eventCount - 1;
}

/**
 * Writes the batch at the start of `into` (as long as frameBytesOf says), zeros up to the sector's end included.
 * Returns the bytes to write, a view of `into`, and the CRC.
 */
export function encodeBatch(into: Buffer, batch: Batch, previousCrc: number, isCleanStop: boolean) {
  const crcOffset = PAYLOAD_OFFSET + batch.payload.length;
  into.writeUInt32LE(MAGIC, 0);
  into.writeUInt32LE(batch.payload.length, 4);
  into.writeBigUInt64LE(BigInt(batch.position), 8);
  into.writeUInt32LE(batch.eventCount, 16);
  into.writeUInt32LE(batch.epoch, 20);
  into.writeDoubleLE(batch.clockMs, 24);
  into.writeDoubleLE(batch.utcMs, 32);
  into.writeUInt32LE(previousCrc, 40);
  into.writeUInt32LE(isCleanStop ? FLAG_CLEAN_STOP : 0, 44);
  into.set(batch.payload, PAYLOAD_OFFSET);
  const crc = crc32(into.subarray(0, crcOffset));
  into.writeUInt32LE(crc, crcOffset);
  const frameBytes = frameBytesOf(batch.payload.length);
  into.fill(0, crcOffset + CRC_BYTES, frameBytes);
  return { bytes: into.subarray(0, frameBytes), crc };
}

/** The good batch that begins at `offset`, if one does. */
export function decodeBatch(bytes: Buffer, offset: number): StoredBatch | undefined {
  if (offset + PAYLOAD_OFFSET + CRC_BYTES > bytes.length || bytes.readUInt32LE(offset) !== MAGIC) return undefined;
  const payloadBytes = bytes.readUInt32LE(offset + 4);
  const crcOffset = offset + PAYLOAD_OFFSET + payloadBytes;
  if (payloadBytes > BATCH_BYTES_MAX || crcOffset + CRC_BYTES > bytes.length) return undefined;
  const crc = bytes.readUInt32LE(crcOffset);
  if (crc !== crc32(bytes.subarray(offset, crcOffset))) return undefined;
  return {
    batch: {
      position: Number(bytes.readBigUInt64LE(offset + 8)),
      eventCount: bytes.readUInt32LE(offset + 16),
      epoch: bytes.readUInt32LE(offset + 20),
      clockMs: bytes.readDoubleLE(offset + 24),
      utcMs: bytes.readDoubleLE(offset + 32),
      payload: bytes.subarray(offset + PAYLOAD_OFFSET, crcOffset),
    },
    previousCrc: bytes.readUInt32LE(offset + 40),
    crc,
    isCleanStop: (bytes.readUInt32LE(offset + 44) & FLAG_CLEAN_STOP) !== 0,
    offset,
    endOffset: crcOffset + CRC_BYTES,
  };
}

/** The good batches one behind the other from `offset` on, up to the first place where none begins. */
export function* batchesFrom(bytes: Buffer, offset: number): Generator<StoredBatch> {
  let stored = decodeBatch(bytes, offset);
  while (stored) {
    yield stored;
    stored = decodeBatch(bytes, sectorEnd(stored.endOffset));
  }
}

/** The first good batch at or behind `offset` that isn't from before `positionMin`, looked for in every sector. */
export function findBatch(bytes: Buffer, offset: number, positionMin: number): StoredBatch | undefined {
  for (let at = sectorEnd(offset); at < bytes.length; at += SECTOR_BYTES) {
    const stored = decodeBatch(bytes, at);
    if (stored && stored.batch.position >= positionMin) return stored;
  }
  return undefined;
}

const ZEROS = Buffer.alloc(64 * 1024);

/** Where what fills up the sector behind a batch is first not zero; undefined: nowhere. No CRC covers it. */
export function dirtyFillingAt(bytes: Buffer, endOffset: number): number | undefined {
  const filling = bytes.subarray(endOffset, sectorEnd(endOffset));
  if (filling.equals(ZEROS.subarray(0, filling.length))) return undefined;
  return endOffset + filling.findIndex((byte) => byte !== 0);
}

/** Offset behind the last byte at or behind `offset` that isn't zero; `offset` itself where all are. */
export function dataEnd(bytes: Buffer, offset: number): number {
  let end = bytes.length;
  while (end - offset >= ZEROS.length && bytes.subarray(end - ZEROS.length, end).equals(ZEROS)) end -= ZEROS.length;
  while (end > offset && bytes[end - 1] === 0) end -= 1;
  return Math.max(end, offset);
}
