/**
 * Everything that happens, told to whoever listens over HTTP: each event once it is durable, in the journal's order, none
 * twice and none left out.
 *
 * Invariant: `position` is the last event that streams have been given or must read from the journal's files.
 */
import type { Batch } from '../coordinator/event-log.ts';
import { Fifo } from '../coordinator/fifo.ts';
import type { Scheduler } from '../coordinator/scheduler.ts';
import type { EventFilter } from './event-filter.ts';
import type { FeedEvent, UnreadEvent } from './event-message.ts';
import { EventShelf } from './event-shelf.ts';
import { CatchUpLane } from './event-slices.ts';
import { EventStream } from './event-stream.ts';

/** Streams at one time. */
export const EVENT_STREAMS_MAX = 64;
/** A stream on which nothing happens says so: proxies on the way cut what is silent for long. */
const HEARTBEAT_MS = 15_000;
/** What streams that aren't behind tell in one turn of the loop: so many slices, over all of them. */
const SLICES_PER_TURN = 4;
/** Time to take what has happened to the last, at a stop; who is slower goes on from the files at the next start. */
const CLOSE_MS = 1_000;

export interface EventFeedOptions {
  readonly epoch: number;
  /** Of the last durable event. */
  readonly position: number;
  readonly eventsOf: (batch: Batch) => readonly UnreadEvent[];
  /** As the event log's. */
  readonly readFrom: (position: number) => AsyncIterable<Batch>;
  /** The oldest position that `readFrom` has. */
  readonly keptFrom: () => Promise<number>;
  /** Of leases that live or ended of late. */
  readonly resourceOf: (lease: number) => number | undefined;
  readonly scheduler: Scheduler;
  readonly log: { warn(fields: object, message: string): void };
}

export interface Subscription {
  /** The last event that the client has seen; undefined: it begins now. */
  readonly lastPosition: number | undefined;
  readonly filter: EventFilter;
  /** Whether the stream may go on: the key that opened it may have ended. Absent: it always may. */
  readonly isAllowed?: () => boolean;
}

export class EventFeed {
  readonly #options: EventFeedOptions;
  readonly #streams = new Set<EventStream>();
  readonly #shelf: EventShelf;
  readonly #lane: CatchUpLane;
  readonly #waiting = new Fifo<() => void>();
  /** The read of the files in flight: one at a time over all streams. Never rejects. */
  #reading: Promise<unknown> = Promise.resolve();
  #position: number;
  #isClosed = false;
  #cancelBeat: (() => void) | undefined;
  #onEmpty: (() => void) | undefined;

  constructor(options: EventFeedOptions) {
    this.#options = options;
    this.#position = options.position;
    this.#shelf = new EventShelf(options.eventsOf);
    this.#lane = new CatchUpLane(options.scheduler);
  }

  /** Of the last durable event. */
  get position(): number {
    return this.#position;
  }

  get epoch(): number {
    return this.#options.epoch;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** The next batch is durable. Costs nothing while nobody listens. */
  take(batch: Batch): void {
    this.#position = batch.position + batch.eventCount - 1;
    // What ends a key, or makes the first that is needed, is a batch as well: nobody it shuts out is told even that.
    this.#endForbidden();
    for (const stream of this.#streams) stream.take(batch);
  }

  /** What follows the last event seen, without end; undefined: there are as many streams as there may be. */
  subscribe(subscription: Subscription): ReadableStream<Uint8Array> | undefined {
    if (this.#isClosed || this.#streams.size >= EVENT_STREAMS_MAX) return undefined;
    const stream = new EventStream(this, subscription);
    this.#streams.add(stream);
    this.#cancelBeat ??= this.#beatLater();
    return stream.body;
  }

  /** Ends all streams behind the last event; takes no new ones. Whoever doesn't take that in time is let go. */
  async close(): Promise<void> {
    const { scheduler } = this.#options;
    this.#isClosed = true;
    for (const stream of this.#streams) stream.end();
    if (this.#streams.size > 0) {
      const emptied = new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
      });
      const cancel = scheduler.setTimer(CLOSE_MS, () => {
        for (const stream of this.#streams) stream.leave();
      });
      await emptied;
      cancel();
    }
    // The ends are on their way to the sockets now.
    await this.turn();
  }

  /** Part of a stream's end. */
  left(stream: EventStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size > 0) return;
    this.#shelf.clear();
    this.#cancelBeat?.();
    this.#cancelBeat = undefined;
    this.#onEmpty?.();
  }

  failed(error: unknown): void {
    this.#options.log.warn({ err: error }, 'a stream of events ended: what follows could not be read');
  }

  /** Who is behind goes by it. */
  get lane(): CatchUpLane {
    return this.#lane;
  }

  /** Whether it costs nothing more to have them. */
  hasEventsOf(batch: Batch): boolean {
    return this.#shelf.hasEventsOf(batch);
  }

  eventsOf(batch: Batch): readonly FeedEvent[] {
    return this.#shelf.eventsOf(batch);
  }

  resourceOf(lease: number): number | undefined {
    return this.#options.resourceOf(lease);
  }

  keptFrom(): Promise<number> {
    return this.#alone(() => this.#options.keptFrom());
  }

  /** Batches from the files, from the one that holds `position` on. */
  async *readFrom(position: number): AsyncGenerator<Batch> {
    const batches = this.#options.readFrom(position)[Symbol.asyncIterator]();
    try {
      while (true) {
        const result = await this.#alone(() => batches.next());
        if (result.done) return;
        yield this.#shelf.keep(result.value);
      }
    } finally {
      await batches.return?.();
    }
  }

  /** Before each slice of one that isn't behind: comes in a later turn of the loop, so that what the coordinator is for goes first. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.size === 1) this.#options.scheduler.defer(this.#runTurn);
    });
  }

  readonly #runTurn = () => {
    for (let slices = 0; slices < SLICES_PER_TURN; slices += 1) this.#waiting.take()?.();
    if (this.#waiting.size > 0) this.#options.scheduler.defer(this.#runTurn);
  };

  /** In the pool that all file operations share a commit stands behind what came before it. */
  #alone<Result>(read: () => Promise<Result>): Promise<Result> {
    const result = this.#reading.then(read);
    this.#reading = result.catch(() => undefined);
    return result;
  }

  #endForbidden(): void {
    for (const stream of this.#streams) if (!stream.isAllowed) stream.leave();
  }

  #beatLater(): () => void {
    return this.#options.scheduler.setTimer(HEARTBEAT_MS, () => {
      // Keys end by the wall clock, too.
      this.#endForbidden();
      for (const stream of this.#streams) stream.beat();
      this.#cancelBeat = this.#streams.size > 0 ? this.#beatLater() : undefined;
    });
  }
}
