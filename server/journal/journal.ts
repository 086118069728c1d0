/**
 * The event log on the files of one folder. What they hold: segment.ts, snapshot.ts; what a start makes of them: recover.ts.
 *
 * Invariants:
 * - One operation at a time touches the present segment: an append, a rotation, the close.
 * - What was answered `durable` is on disk, and every segment's name was durable before its first batch.
 * - After any answer but `durable`, and after any failure of the disk, nothing more is written.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { StorageLevel } from '../coordinator/domain.ts';
import { type AppendOutcome, type Batch, COORDINATOR_DOMAIN, type EventLog } from '../coordinator/event-log.ts';
import type { Clock, Scheduler } from '../coordinator/scheduler.ts';
import { BATCH_BYTES_MAX, BATCH_EVENTS_MAX, encodeBatch, frameBytesOf, lastPositionOf, SECTOR_BYTES } from './batch.ts';
import { removeStopped, writeStopped } from './clean-stop.ts';
import { type Disk, isShortage, sizeOf } from './disk.ts';
import { CorruptJournalError } from './errors.ts';
import { DATA_ID_BYTES, HEADER_BYTES } from './file-header.ts';
import { listFolder, snapshotName } from './file-names.ts';
import { packValue } from './msgpack.ts';
import type { Recovered } from './recover.ts';
import { SNAPSHOTS_KEPT_MIN } from './retention.ts';
import {
  BLOCK_BYTES,
  placeSegment,
  prepareSegment,
  SEGMENT_BYTES_DEFAULT,
  SEGMENT_BYTES_MAX,
  type Segment,
} from './segment.ts';
import { readSegmentBatches } from './segment-reader.ts';
import {
  type DeltaBytes,
  SNAPSHOT_AGE_MS_DEFAULT,
  SNAPSHOT_BYTES_DEFAULT,
  SnapshotRotation,
  type TakeSnapshot,
} from './snapshot-rotation.ts';
import { type JournalLog, StorageWatch } from './storage-watch.ts';

/** Batches on the way to the first that is wanted; then others have their turn. */
const SKIPPED_PER_TURN = 256;

const STOPPED_PAYLOAD = packValue([COORDINATOR_DOMAIN, 'Stopped', 1]);

export interface JournalOptions {
  readonly disk: Disk;
  /** An existing folder, locked by us and recovered. */
  readonly dir: string;
  readonly recovered: Recovered;
  /** Of this run: higher than `recovered.epoch`. */
  readonly epoch: number;
  /** For the data id, at the first start. */
  randomBytes(count: number): Uint8Array;
  /** For the mark of a clean stop. */
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly log: JournalLog;
  readonly segmentBytes?: number;
  /** Payload bytes of one batch at most; a segment takes two such batches at least. */
  readonly batchBytesMax?: number;
  /** Bytes of deltas after which a snapshot is made, or sooner, where a start would have many events to read, … */
  readonly snapshotBytes?: number;
  /** … or the time, whichever comes first; below 2³¹. */
  readonly snapshotAgeMs?: number;
  /** Snapshots kept, with the deltas since the oldest of them; at least 2. */
  readonly snapshotsKept?: number;
  /** Absent: no snapshots are made. */
  readonly takeSnapshot?: TakeSnapshot;
  /** How many things live that an event must end some day: room is kept for that. Absent: none. */
  readonly liveCount?: () => number;
  /** There is more or less room than before; `storage` says how much. */
  readonly onStorage?: (level: StorageLevel) => void;
  /** So many events are on disk, in so many bytes; forcing them there took so long. */
  readonly onWritten?: (events: number, bytes: number, writeMs: number) => void;
  /** The disk has failed beside an append: nothing is written any more, and the process should end. Called once. */
  readonly onFailure?: (error: Error) => void;
}

type Ended = Exclude<AppendOutcome, { outcome: 'durable' }>;

