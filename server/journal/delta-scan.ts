/**
 * Reads all delta segments of a folder and stops at no fault: each is told with its place, and the scan goes on at the
 * next good batch. The rules of what is a fault are DeltaReader's, which recovers and so stops at the first.
 */
import { join } from 'node:path';
import {
  batchesFrom,
  dataEnd,
  decodeBatch,
  dirtyFillingAt,
  findBatch,
  lastPositionOf,
  type StoredBatch,
  sectorEnd,
} from './batch.ts';
import { type Disk, readWhole } from './disk.ts';
import { UnknownFormatError } from './errors.ts';
import type { Fault, FaultKind } from './fault.ts';
import { type DeltaHeader, decodeDeltaHeader, HEADER_BYTES } from './file-header.ts';
import type { PositionedFile } from './file-names.ts';
import { notesOfNoRoom, SEGMENT_BYTES_MAX } from './segment.ts';

/** Reads of a segment that is being written to, at most, until two agree on what is wrong in it. */
const READS_MAX = 5;

/** A place between two batches. */
export interface ChainPoint {
  /** Of the last event before it; 0: the beginning. */
  readonly position: number;
  /** Of the batch that ends there. */
  readonly crc: number;
}

export type DeltaItem =
  /** A segment begins. */
  | {
      readonly type: 'segment';
      readonly name: string;
      readonly bytes: number;
      /** undefined: it is damaged, or not of this data. */
      readonly header: DeltaHeader | undefined;
      /** It goes on where the segment before it ended, as far as its header tells. */
      readonly continues: boolean;
    }
  /** A good batch. `continues`: it follows from the one before it, or from the segment's header. */
  | { readonly type: 'batch'; readonly name: string; readonly stored: StoredBatch; readonly continues: boolean }
  /** `missing`: the positions that a gap leaves out. */
  | { readonly type: 'fault'; readonly fault: Fault; readonly missing?: { from: number; to: number } }
  /** A torn batch ends the last segment: the work of a crash, or of a coordinator that is writing just now. */
  | { readonly type: 'tail'; readonly name: string; readonly offset: number; readonly bytes: number }
  /** Of the last segment. */
  | { readonly type: 'note'; readonly note: string };

/** `deltas` in order; `dataId`: of the data that they should belong to. Segments are read one at a time, whole. */
export async function* scanDeltas(
  disk: Disk,
  dir: string,
  deltas: readonly PositionedFile[],
  dataId: Uint8Array | undefined,
): AsyncGenerator<DeltaItem> {
  /** Where the last good batch ended; undefined: not known, or nothing before. */
  let chain: ChainPoint | undefined;
  for (const [index, { name, position }] of deltas.entries()) {
    const isLast = index === deltas.length - 1;
    const bytes = isLast ? await readSettled(disk, join(dir, name)) : await readSegment(disk, join(dir, name));
    const { header, fault } = readHeader(bytes, name, position, dataId);
    const isFirst = index === 0;
    const joint = header && chain ? judgeJoint(name, chain, header) : undefined;
    const continues = header !== undefined && joint === undefined && (isFirst || chain !== undefined);
    yield { type: 'segment', name, bytes: bytes.length, header, continues };
    if (fault) yield { type: 'fault', fault };
    if (joint) yield joint;
    if (fault && fault.kind !== 'bad_header') {
      chain = undefined;
      continue;
    }
    const before = header ? { position: header.firstPosition - 1, crc: header.previousCrc } : chain;
    chain = yield* scanBatches(name, bytes, before, isLast);
  }
}

