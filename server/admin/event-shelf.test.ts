import { describe, expect, it } from 'vitest';
import type { Batch } from '../coordinator/event-log.ts';
import { EventShelf } from './event-shelf.ts';

const BATCH_BYTES = 250_000;

/** As read from a file: another object each time. */
function batchAt(position: number): Batch {
  return { position, eventCount: 1, epoch: 3, clockMs: 0, utcMs: 0, payload: new Uint8Array(BATCH_BYTES) };
}

describe('the shelf of events', () => {
  it('has one batch for all who read it, until so many bytes of others were used since, or nobody reads', () => {
    const shelf = new EventShelf(() => []);
    const [first, second] = [shelf.keep(batchAt(1)), shelf.keep(batchAt(2))];
    for (const position of [3, 4]) shelf.keep(batchAt(position));
    expect(shelf.keep(batchAt(1))).toBe(first);
    shelf.keep(batchAt(5));
    expect(shelf.keep(batchAt(1))).toBe(first);
    expect(shelf.keep(batchAt(2))).not.toBe(second);
    shelf.clear();
    expect(shelf.keep(batchAt(1))).not.toBe(first);
  });
});
