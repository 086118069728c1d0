import { Replica } from '../coordinator/replica.ts';
import { buildSnapshot } from '../journal/build-snapshot.ts';
import { nodeDisk } from '../journal/disk.ts';
import { type Journal, openJournal } from '../journal/journal.ts';
import { recover } from '../journal/recover.ts';
import type { LeaseAnswer, LeaseCommand } from '../lease/commands.ts';
import { leaseDomain } from '../lease/lease-domain.ts';
import type { LeaseState } from '../lease/state.ts';
import { LeaseDriver } from './lease-driver.ts';
import { realScheduler } from './real-scheduler.ts';

const BATCH_BYTES_MAX = 8 * 1024;
/** Small, so that a short history has many files. */
const SEGMENT_BYTES = 20 * 1024 + 512;
const STEP_MS = 1_000;

/** A run of the lease domain over the real journal, in a time of its own: one batch a command, one a second that passes. */
export class LeaseJournal {
  readonly driver = new LeaseDriver();
  readonly #journal: Journal;
  readonly #epoch: number;
  #position: number;
  #written = 0;

  /** The folder is there. `utcMs`: where the wall clock goes on. */
  static async start(dir: string, utcMs: number): Promise<LeaseJournal> {
    const replica = new Replica([leaseDomain]);
    const recovered = await recover(nodeDisk, dir, replica);
    const epoch = recovered.epoch + 1;
    let driver: LeaseDriver | undefined;
    const journal = await openJournal({
      disk: nodeDisk,
      dir,
      recovered,
      epoch,
      scheduler: realScheduler,
      randomBytes: (count) => new Uint8Array(count).fill(7),
      clock: { nowMs: () => driver!.nowMs, utcMs: () => driver!.utcMs },
      log: { info: () => undefined, warn: () => undefined },
      batchBytesMax: BATCH_BYTES_MAX,
      segmentBytes: SEGMENT_BYTES,
      takeSnapshot: ({ upToPosition }) => buildSnapshot(nodeDisk, dir, new Replica([leaseDomain]), upToPosition),
    });
    const run = new LeaseJournal(journal, epoch, recovered.position);
    driver = run.driver;
    driver.state = replica.state(leaseDomain.name) as LeaseState;
    driver.utcMs = utcMs;
    if (recovered.position > 0) driver.nowMs = recovered.clockMs;
    await run.execute({ type: 'StartEpoch', epoch, tokenFloor: 0, suspendMs: 60_000 });
    return run;
  }

  private constructor(journal: Journal, epoch: number, position: number) {
    this.#journal = journal;
    this.#epoch = epoch;
    this.#position = position;
  }

  /** Of the last durable event. */
  get position(): number {
    return this.#position;
  }

  async execute(command: LeaseCommand): Promise<LeaseAnswer> {
    const decisions = this.driver.execute(command);
    await this.#write();
    return decisions.find(({ answer }) => answer !== undefined)!.answer!;
  }

  /** Time passes by both clocks. */
  async advance(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) {
      this.driver.advance(Math.min(left, STEP_MS));
      await this.#write();
    }
  }

  /** Makes a snapshot of what there is, and goes on in a new segment. */
  snapshot(): Promise<void> {
    return this.#journal.snapshotNow();
  }

  stop(): Promise<void> {
    return this.#journal.close();
  }

  async #write(): Promise<void> {
    const events = this.driver.journal.slice(this.#written);
    if (events.length === 0) return;
    const batch = {
      position: this.#position + 1,
      eventCount: events.length,
      epoch: this.#epoch,
      clockMs: this.driver.nowMs,
      utcMs: this.driver.utcMs,
      payload: Buffer.concat(events),
    };
    const { outcome } = await this.#journal.append(batch, this.#position);
    if (outcome !== 'durable') throw new Error(`append: ${outcome}`);
    this.#position += events.length;
    this.#written = this.driver.journal.length;
  }
}
