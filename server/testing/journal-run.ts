import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { AppendOutcome } from '../coordinator/event-log.ts';
import { Replica } from '../coordinator/replica.ts';
import { buildSnapshot } from '../journal/build-snapshot.ts';
import { nodeDisk } from '../journal/disk.ts';
import { type Journal, type JournalOptions, openJournal } from '../journal/journal.ts';
import { packValue } from '../journal/msgpack.ts';
import { type Recovered, recover } from '../journal/recover.ts';
import { SEGMENT_BYTES_MIN } from '../journal/segment.ts';
import { type CounterState, counterDomain } from './counter-domain.ts';
import { realScheduler } from './real-scheduler.ts';

/** A folder that goes with the test. */
export async function temporaryFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'leasehold-'));
  // A run that was never stopped may be preparing a segment in it.
  onTestFinished(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }));
  return dir;
}

/** As Node throws it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(code), { code, errno: -1 });
}

export function counterReplica(): Replica {
  return new Replica([counterDomain]);
}

/** What a replica holds, as `{name: [value, events]}`. */
export function countersOf(replica: Replica): Record<string, [value: number, events: number]> {
  const { counters } = replica.state(counterDomain.name) as CounterState;
  return Object.fromEntries([...counters].map(([counter, { value, events }]) => [counter, [value, events]]));
}

/** `count` events of one counter, as a batch's payload. */
export function additions(counter: string, count: number, by: number): Uint8Array {
  return Buffer.concat(Array.from({ length: count }, () => packValue(counterDomain.encodeEvent({ counter, by }))));
}

/** Makes snapshots as the worker does, in this thread. */
export function snapshotsOf(dir: string): { takeSnapshot: NonNullable<JournalOptions['takeSnapshot']> } {
  return { takeSnapshot: ({ upToPosition }) => buildSnapshot(nodeDisk, dir, counterReplica(), upToPosition) };
}

/** One run of a coordinator over a folder: recovery, then a journal. */
export class JournalRun {
  readonly recovered: Recovered;
  /** As it was recovered. */
  readonly replica: Replica;
  readonly journal: Journal;
  readonly #epoch: number;
  #position: number;

  static async start(dir: string, options: Partial<JournalOptions> = {}): Promise<JournalRun> {
    const replica = counterReplica();
    const recovered = await recover(nodeDisk, dir, replica);
    const epoch = recovered.epoch + 1;
    const journal = await openJournal({
      disk: nodeDisk,
      dir,
      recovered,
      epoch,
      randomBytes: (count) => new Uint8Array(count).fill(7),
      scheduler: realScheduler,
      clock: { nowMs: () => 1_000_000, utcMs: () => 1_750_000_000_000 },
      log: { info: () => undefined, warn: () => undefined },
      segmentBytes: SEGMENT_BYTES_MIN,
      ...options,
    });
    // Most tests crash: they go on from a copy of the folder, or from the folder itself, and never stop the run.
    onTestFinished(() => journal.close().catch(() => undefined));
    return new JournalRun(recovered, replica, journal, epoch);
  }

  private constructor(recovered: Recovered, replica: Replica, journal: Journal, epoch: number) {
    this.recovered = recovered;
    this.replica = replica;
    this.journal = journal;
    this.#epoch = epoch;
    this.#position = recovered.position;
  }

  /** Of the last durable event. */
  get position(): number {
    return this.#position;
  }

  /** Appends one batch of `count` additions of 1. */
  async add(counter: string, count = 1): Promise<AppendOutcome> {
    const position = this.#position + 1;
    const batch = {
      position,
      eventCount: count,
      epoch: this.#epoch,
      clockMs: position + 0.5,
      utcMs: 1_750_000_000_000 + position,
      payload: additions(counter, count, 1),
    };
    const outcome = await this.journal.append(batch, this.#position);
    if (outcome.outcome === 'durable') this.#position += count;
    return outcome;
  }
}
