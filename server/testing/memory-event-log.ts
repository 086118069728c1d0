import assert from 'node:assert/strict';
import type { AppendOutcome, Batch, EventLog } from '../coordinator/event-log.ts';

type NotDurable = Exclude<AppendOutcome, { outcome: 'durable' }>;

/** An event log without a disk, whose outcomes and their moment are the test's to choose. */
export class MemoryEventLog implements EventLog {
  readonly batchBytesMax: number;
  readonly batchEventsMax: number;
  /** What is durable, in order. */
  readonly batches: Batch[] = [];

  #isHolding = false;
  #held: { readonly batch: Batch; readonly settle: () => void } | undefined;
  #heldListeners: ((batch: Batch) => void)[] = [];
  #nextOutcome: NotDurable | undefined;
  #ended: NotDurable | undefined;

  constructor({ batchBytesMax = 1024 * 1024, batchEventsMax = 1_000 } = {}) {
    this.batchBytesMax = batchBytesMax;
    this.batchEventsMax = batchEventsMax;
  }

  /** Of the last durable event. */
  get position(): number {
    const last = this.batches.at(-1);
    return last ? last.position + last.eventCount - 1 : 0;
  }

  /** From now on an append stays unanswered until it is released. */
  hold(): void {
    this.#isHolding = true;
  }

  /** Answers the append that is held, if one is, and holds none from now on. */
  release(): void {
    this.#isHolding = false;
    this.#held?.settle();
  }

  /** Answers the append that is held and goes on holding the next. */
  releaseOne(): void {
    assert.ok(this.#held, 'no append is held');
    this.#held.settle();
  }

  /** Resolves to the batch that is held, at once or when one comes. */
  whenHeld(): Promise<Batch> {
    if (this.#held) return Promise.resolve(this.#held.batch);
    return new Promise((done) => this.#heldListeners.push(done));
  }

  /** The next append (or the one held) is answered so, its batch is not kept, and the log takes no more. */
  failNext(outcome: NotDurable = { outcome: 'failed', error: new Error('failed as the test asked') }): void {
    this.#nextOutcome = outcome;
  }

  async append(batch: Batch, expectedPosition: number): Promise<AppendOutcome> {
    assert.ok(!this.#held, 'one append at a time');
    if (this.#ended) return this.#ended;
    if (expectedPosition !== this.position) return this.#end({ outcome: 'deposed' });
    assert.equal(batch.position, expectedPosition + 1, 'a batch continues the log');
    assert.ok(batch.eventCount >= 1 && batch.eventCount <= this.batchEventsMax, 'eventCount is out of bounds');
    assert.ok(batch.payload.length <= this.batchBytesMax, 'payload is out of bounds');
    const kept = { ...batch, payload: new Uint8Array(batch.payload) };
    // Always answered in a later turn, as a disk does.
    await new Promise<void>((settle) => {
      this.#held = { batch: kept, settle };
      if (!this.#isHolding) queueMicrotask(settle);
      for (const listener of this.#heldListeners.splice(0)) listener(kept);
    });
    this.#held = undefined;
    if (this.#nextOutcome) return this.#end(this.#nextOutcome);
    this.batches.push(kept);
    return { outcome: 'durable' };
  }

  readFrom(position: number): AsyncGenerator<Batch> {
    return this.#read(position, this.batches.length);
  }

  close(): Promise<void> {
    this.#ended ??= { outcome: 'failed', error: new Error('the log is closed') };
    return Promise.resolve();
  }

  #end(outcome: NotDurable): NotDurable {
    this.#ended = outcome;
    return outcome;
  }

  async *#read(position: number, count: number): AsyncGenerator<Batch> {
    for (const batch of this.batches.slice(0, count)) {
      if (batch.position + batch.eventCount > position) yield { ...batch, payload: new Uint8Array(batch.payload) };
    }
  }
}
