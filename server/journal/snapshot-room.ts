import { join } from 'node:path';
import type { Scheduler } from '../coordinator/scheduler.ts';
import { type Disk, isShortage } from './disk.ts';
import { SNAPSHOT_ROOM_NAME } from './file-names.ts';
import { fillWithZeros, untilThereIsRoom } from './room.ts';

export interface SnapshotRoomOptions {
  readonly disk: Disk;
  readonly dir: string;
  readonly scheduler: Scheduler;
  /** Whether there is room has been found out. */
  readonly onRoom: () => void;
  /** Anything but a shortage: the disk can't be trusted any more. Called once. */
  readonly onFailure: (error: Error) => void;
}

/** A file of zeros that the next snapshot is written over, so that it finds room on a disk that is full by then. */
export class SnapshotRoom {
  readonly #options: SnapshotRoomOptions;
  readonly #closing = new AbortController();
  #bytes = 0;
  #wantedBytes = 0;
  #isLent = false;
  #shortage: Error | undefined;
  /** Never rejects. */
  #growing: Promise<void> | undefined;

  constructor(options: SnapshotRoomOptions) {
    this.#options = options;
  }

  /** That are held. */
  get bytes(): number {
    return this.#bytes;
  }

  get wantedBytes(): number {
    return this.#wantedBytes;
  }

  /** Why the last attempt failed; undefined: it didn't. */
  get shortage(): Error | undefined {
    return this.#shortage;
  }

  /** Makes the file as large as `bytes`; a larger one stays. */
  hold(bytes: number): void {
    this.#wantedBytes = bytes;
    this.#grow();
  }

  /** The file is the snapshot's until it is returned: nothing else writes to it. */
  async lend(): Promise<void> {
    this.#isLent = true;
    await this.#growing;
  }

  /** Ends the loan. What is there now is a file of so many bytes, whatever it holds; 0: none, or one to be written anew. */
  returned(bytes: number): void {
    this.#isLent = false;
    this.#bytes = bytes;
    this.#grow();
  }

  /** Gives the room back. */
  async close(): Promise<void> {
    const { disk, dir } = this.#options;
    this.#closing.abort();
    await this.#growing;
    if (this.#bytes > 0) await disk.remove(join(dir, SNAPSHOT_ROOM_NAME));
    this.#bytes = 0;
  }

  #grow(): void {
    if (this.#growing || this.#isLent || this.#bytes >= this.#wantedBytes || this.#closing.signal.aborted) return;
    this.#growing = this.#fill(this.#wantedBytes).finally(() => {
      this.#growing = undefined;
      this.#grow();
    });
  }

  async #fill(wantedBytes: number): Promise<void> {
    const { scheduler, onRoom, onFailure } = this.#options;
    const { signal } = this.#closing;
    try {
      const isFilled = await untilThereIsRoom(() => this.#fillOnce(wantedBytes), {
        scheduler,
        signal,
        onShortage: (error) => {
          this.#shortage = error;
          onRoom();
        },
      });
      if (!isFilled) return;
      this.#shortage = undefined;
      onRoom();
    } catch (error) {
      if (signal.aborted) return;
      this.#closing.abort();
      onFailure(error as Error);
    }
  }

  /** False: a snapshot is waiting for the file, and can't wait for room that may never come. */
  async #fillOnce(wantedBytes: number): Promise<boolean> {
    if (this.#isLent) return false;
    const { disk, dir } = this.#options;
    const file = await disk.open(join(dir, SNAPSHOT_ROOM_NAME), 'keep');
    try {
      await fillWithZeros(file, this.#bytes, wantedBytes);
    } catch (error) {
      // After any other failure the process ends, and no commit may come between.
      if (isShortage(error)) await file.close();
      throw error;
    }
    await file.close();
    this.#bytes = wantedBytes;
    return true;
  }
}
