import type { EventRecord } from './domain.ts';
import { RecordWriter } from './record-writer.ts';

/** Events of one or more whole decisions, encoded. */
export interface PendingBatch {
  readonly eventCount: number;
  readonly payload: Uint8Array;
}

/** Collects events into batches within the log's bounds. A decision's events are never torn apart. */
export class BatchBuilder {
  readonly #bytesMax: number;
  readonly #eventsMax: number;
  /** In order; the one that still grows is behind them. */
  readonly #closed: PendingBatch[] = [];
  #closedBytes = 0;
  /** The one that still grows: never longer than a batch and a decision may be. */
  readonly #open = new RecordWriter();
  #openEvents = 0;

  constructor(bytesMax: number, eventsMax: number) {
    this.#bytesMax = bytesMax;
    this.#eventsMax = eventsMax;
  }

  /** Encoded bytes that wait. */
  get bytes(): number {
    return this.#closedBytes + this.#open.length;
  }

  get isEmpty(): boolean {
    return this.#closed.length === 0 && this.#openEvents === 0;
  }

  /** Throws where one decision exceeds a whole batch: a bug of the domain's. */
  add(records: readonly EventRecord[]): void {
    if (records.length === 0) return;
    const open = this.#open;
    const before = open.length;
    for (const record of records) open.write(record);
    const bytes = open.length - before;
    if (bytes > this.#bytesMax || records.length > this.#eventsMax) {
      open.cut(before);
      throw new Error(`one decision made ${records.length} events of ${bytes} bytes, more than a batch may hold`);
    }
    if (open.length > this.#bytesMax || this.#openEvents + records.length > this.#eventsMax) this.#close(before);
    this.#openEvents += records.length;
  }

  /** The oldest batch, now closed. */
  take(): PendingBatch | undefined {
    if (this.#closed.length === 0 && this.#openEvents > 0) this.#close(this.#open.length);
    const batch = this.#closed.shift();
    if (batch) this.#closedBytes -= batch.payload.length;
    return batch;
  }

  #close(bytes: number): void {
    this.#closed.push({ eventCount: this.#openEvents, payload: this.#open.take(bytes) });
    this.#closedBytes += bytes;
    this.#openEvents = 0;
  }
}
