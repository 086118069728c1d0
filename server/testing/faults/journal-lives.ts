/**
 * The real journal on the simulated disk through several lives of its process: each ends by a clean stop, by a kill
 * between or within its calls, or by an error of the disk. What the lives leave is every moment at which the power may go.
 */
import { Replica } from '../../coordinator/replica.ts';
import { buildSnapshot } from '../../journal/build-snapshot.ts';
import { type Journal, type JournalOptions, openJournal } from '../../journal/journal.ts';
import { type Recovered, recover } from '../../journal/recover.ts';
import { SNAPSHOTS_KEPT_MIN } from '../../journal/retention.ts';
import { Random } from '../simulation/random.ts';
import { beginning, type Facts, type HistoryPlace, type Life, placeOf, stateText } from './journal-history.ts';
import { counterLoad, type JournalLoad, type LoadBatch, leaseLoad, STILL_UTC_MS } from './journal-load.ts';
import { DiskState, type DurableKind, SimulatedDisk } from './simulated-disk.ts';

export const DIR = '/data';
/** Small, so that a few dozen batches make segments end and snapshots due. */
const JOURNAL_SIZES = { batchBytesMax: 3_072, segmentBytes: 8_192 };
const TIMERS = { scheduler: { setTimer: () => () => undefined, defer: (run: () => void) => void setImmediate(run) } };
const SECTOR_BYTES = 512;
const BATCHES_PER_LIFE = 14;
/** The batches of a life and what goes with them come to about so many operations of the disk. */
const OPERATIONS_PER_LIFE = 90;
const OPERATIONS_OF_START = 12;
const OPERATIONS_OF_STOP = 8;
/** Each as likely: a batch, a file that is complete, a snapshot of which there are few, anything at all. */
const ERRORS: readonly (DurableKind | undefined)[] = ['durableWrite', 'sync', 'syncOfSnapshot', undefined];
/** Turns in which nothing is left to be done, and a life goes on: it waits for what never comes. */
const IDLE_TURNS_MAX = 10;

/** Of the next run. No snapshots; no timer ever fires: what is to happen later is not looked at here. */
export function journalOptions(disk: SimulatedDisk, recovered: Recovered, nowMs: () => number): JournalOptions {
  return {
    disk,
    dir: DIR,
    recovered,
    epoch: recovered.epoch + 1,
    randomBytes: (count) => new Uint8Array(count).fill(7),
    clock: { nowMs, utcMs: () => STILL_UTC_MS },
    log: { info: () => undefined, warn: () => undefined },
    ...JOURNAL_SIZES,
    ...TIMERS,
  };
}

/** A moment at which the power may go. */
export interface Boundary {
  readonly state: DiskState;
  readonly facts: Facts;
}

export interface Lives {
  readonly load: JournalLoad;
  readonly boundaries: readonly Boundary[];
  /** What was wrong already at a start within them. */
  readonly finding: string | undefined;
}

/** The same seed makes the same lives. */
export async function recordLives(seed: number): Promise<Lives> {
  const random = new Random(seed);
  const load = random.below(5) === 0 ? leaseLoad : counterLoad;
  const recorder = new LivesRecorder(random, load);
  const finding = await recorder.run();
  return { load, boundaries: recorder.boundaries, finding };
}

/** A life that ended in another way than by its disk. */
class Misfit extends Error {}

class LivesRecorder {
  readonly boundaries: Boundary[] = [];
  readonly #random: Random;
  readonly #load: JournalLoad;
  readonly #disk = new DiskState();
  readonly #segmentBytes: number;
  readonly #snapshotBytes: number;
  #facts: Facts;
  #nowMs = 1_000;
  #isStopping = false;
  /** The disk has answered with an error in this life. */
  #hasFailed = false;

  constructor(random: Random, load: JournalLoad) {
    this.#random = random;
    this.#load = load;
    this.#segmentBytes = JOURNAL_SIZES.segmentBytes + random.below(6) * SECTOR_BYTES;
    this.#snapshotBytes = 3_000 + random.below(10_000);
    const place = beginning(new Replica([load.domain]));
    this.#facts = { acked: place, handed: place };
  }

