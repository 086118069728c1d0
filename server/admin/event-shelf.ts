import type { Batch } from '../coordinator/event-log.ts';
import { FeedEvent, type UnreadEvent } from './event-message.ts';

/** Of batches from files that are kept, with what an event weighs beside its payload; described it weighs several times that. */
const KEPT_BYTES_MAX = 1_048_576;
const EVENT_OVERHEAD_BYTES = 256;

/** The events of batches, decoded and described once for all streams; of batches from files, while they are the last used. */
export class EventShelf {
  readonly #read: (batch: Batch) => readonly UnreadEvent[];
  /** They go with their batch. */
  readonly #events = new WeakMap<Batch, readonly FeedEvent[]>();
  /** From files, by position, the one used last at the end. */
  readonly #kept = new Map<number, Batch>();
  #keptBytes = 0;

  constructor(read: (batch: Batch) => readonly UnreadEvent[]) {
    this.#read = read;
  }

  hasEventsOf(batch: Batch): boolean {
    return this.#events.has(batch);
  }

  eventsOf(batch: Batch): readonly FeedEvent[] {
    let events = this.#events.get(batch);
    if (!events) {
      events = this.#read(batch).map((unread) => new FeedEvent(unread));
      this.#events.set(batch, events);
    }
    return events;
  }

  /** A batch that was read from a file; the same one for all who read it about the same time. */
  keep(read: Batch): Batch {
    const batch = this.#kept.get(read.position) ?? read;
    if (batch === read) this.#keptBytes += weightOf(batch);
    this.#kept.delete(batch.position);
    this.#kept.set(batch.position, batch);
    for (const oldest of this.#kept.values()) {
      // The largest alone may be above the bound.
      if (this.#keptBytes <= KEPT_BYTES_MAX || oldest === batch) break;
      this.#kept.delete(oldest.position);
      this.#keptBytes -= weightOf(oldest);
    }
    return batch;
  }

  /** Nobody reads any more. */
  clear(): void {
    this.#kept.clear();
    this.#keptBytes = 0;
  }
}

function weightOf(batch: Batch): number {
  return batch.payload.length + batch.eventCount * EVENT_OVERHEAD_BYTES;
}
