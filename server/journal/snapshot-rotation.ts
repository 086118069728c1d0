/**
 * When a snapshot is made, and what may go once it is there.
 *
 * Invariant: two good snapshots (or one, or none, while there aren't more) and every delta since the older of them are
 * in the folder; what is older goes only after the newer is durable in place. So one damaged snapshot costs time, not data.
 */
import { join } from 'node:path';
import type { Scheduler } from '../coordinator/scheduler.ts';
import type { BuiltSnapshot } from './build-snapshot.ts';
import { type Disk, isDiskFailure, sizeOf } from './disk.ts';
import { listFolder, SNAPSHOT_ROOM_NAME, snapshotName } from './file-names.ts';
import type { JournalLog, StorageWatch } from './storage-watch.ts';

export const SNAPSHOT_BYTES_DEFAULT = 64 * 1024 * 1024;
export const SNAPSHOT_AGE_MS_DEFAULT = 3_600_000;
/** Generations kept: two are for safety, more are for looking back. */
export const SNAPSHOTS_KEPT_MIN = 2;

/** So many times the bytes after which a snapshot is due: then the next takes no rest, or the deltas would grow faster than it gets on. */
const HURRIED_TIMES_DUE = 4;

/** After a snapshot that failed: each attempt reads all of the deltas. */
const RETRY_MS = 30_000;

export interface SnapshotRequest {
  /** The last position of a sealed segment. */
  readonly upToPosition: number;
  /** The disk gets full, and a snapshot is what makes room; or the deltas have piled up. Otherwise it may take its time. */
  readonly isUrgent: boolean;
  /** Aborted when the journal closes: the request should then end soon, either way. */
  readonly signal: AbortSignal;
}

/** Makes a snapshot away from the event loop, with buildSnapshot; resolves when it is durable under its name. */
export type TakeSnapshot = (request: SnapshotRequest) => Promise<BuiltSnapshot>;

export interface SnapshotRotationOptions {
  readonly disk: Disk;
  readonly dir: string;
  readonly scheduler: Scheduler;
  /** Bytes of sealed deltas after which a snapshot is due. */
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
  /** The time for a snapshot by age has come: the journal answers with `takeNow`, if there is anything new. */
  readonly onAge: () => Promise<void>;
  /** The disk can't be trusted any more. */
  readonly onFailure: (error: Error) => void;
}

export class SnapshotRotation {
  readonly #options: SnapshotRotationOptions;
  readonly #badSnapshots: Set<string>;
  readonly #closing = new AbortController();
  #sealedBytes: number;
  #sealedPosition: number;
  /** Never two at a time. */
  #running: Promise<void> | undefined;
  #cancelAge: (() => void) | undefined;
  #cancelRetry: (() => void) | undefined;
  /** The last one failed a while ago. */
  #isRetryDue = false;
  /** One by age is asked for and not made yet. */
  #isOfAge = false;
  /** Of the last one made in this run. */
  #madePosition = 0;

