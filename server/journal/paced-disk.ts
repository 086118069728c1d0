/**
 * A disk for work that has time, beside work that hasn't: whoever goes from call to call is held up in each for a multiple of
 * the time that passed since the last. A snapshot of a million leases is a few seconds of computing, and of collecting
 * garbage in threads that know no priority; spread out, it is hardly noticed by the commits between.
 */
import type { Disk, DiskFile } from './disk.ts';

/** However long a piece of work was. */
const REST_MAX_MS = 2_000;
/** Timers count in these, and may be late by one. */
const TIMER_MS = 1;

export interface Pace {
  /** So much work at first is not rested for: what is small is soon done. */
  readonly headStartMs: number;
  /** Time off, as a multiple of the time worked: asked for before each rest. 0: none. */
  readonly restPerWork: () => number;
  readonly nowMs: () => number;
  readonly pause: (ms: number) => Promise<void>;
}

export function pacedDisk(disk: Disk, { headStartMs, restPerWork, nowMs, pause }: Pace): Disk {
  let sinceMs = nowMs();
  let aheadMs = headStartMs;
  const restFor = async (workedMs: number) => {
    const unrestedMs = Math.max(0, workedMs - aheadMs);
    aheadMs -= workedMs - unrestedMs;
    const restMs = Math.min(REST_MAX_MS, restPerWork() * unrestedMs);
    if (restMs === 0) return 0;
    const beganMs = nowMs();
    await pause(restMs);
    return nowMs() - beganMs - Math.max(TIMER_MS, restMs);
  };
  const rest = async () => {
    const lateMs = await restFor(nowMs() - sinceMs);
    // Whoever reads ahead has worked meanwhile, and waits now; or the machine is busy, and the thread gets little of it.
    if (lateMs > TIMER_MS) await restFor(lateMs);
    sinceMs = nowMs();
  };
  const paced = (file: DiskFile): DiskFile => ({
    sizeBytes: () => file.sizeBytes(),
    read: async (into, offset) => {
      await rest();
      return file.read(into, offset);
    },
    write: async (bytes, offset) => {
      await rest();
      return file.write(bytes, offset);
    },
    truncate: (sizeBytes) => file.truncate(sizeBytes),
    sync: () => file.sync(),
    close: () => file.close(),
  });
  return { ...disk, open: async (path, mode) => paced(await disk.open(path, mode)) };
}
