/**
 * When a snapshot is made, and what may go once it is there.
 *
 * Invariant: two good snapshots (or one, or none, while there aren't more) and every delta since the older of them are
 * in the folder; what is older goes only after the newer is durable in place. So one damaged snapshot costs time, not data.
 */
import { join } from 'node:path';
import type { Disk } from './disk.ts';
import { listFolder, type PositionedFile, snapshotName } from './file-names.ts';

export const SNAPSHOT_BYTES_DEFAULT = 64 * 1024 * 1024;

/** What the journal says to the operator; pino's loggers fit. */
export interface JournalLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface SnapshotRequest {
  /** The last position of a sealed segment. */
  readonly upToPosition: number;
  /** Aborted when the journal closes: the request should then end soon, either way. */
  readonly signal: AbortSignal;
}

/** Makes a snapshot away from the event loop, with buildSnapshot; resolves when it is durable under its name. */
export type TakeSnapshot = (request: SnapshotRequest) => Promise<void>;

export interface SnapshotRotationOptions {
  readonly disk: Disk;
  readonly dir: string;
  /** Bytes of sealed deltas after which a snapshot is due. */
  readonly snapshotBytes: number;
  /** Bytes of sealed deltas since the last snapshot, at the start. */
  readonly sealedBytes: number;
  /** Names of damaged ones: they count as no generation. */
  readonly badSnapshots: readonly string[];
  readonly takeSnapshot: TakeSnapshot | undefined;
  readonly log: JournalLog;
}

export class SnapshotRotation {
  readonly #options: SnapshotRotationOptions;
  readonly #badSnapshots: Set<string>;
  readonly #closing = new AbortController();
  #sealedBytes: number;
  /** Never two at a time. */
  #running: Promise<void> | undefined;

  constructor(options: SnapshotRotationOptions) {
    this.#options = options;
    this.#badSnapshots = new Set(options.badSnapshots);
    this.#sealedBytes = options.sealedBytes;
  }

  /** `usedBytes` of a segment have been sealed, and `lastPosition` is its last. */
  segmentSealed(usedBytes: number, lastPosition: number): void {
    this.#sealedBytes += usedBytes;
    this.startIfDue(lastPosition);
  }

  startIfDue(lastPosition: number): void {
    const { snapshotBytes, takeSnapshot } = this.#options;
    if (!takeSnapshot || this.#running || this.#sealedBytes <= snapshotBytes) return;
    // Logged where it failed; everything is in place still, and the next rotation tries again.
    this.#start(lastPosition).catch(() => undefined);
  }

  /** Makes a snapshot of `lastPosition` once no other is being made. Rejects where it can't be. */
  async takeNow(lastPosition: number): Promise<void> {
    while (this.#running) await this.#running.catch(() => undefined);
    await this.#start(lastPosition);
  }

  /** Calls off the one being made, waits for its end, and starts none any more. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running?.catch(() => undefined);
  }

  #start(upToPosition: number): Promise<void> {
    this.#running = this.#take(upToPosition).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #take(upToPosition: number): Promise<void> {
    const { disk, dir, takeSnapshot, log } = this.#options;
    const { signal } = this.#closing;
    const coveredBytes = this.#sealedBytes;
    const name = snapshotName(upToPosition);
    try {
      signal.throwIfAborted();
      if (!takeSnapshot) throw new Error('this journal has no way to make snapshots');
      log.info({ snapshot: name }, 'snapshot begun');
      await takeSnapshot({ upToPosition, signal });
      const { snapshots } = await listFolder(disk, dir);
      if (!snapshots.some((snapshot) => snapshot.name === name))
        throw new Error(`${name} was reported, and is not there`);
    } catch (error) {
      if (signal.aborted) log.info({ snapshot: name }, 'snapshot called off');
      else log.warn({ err: error, snapshot: name }, 'snapshot failed: the files stay, the next rotation tries again');
      throw error;
    }
    this.#sealedBytes -= coveredBytes;
    this.#badSnapshots.delete(name);
    log.info({ snapshot: name }, 'snapshot made');
    if (signal.aborted) return;
    await this.#removeOld().catch((error: unknown) => {
      log.warn({ err: error }, 'old files could not be removed: the next snapshot tries again');
    });
  }

  async #removeOld(): Promise<void> {
    const { disk, dir, log } = this.#options;
    const { deltas, snapshots } = await listFolder(disk, dir);
    const older = snapshots.filter(({ name }) => !this.#badSnapshots.has(name)).at(-2);
    if (!older) return;
    const old: PositionedFile[] = snapshots.filter(({ position }) => position < older.position);
    // A delta is covered where its successor begins no later than right behind the snapshot.
    old.push(...deltas.filter((_, index) => (deltas[index + 1]?.position ?? Infinity) <= older.position + 1));
    for (const { name } of old) await disk.remove(join(dir, name));
    if (old.length === 0) return;
    await disk.syncFolder(dir);
    log.info({ files: old.length, keptFrom: older.position }, 'files older than two snapshots removed');
  }
}
