import { BATCH_BYTES_MAX, batchesFrom, frameBytesOf, type StoredBatch, sectorEnd } from './batch.ts';
import type { Disk } from './disk.ts';
import { HEADER_BYTES } from './file-header.ts';

/** Of a segment in memory at a time: the largest batch, whole. */
const WINDOW_BYTES = frameBytesOf(BATCH_BYTES_MAX);

/**
 * The good batches of a segment, one behind the other, up to the first place where none begins. For reading beside a
 * coordinator that has other things to do: a piece at a time, however long the segment. A payload is good until the next
 * batch is asked for. Rejects with the system's own error; the file, once open, may lose its name meanwhile.
 */
export async function* readSegmentBatches(disk: Disk, path: string): AsyncGenerator<StoredBatch> {
  const file = await disk.open(path, 'read');
  try {
    const window = Buffer.allocUnsafeSlow(WINDOW_BYTES);
    let windowOffset = HEADER_BYTES;
    while (true) {
      const bytes = window.subarray(0, await file.read(window, windowOffset));
      let goodBytes = 0;
      for (const stored of batchesFrom(bytes, 0)) {
        const { offset, endOffset } = stored;
        yield { ...stored, offset: windowOffset + offset, endOffset: windowOffset + endOffset };
        goodBytes = sectorEnd(endOffset);
      }
      // One that the window's end cuts off begins the next window.
      if (goodBytes === 0) return;
      windowOffset += goodBytes;
    }
  } finally {
    await file.close();
  }
}
