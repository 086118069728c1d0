/**
 * When a snapshot is made, and what may go once it is there.
 *
 * Invariant: two good snapshots (or one, or none, while there aren't more) and every delta since the older of them are
 * in the folder; what is older goes only after the newer is durable in place. So one damaged snapshot costs time, not data.
 *
 * One is due by what the deltas take of the disk, and by what a start takes: it reads the newest snapshot and the events
 * behind it, which take about twice as long, byte by byte. So the larger the snapshot is, the fewer the events after which the
 * next is due.
 */
import { join } from 'node:path';
import type { Scheduler } from '../coordinator/scheduler.ts';
import type { BuiltSnapshot } from './build-snapshot.ts';
import { type Disk, isDiskFailure, sizeOf } from './disk.ts';
import { listFolder, type PositionedFile, SNAPSHOT_ROOM_NAME, snapshotName } from './file-names.ts';
import { SNAPSHOTS_KEPT_MIN, snapshotsToKeep } from './retention.ts';
import type { JournalLog, StorageWatch } from './storage-watch.ts';

export const SNAPSHOT_BYTES_DEFAULT = 64 * 1024 * 1024;
export const SNAPSHOT_AGE_MS_DEFAULT = 3_600_000;
/** Of `snapshotBytes`: bytes of events that a start may have to read. */
const START_SHARE = 1 / 4;
/** Bytes of a snapshot that a start reads in the time of a byte of events. */
const SNAPSHOT_BYTES_PER_EVENT_BYTE = 2;
/** Bytes of the last one, however large, for each of which events may ask for the next. */
const SNAPSHOT_BYTES_PER_DUE_BYTE = 16;
/** Of `snapshotBytes`: bytes of events behind a snapshot that is being made, at which it rests no more. */
const HURRY_SHARE = 1 / 32;

/** Of `hurryPercent`. */
export const NO_REST = 100;

/** After a snapshot that failed: each attempt reads all of the deltas. */
const RETRY_MS = 30_000;

export interface SnapshotRequest {
  /** The last position of a sealed segment. */
  readonly upToPosition: number;
  /**
   * Shared memory, one number that changes while the snapshot is made. 0: it may take its time. NO_REST: it may not, since
   * the disk gets full and a snapshot is what makes room, or since the next one is due already.
   */
  readonly hurryPercent: Int32Array;
  /** Aborted when the journal closes: the request should then end soon, either way. */
  readonly signal: AbortSignal;
}

/** Makes a snapshot away from the event loop, with buildSnapshot; resolves when it is durable under its name. */
export type TakeSnapshot = (request: SnapshotRequest) => Promise<BuiltSnapshot>;

export interface SnapshotRotationOptions {
  readonly disk: Disk;
  readonly dir: string;
  readonly scheduler: Scheduler;
  /** Bytes of deltas after which a snapshot is due; of events it is less. */
  readonly snapshotBytes: number;
  /** Time after which one is due, whatever was written. */
  readonly snapshotAgeMs: number;
  /** At least SNAPSHOTS_KEPT_MIN. */
  readonly snapshotsKept: number;
  /** Sealed since the last snapshot, at the start, … */
  readonly sealed: DeltaBytes;
  /** … and the last position in them. */
  readonly sealedPosition: number;
  /** Names of damaged ones: they count as no generation. */
  readonly badSnapshots: readonly string[];
  readonly takeSnapshot: TakeSnapshot | undefined;
  readonly storage: StorageWatch;
  readonly log: JournalLog;
  /** The time for a snapshot has come: the journal seals what it has and answers with `takeNow`, if there is anything new. */
  readonly onDue: () => Promise<void>;
  /** The disk can't be trusted any more. */
  readonly onFailure: (error: Error) => void;
}

export interface DeltaBytes {
  /** On the disk. */
  readonly bytes: number;
  /** Of the events alone: a batch of one fills a sector, and is read as soon as another. */
  readonly eventBytes: number;
}

