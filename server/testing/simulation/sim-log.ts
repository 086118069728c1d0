import assert from 'node:assert/strict';
import { Packr } from 'msgpackr';
import type { AnyDomain, EventRecord } from '../../coordinator/domain.ts';
import { type AppendOutcome, type Batch, COORDINATOR_DOMAIN, type EventLog } from '../../coordinator/event-log.ts';
import { Replica, type SnapshotRecord } from '../../coordinator/replica.ts';
import type { Random } from './random.ts';
import type { SimProcess } from './sim-process.ts';

/** One append in so many is very slow. */
const SLOW_CHANCE = 0.001;
const SLOW_FACTOR = 200;

const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number' });

export interface DiskOptions {
  readonly domains: readonly AnyDomain[];
  readonly random: Random;
  /** One append, on average. */
  readonly appendMs: number;
  /** An append has been answered: what waits for the promise is to run before time goes on. */
  onAnswered(): void;
}

export interface Recovered {
  readonly replica: Replica;
  readonly position: number;
  readonly epoch: number;
  readonly clockMs: number;
}

/**
 * What outlives the processes: a log that another replica follows batch by batch, by recovery's own way, so that what a
 * restart would find is there at any time.
 */
export class SimDisk {
  readonly #options: DiskOptions;
  #follower: Replica;
  #position = 0;
  #epoch = 0;
  #clockMs = 0;
  #inFlight: Batch | undefined;
  #lastAppendMs = 0;
  #nextOutcome: 'failed' | 'unknown' | undefined;
  /** How long the next append takes beyond the usual. */
  #hangMs = 0;
  #isCalm = false;

  constructor(options: DiskOptions) {
    this.#options = options;
    this.#follower = new Replica(options.domains);
  }

  /** Of the last durable event. */
  get position(): number {
    return this.#position;
  }

  /** Of the last batch that was begun: as far as a restart may go on from. */
  get clockMs(): number {
    return (this.#inFlight ?? { clockMs: this.#clockMs }).clockMs;
  }

  get lastAppendMs(): number {
    return this.#lastAppendMs;
  }

  get isAppending(): boolean {
    return this.#inFlight !== undefined;
  }

  /** The next append fails. */
  failNext(outcome: 'failed' | 'unknown'): void {
    this.#nextOutcome = outcome;
  }

  hangNext(ms: number): void {
    this.#hangMs = ms;
  }

  /** From now on appends take the usual time only, and none fails. */
  calm(): void {
    this.#isCalm = true;
    this.#nextOutcome = undefined;
    this.#hangMs = 0;
  }

  /** The mark of a clean stop, with the clock. */
  close(clockMs: number): void {
    this.#clockMs = clockMs;
  }

  /** The process that appended has died: what it had under way is on disk, or isn't. */
  processDied(): void {
    if (this.#inFlight && this.#options.random.chance(0.5)) this.#persist(this.#inFlight);
    this.#inFlight = undefined;
    this.#nextOutcome = undefined;
    this.#hangMs = 0;
  }

  /**
   * The state of a new process: what replay made of the journal, or what a snapshot of that restores. The follower goes
   * on from the other of the two, so that each is held against what the process makes of it.
   */
  recover(): Recovered {
    const restored = new Replica(this.#options.domains);
    const snapshot = packr.pack([...this.#follower.encode()]);
    for (const record of packr.unpack(snapshot) as SnapshotRecord[]) restored.restore(record);
    const [replica, follower] = this.#options.random.chance(0.5)
      ? [restored, this.#follower]
      : [this.#follower, restored];
    this.#follower = follower;
    return { replica, position: this.#position, epoch: this.#epoch, clockMs: this.#clockMs };
  }

  /** Whether the follower has come to the same as `live`, value by value in one order. Only where all is durable. */
  agreesWith(live: Replica): boolean {
    const followed = this.#follower.encode();
    for (const record of live.encode()) if (!isSame(record, followed.next().value)) return false;
    return followed.next().done === true;
  }

  open(process: SimProcess, epoch: number): EventLog {
    this.#epoch = epoch;
    let ended: AppendOutcome | undefined;
    const append = (batch: Batch, expectedPosition: number): Promise<AppendOutcome> => {
      this.#mustFit(batch, expectedPosition);
      assert.equal(ended, undefined, 'an append after the end');
      this.#inFlight = batch;
      return new Promise((resolve) => {
        const takesMs = this.#appendMs();
        process.plan('input', takesMs, () => {
          this.#lastAppendMs = takesMs;
          const outcome = this.#settle(batch);
          if (outcome.outcome !== 'durable') ended = outcome;
          resolve(outcome);
          this.#options.onAnswered();
        });
      });
    };
    return {
      batchBytesMax: 1_048_576,
      batchEventsMax: 1_000,
      append,
      readFrom: () => {
        throw new Error('the follower reads for everybody');
      },
      close: () => Promise.resolve(),
    };
  }

  #mustFit(batch: Batch, expectedPosition: number): void {
    assert.equal(this.#inFlight, undefined, 'one append at a time');
    assert.equal(expectedPosition, this.#position, 'an append is made behind the last one');
    assert.equal(batch.position, expectedPosition + 1, 'a batch continues the log');
    assert.ok(batch.eventCount >= 1 && batch.eventCount <= 1_000, 'eventCount is out of bounds');
    assert.ok(batch.clockMs >= this.#clockMs, 'the clock on disk never goes back');
  }

  #appendMs(): number {
    const { random, appendMs } = this.#options;
    const hangMs = this.#hangMs;
    this.#hangMs = 0;
    const usualMs = appendMs / 2 + random.exponential(appendMs / 2);
    return hangMs + (!this.#isCalm && random.chance(SLOW_CHANCE) ? usualMs * SLOW_FACTOR : usualMs);
  }

  #settle(batch: Batch): AppendOutcome {
    this.#inFlight = undefined;
    const outcome = this.#nextOutcome;
    this.#nextOutcome = undefined;
    if (outcome === undefined || (outcome === 'unknown' && this.#options.random.chance(0.5))) this.#persist(batch);
    return outcome === undefined ? { outcome: 'durable' } : { outcome, error: new Error('a fault of the disk') };
  }

  #persist(batch: Batch): void {
    this.#position += batch.eventCount;
    this.#clockMs = batch.clockMs;
    for (const record of packr.unpackMultiple(batch.payload) as EventRecord[]) {
      if (record[0] !== COORDINATOR_DOMAIN) this.#follower.apply(record);
    }
  }
}

/** Whether both are written with the same bytes: lists and maps of the same values, in the same order. */
function isSame(one: unknown, other: unknown): boolean {
  if (typeof one !== 'object' || one === null) return Object.is(one, other);
  if (typeof other !== 'object' || other === null) return false;
  if (ArrayBuffer.isView(one)) return ArrayBuffer.isView(other) && packr.pack(one).equals(packr.pack(other));
  if (Array.isArray(one)) {
    return Array.isArray(other) && one.length === other.length && one.every((value, at) => isSame(value, other[at]));
  }
  if (Object.getPrototypeOf(one) !== Object.getPrototypeOf(other)) return false;
  return isSame(Object.entries(one), Object.entries(other));
}
