import type { Batch } from '../coordinator/event-log.ts';
import { Fifo } from '../coordinator/fifo.ts';
import type { EventFeed, Subscription } from './event-feed.ts';
import { EventSieve } from './event-filter.ts';
import { HEARTBEAT, message, progressTo } from './event-message.ts';
import { Slice } from './event-slices.ts';

/** Batches that wait for a reader, with what keeping one costs; beyond that they are read from the files again. */
const QUEUE_BYTES_MAX = 1_048_576;
const BATCH_OVERHEAD_BYTES = 256;
/** A chunk goes out when it is so long. An event is not cut: a longer one is a chunk of its own. */
const CHUNK_BYTES = 16_384;
/** So many events that the filter kept back, and the client is told how far it has come. */
const SKIPPED_MAX = 1_000;
/** A snapshot may remove what is just being read; then it is looked anew what there is. */
const ATTEMPTS_MAX = 5;

/**
 * What one subscriber is sent. It asks for the next chunk when its socket has taken the last: meanwhile batches wait in
 * a bounded queue, and where that overflows it goes on from the journal's files, as it does where it begins in the past.
 *
 * Invariant: every batch from `#queueFrom` on, as far as it isn't told, is in the queue; what is before comes from files.
 */
export class EventStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #feed: EventFeed;
  readonly #isAllowed: () => boolean;
  readonly #sieve: EventSieve;
  readonly #chunks: AsyncGenerator<Uint8Array, void>;
  #queue = new Fifo<Batch>();
  #queueBytes = 0;
  #queueFrom: number;
  /** The first event not looked at yet. */
  #next: number;
  /** Of the next chunk. */
  #parts: Uint8Array[] = [];
  #partsBytes = 0;
  /** Where it isn't behind. */
  readonly #slice = new Slice();
  /** Since the client was last told a position. */
  #skipped = 0;
  /** Beats before anybody began to read the body. */
  #unreadBeats = 0;
  #hasBegun = false;
  #isEnding = false;
  #isCancelled = false;
  #hasLeft = false;
  /** Of one that has nothing to send. */
  #wake: (() => void) | undefined;

  constructor(feed: EventFeed, { lastPosition, filter, isAllowed = () => true }: Subscription) {
    const { position, epoch } = feed;
    this.#feed = feed;
    this.#isAllowed = isAllowed;
    this.#sieve = new EventSieve(filter, (lease) => feed.resourceOf(lease));
    this.#queueFrom = position + 1;
    this.#next = Math.min(lastPosition ?? position, position) + 1;
    if (lastPosition === undefined) this.#add(message('hello', position, { position, epoch }));
    else if (lastPosition > position) this.#add(message('reset', position, { asked: lastPosition, position, epoch }));
    this.#chunks = this.#makeChunks();
    const pull = (controller: ReadableStreamDefaultController<Uint8Array>) => this.#pull(controller);
    const cancel = () => {
      this.#isCancelled = true;
      this.leave();
    };
    this.body = new ReadableStream({ pull, cancel }, { highWaterMark: 0 });
  }

  get isAllowed(): boolean {
    return this.#isAllowed();
  }

  /** The next batch is durable. */
  take(batch: Batch): void {
    const bytes = bytesOf(batch);
    if (this.#queue.size > 0 && this.#queueBytes + bytes > QUEUE_BYTES_MAX) {
      this.#queue = new Fifo();
      this.#queueBytes = 0;
      this.#queueFrom = batch.position + batch.eventCount;
    } else {
      this.#queue.push(batch);
      this.#queueBytes += bytes;
    }
    this.#wake?.();
  }

  /** Time has passed. */
  beat(): void {
    if (!this.#hasBegun) this.#unreadBeats += 1;
    // An answer to HEAD, say: its body is never read, and nobody says that it won't be.
    if (this.#unreadBeats > 1) this.leave();
    else if (this.#wake) {
      this.#add(this.#skipped > 0 ? this.#progress() : HEARTBEAT);
      this.#wake();
    }
  }

  /** Nothing comes any more: it ends behind what it has been given. */
  end(): void {
    this.#isEnding = true;
    this.#wake?.();
  }

  /** The subscriber is gone, or is let go. */
  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#queue = new Fifo();
    this.#wake?.();
    // Closes the file that is being read.
    void this.#chunks.return().catch(() => undefined);
    this.#feed.left(this);
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#hasBegun = true;
    const chunk = await this.#nextChunk();
    if (this.#isCancelled) return;
    // Who is let go gets nothing more, be it under way.
    if (chunk === undefined || this.#hasLeft) {
      controller.close();
      this.leave();
    } else controller.enqueue(chunk);
  }

  /** undefined: none comes any more. */
  async #nextChunk(): Promise<Uint8Array | undefined> {
    try {
      const { done, value } = await this.#chunks.next();
      return done ? undefined : value;
    } catch (error) {
      this.#feed.failed(error);
      return undefined;
    }
  }

  async *#makeChunks(): AsyncGenerator<Uint8Array, void> {
    while (!this.#hasLeft) {
      const isBehind = this.#next < this.#queueFrom;
      if (isBehind && !this.#isEnding) yield* this.#catchUp();
      else if (!isBehind && this.#queue.size > 0) {
        const batch = this.#queue.take()!;
        this.#queueBytes -= bytesOf(batch);
        yield* this.#tell(batch, false);
      } else if (this.#parts.length > 0) yield this.#takeChunk();
      else if (this.#isEnding) return;
      else await this.#something();
    }
  }

  /** From the files, up to what is in the queue. */
  async *#catchUp(): AsyncGenerator<Uint8Array, void> {
    let failures = 0;
    while (this.#next < this.#queueFrom) {
      const first = this.#next;
      try {
        const keptFrom = Math.min(await this.#feed.keptFrom(), this.#queueFrom);
        if (this.#next < keptFrom) this.#leap(keptFrom);
        for await (const batch of this.#feed.readFrom(this.#next)) {
          if (batch.position >= this.#queueFrom) break;
          yield* this.#tell(batch, true);
          if (this.#hasLeft || this.#isEnding) return;
        }
        if (this.#next === first) throw new Error(`position ${first} is durable and can't be read`);
        failures = 0;
      } catch (error) {
        failures = this.#next > first ? 1 : failures + 1;
        if (failures === ATTEMPTS_MAX) throw error;
      }
    }
  }

  /** What is between is no longer kept. */
  #leap(keptFrom: number): void {
    this.#add(message('gap', keptFrom - 1, { asked: this.#next, from: keptFrom }));
    this.#next = keptFrom;
    this.#skipped = 0;
    this.#sieve.forget();
  }

  async *#tell(batch: Batch, isBehind: boolean): AsyncGenerator<Uint8Array, void> {
    if (!this.#feed.hasEventsOf(batch) && !this.#may(isBehind, 0, batch.payload.length)) {
      await this.#nextSlice(isBehind, 0, batch.payload.length);
    }
    if (this.#hasLeft) return;
    for (const event of this.#feed.eventsOf(batch)) {
      if (event.position < this.#next) continue;
      if (!this.#may(isBehind, 1, event.bytes)) await this.#nextSlice(isBehind, 1, event.bytes);
      if (this.#hasLeft) return;
      this.#next = event.position + 1;
      if (this.#sieve.wants(event)) {
        const { message } = event;
        // So that it goes out as it is, not copied for each stream.
        if (message.length >= CHUNK_BYTES && this.#parts.length > 0) yield this.#takeChunk();
        this.#add(message);
        this.#skipped = 0;
      } else {
        this.#skipped += 1;
        if (this.#skipped >= SKIPPED_MAX) this.#add(this.#progress());
      }
      if (this.#partsBytes >= CHUNK_BYTES) yield this.#takeChunk();
    }
  }

  /** Whether so much more may be decoded or looked at in this slice. */
  #may(isBehind: boolean, events: number, bytes: number): boolean {
    return isBehind ? this.#feed.lane.take(this, events, bytes) : this.#slice.take(events, bytes);
  }

  async #nextSlice(isBehind: boolean, events: number, bytes: number): Promise<void> {
    do {
      if (isBehind) await this.#feed.lane.next(this);
      else {
        await this.#feed.turn();
        this.#slice.renew();
      }
    } while (!this.#hasLeft && !this.#may(isBehind, events, bytes));
  }

  #progress(): Uint8Array {
    this.#skipped = 0;
    return progressTo(this.#next - 1);
  }

  #add(part: Uint8Array): void {
    this.#parts.push(part);
    this.#partsBytes += part.length;
  }

  #takeChunk(): Uint8Array {
    const parts = this.#parts;
    this.#parts = [];
    this.#partsBytes = 0;
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  async #something(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
    await this.#feed.turn();
    this.#slice.renew();
  }
}

function bytesOf(batch: Batch): number {
  return batch.payload.length + BATCH_OVERHEAD_BYTES;
}