export class SnapshotRotation {
  readonly #options: SnapshotRotationOptions;
  readonly #badSnapshots: Set<string>;
  readonly #closing = new AbortController();
  /** Since the last one, or since the one that is being made. */
  #sealed: DeltaBytes;
  /** What that covers: not behind a snapshot again, where it fails. */
  #covered = NOTHING;
  #sealedPosition: number;
  /** In the segment that is being written. */
  #unsealed = NOTHING;
  /** Never two at a time. */
  #running: Promise<void> | undefined;
  /** Of that one, or of the last. */
  #makingPosition = 0;
  #cancelAge: (() => void) | undefined;
  #cancelRetry: (() => void) | undefined;
  /** The last one failed, … */
  #hasFailed = false;
  /** … a while ago. */
  #isRetryDue = false;
  /** One is asked for and not made yet. */
  #isAsked = false;
  /** Of the last one made in this run. */
  #madePosition = 0;
  /** Size of the newest; 0: there is none. */
  #newestBytes = 0;
  /** How much the one that is being made has to hurry. */
  readonly #hurryPercent = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

  constructor(options: SnapshotRotationOptions) {
    this.#options = options;
    this.#badSnapshots = new Set(options.badSnapshots);
    this.#sealed = options.sealed;
    this.#sealedPosition = options.sealedPosition;
    this.#awaitAge();
  }

  get isMaking(): boolean {
    return this.#running !== undefined;
  }

  /** `newestBytes`: size of the snapshot that the start began with; 0: none. Everything up to `lastPosition` is sealed. */
  open(newestBytes: number, lastPosition: number): void {
    this.#newestBytes = newestBytes;
    this.startIfDue(lastPosition);
  }

