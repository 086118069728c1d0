import type { StorageLevel } from '../coordinator/domain.ts';
import type { Scheduler } from '../coordinator/scheduler.ts';
import type { Disk } from './disk.ts';
import { PreparedSegments } from './prepared-segments.ts';
import { SnapshotRoom } from './snapshot-room.ts';
import { END_BYTES, ENDS_MARGIN_BYTES, storageLevel } from './storage-level.ts';

/** Between looks at the free space. */
const LOOK_MS = 1_000;
const MIB = 1024 * 1024;
/** What a snapshot grows by for each thing that lives, at most. */
const SNAPSHOT_BYTES_PER_LIVE = 512;

/** What the journal says to the operator; pino's loggers fit. */
export interface JournalLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface StorageWatchOptions {
  readonly disk: Disk;
  readonly dir: string;
  readonly segmentBytes: number;
  readonly scheduler: Scheduler;
  readonly log: JournalLog;
  /** How many things live that an event must end some day: leases, sessions, waits. */
  readonly liveCount: () => number;
  readonly hasSnapshots: boolean;
  readonly onLevel: (level: StorageLevel) => void;
  /** The disk can't be trusted any more. */
  readonly onFailure: (error: Error) => void;
}

/** Holds the reserve (room.ts) and says how much room there is. */
export class StorageWatch {
  readonly segments: PreparedSegments;
  readonly snapshotRoom: SnapshotRoom;
  readonly #options: StorageWatchOptions;
  #level: StorageLevel = 'ample';
  #freeBytes = 0;
  /** In the present segment. */
  #roomBytes = 0;
  /** The newest snapshot, with what lived then; before the first one, what the deltas hold. */
  #lastSnapshot: { readonly bytes: number; readonly liveCount: number } | undefined;
  #deltaBytes = 0;
  #cancelLook: (() => void) | undefined;
  #isClosed = false;

  constructor(options: StorageWatchOptions) {
    const { disk, dir, segmentBytes, scheduler, onFailure } = options;
    this.#options = options;
    const onRoom = () => void this.#look();
    this.segments = new PreparedSegments({ disk, dir, segmentBytes, scheduler, onRoom, onFailure });
    this.snapshotRoom = new SnapshotRoom({ disk, dir, scheduler, onRoom, onFailure });
  }

  get level(): StorageLevel {
    return this.#level;
  }

  /** The first look; from then on there is one every second. */
  async open(roomBytes: number, snapshotBytes: number | undefined, deltaBytes: number): Promise<void> {
    this.#roomBytes = roomBytes;
    this.#deltaBytes = deltaBytes;
    if (snapshotBytes !== undefined) this.snapshotMade(snapshotBytes);
    this.#freeBytes = await this.#options.disk.freeBytes(this.#options.dir);
    this.#holdSegments();
    this.#holdSnapshot();
    this.#judge();
    this.#watch();
  }

  /** So many bytes have been written, and so many are left in the present segment. */
  written(bytes: number, roomBytes: number): void {
    this.#deltaBytes += bytes;
    this.#roomBytes = roomBytes;
    this.#holdSegments();
    if (this.#level !== 'ample' || this.#endsBytes > roomBytes) this.#judge();
  }

  snapshotMade(bytes: number): void {
    this.#lastSnapshot = { bytes, liveCount: this.#options.liveCount() };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelLook?.();
    await this.segments.close();
    await this.snapshotRoom.close();
  }

  get #endsBytes(): number {
    return this.#options.liveCount() * END_BYTES + ENDS_MARGIN_BYTES;
  }

  /** A guess, well above what the next one should take. */
  get #snapshotBytes(): number {
    const last = this.#lastSnapshot;
    const grownBy = last ? Math.max(0, this.#options.liveCount() - last.liveCount) * SNAPSHOT_BYTES_PER_LIVE : 0;
    const bytes = last ? last.bytes * 1.25 + grownBy : this.#deltaBytes;
    return Math.ceil(bytes / MIB + 1) * MIB;
  }

  /** The next one, and as many as the ends need. What it holds is also what a start on a full disk begins in. */
  #holdSegments(): void {
    this.segments.hold(Math.max(this.#options.segmentBytes, this.#endsBytes - this.#roomBytes));
  }

  #holdSnapshot(): void {
    if (this.#options.hasSnapshots) this.snapshotRoom.hold(this.#snapshotBytes);
  }

  #watch(): void {
    if (this.#isClosed) return;
    this.#cancelLook = this.#options.scheduler.setTimer(LOOK_MS, () => {
      this.#holdSnapshot();
      void this.#look().then(() => this.#watch());
    });
  }

  async #look(): Promise<void> {
    try {
      this.#freeBytes = await this.#options.disk.freeBytes(this.#options.dir);
    } catch (error) {
      return this.#options.onFailure(error as Error);
    }
    if (!this.#isClosed) this.#judge();
  }

  #judge(): void {
    const { segmentBytes, log, onLevel } = this.#options;
    const { segments, snapshotRoom } = this;
    const shortage = segments.shortage ?? snapshotRoom.shortage;
    const level = storageLevel({
      freeBytes: this.#freeBytes,
      segmentBytes,
      journalBytes: this.#roomBytes + segments.bytes,
      endsBytes: this.#endsBytes,
      snapshotMissingBytes: Math.max(0, snapshotRoom.wantedBytes - snapshotRoom.bytes),
      isShort: shortage !== undefined,
    });
    if (level === this.#level) return;
    this.#level = level;
    const fields = { level, freeBytes: this.#freeBytes, ...(shortage ? { err: shortage } : {}) };
    if (level === 'ample') log.info(fields, 'there is room on the disk again');
    else log.warn(fields, 'the disk is nearly full: nothing new is taken until there is room again');
    onLevel(level);
  }
}
