import assert from 'node:assert/strict';
import type { Clock, Scheduler } from '../coordinator/scheduler.ts';

/** A timer must be set less than this ahead: real ones would fire at once. */
const TIMER_MS_END = 2 ** 31;
/** More turns without a pause are taken for a loop that never ends. */
const TURNS_MAX = 100_000;

/** Time that stands still until a test moves it. */
export class VirtualClock implements Clock {
  #nowMs: number;
  #utcMs: number;

  constructor({ nowMs = 1_000, utcMs = Date.UTC(2026, 0, 5) } = {}) {
    this.#nowMs = nowMs;
    this.#utcMs = utcMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  utcMs(): number {
    return this.#utcMs;
  }

  /** Both clocks go on; whoever waits for a timer isn't told: a pause of the process. */
  move(ms: number): void {
    assert.ok(ms >= 0, 'a monotonic clock never goes back');
    this.#nowMs += ms;
    this.#utcMs += ms;
  }

  /** Somebody sets the wall clock, be it back. */
  setWall(utcMs: number): void {
    this.#utcMs = utcMs;
  }
}

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

/**
 * Timers and turns on a virtual clock. Deterministic: timers fire in the order of their times, those of one time in the
 * order in which they were set, and what a callback's promises lead to has happened before the next callback.
 */
export class VirtualScheduler implements Scheduler {
  readonly #clock: VirtualClock;
  readonly #timers = new Set<Timer>();
  #deferred: (() => void)[] = [];

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  get timerCount(): number {
    return this.#timers.size;
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    assert.ok(delayMs >= 0 && delayMs < TIMER_MS_END, `a timer can't be set ${delayMs} ms ahead`);
    const timer = { atMs: this.#clock.nowMs() + delayMs, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  defer(callback: () => void): void {
    this.#deferred.push(callback);
  }

  /** One turn: what was deferred up to now, and what follows of it by way of promises. False where nothing was. */
  async runTurn(): Promise<boolean> {
    const callbacks = this.#deferred;
    this.#deferred = [];
    for (const callback of callbacks) {
      callback();
      await promisesSettled();
    }
    return callbacks.length > 0;
  }

  /** Turns until nothing is deferred any more. */
  async runTurns(): Promise<void> {
    await promisesSettled();
    for (let turns = 0; turns < TURNS_MAX; turns += 1) {
      if (!(await this.runTurn())) return;
    }
    throw new Error(`${TURNS_MAX} turns, and the next is deferred already`);
  }

  /** Time goes on by `ms`; each timer fires at its own time, those already overdue (after a pause) at once. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#clock.nowMs() + ms;
    await this.runTurns();
    for (;;) {
      const timer = this.#earliest();
      if (!timer || timer.atMs > endMs) break;
      this.#timers.delete(timer);
      this.#clock.move(Math.max(0, timer.atMs - this.#clock.nowMs()));
      timer.callback();
      await promisesSettled();
      await this.runTurns();
    }
    this.#clock.move(Math.max(0, endMs - this.#clock.nowMs()));
  }

  #earliest(): Timer | undefined {
    let earliest: Timer | undefined;
    for (const timer of this.#timers) if (!earliest || timer.atMs < earliest.atMs) earliest = timer;
    return earliest;
  }
}

/** Resolves when every callback of a settled promise has run, and those that follow from it. */
export function promisesSettled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