/** Opens the folder for writing: makes the first segment of this run. Rejects where the disk can't take it. */
export async function openJournal(options: JournalOptions): Promise<Journal> {
  const {
    disk,
    dir,
    recovered,
    epoch,
    segmentBytes = SEGMENT_BYTES_DEFAULT,
    batchBytesMax = BATCH_BYTES_MAX,
  } = options;
  assert.ok(batchBytesMax <= BATCH_BYTES_MAX, 'batchBytesMax is out of bounds');
  assert.ok(
    segmentBytes >= HEADER_BYTES + 2 * frameBytesOf(batchBytesMax) + SECTOR_BYTES,
    'a segment takes two of the largest batches, and a sector more',
  );
  assert.ok(segmentBytes <= SEGMENT_BYTES_MAX && segmentBytes % SECTOR_BYTES === 0, 'segmentBytes is out of bounds');
  assert.ok(epoch > recovered.epoch, 'a run takes a higher epoch than any before it');
  const dataId = recovered.dataId ?? options.randomBytes(DATA_ID_BYTES);
  const { hasStopped } = await listFolder(disk, dir);
  const prepared = await prepareSegment(disk, dir, 0, segmentBytes);
  if (hasStopped) await removeStopped(disk, dir);
  const header = { dataId, firstPosition: recovered.position + 1, previousCrc: recovered.lastBatchCrc, epoch };
  const segment = await placeSegment(options, prepared, header, recovered.emptySegment);
  const journal = new Journal(options, dataId, segment);
  await journal.open();
  return journal;
}

export class Journal implements EventLog {
  readonly batchBytesMax: number;
  readonly batchEventsMax = BATCH_EVENTS_MAX;

  readonly #options: JournalOptions;
  readonly #dataId: Uint8Array;
  readonly #storage: StorageWatch;
  readonly #snapshots: SnapshotRotation;
  /** One append is in flight at most, so one buffer is enough. */
  readonly #frame: Buffer;
  #segment: Segment;
  /** In the present segment. */
  #eventBytes = 0;
  /** The segment before, giving back what it did not use. */
  #sealing: Promise<void> = Promise.resolve();
  /** Of the last durable event. */
  #position: number;
  #batchCrc: number;
  #isAppending = false;
  /** The operation that has the present segment. Never rejects. */
  #turn: Promise<unknown> = Promise.resolve();
  /** What every further append is answered. */
  #ended: Ended | undefined;
  #closed: Promise<void> | undefined;