  constructor(options: SnapshotRotationOptions) {
    this.#options = options;
    this.#badSnapshots = new Set(options.badSnapshots);
    this.#sealedBytes = options.sealedBytes;
    this.#sealedPosition = options.sealedPosition;
    this.#awaitAge();
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
    const dueBytes = isUrgent ? 0 : this.#options.snapshotBytes;
    const canBegin = this.#options.takeSnapshot && !this.#running && !this.#closing.signal.aborted;
    if (!canBegin || this.#sealedBytes <= dueBytes) return;
    // Logged where it failed; everything is in place still, and it is tried again.
    this.#start(lastPosition).catch(() => undefined);
  }

  /** There is less room than before: what is sealed may go earlier than its size or age say. */
  roomChanged(): void {
    this.startIfDue(this.#sealedPosition);
  }

  /**
   * Makes a snapshot of `lastPosition`, which is sealed, or later, once no other is being made, where none of those was of a
   * later position: what an earlier one begins with may be gone. Rejects where it can't be made.
   */
  async takeNow(lastPosition: number): Promise<void> {
    while (this.#running) await this.#running.catch(() => undefined);
    if (this.#madePosition > lastPosition) return;
    await this.#start(this.#sealedPosition);
  }

  /** Calls off the one being made, waits for its end, and starts none any more. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#cancelAge?.();
    this.#cancelRetry?.();
    await this.#running?.catch(() => undefined);
  }

  #awaitAge(): void {
    const { scheduler, snapshotAgeMs, takeSnapshot, onAge } = this.#options;
    this.#cancelAge?.();
    if (!takeSnapshot || this.#closing.signal.aborted) return;
    this.#cancelAge = scheduler.setTimer(snapshotAgeMs, () => {
      // Armed anew by a snapshot that was made; otherwise here.
      this.#awaitAge();
      // One at a time: each seals a segment, and they would pile up behind a snapshot that takes longer than the period.
      if (this.#running || this.#isOfAge) return;
      this.#isOfAge = true;
      onAge()
        .catch(() => undefined)
        .finally(() => {
          this.#isOfAge = false;
        });
    });
  }

  #start(upToPosition: number): Promise<void> {
    const taking = this.#take(upToPosition).finally(() => {
      this.#running = undefined;
    });
    this.#running = taking;
    // What was sealed meanwhile may be due by now.
    taking.then(
      () => this.startIfDue(this.#sealedPosition),
      () => undefined,
    );
    return taking;
  }

  async #take(upToPosition: number): Promise<void> {
    const { storage, log } = this.#options;
    const { signal } = this.#closing;
    const coveredBytes = this.#sealedBytes;
    const name = snapshotName(upToPosition);
    let recycledBytes = 0;
    try {
      await storage.snapshotRoom.lend();
      const bytes = await this.#make(upToPosition);
      this.#sealedBytes -= coveredBytes;
      this.#madePosition = upToPosition;
      this.#badSnapshots.delete(name);
      storage.snapshotMade(bytes);
      this.#awaitAge();
      log.info({ snapshot: name, bytes }, 'snapshot made');
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
    this.#cancelRetry?.();
    this.#cancelRetry = scheduler.setTimer(RETRY_MS, () => {
      this.#isRetryDue = true;
      this.startIfDue(this.#sealedPosition);
    });
  }

  /** Resolves to its size. */
  async #make(upToPosition: number): Promise<number> {
    const { disk, dir, storage, snapshotBytes, takeSnapshot, log } = this.#options;
    const { signal } = this.#closing;
    signal.throwIfAborted();
    if (!takeSnapshot) throw new Error('this journal has no way to make snapshots');
    log.info({ snapshot: snapshotName(upToPosition) }, 'snapshot begun');
    const hasPiledUp = this.#sealedBytes > HURRIED_TIMES_DUE * snapshotBytes;
    const isUrgent = hasPiledUp || storage.level !== 'ample';
    const { badSnapshots, notes } = await takeSnapshot({ upToPosition, isUrgent, signal });
    for (const name of badSnapshots) this.#badSnapshots.add(name);
    for (const note of notes) log.warn({ snapshot: snapshotName(upToPosition) }, note);
    return sizeOf(disk, join(dir, snapshotName(upToPosition)));
  }

  /** Resolves to the bytes of one that was kept as room for the next. */
  async #removeOld(): Promise<number> {
    const { disk, dir, storage, snapshotsKept, log } = this.#options;
    // On a disk that is nearly full, going on comes before looking back.
    const kept = storage.level === 'ample' ? snapshotsKept : SNAPSHOTS_KEPT_MIN;
    const { deltas, snapshots } = await listFolder(disk, dir);
    const oldest = snapshots.filter(({ name }) => !this.#badSnapshots.has(name)).at(-kept);
    if (!oldest) return 0;
    const oldSnapshots = snapshots.filter(({ position }) => position < oldest.position);
    // A delta is covered where its successor begins no later than right behind the snapshot.
    const oldDeltas = deltas.filter((_, index) => (deltas[index + 1]?.position ?? Infinity) <= oldest.position + 1);
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
    log.info({ files, keptFrom: oldest.position }, `files older than ${kept} snapshots removed`);
    return recycledBytes;
  }
}
