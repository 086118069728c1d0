import { describe, expect, it } from 'vitest';
import { FeedBench } from '../testing/feed-bench.ts';
import { VirtualClock, VirtualScheduler } from '../testing/virtual-time.ts';
import { SLICE_BYTES, SLICE_EVENTS } from './event-slices.ts';

const STREAMS = 16;
const BATCHES = 30;
const BATCH_EVENTS = 100;
/** A slice has fewer of the one and more of the other. */
const SMALL_BYTES = 10;
const LARGE_BYTES = SLICE_BYTES / 10;
const HUGE_BYTES = 5 * SLICE_BYTES;

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** What is done in each turn, in events and in bytes of the journal. */
class Turns extends VirtualScheduler {
  readonly descriptions: number[] = [];
  readonly decoded: number[] = [];
  mostEvents = 0;
  mostBytes = 0;
  #events = 0;
  #bytes = 0;
  #parts = 0;

  described(position: number, bytes: number): void {
    this.descriptions.push(position);
    this.#does(1, bytes);
  }

  decodes(position: number, bytes: number): void {
    this.decoded.push(position);
    this.#does(0, bytes);
  }

  override async runTurn(): Promise<boolean> {
    this.#events = 0;
    this.#bytes = 0;
    this.#parts = 0;
    return await super.runTurn();
  }

  #does(events: number, bytes: number): void {
    this.#events += events;
    this.#bytes += bytes;
    this.#parts += 1;
    this.mostEvents = Math.max(this.mostEvents, this.#events);
    // What is longer than a slice is one by itself.
    if (bytes <= SLICE_BYTES || this.#parts > 1) this.mostBytes = Math.max(this.mostBytes, this.#bytes);
  }
}

/** Streams that begin at 0 read what a bench holds to its end. */
async function catchUp(streams: number, eventBytes: number) {
  const scheduler = new Turns(new VirtualClock());
  const bench = new FeedBench(scheduler);
  bench.onDecode = ({ position, payload }) => scheduler.decodes(position, payload.length);
  for (let batch = 0; batch < BATCHES; batch += 1) {
    const happenings = Array.from({ length: BATCH_EVENTS }, (_, index) => ({
      get fields() {
        scheduler.described(batch * BATCH_EVENTS + index + 1, eventBytes);
        return {};
      },
    }));
    bench.happen(happenings, eventBytes * BATCH_EVENTS);
  }
  const listeners = Array.from({ length: streams }, () => bench.listen({ lastPosition: 0 }));
  let reading = streams;
  const all = listeners.map(async (listener) => {
    await listener.until(({ positions }) => positions.at(-1) === bench.position);
    reading -= 1;
  });
  while (reading > 0) await scheduler.advance(1);
  await Promise.all(all);
  for (const { positions } of listeners) expect(positions).toEqual(range(1, BATCHES * BATCH_EVENTS));
  await Promise.all(listeners.map((listener) => listener.cancel()));
  return scheduler;
}

describe('streams that catch up', () => {
  it.each([
    ['small', SMALL_BYTES],
    ['large', LARGE_BYTES],
    ['huge', HUGE_BYTES],
  ])('are one slice in a turn, however many, and describe %s events once for all', async (_size, eventBytes) => {
    const alone = await catchUp(1, eventBytes);
    const many = await catchUp(STREAMS, eventBytes);
    for (const turns of [alone, many]) {
      expect(turns.descriptions).toEqual(range(1, BATCHES * BATCH_EVENTS));
      expect(turns.decoded).toHaveLength(BATCHES);
      expect(turns.mostEvents).toBeLessThanOrEqual(SLICE_EVENTS);
      expect(turns.mostBytes).toBeLessThanOrEqual(SLICE_BYTES);
    }
  });
});