  /** Use openJournal. */
  constructor(options: JournalOptions, dataId: Uint8Array, segment: Segment) {
    const { disk, dir, recovered, scheduler, log, takeSnapshot } = options;
    this.#options = options;
    this.#dataId = dataId;
    this.batchBytesMax = options.batchBytesMax ?? BATCH_BYTES_MAX;
    this.#frame = Buffer.alloc(frameBytesOf(this.batchBytesMax) + BLOCK_BYTES);
    this.#segment = segment;
    this.#position = recovered.position;
    this.#batchCrc = recovered.lastBatchCrc;
    const onFailure = (error: Error) => this.#stop(error);
    this.#storage = new StorageWatch({
      disk,
      dir,
      segmentBytes: options.segmentBytes ?? SEGMENT_BYTES_DEFAULT,
      scheduler,
      log,
      liveCount: options.liveCount ?? (() => 0),
      hasSnapshots: takeSnapshot !== undefined,
      onLevel: (level) => {
        this.#snapshots.roomChanged();
        options.onStorage?.(level);
      },
      onFailure,
    });
    this.#snapshots = new SnapshotRotation({
      disk,
      dir,
      scheduler,
      snapshotBytes: options.snapshotBytes ?? SNAPSHOT_BYTES_DEFAULT,
      snapshotAgeMs: options.snapshotAgeMs ?? SNAPSHOT_AGE_MS_DEFAULT,
      snapshotsKept: options.snapshotsKept ?? SNAPSHOTS_KEPT_MIN,
      sealed: { bytes: recovered.deltaBytes, eventBytes: recovered.eventBytes },
      sealedPosition: recovered.position,
      badSnapshots: recovered.badSnapshots,
      takeSnapshot,
      storage: this.#storage,
      log,
      onDue: async () => {
        // One may have begun meanwhile, with a segment that was full.
        if (this.storage === 'ample') await this.#snapshot(() => this.#snapshots.isMaking);
      },
      onFailure,
    });
  }

  /** Part of openJournal. */
  async open(): Promise<void> {
    const { disk, dir, recovered } = this.#options;
    const { snapshotPosition, deltaBytes } = recovered;
    const snapshotBytes =
      snapshotPosition === undefined ? undefined : await sizeOf(disk, join(dir, snapshotName(snapshotPosition)));
    await this.#storage.open(this.#segment.roomBytes, snapshotBytes, deltaBytes);
    this.#snapshots.open(snapshotBytes ?? 0, this.#position);
  }

  /** How much room there is for events. */
  get storage(): StorageLevel {
    return this.#storage.level;
  }

  /** As the port says; rejects only where it is called against its rules. */
  async append(batch: Batch, expectedPosition: number): Promise<AppendOutcome> {
    assert.ok(!this.#isAppending, 'one append at a time');
    this.#isAppending = true;
    try {
      return await this.#inTurn(() => this.#append(batch, expectedPosition));
    } finally {
      this.#isAppending = false;
    }
  }

  /** Rejects where the position is older than the oldest delta, or its file goes with a snapshot meanwhile. */
  readFrom(position: number): AsyncGenerator<Batch> {
    return this.#read(position, this.#position);
  }

  /** The oldest position that `readFrom` still has, or the next one of all, as of now: a snapshot may move it on. */
  async keptFrom(): Promise<number> {
    const { deltas } = await listFolder(this.#options.disk, this.#options.dir);
    return deltas[0]!.position;
  }

  /** Makes a snapshot of all that is durable now. Rejects where that fails; everything is in place still. */
  snapshotNow(): Promise<void> {
    return this.#snapshot(() => false);
  }

  /** Leaves the mark of a clean stop, unless a write had failed before. Rejects where the mark can't be written. */
  close(): Promise<void> {
    this.#closed ??= this.#inTurn(() => this.#close());
    return this.#closed;
  }

  #inTurn<Result>(operation: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(operation);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** `isMoot`: once it is this one's turn, all that is sealed goes into another anyway. */
  async #snapshot(isMoot: () => boolean): Promise<void> {
    // So that no commit waits for it behind the rotation.
    if (!this.#ended && !this.#segment.isEmpty) await this.#storage.segments.whenReady();
    const lastPosition = await this.#inTurn(async () => {
      if (!this.#ended && !this.#segment.isEmpty && !isMoot()) await this.#rotate();
      return this.#segment.firstPosition - 1;
    });
    if (lastPosition > 0) await this.#snapshots.takeNow(lastPosition);
  }

  async #append(batch: Batch, expectedPosition: number): Promise<AppendOutcome> {
    if (this.#ended) return this.#ended;
    if (expectedPosition !== this.#position) {
      this.#ended = { outcome: 'deposed' };
      return this.#ended;
    }
    assert.equal(batch.position, expectedPosition + 1, 'a batch continues the log');
    assert.equal(batch.epoch, this.#options.epoch, 'a segment holds the batches of one run');
    assert.ok(batch.eventCount >= 1 && batch.eventCount <= BATCH_EVENTS_MAX, 'eventCount is out of bounds');
    assert.ok(batch.payload.length <= this.batchBytesMax, 'payload is out of bounds');
    return this.#write(batch, false);
  }

  async #write(batch: Batch, isCleanStop: boolean): Promise<AppendOutcome> {
    const { clock, onWritten } = this.#options;
    const { bytes, crc } = encodeBatch(this.#frame, batch, this.#batchCrc, isCleanStop);
    try {
      if (!this.#segment.fits(bytes.length)) await this.#rotate();
    } catch (error) {
      return this.#fail(error as Error);
    }
    // The disk may have failed beside it meanwhile.
    if (this.#ended) return this.#ended;
    const startMs = clock.nowMs();
    try {
      await this.#segment.write(this.#frame, bytes.length);
    } catch (error) {
      this.#fail(error as Error);
      // The disk may have taken it all before it failed: the next start finds it there, or doesn't.
      return { outcome: 'unknown', error: error as Error };
    }
    this.#position = lastPositionOf(batch);
    this.#batchCrc = crc;
    this.#storage.written(bytes.length, this.#segment.roomBytes);
    this.#eventBytes += batch.payload.length;
    this.#snapshots.written(this.#segmentBytes);
    onWritten?.(batch.eventCount, bytes.length, clock.nowMs() - startMs);
    return { outcome: 'durable' };
  }

  #fail(error: Error): Ended {
    this.#ended ??= { outcome: 'failed', error };
    return this.#ended;
  }

  /** A failure that no append has met with: nobody else would say so. */
  #stop(error: Error): void {
    if (this.#ended) return;
    this.#fail(error);
    this.#options.onFailure?.(error);
  }

  get #segmentBytes(): DeltaBytes {
    return { bytes: this.#segment.usedBytes, eventBytes: this.#eventBytes };
  }

  /** Seals the present segment and goes on in the next. Only in turn; on an error nothing more may be written. */
  async #rotate(): Promise<void> {
    const { epoch } = this.#options;
    try {
      const prepared = await this.#storage.segments.take();
      const header = { dataId: this.#dataId, firstPosition: this.#position + 1, previousCrc: this.#batchCrc, epoch };
      const sealed = this.#segment;
      const sealedBytes = this.#segmentBytes;
      this.#segment = await placeSegment(this.#options, prepared, header);
      // At most one is being sealed; by the next rotation it is long done.
      await this.#sealing;
      this.#sealing = sealed.seal().catch((error: Error) => this.#stop(error));
      this.#eventBytes = 0;
      this.#snapshots.segmentSealed(sealedBytes, this.#position);
    } catch (error) {
      this.#fail(error as Error);
      throw error;
    }
  }

  async *#read(position: number, lastPosition: number): AsyncGenerator<Batch> {
    if (position > lastPosition) return;
    const { disk, dir, scheduler } = this.#options;
    const { deltas } = await listFolder(disk, dir);
    const first = deltas.findLastIndex((delta) => delta.position <= position);
    if (first < 0) throw new Error(`position ${position} is older than the oldest delta`);
    let next = deltas[first]!.position;
    let skipped = 0;
    for (const { name } of deltas.slice(first)) {
      for await (const { batch, offset } of readSegmentBatches(disk, join(dir, name))) {
        if (batch.position !== next) throw new CorruptJournalError(name, offset, `position ${next} is missing`);
        next = lastPositionOf(batch) + 1;
        // A copy: the reader has one buffer for all.
        if (next > position) yield { ...batch, payload: new Uint8Array(batch.payload) };
        else {
          skipped += 1;
          if (skipped % SKIPPED_PER_TURN === 0) await new Promise<void>((resolve) => scheduler.defer(resolve));
        }
        if (next > lastPosition) return;
      }
    }
    throw new CorruptJournalError(deltas.at(-1)!.name, 0, `position ${next} is missing`);
  }

  async #close(): Promise<void> {
    const { clock, epoch, disk, dir, log } = this.#options;
    let outcome: AppendOutcome | undefined;
    const { segments } = this.#storage;
    const hasRoom =
      this.#segment.fits(frameBytesOf(STOPPED_PAYLOAD.length)) || segments.bytes > 0 || !segments.shortage;
    const noRoom = 'the disk is full: there is no room for the mark of a clean stop';
    if (!hasRoom) log.warn({}, noRoom);
    if (!this.#ended && hasRoom) {
      const position = this.#position + 1;
      const times = { clockMs: clock.nowMs(), utcMs: clock.utcMs() };
      outcome = await this.#write({ position, eventCount: 1, epoch, ...times, payload: STOPPED_PAYLOAD }, true);
    }
    await this.#snapshots.close();
    await this.#storage.close();
    await this.#sealing;
    if (outcome?.outcome === 'durable') {
      await this.#segment.seal();
      const { usedBytes: lastDeltaBytes } = this.#segment;
      const position = this.#position;
      await writeStopped(disk, dir, {
        dataId: this.#dataId,
        position,
        batchCrc: this.#batchCrc,
        epoch,
        lastDeltaBytes,
      }).catch((error: unknown) => {
        // The last batch says it too.
        if (!isShortage(error)) throw error;
        log.warn({ err: error }, noRoom);
      });
    } else await this.#segment.abandon();
    this.#ended ??= { outcome: 'failed', error: new Error('the journal is closed') };
    if (outcome && 'error' in outcome) throw outcome.error;
  }
}
