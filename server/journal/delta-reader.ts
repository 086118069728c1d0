/**
 * Reads the delta segments behind a snapshot into a replica and judges what it finds.
 *
 * - Positions and CRCs form one chain from the snapshot on, over batches and segment headers, and epochs never fall: a
 *   segment holds the batches of one run. A good batch that does not continue the chain is corruption.
 * - Behind the last good batch there are zeros up to the segment's end. Anything else in a segment that has a successor
 *   is corruption, since a successor gets its name only when all before it is durable.
 * - In the last segment it is a torn batch, unless a good batch follows in any later sector (one commit is in flight at
 *   a time: nothing can have been written behind a torn one) or a clean stop stands before it (nothing came after).
 */
import { join } from 'node:path';
import type { EventRecord } from '../coordinator/domain.ts';
import { COORDINATOR_DOMAIN } from '../coordinator/event-log.ts';
import type { Replica } from '../coordinator/replica.ts';
import {
  batchesFrom,
  dataEnd,
  dirtyFillingAt,
  findBatch,
  lastPositionOf,
  type StoredBatch,
  sectorEnd,
} from './batch.ts';
import { type Disk, readWhole } from './disk.ts';
import { CorruptJournalError, recordsError } from './errors.ts';
import { type DeltaHeader, decodeDeltaHeader, HEADER_BYTES, type SnapshotHeader } from './file-header.ts';
import type { PositionedFile } from './file-names.ts';
import { unpackValues } from './msgpack.ts';
import { SEGMENT_BYTES_MAX } from './segment.ts';

export interface TornTail {
  readonly file: string;
  readonly offset: number;
  /** Up to the last one that isn't zero. */
  readonly bytes: number;
}

export interface DirtyFilling {
  readonly file: string;
  readonly offset: number;
}

export interface LastSegment {
  readonly name: string;
  readonly isEmpty: boolean;
  readonly sizeBytes: number;
  /** Header and good batches. */
  readonly goodBytes: Buffer;
}

/** How far the chain has been followed: to the snapshot, then to the last batch read. */
export interface ChainEnd {
  readonly position: number;
  readonly batchCrc: number;
  readonly epoch: number;
  readonly clockMs: number;
  readonly utcMs: number;
  readonly isCleanStop: boolean;
}

const BEGINNING: ChainEnd = { position: 0, batchCrc: 0, epoch: 0, clockMs: 0, utcMs: 0, isCleanStop: false };

export class DeltaReader {
  readonly #disk: Disk;
  readonly #dir: string;
  readonly #replica: Replica;
  /** Where the replica stands before the first delta. Batches up to here are checked and not applied. */
  readonly #base: ChainEnd;
  #end: ChainEnd;
  #dataId: Uint8Array | undefined;
  #deltaBytes = 0;
  #eventBytes = 0;
  #tornTail: TornTail | undefined;
  #lastSegment: LastSegment | undefined;
  #dirtyFilling: DirtyFilling | undefined;

  constructor(disk: Disk, dir: string, replica: Replica, snapshot: SnapshotHeader | undefined) {
    this.#disk = disk;
    this.#dir = dir;
    this.#replica = replica;
    this.#base = snapshot ? { ...BEGINNING, ...snapshot } : BEGINNING;
    this.#end = this.#base;
    this.#dataId = snapshot?.dataId;
  }

  get end(): ChainEnd {
    return this.#end;
  }

  get dataId(): Uint8Array | undefined {
    return this.#dataId;
  }

  /** Of batches behind the snapshot. */
  get deltaBytes(): number {
    return this.#deltaBytes;
  }

  get eventBytes(): number {
    return this.#eventBytes;
  }

  get tornTail(): TornTail | undefined {
    return this.#tornTail;
  }

  /** The segment that was read to its end last. */
  get lastSegment(): LastSegment | undefined {
    return this.#lastSegment;
  }

  /** The first sector that is filled up by anything but zeros. It takes nothing from the batches. */
  get dirtyFilling(): DirtyFilling | undefined {
    return this.#dirtyFilling;
  }

