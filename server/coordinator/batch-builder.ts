import { Packr } from 'msgpackr';
import type { EventRecord } from './domain.ts';

/** Events of one or more whole decisions, encoded. */
export interface PendingBatch {
  readonly eventCount: number;
  readonly payload: Uint8Array;
}

interface OpenBatch {
  readonly chunks: Uint8Array[];
  eventCount: number;
  bytes: number;
}

const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' });

/** Collects events into batches within the log's bounds. A decision's events are never torn apart. */
export class BatchBuilder {
  readonly #bytesMax: number;
  readonly #eventsMax: number;
  /** In order; only the last one still grows. */
  readonly #batches: OpenBatch[] = [];
  #bytes = 0;

  constructor(bytesMax: number, eventsMax: number) {
    this.#bytesMax = bytesMax;
    this.#eventsMax = eventsMax;
  }

  /** Encoded bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#batches.length === 0;
  }

  /** Throws where one decision exceeds a whole batch: a bug of the domain's. */
  add(records: readonly EventRecord[]): void {
    if (records.length === 0) return;
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for (const record of records) {
      const chunk = packr.pack(record);
      chunks.push(chunk);
      bytes += chunk.length;
    }
    if (bytes > this.#bytesMax || records.length > this.#eventsMax) {
      throw new Error(`one decision made ${records.length} events of ${bytes} bytes, more than a batch may hold`);
    }
    let open = this.#batches.at(-1);
    if (!open || open.bytes + bytes > this.#bytesMax || open.eventCount + records.length > this.#eventsMax) {
      open = { chunks: [], eventCount: 0, bytes: 0 };
      this.#batches.push(open);
    }
    open.chunks.push(...chunks);
    open.eventCount += records.length;
    open.bytes += bytes;
    this.#bytes += bytes;
  }

  /** The oldest batch, now closed. */
  take(): PendingBatch | undefined {
    const batch = this.#batches.shift();
    if (!batch) return undefined;
    this.#bytes -= batch.bytes;
    const { chunks, eventCount, bytes } = batch;
    return { eventCount, payload: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes) };
  }
}
