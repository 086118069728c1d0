import type { Clock, Scheduler } from '../coordinator/scheduler.ts';

export type ProbeResult = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/**
 * What is probed: a `Set`, or whatever else is walked in a fixed order while members come and go. Its owner adds and
 * removes; the prober finds out when it comes by, which is why a million members need neither timers nor a queue.
 */
export interface Probed<Item> {
  readonly size: number;
  values(): Iterator<Item>;
  has(item: Item): boolean;
}

export interface ProberOptions<Item extends object> {
  readonly items: Probed<Item>;
  /** Never rejects, and settles soon after `signal` has been aborted. */
  readonly probe: (item: Item, signal: AbortSignal) => Promise<ProbeResult>;
  /** Each member is probed once in it, evenly spread over it. */
  readonly intervalMs: number;
  /** Share by which the time between two probes is longer or shorter at random. */
  readonly jitter: number;
  /** A probe that takes longer is aborted, and has failed. */
  readonly timeoutMs: number;
  /** Probes under way at once. Where they don't keep up, the next ones wait, in their order: a round takes longer. */
  readonly concurrencyMax: number;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Not of a member that has been removed meanwhile. */
  readonly onResult: (item: Item, result: ProbeResult) => void;
}

/** Between looks at how much is due; the members may have become many or few in between. */
const WAKE_MS_MIN = 10;
/** Also what is made up for after a pause of the process: the rest of the time is let go, there is no flood. */
const WAKE_MS_MAX = 1_000;
/** By which a timer may be late before its probe is let go without a result. */
const LATE_MS = 1_000;
/** In one turn, which others wait for; the rest follows in the next ones. */
const BEGUN_AT_ONCE = 50;
/** Asked for out of turn and not begun; beyond them, a member waits for its turn. */
const SOON_MAX = 1_000;

/** Probes every member once an interval, round and round. */
export class Prober<Item extends object> {
  readonly #options: ProberOptions<Item>;
  #round: Iterator<Item>;
  readonly #soon = new Set<Item>();
  readonly #underWay = new Map<Item, { readonly abort: AbortController; readonly settled: Promise<void> }>();
  /** Probes that the time gone by allows for, less those begun. */
  #due = 0;
  /** That the next probe waits for: 1 on average. The first one is anywhere in its share of the interval. */
  #price: number;
  #lastMs: number;
  #cancelWake: () => void = () => {};
  #isStopped = false;

  constructor(options: ProberOptions<Item>) {
    this.#options = options;
    this.#round = options.items.values();
    this.#price = options.random();
    this.#lastMs = options.clock.nowMs();
    this.#begin();
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  /** Out of turn, as soon as there is room. One that is being probed gets that result. */
  probeSoon(item: Item): void {
    if (this.#isStopped || this.#soon.size >= SOON_MAX) return;
    this.#soon.add(item);
    this.#begin();
  }

  /** Resolves when nothing is under way any more; no result is given after the call. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelWake();
    this.#soon.clear();
    const running = [...this.#underWay.values()];
    for (const { abort } of running) abort.abort();
    await Promise.all(running.map(({ settled }) => settled));
  }

  /** Begins what is due, as far as there is room; what ends makes room and comes here again. */
  #begin(): void {
    this.#cancelWake();
    if (this.#isStopped) return;
    const { concurrencyMax, scheduler } = this.#options;
    const gapMs = this.#gapMs();
    this.#countTime(gapMs);
    for (let begun = 0; begun < BEGUN_AT_ONCE && this.#underWay.size < concurrencyMax; begun += 1) {
      const item = this.#takeSoon() ?? this.#takeDue();
      if (!item) break;
      if (!this.#underWay.has(item)) this.#start(item);
    }
    if (this.#underWay.size >= concurrencyMax) return;
    const waitMs = (this.#price - this.#due) * gapMs;
    const delayMs = Math.min(WAKE_MS_MAX, Math.max(WAKE_MS_MIN, waitMs));
    this.#cancelWake = scheduler.setTimer(delayMs, () => this.#begin());
  }

  #gapMs(): number {
    const { items, intervalMs } = this.#options;
    return intervalMs / Math.max(1, items.size);
  }

  #countTime(gapMs: number): void {
    const nowMs = this.#options.clock.nowMs();
    const elapsedMs = Math.min(nowMs - this.#lastMs, WAKE_MS_MAX);
    this.#lastMs = nowMs;
    // More than this stays undone where probes don't keep up.
    const dueMax = Math.max(this.#price, WAKE_MS_MAX / gapMs);
    this.#due = Math.min(this.#due + elapsedMs / gapMs, dueMax);
  }

  #takeSoon(): Item | undefined {
    for (const item of this.#soon) {
      this.#soon.delete(item);
      if (this.#options.items.has(item)) return item;
    }
    return undefined;
  }

  #takeDue(): Item | undefined {
    if (this.#due < this.#price) return undefined;
    const item = this.#next();
    if (!item) return undefined;
    const { jitter, random } = this.#options;
    this.#due -= this.#price;
    this.#price = 1 + jitter * (2 * random() - 1);
    return item;
  }

  #next(): Item | undefined {
    const next = this.#round.next();
    if (!next.done) return next.value;
    this.#round = this.#options.items.values();
    const first = this.#round.next();
    return first.done ? undefined : first.value;
  }

  #start(item: Item): void {
    const { probe, timeoutMs, scheduler, clock } = this.#options;
    const abort = new AbortController();
    const startMs = clock.nowMs();
    let isOver = false;
    const giveUp = () => {
      if (isOver) return;
      isOver = true;
      // Much too late it was this process that paused: such a probe says nothing.
      if (clock.nowMs() - startMs <= timeoutMs + LATE_MS) this.#give(item, { ok: false, reason: 'timeout' });
      abort.abort();
    };
    // Behind a pause, timers come before what has happened to sockets: that is looked at first.
    const cancelTimeout = scheduler.setTimer(timeoutMs, () => scheduler.defer(giveUp));
    const settled = probe(item, abort.signal).then((result) => {
      cancelTimeout();
      this.#underWay.delete(item);
      if (!isOver) this.#give(item, result);
      isOver = true;
      this.#begin();
    });
    this.#underWay.set(item, { abort, settled });
  }

  #give(item: Item, result: ProbeResult): void {
    if (!this.#isStopped && this.#options.items.has(item)) this.#options.onResult(item, result);
  }
}
