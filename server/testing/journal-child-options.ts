/** What journal-child.ts is told, as JSON. */
export interface JournalChildOptions {
  /** Draws the sizes of batches; absent: each run is another. */
  readonly seed?: number;
  /** Batches until it closes the journal and ends; absent: until it is killed. */
  readonly batches?: number;
  /** After them it dies by its own kill -9 instead. */
  readonly dies?: boolean;
  /** Events of a batch at most. */
  readonly eventsMax?: number;
  readonly segmentBytes?: number;
  readonly snapshotBytes?: number;
  readonly batchBytesMax?: number;
}
