import { join } from 'node:path';
import type { Scheduler } from '../coordinator/scheduler.ts';
import { type Disk, type DiskFile, errorCode, isShortage } from './disk.ts';
import { SNAPSHOT_ROOM_NAME } from './file-names.ts';
import { expectRoom, fillWithZeros, untilThereIsRoom } from './room.ts';

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

  /** Why the last attempt failed; undefined: it didn't, or what is held has become enough without another. */
  get shortage(): Error | undefined {
    return this.#bytes < this.#wantedBytes ? this.#shortage : undefined;
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
    this.#bytes = 0;
    // There may also be what a snapshot that was called off has left, or an attempt that ended with the close.
    await disk.remove(join(dir, SNAPSHOT_ROOM_NAME)).catch((error: unknown) => {
      if (errorCode(error) !== 'ENOENT') throw error;
    });
  }

  #grow(): void {
    if (this.#growing || this.#isLent || this.#bytes >= this.#wantedBytes || this.#closing.signal.aborted) return;
    this.#growing = this.#fill().finally(() => {
      this.#growing = undefined;
      this.#grow();
    });
  }

  async #fill(): Promise<void> {
    const { scheduler, onRoom, onFailure } = this.#options;
    const { signal } = this.#closing;
    try {
      await untilThereIsRoom(() => this.#fillOnce(), {
        scheduler,
        signal,
        onShortage: (error) => {
          this.#shortage = error;
          onRoom();
        },
      });
      onRoom();
    } catch (error) {
      if (signal.aborted) return;
      this.#closing.abort();
      onFailure(error as Error);
    }
  }

  /** Does nothing where a snapshot waits for the file, or less has become enough: neither can wait for room. */
  async #fillOnce(): Promise<void> {
    const wantedBytes = this.#wantedBytes;
    if (this.#isLent || this.#bytes >= wantedBytes) return;
    const { disk, dir } = this.#options;
    const file = await disk.open(join(dir, SNAPSHOT_ROOM_NAME), 'keep');
    let heldBytes: number;
    try {
      heldBytes = await file.sizeBytes();
      if (heldBytes < wantedBytes) await this.#extend(file, heldBytes, wantedBytes);
    } catch (error) {
      // After any other failure the process ends, and no commit may come between.
      if (isShortage(error)) await file.close();
      throw error;
    }
    await file.close();
    this.#bytes = Math.max(heldBytes, wantedBytes);
    this.#shortage = undefined;
  }

  /** All or nothing: half of it is of no use to a snapshot, and the segments may need just that. */
  async #extend(file: DiskFile, heldBytes: number, wantedBytes: number): Promise<void> {
    const { disk, dir } = this.#options;
    await expectRoom(disk, dir, wantedBytes - heldBytes);
    try {
      await fillWithZeros(file, heldBytes, wantedBytes);
    } catch (error) {
      if (isShortage(error)) await file.truncate(heldBytes);
      throw error;
    }
  }
}
