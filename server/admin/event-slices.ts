/** How much is told to streams of events before others have their turn: so many events, and so many bytes of them. */
import { Fifo } from '../coordinator/fifo.ts';
import type { Scheduler } from '../coordinator/scheduler.ts';

/** Events looked at in one slice. */
export const SLICE_EVENTS = 64;
/** Of the journal's bytes that are decoded or looked at in one slice; what is longer is a slice of its own. */
export const SLICE_BYTES = 32_768;
/** Behind a slice from files: who is behind has time, who wants a lease hasn't. */
const REST_MS = 1;

/** What is left of a slice. */
export class Slice {
  #events = 0;
  #bytes = 0;

  /** Takes so much of it; false: that is for the next one. */
  take(events: number, bytes: number): boolean {
    const isUnused = this.#events === 0 && this.#bytes === 0;
    if (!isUnused && (this.#events + events > SLICE_EVENTS || this.#bytes + bytes > SLICE_BYTES)) return false;
    this.#events += events;
    this.#bytes += bytes;
    return true;
  }

  renew(): void {
    this.#events = 0;
    this.#bytes = 0;
  }
}

/**
 * One slice at a time over all who are behind, in the order in which they ask, with a rest behind each: many of them take
 * no more of a turn than one, they only take longer.
 *
 * Invariant: between two slices the loop has looked at its sockets, however long the first one took.
 */
export class CatchUpLane {
  readonly #scheduler: Scheduler;
  readonly #slice = new Slice();
  /** Each stream waits once at most. */
  readonly #waiting = new Fifo<{ readonly who: object; readonly begin: () => void }>();
  /** Whose slice it is. */
  #holder: object | undefined;
  #isResting = false;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** As a slice's; false as well where the slice is somebody else's by now. */
  take(who: object, events: number, bytes: number): boolean {
    return this.#holder === who && this.#slice.take(events, bytes);
  }

  /** Resolves when the next slice is `who`'s. */
  next(who: object): Promise<void> {
    return new Promise((begin) => {
      this.#waiting.push({ who, begin });
      if (!this.#isResting) this.#begin();
    });
  }

  readonly #begin = () => {
    const next = this.#waiting.take();
    this.#isResting = next !== undefined;
    this.#holder = next?.who;
    if (!next) return;
    this.#slice.renew();
    next.begin();
    // A timer alone could be due within the same turn. The first turn is the slice's own.
    this.#scheduler.defer(() => {
      this.#scheduler.setTimer(REST_MS, () => this.#scheduler.defer(this.#begin));
    });
  };
}
