/**
 * When a snapshot is made, and what may go once it is there.
 *
 * Invariant: two good snapshots (or one, or none, while there aren't more) and every delta since the older of them are
 * in the folder; what is older goes only after the newer is durable in place. So one damaged snapshot costs time, not data.
 *
 * A start reads the newest snapshot and the deltas behind it, which take about twice as long, byte by byte. So the larger the
 * snapshot is, the fewer the deltas after which the next is due: of a million leases a start takes seconds as it is.
 */
import { join } from 'node:path';
import type { Scheduler } from '../coordinator/scheduler.ts';
import type { BuiltSnapshot } from './build-snapshot.ts';
import { type Disk, isDiskFailure, sizeOf } from './disk.ts';
import { listFolder, type PositionedFile, SNAPSHOT_ROOM_NAME, snapshotName } from './file-names.ts';
import { SNAPSHOTS_KEPT_MIN, snapshotsToKeep } from './retention.ts';
import type { JournalLog, StorageWatch } from './storage-watch.ts';

export const SNAPSHOT_BYTES_DEFAULT = 16 * 1024 * 1024;
export const SNAPSHOT_AGE_MS_DEFAULT = 3_600_000;
/** Bytes of a snapshot that a start reads in the time of one byte of deltas. */
const SNAPSHOT_PER_DELTA_BYTES = 2;
/** However large the last one is, the next is not due before a delta has been written for so many bytes of it. */
const SNAPSHOT_BYTES_PER_DUE = 16;

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
  /** Bytes of deltas after which a snapshot is due, while the last one is small. */
  readonly snapshotBytes: number;
  /** Time after which one is due, whatever was written. */
  readonly snapshotAgeMs: number;
  /** At least SNAPSHOTS_KEPT_MIN. */
  readonly snapshotsKept: number;
  /** Bytes of sealed deltas since the last snapshot, at the start, … */
  readonly sealedBytes: number;
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

export class SnapshotRotation {
  readonly #options: SnapshotRotationOptions;
  readonly #badSnapshots: Set<string>;
  readonly #closing = new AbortController();
  #sealedBytes: number;
  /** Those of them that are going into the one that is being made. */
  #coveredBytes = 0;
  #sealedPosition: number;
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
    this.#sealedBytes = options.sealedBytes;
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