  /** `deltas` in order; those that the snapshot covers are passed over. Stops before a batch that exceeds `upTo`. */
  async readAll(deltas: readonly PositionedFile[], upTo: number): Promise<void> {
    const next = this.#base.position + 1;
    const firstIndex = deltas.findLastIndex(({ position }) => position <= next);
    const [oldest] = deltas;
    if (oldest && firstIndex < 0) {
      const reason = `it begins at position ${oldest.position}, and nothing leads there from ${next}`;
      throw new CorruptJournalError(oldest.name, 0, reason);
    }
    for (let index = firstIndex; index >= 0 && index < deltas.length; index += 1) {
      const { name, position } = deltas[index]!;
      const bytes = await readWhole(this.#disk, join(this.#dir, name), SEGMENT_BYTES_MAX);
      const header = decodeDeltaHeader(bytes, name);
      if (header?.firstPosition !== position) throw new CorruptJournalError(name, 0, 'the header is damaged');
      this.#enter(name, header, index === firstIndex);
      if (!this.#readSegment(name, bytes, index === deltas.length - 1, upTo)) return;
    }
  }

  #enter(name: string, header: DeltaHeader, isFirst: boolean): void {
    this.#dataId ??= header.dataId;
    if (!Buffer.from(header.dataId).equals(this.#dataId)) {
      throw new CorruptJournalError(name, 0, 'it belongs to other data: its data id differs');
    }
    if (isFirst) {
      const { firstPosition, previousCrc, epoch } = header;
      this.#end = { ...this.#end, position: firstPosition - 1, batchCrc: previousCrc, epoch };
      this.#compareWithBase(name, 0);
    } else if (header.firstPosition !== this.#end.position + 1 || header.previousCrc !== this.#end.batchCrc) {
      throw new CorruptJournalError(name, 0, `it does not continue what ends at position ${this.#end.position}`);
    } else if (header.epoch < this.#end.epoch) {
      throw new CorruptJournalError(name, 0, `epoch ${header.epoch} follows epoch ${this.#end.epoch}`);
    }
    this.#end = { ...this.#end, epoch: header.epoch };
  }

  /** False where `upTo` was reached. */
  #readSegment(name: string, bytes: Buffer, isLast: boolean, upTo: number): boolean {
    let last: StoredBatch | undefined;
    for (const stored of batchesFrom(bytes, HEADER_BYTES)) {
      if (lastPositionOf(stored.batch) > upTo) return false;
      if (last?.isCleanStop) throw new CorruptJournalError(name, stored.offset, 'a batch follows the clean stop');
      this.#take(name, stored);
      const dirtyAt = this.#dirtyFilling ? undefined : dirtyFillingAt(bytes, stored.endOffset);
      if (dirtyAt !== undefined) this.#dirtyFilling = { file: name, offset: dirtyAt };
      last = stored;
    }
    this.#judgeRest(name, bytes, last, isLast);
    const endOffset = last?.endOffset ?? HEADER_BYTES;
    // What fills up the last sector is not part of any batch, and no CRC covers it.
    const goodBytes = bytes.subarray(0, sectorEnd(endOffset)).fill(0, endOffset);
    this.#lastSegment = { name, isEmpty: !last, sizeBytes: bytes.length, goodBytes };
    return true;
  }

  #take(name: string, { batch, previousCrc, crc, isCleanStop, offset, endOffset }: StoredBatch): void {
    if (batch.position !== this.#end.position + 1 || previousCrc !== this.#end.batchCrc) {
      const reason = `a good batch at position ${batch.position} does not continue what ends at ${this.#end.position}`;
      throw new CorruptJournalError(name, offset, reason);
    }
    if (batch.epoch !== this.#end.epoch) {
      const reason = `a batch of epoch ${batch.epoch} in a segment of epoch ${this.#end.epoch}`;
      throw new CorruptJournalError(name, offset, reason);
    }
    const position = lastPositionOf(batch);
    if (position > this.#base.position) {
      if (batch.position <= this.#base.position) {
        throw new CorruptJournalError(name, offset, `the snapshot at ${this.#base.position} ends inside this batch`);
      }
      this.#apply(name, offset, batch.payload, batch.eventCount);
      this.#deltaBytes += endOffset - offset;
      this.#eventBytes += batch.payload.length;
    }
    const { clockMs, utcMs, epoch } = batch;
    this.#end = { position, batchCrc: crc, epoch, clockMs, utcMs, isCleanStop };
    this.#compareWithBase(name, offset);
  }

  #apply(name: string, offset: number, payload: Uint8Array, eventCount: number): void {
    let records: readonly unknown[];
    try {
      records = unpackValues(payload);
    } catch (error) {
      throw new CorruptJournalError(name, offset, `its events can't be decoded: ${(error as Error).message}`);
    }
    if (records.length !== eventCount) {
      throw new CorruptJournalError(name, offset, `it holds ${records.length} events, not ${eventCount}`);
    }
    try {
      for (const record of records as EventRecord[]) {
        if (record[0] !== COORDINATOR_DOMAIN) this.#replica.apply(record);
      }
    } catch (error) {
      throw recordsError(name, offset, "its events can't be applied", error);
    }
  }

  /** Snapshot and deltas are two copies of one history: where they meet, they must agree. */
  #compareWithBase(name: string, offset: number): void {
    if (this.#end.position === this.#base.position && this.#end.batchCrc !== this.#base.batchCrc) {
      throw new CorruptJournalError(name, offset, `it disagrees with the snapshot at ${this.#base.position}`);
    }
  }

  #judgeRest(name: string, bytes: Buffer, last: StoredBatch | undefined, isLast: boolean): void {
    const endOffset = last?.endOffset ?? HEADER_BYTES;
    const restOffset = last?.isCleanStop ? endOffset : sectorEnd(endOffset);
    const restEnd = dataEnd(bytes, restOffset);
    if (isLast && this.#end.position < this.#base.position) {
      const reason = `it ends at position ${this.#end.position}, before the snapshot at ${this.#base.position}`;
      throw new CorruptJournalError(name, restOffset, reason);
    }
    if (restEnd === restOffset) return;
    if (!isLast) throw new CorruptJournalError(name, restOffset, 'a bad batch, and segments follow');
    if (last?.isCleanStop) throw new CorruptJournalError(name, restOffset, 'something follows the clean stop');
    const later = findBatch(bytes, restOffset + 1, this.#end.position + 1);
    if (later) {
      const reason = `a bad batch, and a good one at position ${later.batch.position} follows at byte ${later.offset}`;
      throw new CorruptJournalError(name, restOffset, reason);
    }
    this.#tornTail = { file: name, offset: restOffset, bytes: restEnd - restOffset };
  }
}