  async run(): Promise<string | undefined> {
    try {
      for (let lives = 3 + this.#random.below(3); lives > 0; lives -= 1) await this.#life();
    } catch (error) {
      if (error instanceof Misfit) return error.message;
      throw error;
    }
    this.#boundary();
    return undefined;
  }

  #boundary(): void {
    this.boundaries.push({ state: this.#disk.copy(), facts: this.#facts });
  }

  async #life(): Promise<void> {
    const random = this.#random;
    const disk = new SimulatedDisk(this.#disk, { isSlow: true, onBoundary: () => this.#boundary() });
    const end = this.#drawEnd();
    this.#isStopping = false;
    let untilEnd = end.after;
    this.#hasFailed = false;
    let ended: { readonly error?: unknown } | undefined;
    this.#live(disk).then(
      () => {
        ended = {};
      },
      (error: unknown) => {
        ended = { error };
      },
    );
    for (let idleTurns = 0; !ended; idleTurns += 1) {
      await turn();
      if (disk.inFlightCount === 0) {
        if (idleTurns > IDLE_TURNS_MAX) throw new Error('a life waits for what never comes');
        continue;
      }
      idleTurns = 0;
      if (!end.isAtStop || this.#isStopping) untilEnd -= 1;
      if (untilEnd === 0 && end.kind === 'kill') break;
      const isFailing = untilEnd <= 0 && end.kind === 'error' && !this.#hasFailed;
      if (isFailing && disk.failOne(random, end.errorOf)) this.#hasFailed = true;
      else disk.endOne(random);
    }
    // The end of a process is the end of all that it has in flight, a snapshot in its worker too.
    disk.kill(random);
    if (ended?.error instanceof Misfit) throw ended.error;
    // Without an error of the disk nothing has a reason to end in one, and none makes damage.
    const isExcused = this.#hasFailed && !isDamage(ended?.error);
    if (ended?.error !== undefined && !isExcused) throw new Misfit(`a life failed: ${(ended.error as Error).message}`);
  }

  #drawEnd(): LifeEnd {
    const random = this.#random;
    const dice = random.below(10);
    const kind = dice < 4 ? 'kill' : dice < 8 ? 'error' : 'stop';
    // Start and stop are short, and the most happens there.
    const when = random.below(4);
    const after =
      1 + random.below(when === 0 ? OPERATIONS_OF_START : when === 1 ? OPERATIONS_OF_STOP : OPERATIONS_PER_LIFE);
    const errorOf = ERRORS[random.below(ERRORS.length)];
    if (kind === 'error' && errorOf === 'syncOfSnapshot') return { kind, after: 1, isAtStop: false, errorOf };
    return { kind, after, isAtStop: when === 1, errorOf };
  }

  async #live(disk: SimulatedDisk): Promise<void> {
    const replica = new Replica([this.#load.domain]);
    const recovered = await recover(disk, DIR, replica);
    const place = placeOf(recovered, replica, this.#facts);
    if (typeof place === 'string') throw new Misfit(place);
    this.#facts = { acked: place, handed: place };
    this.#nowMs = Math.max(this.#nowMs, Math.ceil(recovered.clockMs));
    const journal = await this.#open(disk, recovered);
    const life: Life = { firstToken: place.token, ackedToken: 0 };
    const epoch = recovered.epoch + 1;
    for (let count = 0; count < BATCHES_PER_LIFE; count += 1) {
      const context = { epoch, nowMs: this.#nowMs, random: this.#random };
      const batch = count === 0 ? this.#load.first(replica, context) : this.#load.next(replica, context);
      if (!(await this.#append(journal, batch, { epoch, life, replica }))) return;
      if (this.#random.below(12) === 0) void journal.snapshotNow().catch(() => undefined);
      this.#nowMs += 1 + this.#random.below(300);
    }
    await this.#stop(journal, epoch, life);
  }

  #open(disk: SimulatedDisk, recovered: Recovered): Promise<Journal> {
    return openJournal({
      ...journalOptions(disk, recovered, () => this.#nowMs),
      segmentBytes: this.#segmentBytes,
      snapshotBytes: this.#snapshotBytes,
      // Few look back: most bugs show where the oldest files go.
      snapshotsKept: SNAPSHOTS_KEPT_MIN + (this.#snapshotBytes % 4 === 0 ? 2 : 0),
      takeSnapshot: ({ upToPosition }) => buildSnapshot(disk, DIR, new Replica([this.#load.domain]), upToPosition),
    });
  }

  /** False where the journal has ended. */
  async #append(
    journal: Journal,
    { eventCount, payload, tokens }: LoadBatch,
    { epoch, life, replica }: { readonly epoch: number; readonly life: Life; readonly replica: Replica },
  ): Promise<boolean> {
    const { handed: before } = this.#facts;
    const place: HistoryPlace = {
      position: before.position + eventCount,
      epoch,
      state: stateText(replica),
      token: tokens.at(-1) ?? before.token,
      isStop: false,
      life,
      before,
    };
    this.#facts = { ...this.#facts, handed: place };
    const times = { clockMs: this.#nowMs, utcMs: STILL_UTC_MS };
    const batch = { position: before.position + 1, eventCount, epoch, ...times, payload };
    const { outcome } = await journal.append(batch, before.position);
    if (outcome !== 'durable') return false;
    this.#acknowledge(place);
    return true;
  }

  async #stop(journal: Journal, epoch: number, life: Life): Promise<void> {
    this.#isStopping = true;
    const { handed: before } = this.#facts;
    const place = { ...before, position: before.position + 1, epoch, isStop: true, life, before };
    this.#facts = { ...this.#facts, handed: place };
    await journal.close();
    // After an error somewhere a stop is none: it may have left no mark, and says nothing.
    if (!this.#hasFailed) this.#acknowledge(place);
  }

  #acknowledge(place: HistoryPlace): void {
    this.#facts = { ...this.#facts, acked: place };
    place.life.ackedToken = Math.max(place.life.ackedToken, place.token);
  }
}

/** How a life is to end: so many operations after its start or the beginning of its stop. */
interface LifeEnd {
  readonly kind: 'kill' | 'error' | 'stop';
  readonly after: number;
  readonly isAtStop: boolean;
  /** What an error strikes. */
  readonly errorOf: DurableKind | undefined;
}

function isDamage(error: unknown): boolean {
  return (error as Error | undefined)?.name === 'CorruptJournalError';
}

/** All that follows from what has ended by way of promises has happened when this resolves. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