  /** So many bytes are in the segment that is being written. */
  written(segmentBytes: number): void {
    const unreadBytes = this.#sealedBytes - this.#coveredBytes + segmentBytes;
    if (this.#running) this.#hurry(unreadBytes);
    else if (unreadBytes > this.#dueBytes && !this.#hasFailed) this.#ask();
  }

  /** `usedBytes` of a segment have been sealed, and `lastPosition` is its last. */
  segmentSealed(usedBytes: number, lastPosition: number): void {
    this.#sealedBytes += usedBytes;
    this.startIfDue(lastPosition);
  }

  /** Everything up to `lastPosition` is sealed. */
  startIfDue(lastPosition: number): void {
    this.#sealedPosition = lastPosition;
    // A snapshot is what makes room.
    const isUrgent = this.#isRetryDue || this.#options.storage.level !== 'ample';
    const dueBytes = isUrgent ? 0 : this.#dueBytes;
    const canBegin = this.#options.takeSnapshot && !this.#running && !this.#closing.signal.aborted;
    if (!canBegin || this.#sealedBytes <= dueBytes) return;
    // Logged where it failed; everything is in place still, and it is tried again.
    this.#start(lastPosition).catch(() => undefined);
  }

  /** There is less room than before: what is sealed may go earlier than its size or age say. */
  roomChanged(): void {
    this.#hurry(0);
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
    await this.#start(this.#sealedPosition);
  }

  /** Calls off the one being made, waits for its end, and starts none any more. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#cancelAge?.();
    this.#cancelRetry?.();
    await this.#running?.catch(() => undefined);
  }

  get #dueBytes(): number {
    const forShortStart = this.#options.snapshotBytes - this.#newestBytes / SNAPSHOT_PER_DELTA_BYTES;
    return Math.max(forShortStart, this.#newestBytes / SNAPSHOT_BYTES_PER_DUE);
  }

  /** The one that is made rests less and less, and no more once the next is due. `unreadBytes`: of deltas behind it. */
  #hurry(unreadBytes: number): void {
    const isFull = this.#options.storage.level !== 'ample';
    const percent = isFull ? NO_REST : Math.min(NO_REST, (NO_REST * unreadBytes) / this.#dueBytes);
    Atomics.store(this.#hurryPercent, 0, Math.floor(percent));
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
    const isOver = () => {
      this.#isAsked = false;
    };
    onDue().then(() => {
      isOver();
      this.#goOn();
    }, isOver);
  }

  #start(upToPosition: number): Promise<void> {
    this.#makingPosition = upToPosition;
    this.#coveredBytes = this.#sealedBytes;
    this.#hurry(0);
    const taking = this.#take(upToPosition).finally(() => {
      this.#running = undefined;
      this.#coveredBytes = 0;
    });
    this.#running = taking;
    taking.then(
      () => this.#goOn(),
      () => undefined,
    );
    return taking;
  }

  /** What was sealed meanwhile may be due by now. With what is not sealed yet, or the next would have to begin far behind. */
  #goOn(): void {
    if (this.#options.storage.level !== 'ample') this.startIfDue(this.#sealedPosition);
    else if (!this.#running && this.#sealedBytes > this.#dueBytes) this.#ask();
  }

  async #take(upToPosition: number): Promise<void> {
    const { storage, log } = this.#options;
    const { signal } = this.#closing;
    const name = snapshotName(upToPosition);
    let recycledBytes = 0;
    try {
      await storage.snapshotRoom.lend();
      const bytes = await this.#make(upToPosition);
      this.#sealedBytes -= this.#coveredBytes;
      this.#coveredBytes = 0;
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
    const { disk, dir, storage, snapshotsKept, log } = this.#options;
    const { deltas, snapshots } = await listFolder(disk, dir);
    // On a disk that is nearly full, going on comes before looking back.
    const count = storage.level === 'ample' ? snapshotsKept : SNAPSHOTS_KEPT_MIN;
    const kept = await this.#toKeep(deltas, snapshots, count);
    // As long as there are fewer, what was before the first is kept, too.
    const keptFrom = kept.length < count ? 0 : kept[0]!.position;
    // A damaged one goes once it is older than all that are kept: until then it tells what was there.
    const oldSnapshots = snapshots.filter(
      (snapshot) => !kept.includes(snapshot) && (snapshot.position < keptFrom || !this.#isBad(snapshot)),
    );
    // A delta is covered where its successor begins no later than right behind the snapshot.
    const oldDeltas = deltas.filter((_, index) => (deltas[index + 1]?.position ?? Infinity) <= keptFrom + 1);
    if (oldSnapshots.length + oldDeltas.length === 0) return 0;
    const recycled = oldSnapshots.pop();
    for (const { name } of [...oldSnapshots, ...oldDeltas]) await disk.remove(join(dir, name));
    let recycledBytes = 0;
    if (recycled) {
      recycledBytes = await sizeOf(disk, join(dir, recycled.name));
      await disk.rename(join(dir, recycled.name), join(dir, SNAPSHOT_ROOM_NAME));
    }
    await disk.syncFolder(dir);
    const files = oldSnapshots.length + oldDeltas.length + (recycled ? 1 : 0);
    log.info({ files, keptFrom }, `files that ${kept.length} snapshots make superfluous removed`);
    return recycledBytes;
  }

  async #toKeep(deltas: readonly PositionedFile[], snapshots: readonly PositionedFile[], count: number) {
    const { disk, dir, snapshotBytes } = this.#options;
    const sizesBytes: number[] = [];
    for (const { name } of deltas) sizesBytes.push(await sizeOf(disk, join(dir, name)));
    const bytesBetween = (fromPosition: number, toPosition: number) =>
      sizesBytes.reduce((sum, bytes, index) => {
        const { position } = deltas[index]!;
        return position > fromPosition && position <= toPosition ? sum + bytes : sum;
      }, 0);
    const good = snapshots.filter((snapshot) => !this.#isBad(snapshot));
    return snapshotsToKeep(good, { count, spanBytes: snapshotBytes, bytesBetween });
  }

  #isBad({ name }: PositionedFile): boolean {
    return this.#badSnapshots.has(name);
  }
}
