import type { KeepLevels } from './commands.ts';
import {
  type Bucket,
  bucketOf,
  type ExactLimit,
  exactLimit,
  fullBucket,
  isFull,
  type Level,
  type Limit,
  levelOf,
  refilled,
  type Take,
  take,
  tokensIn,
} from './token-bucket.ts';

/** Buckets looked at where one more needs room, the least recently used first: most likely to be full. */
const LOOKED_AT_FOR_ROOM = 16;
/** The same, each time that levels are kept. */
const LOOKED_AT_FOR_LEVELS = 2_000;
/** Levels kept at one time; what is beyond it is for the next. */
export const LEVELS_KEPT_AT_ONCE = 5_000;

/** What a client may ask, and since when it is so; undefined: it isn't known, and was never set for this client. */
export interface LimitInForce {
  readonly limit: Limit;
  readonly sinceMs: number | undefined;
}

interface Entry {
  bucket: Bucket;
  /** By which it has been filled so far; undefined: it comes from an earlier run. */
  filledBy: Limit | undefined;
}

export interface BucketsOptions {
  /** Beyond it the least recently used goes, and starts full should its client come back: see Buckets. */
  readonly bucketsMax: number;
  /** Undefined: nothing limits it. */
  limitOf(name: string): LimitInForce | undefined;
  /** As they were last kept. */
  levels(): ReadonlyMap<string, Level>;
}

/**
 * The buckets that are not full, by name; a full one is no bucket. Bounded: where so many clients have used theirs that one
 * more finds no room, the one used longest ago is dropped, so its client may have as much more as was missing from it. Of
 * clients by the hundred thousand, each asking little, that is the one of whom it is known best that it asks little.
 *
 * Invariant: whatever has a level kept is here, or will be forgotten there.
 */
export class Buckets {
  readonly #options: BucketsOptions;
  /** The least recently used first. */
  readonly #entries = new Map<string, Entry>();
  /** Taken from since levels were last kept. */
  readonly #changed = new Set<string>();
  readonly #forgotten = new Set<string>();
  /** Whose levels were given out last, to be kept: they may not be there yet. */
  #given: ReadonlySet<string> = new Set();
  readonly #exact = new WeakMap<Limit, ExactLimit>();

  constructor(options: BucketsOptions) {
    this.#options = options;
    for (const [name, level] of options.levels()) {
      this.#entries.set(name, { bucket: bucketOf(level), filledBy: undefined });
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  take(name: string, inForce: LimitInForce, nowMs: number): Take {
    const entry = this.#entries.get(name);
    // It comes to the end of the line.
    if (entry) this.#entries.delete(name);
    else this.#makeRoom(nowMs);
    const limit = this.#exactOf(inForce.limit);
    const taken = take(entry ? this.#settled(entry, inForce, nowMs) : fullBucket(limit, nowMs), limit, nowMs);
    this.#entries.set(name, { bucket: taken.bucket, filledBy: inForce.limit });
    this.#forgotten.delete(name);
    if (taken.take.ok) this.#changed.add(name);
    return taken.take;
  }

  /** Tokens that a take would find. */
  tokens(name: string, inForce: LimitInForce, nowMs: number): number {
    const entry = this.#entries.get(name);
    if (!entry) return inForce.limit.capacity;
    return tokensIn(refilled(this.#settled(entry, inForce, nowMs), this.#exactOf(inForce.limit), nowMs));
  }

  /** Of what differs from the levels kept, as much as is kept at one time; undefined: nothing differs. */
  changes(nowMs: number): KeepLevels | undefined {
    this.#dropFull(LOOKED_AT_FOR_LEVELS, nowMs);
    const levels: [string, Level][] = [];
    for (const name of this.#changed) {
      if (levels.length === LEVELS_KEPT_AT_ONCE) break;
      this.#changed.delete(name);
      levels.push([name, levelOf(this.#entries.get(name)!.bucket)]);
    }
    const forgotten: string[] = [];
    for (const name of this.#forgotten) {
      if (levels.length + forgotten.length === LEVELS_KEPT_AT_ONCE) break;
      this.#forgotten.delete(name);
      forgotten.push(name);
    }
    this.#given = new Set(levels.map(([name]) => name));
    return levels.length + forgotten.length === 0 ? undefined : { type: 'KeepLevels', levels, forgotten };
  }

  /** As it was when the limit in force came into force: until then it was filled by the one before. */
  #settled({ bucket, filledBy }: Entry, { limit, sinceMs }: LimitInForce, nowMs: number): Bucket {
    if (filledBy === undefined || filledBy === limit) return bucket;
    return refilled(bucket, this.#exactOf(filledBy), sinceMs ?? nowMs);
  }

  #makeRoom(nowMs: number): void {
    if (this.#entries.size < this.#options.bucketsMax) return;
    this.#dropFull(LOOKED_AT_FOR_ROOM, nowMs);
    for (const name of this.#entries.keys()) {
      if (this.#entries.size < this.#options.bucketsMax) return;
      this.#drop(name);
    }
  }

  #dropFull(looks: number, nowMs: number): void {
    let looked = 0;
    for (const [name, entry] of this.#entries) {
      if (looked === looks) return;
      looked += 1;
      const inForce = this.#options.limitOf(name);
      if (!inForce || isFull(this.#settled(entry, inForce, nowMs), this.#exactOf(inForce.limit), nowMs))
        this.#drop(name);
    }
  }

  #drop(name: string): void {
    this.#entries.delete(name);
    this.#changed.delete(name);
    if (this.#options.levels().has(name) || this.#given.has(name)) this.#forgotten.add(name);
  }

  #exactOf(limit: Limit): ExactLimit {
    let exact = this.#exact.get(limit);
    if (!exact) {
      exact = exactLimit(limit);
      this.#exact.set(limit, exact);
    }
    return exact;
  }
}
