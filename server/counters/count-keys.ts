/** Counts with a key: the same one again is answered as the first time, and counts nothing. */
import { COUNT_KEYS_MAX, COUNT_KEYS_MS, COUNT_KEYS_PER_HOLDER_MAX } from '../../protocol/limits.ts';

/** A count that was made, and what it was answered. */
export interface KeyedCount {
  readonly holder: string;
  readonly key: string;
  readonly counter: string;
  readonly by: number;
  readonly value: number;
  /** By the coordinator's clock. */
  readonly atMs: number;
}

interface HolderCounts {
  /** As its keyed counts share it. */
  readonly name: string;
  /** By key, the oldest first. Invariant: at least one, COUNT_KEYS_PER_HOLDER_MAX at most. */
  readonly entries: Map<string, Entry>;
}

interface Entry extends KeyedCount {
  readonly of: HolderCounts;
  older: Entry | undefined;
  newer: Entry | undefined;
}

/**
 * Keys by holder, and all of them in the order of their counts: a linked list, since keys go from amid it when a holder
 * has too many, and a Map is slow at forgetting its oldest. Invariant: COUNT_KEYS_MAX at most.
 */
export class CountKeys implements Iterable<KeyedCount> {
  readonly #holders = new Map<string, HolderCounts>();
  #oldest: Entry | undefined;
  #newest: Entry | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** When the oldest of them was counted. */
  get oldestAtMs(): number | undefined {
    return this.#oldest?.atMs;
  }

  find(holder: string, key: string, nowMs: number): KeyedCount | undefined {
    const entry = this.#holders.get(holder)?.entries.get(key);
    return entry === undefined || isOver(entry, nowMs) ? undefined : entry;
  }

  /** Takes in the newest, in the place of an older one with the same key; what exceeds a bound is forgotten, the oldest first. */
  add({ holder, key, counter, by, value, atMs }: KeyedCount): void {
    const former = this.#holders.get(holder)?.entries.get(key);
    if (former) this.#forget(former);
    let of = this.#holders.get(holder);
    if (!of) {
      of = { name: holder, entries: new Map() };
      this.#holders.set(holder, of);
    }
    const entry: Entry = { holder: of.name, key, counter, by, value, atMs, of, older: this.#newest, newer: undefined };
    if (this.#newest) this.#newest.newer = entry;
    else this.#oldest = entry;
    this.#newest = entry;
    of.entries.set(key, entry);
    this.#size += 1;
    if (of.entries.size > COUNT_KEYS_PER_HOLDER_MAX) this.#forget(of.entries.values().next().value!);
    if (this.#size > COUNT_KEYS_MAX) this.#forget(this.#oldest!);
  }

  /** Of the oldest `countMax` whose time is over, the last one's time; undefined: there are none. */
  overUpToMs(nowMs: number, countMax: number): number | undefined {
    let upToMs: number | undefined;
    let entry = this.#oldest;
    for (let count = 0; count < countMax && entry && isOver(entry, nowMs); count += 1) {
      upToMs = entry.atMs;
      entry = entry.newer;
    }
    return upToMs;
  }

  forgetUpTo(atMs: number): void {
    while (this.#oldest && this.#oldest.atMs <= atMs) this.#forget(this.#oldest);
  }

  /** The oldest first. */
  *[Symbol.iterator](): Generator<KeyedCount> {
    for (let entry = this.#oldest; entry; entry = entry.newer) yield entry;
  }

  #forget(entry: Entry): void {
    const { of, older, newer } = entry;
    if (older) older.newer = newer;
    else this.#oldest = newer;
    if (newer) newer.older = older;
    else this.#newest = older;
    of.entries.delete(entry.key);
    if (of.entries.size === 0) this.#holders.delete(of.name);
    this.#size -= 1;
  }
}

function isOver({ atMs }: KeyedCount, nowMs: number): boolean {
  return atMs + COUNT_KEYS_MS <= nowMs;
}
