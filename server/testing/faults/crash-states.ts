/**
 * Crash states after ALICE: at every moment of the journal's lives what the disk may hold after a power cut. From each a
 * recovery must come to a place of the journal's history, nothing acknowledged missing, and a new run must go on from
 * there; some are cut once more within that.
 */
import { Replica } from '../../coordinator/replica.ts';
import { listFolder } from '../../journal/file-names.ts';
import { openJournal } from '../../journal/journal.ts';
import { type Recovered, recover } from '../../journal/recover.ts';
import { Random } from '../simulation/random.ts';
import { CrashImages } from './crash-images.ts';
import type { FaultRun, FaultRunOptions, FaultRunResult } from './fault-run.ts';
import { type Facts, type HistoryPlace, placeOf, stateText } from './journal-history.ts';
import { type Boundary, DIR, journalOptions, type Lives, recordLives } from './journal-lives.ts';
import { type JournalLoad, STILL_UTC_MS } from './journal-load.ts';
import { type DiskState, SimulatedDisk } from './simulated-disk.ts';

/** One start in so many is cut again, at some of the moments of it and of what follows it. */
const CUT_AGAIN_EVERY = 4;
const CUTS_AGAIN = 3;
const PROGRESS_EVERY = 1_000;
/** Seeds of lives that follow one run's seed; another run's begin elsewhere. */
const SEEDS_PER_RUN = 1_000_000;

/** Cases are states: those of the lives, and those of the starts that are cut again. A finding ends the run. */
export const crashStates: FaultRun = async ({ seed, cases, onProgress }: FaultRunOptions): Promise<FaultRunResult> => {
  let done = 0;
  let told = 0;
  for (let lifeSeed = seed * SEEDS_PER_RUN; ; lifeSeed += 1) {
    const lives = await recordLives(lifeSeed);
    const goneOn = new Set<string>();
    let index = 0;
    for (const { image, facts } of statesOf(lives, lifeSeed)) {
      if (done >= cases) return { cases: done, findings: [] };
      const start = new StartAfterCrash(image, facts, lives.load, randomOf(lifeSeed, index));
      const finding = await start.finding(goneOn);
      if (finding !== undefined) return { cases: done, findings: [findingLine(lifeSeed, index, finding)] };
      index += 1;
      done += start.stateCount;
      if (done - told < PROGRESS_EVERY) continue;
      onProgress?.(done);
      told = done;
    }
    if (lives.finding !== undefined) return { cases: done, findings: [findingLine(lifeSeed, index, lives.finding)] };
  }
};

/** One state once more; undefined: nothing is wrong with it. */
export async function replayCrashState(lifeSeed: number, index: number): Promise<string | undefined> {
  const finding = await findingAt(lifeSeed, index);
  return finding === undefined ? undefined : findingLine(lifeSeed, index, finding);
}

async function findingAt(lifeSeed: number, index: number): Promise<string | undefined> {
  const lives = await recordLives(lifeSeed);
  let at = 0;
  for (const { image, facts } of statesOf(lives, lifeSeed)) {
    if (at === index)
      return new StartAfterCrash(image, facts, lives.load, randomOf(lifeSeed, index)).finding(new Set());
    at += 1;
  }
  return lives.finding;
}

function randomOf(lifeSeed: number, index: number): Random {
  return new Random(lifeSeed * SEEDS_PER_RUN + index);
}

function findingLine(lifeSeed: number, index: number, finding: string): string {
  const again = `node dist/server/testing/faults/run-crash-states.js --lives ${lifeSeed} --state ${index}`;
  return `crash state ${index} of lives ${lifeSeed}: ${finding} (again: ${again})`;
}

/** Each state once for what had been acknowledged by then. */
function* statesOf({ boundaries }: Lives, seed: number): Generator<{ image: DiskState; facts: Facts }> {
  const random = new Random(seed);
  const seen = new Set<string>();
  for (const { state, facts } of boundaries) {
    const images = new CrashImages(state);
    for (const choice of images.choices(random)) {
      const image = images.image(choice);
      const key = `${facts.acked.position} ${facts.handed.position} ${CrashImages.keyOf(image)}`;
      if (seen.has(key)) continue;
      seen.add(key);
      yield { image, facts };
    }
  }
}

class StateFinding extends Error {}

class StartAfterCrash {
  readonly #image: DiskState;
  readonly #facts: Facts;
  readonly #load: JournalLoad;
  readonly #random: Random;
  /** Moments of this start at which the power may go once more. */
  readonly #boundaries: Boundary[] = [];
  #nested: Facts;
  #stateCount = 1;

  constructor(image: DiskState, facts: Facts, load: JournalLoad, random: Random) {
    this.#image = image;
    this.#facts = facts;
    this.#load = load;
    this.#random = random;
    this.#nested = facts;
  }

  /** States that a start was made from: this one, and those of its own that were cut again. */
  get stateCount(): number {
    return this.#stateCount;
  }