  /** So much is in the segment that is being written. */
  written(segment: DeltaBytes): void {
    this.#unsealed = segment;
    if (this.#running) this.#hurry();
    else if (!this.#hasFailed) this.#askIfDue();
  }

  /** So much of a segment has been sealed, and `lastPosition` is its last. */
  segmentSealed(segment: DeltaBytes, lastPosition: number): void {
    this.#sealed = sum(this.#sealed, segment);
    this.#unsealed = NOTHING;
    this.startIfDue(lastPosition);
  }

  /** Everything up to `lastPosition` is sealed. */
  startIfDue(lastPosition: number): void {
    this.#sealedPosition = lastPosition;
    // A snapshot is what makes room.
    const isUrgent = this.#isRetryDue || this.#options.storage.level !== 'ample';
    const canBegin = this.#options.takeSnapshot && !this.#running && !this.#closing.signal.aborted;
    if (!canBegin || this.#shareOfDue(this.#sealed) <= (isUrgent ? 0 : 1)) return;
    // Logged where it failed; everything is in place still, and it is tried again.
    this.#start(lastPosition).catch(() => undefined);
  }

  /** There is less room than before: what is sealed may go earlier than its size or age say. */
  roomChanged(): void {
    this.#hurry();
    this.startIfDue(this.#sealedPosition);
  }

  /**
   * Makes a snapshot of `lastPosition`, which is sealed, or later, unless there is or will be one already: what an earlier one
   * begins with may be gone. Resolves once it is there, and rejects where it can't be made.
   */
  async takeNow(lastPosition: number): Promise<void> {
    while (this.#running && this.#makingPosition < lastPosition) await this.#running.catch(() => undefined);
    if (this.#running) return this.#running;
    if (this.#madePosition >= lastPosition) return;
    this.#closing.signal.throwIfAborted();
    await this.#start(this.#sealedPosition);
  }

  /** Calls off the one being made, waits for its end, and starts none any more. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#cancelAge?.();
    this.#cancelRetry?.();
    await this.#running?.catch(() => undefined);
  }

  /** Behind the snapshot that was made last, or is being made. */
  get #deltas(): DeltaBytes {
    return sum(this.#sealed, this.#unsealed);
  }

  /** More than 1: a snapshot of `deltas` is due. */
  #shareOfDue({ bytes, eventBytes }: DeltaBytes): number {
    const { snapshotBytes } = this.#options;
    const dueEventBytes = START_SHARE * snapshotBytes - this.#newestBytes / SNAPSHOT_BYTES_PER_EVENT_BYTE;
    return Math.max(bytes / this.#atLeast(snapshotBytes), eventBytes / this.#atLeast(dueEventBytes));
  }

  #atLeast(bytes: number): number {
    return Math.max(bytes, this.#newestBytes / SNAPSHOT_BYTES_PER_DUE_BYTE);
  }

  /**
   * The one that is made rests less and less as deltas pile up behind it, and then no more. So it does where what goes into it
   * had piled up: each of several runs in a row may have ended before it had one.
   */
  #hurry(): void {
    const isFull = this.#options.storage.level !== 'ample';
    const deltas = this.#deltas;
    const piled = deltas.eventBytes / this.#atLeast(HURRY_SHARE * this.#options.snapshotBytes);
    const most = Math.max(piled, this.#shareOfDue(deltas), this.#shareOfDue(this.#covered) - 1);
    const share = isFull ? 1 : Math.min(1, Math.max(0, 2 * most - 1));
    Atomics.store(this.#hurryPercent, 0, Math.floor(NO_REST * share));
  }

  #awaitAge(): void {
    const { scheduler, snapshotAgeMs, takeSnapshot } = this.#options;
    this.#cancelAge?.();
    if (!takeSnapshot || this.#closing.signal.aborted) return;
    this.#cancelAge = scheduler.setTimer(snapshotAgeMs, () => {
      // Armed anew by a snapshot that was made; otherwise here.
      this.#awaitAge();
      this.#ask();
    });
  }

  /** One at a time: each seals a segment, and they would pile up behind a snapshot that takes longer than the period. */
  #ask(): void {
    const { takeSnapshot, onDue } = this.#options;
    if (!takeSnapshot || this.#running || this.#isAsked || this.#closing.signal.aborted) return;
    this.#isAsked = true;
    const madePosition = this.#madePosition;
    const isOver = () => {
      this.#isAsked = false;
      // Where nothing came of it, nothing would of the next.
      if (this.#madePosition > madePosition) this.#goOn();
    };
    onDue().then(isOver, isOver);
  }

  #askIfDue(): void {
    if (this.#shareOfDue(this.#deltas) > 1) this.#ask();
  }

  #start(upToPosition: number): Promise<void> {
    this.#makingPosition = upToPosition;
    this.#covered = this.#sealed;
    this.#sealed = NOTHING;
    this.#hurry();
    const taking = this.#take(upToPosition).finally(() => {
      this.#running = undefined;
      this.#sealed = sum(this.#sealed, this.#covered);
      this.#covered = NOTHING;
    });
    this.#running = taking;
    taking.then(
      () => this.#goOn(),
      () => undefined,
    );
    return taking;
  }

  /** What came meanwhile may be due by now. With what is not sealed yet, or the next would have to begin far behind. */
  #goOn(): void {
    if (this.#options.storage.level !== 'ample') this.startIfDue(this.#sealedPosition);
    else if (!this.#running) this.#askIfDue();
  }

  async #take(upToPosition: number): Promise<void> {
    const { storage, log } = this.#options;
    const { signal } = this.#closing;
    const name = snapshotName(upToPosition);
    let recycledBytes = 0;
    try {
      await storage.snapshotRoom.lend();
      const bytes = await this.#make(upToPosition);
      this.#covered = NOTHING;
      this.#madePosition = upToPosition;
      this.#newestBytes = bytes;
      this.#badSnapshots.delete(name);
      storage.snapshotMade(bytes);
      this.#awaitAge();
      log.info({ snapshot: name, bytes }, 'snapshot made');
      this.#hasFailed = false;
      this.#isRetryDue = false;
      this.#cancelRetry?.();
      if (!signal.aborted) recycledBytes = await this.#removeOldIfPossible();
    } catch (error) {
      if (signal.aborted) log.info({ snapshot: name }, 'snapshot called off');
      else if (isDiskFailure(error)) this.#options.onFailure(error as Error);
      else this.#retryLater(name, error);
      throw error;
    } finally {
      storage.snapshotRoom.returned(recycledBytes);
    }
  }

  /** The next snapshot takes with it what can't go now. */
  async #removeOldIfPossible(): Promise<number> {
    try {
      return await this.#removeOld();
    } catch (error) {
      if (isDiskFailure(error)) throw error;
      this.#options.log.warn({ err: error }, 'old snapshots and deltas stay until the next snapshot');
      return 0;
    }
  }

  #retryLater(name: string, error: unknown): void {
    const { log, scheduler } = this.#options;
    const message = `snapshot failed: the files stay, and it is tried again in ${RETRY_MS / 1_000} s or at the next rotation`;
    log.warn({ err: error, snapshot: name }, message);
    this.#hasFailed = true;
    this.#cancelRetry?.();
    this.#cancelRetry = scheduler.setTimer(RETRY_MS, () => {
      this.#isRetryDue = true;
      this.startIfDue(this.#sealedPosition);
    });
  }

  /** Resolves to its size. */
  async #make(upToPosition: number): Promise<number> {
    const { disk, dir, takeSnapshot, log } = this.#options;
    const { signal } = this.#closing;
    signal.throwIfAborted();
    if (!takeSnapshot) throw new Error('this journal has no way to make snapshots');
    log.info({ snapshot: snapshotName(upToPosition) }, 'snapshot begun');
    const { badSnapshots, notes } = await takeSnapshot({ upToPosition, hurryPercent: this.#hurryPercent, signal });
    for (const name of badSnapshots) this.#badSnapshots.add(name);
    for (const note of notes) log.warn({ snapshot: snapshotName(upToPosition) }, note);
    return sizeOf(disk, join(dir, snapshotName(upToPosition)));
  }

  /** Resolves to the bytes of one that was kept as room for the next. */
  async #removeOld(): Promise<number> {
    const { disk, dir, storage, snapshotBytes, snapshotsKept, log } = this.#options;
    const { deltas, snapshots } = await listFolder(disk, dir);
    // On a disk that is nearly full, going on comes before looking back.
    const count = storage.level === 'ample' ? snapshotsKept : SNAPSHOTS_KEPT_MIN;
    const good = snapshots.filter(({ name }) => !this.#badSnapshots.has(name));
    const kept = snapshotsToKeep(good, {
      count,
      spanBytes: snapshotBytes,
      bytesBetween: count > SNAPSHOTS_KEPT_MIN ? await this.#deltaBytesBetween(deltas, good) : () => 0,
    });
    // As long as there are fewer, what was before the first is kept, too.
    const keptFrom = kept.length < count ? 0 : kept[0]!.position;
    // A damaged one goes once it is older than all that are kept: until then it tells what was there.
    const oldSnapshots = snapshots.filter(
      (snapshot) => !kept.includes(snapshot) && (snapshot.position < keptFrom || good.includes(snapshot)),
    );
    // A delta is covered where its successor begins no later than right behind the snapshot.
    const oldDeltas = deltas.filter((_, index) => (deltas[index + 1]?.position ?? Infinity) <= keptFrom + 1);
    if (oldSnapshots.length + oldDeltas.length === 0) return 0;
    const recycled = oldSnapshots.pop();
    for (const { name } of oldSnapshots) await disk.remove(join(dir, name));
    let recycledBytes = 0;
    if (recycled) {
      recycledBytes = await sizeOf(disk, join(dir, recycled.name));
      await disk.rename(join(dir, recycled.name), join(dir, SNAPSHOT_ROOM_NAME));
    }
    // Whatever a crash brings back of the deltas, each snapshot that is there has all that lead on from it.
    await disk.syncFolder(dir);
    for (const { name } of oldDeltas) await disk.remove(join(dir, name));
    await disk.syncFolder(dir);
    const files = oldSnapshots.length + oldDeltas.length + (recycled ? 1 : 0);
    log.info({ files, keptFrom }, `files that ${kept.length} snapshots make superfluous removed`);
    return recycledBytes;
  }

  /** Of the deltas from one of `snapshots` to another, by their positions. */
  async #deltaBytesBetween(deltas: readonly PositionedFile[], snapshots: readonly PositionedFile[]) {
    const { disk, dir } = this.#options;
    const bytesUpTo = new Map<number, number>();
    let bytes = 0;
    let index = 0;
    for (const { position } of snapshots) {
      for (; index < deltas.length && deltas[index]!.position <= position; index += 1) {
        bytes += await sizeOf(disk, join(dir, deltas[index]!.name));
      }
      bytesUpTo.set(position, bytes);
    }
    return (fromPosition: number, toPosition: number) => bytesUpTo.get(toPosition)! - bytesUpTo.get(fromPosition)!;
  }
}

const NOTHING: DeltaBytes = { bytes: 0, eventBytes: 0 };

function sum(one: DeltaBytes, other: DeltaBytes): DeltaBytes {
  return { bytes: one.bytes + other.bytes, eventBytes: one.eventBytes + other.eventBytes };
}
