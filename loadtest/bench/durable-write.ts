import { closeSync, constants, fsyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { median } from './statistics.ts';

const FILE_BYTES = 16 * 1024 * 1024;
/** A small batch's. */
const WRITE_BYTES = 512;

/**
 * The machine's own durable write, in milliseconds, the median over `forMs`: a sector at a time into a file that is there
 * already, opened so that a write returns when it is on disk (`dd oflag=dsync conv=notrunc bs=512`). Nothing else is done
 * meanwhile. The file stays.
 */
export function durableWriteMs(folder: string, forMs: number): number {
  const path = join(folder, 'durable-write');
  const made = openSync(path, 'w');
  writeSync(made, Buffer.alloc(FILE_BYTES));
  fsyncSync(made);
  closeSync(made);
  const file = openSync(path, constants.O_WRONLY | constants.O_DSYNC);
  try {
    const sector = Buffer.alloc(WRITE_BYTES, 1);
    const tookMs: number[] = [];
    const beginMs = performance.now();
    for (let nowMs = beginMs, at = 0; nowMs - beginMs < forMs; at = (at + WRITE_BYTES) % FILE_BYTES) {
      writeSync(file, sector, 0, WRITE_BYTES, at);
      const doneMs = performance.now();
      tookMs.push(doneMs - nowMs);
      nowMs = doneMs;
    }
    return median(tookMs);
  } finally {
    closeSync(file);
  }
}