  /** `goneOn` holds what has been left by starts from which a run went on: the same again would only do the same. */
  async finding(goneOn: Set<string>): Promise<string | undefined> {
    try {
      await this.#run(goneOn);
      return undefined;
    } catch (error) {
      const { names, files } = this.#image;
      const folder = [...names].map(([name, file]) => `${name} (${files.get(file)?.sizeBytes})`).sort();
      const text = error instanceof StateFinding ? error.message : String((error as Error).stack);
      return `${text.replaceAll('\n', ' ')}; in the folder: ${folder.join(', ')}`;
    }
  }

  async #run(goneOn: Set<string>): Promise<void> {
    const isCutAgain = this.#random.below(CUT_AGAIN_EVERY) === 0;
    const onBoundary = () => void this.#boundaries.push({ state: disk.state.copy(), facts: this.#nested });
    const disk = new SimulatedDisk(this.#image.copy(), isCutAgain ? { onBoundary } : {});
    await this.#checkGenerations(disk);
    const { place, recovered, replica } = await this.#recover(disk, this.#facts, 'the start');
    const left = `${CrashImages.contentOf(disk.state)} ${this.#facts.acked.position}`;
    if (goneOn.has(left) && !isCutAgain) return;
    goneOn.add(left);
    const end = await this.#goOn(disk, recovered, place, replica);
    // The least that is left of it: nothing of what wasn't synced.
    await this.#cut({ state: disk.state, facts: { acked: end, handed: end } }, () => 0, 'the start after that');
    for (let cuts = isCutAgain ? CUTS_AGAIN : 0; cuts > 0; cuts -= 1) {
      const boundary = this.#boundaries[this.#random.below(this.#boundaries.length)]!;
      const choose = (length: number) => this.#random.below(length);
      this.#stateCount += 1;
      const again = await this.#cut(boundary, choose, 'the start after a cut within the start');
      // Until the first start had ended, nothing was added to what it had found.
      if (boundary.facts === this.#facts && again !== place) {
        throw new StateFinding(
          `a start came to position ${place.position}, and cut short to ${again.position} the next`,
        );
      }
    }
  }

  async #recover(disk: SimulatedDisk, facts: Facts, when: string) {
    const replica = new Replica([this.#load.domain]);
    const recovered = await recover(disk, DIR, replica).catch((error: Error) => {
      throw new StateFinding(`${when} is refused: ${error.message}`);
    });
    const place = placeOf(recovered, replica, facts);
    if (typeof place === 'string') throw new StateFinding(`${when}: ${place}`);
    return { place, recovered, replica };
  }

  /** A new run opens, and its first batch is acknowledged. */
  async #goOn(
    disk: SimulatedDisk,
    recovered: Recovered,
    before: HistoryPlace,
    replica: Replica,
  ): Promise<HistoryPlace> {
    this.#nested = { acked: before, handed: before };
    const epoch = recovered.epoch + 1;
    const journal = await openJournal(journalOptions(disk, recovered, () => recovered.clockMs));
    const context = { epoch, nowMs: recovered.clockMs, random: this.#random };
    const { eventCount, payload, tokens } = this.#load.short(replica, context);
    this.#checkTokens(before, tokens);
    const end: HistoryPlace = {
      position: before.position + eventCount,
      epoch,
      state: stateText(replica),
      token: tokens.at(-1) ?? before.token,
      isStop: false,
      life: { firstToken: before.token, ackedToken: 0 },
      before,
    };
    this.#nested = { acked: before, handed: end };
    const times = { clockMs: recovered.clockMs, utcMs: STILL_UTC_MS };
    const batch = { position: before.position + 1, eventCount, epoch, ...times, payload };
    const { outcome } = await journal.append(batch, before.position);
    if (outcome !== 'durable') throw new StateFinding(`the first batch of the new run was answered ${outcome}`);
    this.#nested = { acked: end, handed: end };
    return end;
  }

  async #cut({ state, facts }: Boundary, choose: (length: number) => number, when: string): Promise<HistoryPlace> {
    const image = new CrashImages(state).draw(choose);
    const { place } = await this.#recover(new SimulatedDisk(image), facts, when);
    return place;
  }

  /**
   * Tokens never go back. Those of a life stay below what it reserved at its first grant: if that is there, no later one
   * of it comes again, even where a disk that lies has lost the batches behind.
   */
  #checkTokens({ life, token }: HistoryPlace, tokens: readonly number[]): void {
    const [first] = tokens;
    const isReserved = token > life.firstToken;
    const highest = Math.max(this.#facts.acked.token, isReserved ? life.ackedToken : 0);
    if (first !== undefined && first <= highest) {
      throw new StateFinding(`token ${first} was granted after token ${highest} of an earlier run`);
    }
  }

  /** Where the first events are gone, two snapshots are there, and all that follows the older one. */
  async #checkGenerations(disk: SimulatedDisk): Promise<void> {
    const { snapshots, deltas } = await listFolder(disk, DIR);
    const [oldest] = deltas;
    if (!oldest || oldest.position === 1) return;
    const older = snapshots.at(-2);
    if (!older || oldest.position > older.position + 1) {
      const names = snapshots.map(({ name }) => name).join(', ') || 'no snapshot';
      throw new StateFinding(`${oldest.name} is the oldest delta, and beside it there is only ${names}`);
    }
  }
}
