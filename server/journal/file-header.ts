/**
 * The first 512 bytes of every file of the journal. Integers are little-endian, bytes not named are zero.
 *
 *   offset  bytes  delta segment                        snapshot
 *        0      8  magic "LEASDLT1"                     magic "LEASSNP1"
 *        8      4  format version, 1                    the same
 *       12      4  header bytes, 512                    the same
 *       16     16  data id: random, the same in all files of one folder and its copies
 *       32      8  position of the first event          position of the last event included
 *       40      4  CRC of the batch before it, else 0   CRC of the batch that ends at it
 *       44      4  epoch of the run that made it        epoch of that batch
 *       48      4  CRC32 of bytes 0–47                  (48, 8) clock ms of that batch, float64
 *       56      8                                       UTC ms of that batch, float64
 *       64      4                                       CRC32 of bytes 0–63
 *
 * The mark of a clean stop (clean-stop.ts) is a header and nothing else: magic "LEASEND1", at 32, 40 and 44 the same as in
 * a snapshot, of the last batch there is; (48, 8) bytes of the last delta; (56, 4) CRC32 of bytes 0–55.
 *
 * A file gets its name only when its header is durable. So a bad header is never the work of a crash.
 */
import { crc32 } from 'node:zlib';
import { UnknownFormatError } from './errors.ts';

export const HEADER_BYTES = 512;
export const DATA_ID_BYTES = 16;
const FORMAT_VERSION = 1;

const DELTA = { magic: Buffer.from('LEASDLT1'), crcOffset: 48 };
const SNAPSHOT = { magic: Buffer.from('LEASSNP1'), crcOffset: 64 };
const STOPPED = { magic: Buffer.from('LEASEND1'), crcOffset: 56 };
type Kind = typeof DELTA;

export interface DeltaHeader {
  readonly dataId: Uint8Array;
  readonly firstPosition: number;
  readonly previousCrc: number;
  readonly epoch: number;
}

export interface SnapshotHeader {
  readonly dataId: Uint8Array;
  readonly position: number;
  readonly batchCrc: number;
  readonly epoch: number;
  readonly clockMs: number;
  readonly utcMs: number;
}

/** Where a run stopped cleanly. */
export interface StoppedHeader {
  readonly dataId: Uint8Array;
  /** Of the last event there is. */
  readonly position: number;
  readonly batchCrc: number;
  readonly epoch: number;
  readonly lastDeltaBytes: number;
}

export function encodeDeltaHeader(header: DeltaHeader): Buffer {
  const bytes = encodeCommon(DELTA, header.dataId, header.firstPosition, header.previousCrc, header.epoch);
  return sealed(DELTA, bytes);
}

/** undefined: these are not the bytes of a sound header. Throws UnknownFormatError on a sound one of a later version. */
export function decodeDeltaHeader(bytes: Buffer, file: string): DeltaHeader | undefined {
  const common = decodeCommon(DELTA, bytes, file);
  if (!common) return undefined;
  const { dataId, position, crc, epoch } = common;
  return { dataId, firstPosition: position, previousCrc: crc, epoch };
}

export function encodeSnapshotHeader(header: SnapshotHeader): Buffer {
  const bytes = encodeCommon(SNAPSHOT, header.dataId, header.position, header.batchCrc, header.epoch);
  bytes.writeDoubleLE(header.clockMs, 48);
  bytes.writeDoubleLE(header.utcMs, 56);
  return sealed(SNAPSHOT, bytes);
}

/** As decodeDeltaHeader. */
export function decodeSnapshotHeader(bytes: Buffer, file: string): SnapshotHeader | undefined {
  const common = decodeCommon(SNAPSHOT, bytes, file);
  if (!common) return undefined;
  const { dataId, position, crc, epoch } = common;
  return { dataId, position, batchCrc: crc, epoch, clockMs: bytes.readDoubleLE(48), utcMs: bytes.readDoubleLE(56) };
}

export function encodeStoppedHeader(header: StoppedHeader): Buffer {
  const bytes = encodeCommon(STOPPED, header.dataId, header.position, header.batchCrc, header.epoch);
  bytes.writeBigUInt64LE(BigInt(header.lastDeltaBytes), 48);
  return sealed(STOPPED, bytes);
}

/** As decodeDeltaHeader. */
export function decodeStoppedHeader(bytes: Buffer, file: string): StoppedHeader | undefined {
  const common = decodeCommon(STOPPED, bytes, file);
  if (!common) return undefined;
  const { dataId, position, crc, epoch } = common;
  return { dataId, position, batchCrc: crc, epoch, lastDeltaBytes: Number(bytes.readBigUInt64LE(48)) };
}

function encodeCommon(kind: Kind, dataId: Uint8Array, position: number, crc: number, epoch: number): Buffer {
  if (dataId.length !== DATA_ID_BYTES) throw new Error(`a data id has ${DATA_ID_BYTES} bytes, not ${dataId.length}`);
  const bytes = Buffer.alloc(HEADER_BYTES);
  kind.magic.copy(bytes, 0);
  bytes.writeUInt32LE(FORMAT_VERSION, 8);
  bytes.writeUInt32LE(HEADER_BYTES, 12);
  bytes.set(dataId, 16);
  bytes.writeBigUInt64LE(BigInt(position), 32);
  bytes.writeUInt32LE(crc, 40);
  bytes.writeUInt32LE(epoch, 44);
  return bytes;
}

function sealed({ crcOffset }: Kind, bytes: Buffer): Buffer {
  bytes.writeUInt32LE(crc32(bytes.subarray(0, crcOffset)), crcOffset);
  return bytes;
}

function decodeCommon({ magic, crcOffset }: Kind, bytes: Buffer, file: string) {
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, magic.length).equals(magic)) return undefined;
  if (bytes.readUInt32LE(crcOffset) !== crc32(bytes.subarray(0, crcOffset))) return undefined;
  // Only behind the CRC: a flipped bit here must not look like data of the future.
  const formatVersion = bytes.readUInt32LE(8);
  if (formatVersion !== FORMAT_VERSION) throw new UnknownFormatError(file, formatVersion);
  const position = Number(bytes.readBigUInt64LE(32));
  const isSound = bytes.readUInt32LE(12) === HEADER_BYTES && Number.isSafeInteger(position);
  if (!isSound || !isZeros(bytes.subarray(crcOffset + 4, HEADER_BYTES))) return undefined;
  // A copy: a view would keep the whole segment in memory.
  return {
    dataId: Uint8Array.from(bytes.subarray(16, 32)),
    position,
    crc: bytes.readUInt32LE(40),
    epoch: bytes.readUInt32LE(44),
  };
}

const ZEROS = Buffer.alloc(HEADER_BYTES);

function isZeros(bytes: Buffer): boolean {
  return bytes.equals(ZEROS.subarray(0, bytes.length));
}
