/**
 * The port between the coordinator's loop and what makes events durable: files today, a replicated log later.
 *
 * Invariant: a log that answered anything but `durable` takes no further append; the process stops or starts anew.
 */

/**
 * First element of the records that the loop and the log themselves write: marks of the clock and of a clean stop. They
 * change no state, and no replica knows them.
 */
export const COORDINATOR_DOMAIN = 'coordinator';

/** What one commit writes. */
export interface Batch {
  /** Of its first event. Events are numbered from 1 over the life of the data. */
  readonly position: number;
  readonly eventCount: number;
  /** The run of the coordinator that wrote it. */
  readonly epoch: number;
  /** The coordinator's clock when the batch was closed, ms. */
  readonly clockMs: number;
  /** Wall clock at the same moment, ms since 1970; for looking back, never for deadlines. */
  readonly utcMs: number;
  /** `eventCount` records as MessagePack values, one behind the other. */
  readonly payload: Uint8Array;
}

export type AppendOutcome =
  /** On disk (or on a quorum): whoever crashes now, it is there afterwards. */
  | { readonly outcome: 'durable' }
  /** Not there, and never will be. */
  | { readonly outcome: 'failed'; readonly error: Error }
  /** May or may not be there; only a new start can tell. */
  | { readonly outcome: 'unknown'; readonly error: Error }
  /** Another coordinator has taken over. */
  | { readonly outcome: 'deposed' };

export interface EventLog {
  /** Payload bytes of one batch at most. */
  readonly batchBytesMax: number;
  /** Events of one batch at most. */
  readonly batchEventsMax: number;

  /**
   * Makes `batch` durable behind `expectedPosition`, the last position there is. At most one append at a time.
   * An expected position that isn't the log's own is answered `deposed`: somebody else wrote. Never rejects.
   */
  append(batch: Batch, expectedPosition: number): Promise<AppendOutcome>;

  /** Durable batches from the one that holds `position` on, in order, up to the last one durable when asked. */
  readFrom(position: number): AsyncIterable<Batch>;

  /** Leaves the mark of a clean stop, where the log has one. No append afterwards. */
  close(): Promise<void>;
}
