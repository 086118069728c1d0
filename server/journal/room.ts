/**
 * Room on the disk is foreseen, never met with: what the journal may have to write is held in files filled with zeros
 * ahead, and what can't be held is tried again every second, while the coordinator takes nothing new (storage-level.ts).
 */
import type { Scheduler } from '../coordinator/scheduler.ts';
import { type Disk, type DiskFile, isShortage, lacksDescriptors } from './disk.ts';

const RETRY_MS = 1_000;
/** Zeros are written in pieces, each durable, so that a commit never waits behind more than one of them. */
const ZEROS = Buffer.alloc(1024 * 1024);

export interface RetryOptions {
  readonly scheduler: Scheduler;
  /** Ends the waiting: the promise then rejects. */
  readonly signal: AbortSignal;
  /** Told of each failed attempt. */
  readonly onShortage: (error: Error) => void;
}

/** Attempts `make` until nothing is short any more. Rejects with whatever else it fails with. */
export async function untilThereIsRoom<Made>(make: () => Promise<Made>, options: RetryOptions): Promise<Made> {
  const { scheduler, signal, onShortage } = options;
  while (true) {
    signal.throwIfAborted();
    try {
      return await make();
    } catch (error) {
      if (!isShortage(error)) throw error;
      onShortage(error as Error);
    }
    await pause(scheduler, signal);
  }
}

/** A rotation waits twice at most, and all of it is shorter than an append may take. */
const DESCRIPTOR_RETRIES = 10;

/**
 * For what needs a descriptor for a moment: clients can take all that the process may have, and nothing is wrong with the
 * disk then. Waits 10 s at most; rejects with whatever else it fails with.
 */
export async function onceThereAreDescriptors<Result>(
  scheduler: Scheduler,
  attempt: () => Promise<Result>,
): Promise<Result> {
  for (let retries = 0; ; retries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!lacksDescriptors(error) || retries === DESCRIPTOR_RETRIES) throw error;
    }
    await new Promise<void>((resolve) => scheduler.setTimer(RETRY_MS, resolve));
  }
}

function pause(scheduler: Scheduler, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = scheduler.setTimer(RETRY_MS, end);
    signal.addEventListener('abort', end);
  });
}

/**
 * Rejects with a shortage where the file system would not give `bytes`. To be asked before anything that comes back every
 * second: it must not fill the disk every second.
 */
export async function expectRoom(disk: Disk, dir: string, bytes: number): Promise<void> {
  const freeBytes = await disk.freeBytes(dir);
  if (freeBytes >= bytes) return;
  throw Object.assign(new Error(`${bytes} bytes are needed, and ${freeBytes} are free`), { code: 'ENOSPC' });
}

/** Fills a file from `offset` up to `sizeBytes`, durable when it resolves. */
export async function fillWithZeros(file: DiskFile, offset: number, sizeBytes: number): Promise<void> {
  for (let at = offset; at < sizeBytes; at += ZEROS.length) {
    await file.write(ZEROS.subarray(0, Math.min(ZEROS.length, sizeBytes - at)), at);
    // One piece at a time, each on the disk before the next.
    await file.sync();
  }
}
