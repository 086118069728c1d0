import type { Scheduler } from '../coordinator/scheduler.ts';
import type { Disk } from './disk.ts';
import { expectRoom, untilThereIsRoom } from './room.ts';
import { discardSegment, type PreparedSegment, prepareSegment } from './segment.ts';

/** Held in files at most; what more may be needed is looked for in the free space alone. */
export const HELD_BYTES_MAX = 64 * 1024 * 1024;

export interface PreparedSegmentsOptions {
  readonly disk: Disk;
  readonly dir: string;
  readonly segmentBytes: number;
  readonly scheduler: Scheduler;
  /** Whether there is room has been found out. */
  readonly onRoom: () => void;
  /** Anything but a shortage: the disk can't be trusted any more. Called once. */
  readonly onFailure: (error: Error) => void;
}

/** Segments filled with zeros ahead, in the background: room for events that nobody else can take any more. */
export class PreparedSegments {
  readonly #options: PreparedSegmentsOptions;
  readonly #closing = new AbortController();
  readonly #ready: PreparedSegment[] = [];
  #wantedBytes = 0;
  #lastNumber = 0;
  #shortage: Error | undefined;
  /** One is made at a time; never rejects. */
  #making: Promise<void> | undefined;
  /** A rotation and a snapshot at most. */
  readonly #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];

  constructor(options: PreparedSegmentsOptions) {
    this.#options = options;
  }

  /** Filled and not taken yet. */
  get bytes(): number {
    return this.#ready.length * this.#options.segmentBytes;
  }

  /** Why the last attempt failed; undefined: it didn't. */
  get shortage(): Error | undefined {
    return this.#shortage;
  }

  /** Makes as many as it takes to have so many bytes ready. */
  hold(bytes: number): void {
    this.#wantedBytes = Math.min(bytes, Math.max(HELD_BYTES_MAX, this.#options.segmentBytes));
    this.#make();
  }

  /** One that is ready, or the next one: for as long as there is no room for it, that waits. Rejects at the close. */
  async take(): Promise<PreparedSegment> {
    while (true) {
      const ready = this.#ready.shift();
      if (ready) {
        this.#make();
        return ready;
      }
      await this.#next();
    }
  }

  /** One is ready, so that whoever takes it at once doesn't wait. Rejects at the close. */
  async whenReady(): Promise<void> {
    while (this.#ready.length === 0) await this.#next();
  }

  /** Gives the room back. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#making;
    for (const prepared of this.#ready.splice(0)) await discardSegment(this.#options.disk, prepared);
  }

  get #isWanted(): boolean {
    return this.#waiting.length > 0 || this.bytes < this.#wantedBytes;
  }

  /** Resolves when one more has been made. */
  #next(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closing.signal.aborted) return reject(new Error('no segment is prepared any more'));
      this.#waiting.push({ resolve, reject });
      this.#make();
    });
  }

  #make(): void {
    if (this.#making || !this.#isWanted || this.#closing.signal.aborted) return;
    this.#making = this.#makeOne().finally(() => {
      this.#making = undefined;
      this.#make();
    });
  }

  async #makeOne(): Promise<void> {
    const { disk, dir, segmentBytes, scheduler, onRoom, onFailure } = this.#options;
    const { signal } = this.#closing;
    try {
      const prepared = await untilThereIsRoom(
        async () => {
          await expectRoom(disk, dir, segmentBytes);
          this.#lastNumber += 1;
          return prepareSegment(disk, dir, this.#lastNumber, segmentBytes);
        },
        {
          scheduler,
          signal,
          onShortage: (error) => {
            this.#shortage = error;
            onRoom();
          },
        },
      );
      this.#shortage = undefined;
      this.#ready.push(prepared);
      for (const { resolve } of this.#waiting.splice(0)) resolve();
      onRoom();
    } catch (error) {
      for (const { reject } of this.#waiting.splice(0)) reject(error as Error);
      if (signal.aborted) return;
      this.#closing.abort();
      onFailure(error as Error);
    }
  }
}