/** The same of one segment. Returns where its last good batch ends; undefined: nobody knows. */
function* scanBatches(
  name: string,
  bytes: Buffer,
  before: ChainPoint | undefined,
  isLast: boolean,
): Generator<DeltaItem, ChainPoint | undefined> {
  const fault = (offset: number, kind: FaultKind, message: string): DeltaItem => ({
    type: 'fault',
    fault: { file: name, offset, kind, message },
  });
  let chain = before;
  let isKnown = before !== undefined;
  let isStopped = false;
  for (let at = HEADER_BYTES; ; ) {
    const stored = decodeBatch(bytes, at);
    if (stored) {
      const link = isKnown && chain ? judgeLink(name, chain, stored) : undefined;
      if (link) yield link;
      else if (isStopped) yield fault(at, 'after_clean_stop', 'a batch follows the mark of a clean stop');
      yield { type: 'batch', name, stored, continues: isKnown && !link && !isStopped };
      chain = { position: lastPositionOf(stored.batch), crc: stored.crc };
      isKnown = true;
      isStopped = stored.isCleanStop;
      at = sectorEnd(stored.endOffset);
      const dirtyAt = dirtyFillingAt(bytes, stored.endOffset);
      if (dirtyAt !== undefined) {
        const kind = isStopped ? 'after_clean_stop' : 'padding';
        yield fault(dirtyAt, kind, 'what fills up the sector behind a batch is not zero');
      }
      continue;
    }
    const restEnd = dataEnd(bytes, at);
    if (isLast && !isStopped) {
      for (const note of notesOfNoRoom(name, bytes.length, restEnd)) yield { type: 'note', note };
    }
    if (restEnd === at) return isKnown ? chain : undefined;
    const later = findBatch(bytes, at + 1, (chain?.position ?? 0) + 1);
    if (later) {
      const found = `a good one at position ${later.batch.position} follows at byte ${later.offset}`;
      yield fault(at, 'bad_batch', `no good batch, and ${found}`);
      isKnown = false;
      at = later.offset;
      continue;
    }
    if (!isLast) yield fault(at, 'bad_batch', 'no good batch, and segments follow');
    else if (isStopped) yield fault(at, 'after_clean_stop', 'something follows the mark of a clean stop');
    else yield { type: 'tail', name, offset: at, bytes: restEnd - at };
    return isLast && isKnown ? chain : undefined;
  }
}

function readHeader(bytes: Buffer, name: string, position: number, dataId: Uint8Array | undefined) {
  const fault = (kind: FaultKind, message: string): { header: undefined; fault: Fault } => ({
    header: undefined,
    fault: { file: name, offset: 0, kind, message },
  });
  let header: DeltaHeader | undefined;
  try {
    header = decodeDeltaHeader(bytes, name);
  } catch (error) {
    if (error instanceof UnknownFormatError) return fault('newer_version', error.message);
    throw error;
  }
  if (!header) return fault('bad_header', 'the header is damaged');
  if (header.firstPosition !== position) {
    return fault('bad_header', `the header is of a segment from position ${header.firstPosition} on`);
  }
  if (dataId && !Buffer.from(header.dataId).equals(dataId)) {
    return fault('foreign_data', 'it belongs to other data: its data id differs');
  }
  return { header, fault: undefined };
}

function judgeJoint(name: string, chain: ChainPoint, { firstPosition, previousCrc }: DeltaHeader) {
  if (firstPosition === chain.position + 1 && previousCrc === chain.crc) return undefined;
  return judgeOrder(name, 0, chain, firstPosition, 'the segment');
}

function judgeLink(name: string, chain: ChainPoint, { batch, previousCrc, offset }: StoredBatch) {
  if (batch.position === chain.position + 1 && previousCrc === chain.crc) return undefined;
  return judgeOrder(name, offset, chain, batch.position, 'a good batch');
}

function judgeOrder(file: string, offset: number, { position: last }: ChainPoint, next: number, what: string) {
  const fault = (kind: FaultKind, message: string): Fault => ({ file, offset, kind, message });
  if (next === last + 1) {
    const message = `${what} at position ${next} does not follow from the batch before it: its CRC of that one differs`;
    return { type: 'fault', fault: fault('broken_chain', message) } as const;
  }
  if (next <= last) {
    const message = `${what} begins at position ${next}, and what ends at ${last} stands before it`;
    return { type: 'fault', fault: fault('gap', message) } as const;
  }
  const missing = { from: last + 1, to: next - 1 };
  const message = `${what} begins at position ${next}: ${missing.from} to ${missing.to} are missing`;
  return { type: 'fault', fault: fault('gap', message), missing } as const;
}

/** A file that is longer than any segment has no good header: nothing of it is read. */
async function readSegment(disk: Disk, path: string): Promise<Buffer> {
  const file = await disk.open(path, 'read');
  try {
    if ((await file.sizeBytes()) > SEGMENT_BYTES_MAX) return Buffer.alloc(0);
  } finally {
    await file.close();
  }
  return readWhole(disk, path, SEGMENT_BYTES_MAX);
}

/**
 * The last segment may be written to while it is read, and a read isn't done at once: it may see a batch that was
 * written since, and before it the zeros of a moment ago. So what looks bad is read until it looks the same twice.
 */
async function readSettled(disk: Disk, path: string): Promise<Buffer> {
  let bytes = await readSegment(disk, path);
  for (let reads = 1, endBefore = -1; reads < READS_MAX; reads += 1) {
    let end = HEADER_BYTES;
    for (const { endOffset } of batchesFrom(bytes, HEADER_BYTES)) end = sectorEnd(endOffset);
    if (end === endBefore || dataEnd(bytes, end) === end) break;
    endBefore = end;
    bytes = await readSegment(disk, path);
  }
  return bytes;
}
