import { EventFeed, type Subscription } from '../admin/event-feed.ts';
import type { Batch } from '../coordinator/event-log.ts';
import type { Scheduler } from '../coordinator/scheduler.ts';
import { parseEvents, type SentEvent } from './event-client.ts';

/** What happens in one event of the bench. */
export interface Happening {
  readonly event?: string;
  readonly domain?: string;
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** A feed over a journal in memory, whose events are the test's, and that forgets its oldest batches when asked to. */
export class FeedBench {
  readonly feed: EventFeed;
  readonly warnings: string[] = [];
  /** Readers of the journal that are open. */
  readersOpen = 0;
  /** Called before each batch that is read: the moment at which something may happen meanwhile. */
  beforeRead: (batch: Batch) => void = () => {};
  /** Called before a batch's events are made of it. */
  onDecode: (batch: Batch) => void = () => {};
  resourceOf: (lease: number) => number | undefined = () => undefined;
  #batches: Batch[] = [];
  readonly #happenings = new Map<number, Happening>();
  #position = 0;

  constructor(scheduler: Scheduler) {
    this.feed = new EventFeed({
      epoch: 3,
      position: 0,
      eventsOf: (batch) => {
        this.onDecode(batch);
        const { position, eventCount, payload } = batch;
        const bytes = Math.ceil(payload.length / eventCount);
        return Array.from({ length: eventCount }, (_, index) => this.#eventAt(position + index, bytes));
      },
      readFrom: (position) => this.#read(position),
      keptFrom: () => Promise.resolve(this.#batches[0]?.position ?? this.#position + 1),
      resourceOf: (lease) => this.resourceOf(lease),
      scheduler,
      log: { warn: (fields, message) => this.warnings.push(`${message} ${JSON.stringify(fields)}`) },
    });
  }

  get position(): number {
    return this.#position;
  }

  /** One batch, durable; `payloadBytes`: as long as it is for the queues. */
  happen(happenings: readonly Happening[], payloadBytes = 10): void {
    const batch: Batch = {
      position: this.#position + 1,
      eventCount: happenings.length,
      epoch: 3,
      clockMs: 0,
      utcMs: 0,
      payload: new Uint8Array(payloadBytes),
    };
    for (const happening of happenings) {
      this.#position += 1;
      this.#happenings.set(this.#position, happening);
    }
    this.#batches.push(batch);
    this.feed.take(batch);
  }

  /** Batches that hold nothing from `position` on are gone, also for who is reading. */
  forgetBefore(position: number): void {
    this.#batches = this.#batches.filter((batch) => batch.position + batch.eventCount > position);
  }

  listen(subscription: Partial<Subscription> = {}): FeedListener {
    const body = this.feed.subscribe({ lastPosition: undefined, filter: {}, ...subscription });
    if (!body) throw new Error('there are too many streams');
    return new FeedListener(body);
  }

  #eventAt(position: number, bytes: number) {
    const happening = this.#happenings.get(position)!;
    const { event = 'Happened', domain = 'bench' } = happening;
    const describe = () => ({ position, domain, event, fields: happening.fields ?? {} });
    return { position, domain, name: event, bytes, describe };
  }

  async *#read(position: number): AsyncGenerator<Batch> {
    const last = this.#position;
    this.readersOpen += 1;
    try {
      for (let next = position; next <= last; ) {
        const batch = this.#batches.find((each) => each.position + each.eventCount > next);
        if (!batch || batch.position > next) throw new Error(`position ${next} is gone`);
        this.beforeRead(batch);
        // Another object each time, as from a file.
        yield { ...batch };
        next = batch.position + batch.eventCount;
      }
    } finally {
      this.readersOpen -= 1;
    }
  }
}

/** Reads one stream, as fast as the test says. */
export class FeedListener {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  /** Everything so far. */
  readonly events: SentEvent[] = [];
  /** Of events that are the journal's own. */
  readonly positions: number[] = [];
  #rest = '';

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
  }

  /** The next chunk; undefined: the stream has ended. */
  async chunk(): Promise<string | undefined> {
    const { done, value } = await this.#reader.read();
    if (done) return undefined;
    const text = this.#decoder.decode(value, { stream: true });
    const { events, rest } = parseEvents(this.#rest + text);
    this.#rest = rest;
    for (const sent of events) {
      this.events.push(sent);
      if (/^[A-Z]/.test(sent.event)) this.positions.push(sent.data['position'] as number);
    }
    return text;
  }

  async until(isEnough: (listener: FeedListener) => boolean): Promise<void> {
    while (!isEnough(this)) if ((await this.chunk()) === undefined) return;
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}
