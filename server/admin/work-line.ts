import type { Scheduler } from '../coordinator/scheduler.ts';

export type WorkOutcome<Value> =
  | { readonly outcome: 'done'; readonly value: Value }
  /** As many wait as may. */
  | { readonly outcome: 'too_many' }
  | { readonly outcome: 'too_long' }
  /** Whoever asked is gone, or the line is closed. */
  | { readonly outcome: 'called_off' };

export interface WorkLineOptions {
  readonly scheduler: Scheduler;
  /** Beside the one at work. */
  readonly waitingMax: number;
  /** From the asking on, the wait included. */
  readonly timeMaxMs: number;
}

/** Heavy work that somebody waits for: one piece at a time, a few wait in line, and none goes on that nobody waits for. */
export class WorkLine {
  readonly #options: WorkLineOptions;
  readonly #closing = new AbortController();
  readonly #waiting = new Set<() => void>();
  #isBusy = false;

  constructor(options: WorkLineOptions) {
    this.#options = options;
  }

  /** `work` rejects soon once its signal is aborted; until it does, it is at work. */
  async run<Value>(work: (signal: AbortSignal) => Promise<Value>, gone: AbortSignal): Promise<WorkOutcome<Value>> {
    const { scheduler, waitingMax, timeMaxMs } = this.#options;
    if (this.#isBusy && this.#waiting.size >= waitingMax) return { outcome: 'too_many' };
    const tooLong = new AbortController();
    const cancelTimer = scheduler.setTimer(timeMaxMs, () => tooLong.abort());
    const signal = AbortSignal.any([gone, tooLong.signal, this.#closing.signal]);
    try {
      if (await this.#turn(signal)) return { outcome: 'done', value: await this.#work(work, signal) };
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      cancelTimer();
    }
    return { outcome: tooLong.signal.aborted ? 'too_long' : 'called_off' };
  }

  /** Calls off what is at work and what waits; what comes later is called off at once. */
  close(): void {
    this.#closing.abort();
  }

  async #work<Value>(work: (signal: AbortSignal) => Promise<Value>, signal: AbortSignal): Promise<Value> {
    try {
      signal.throwIfAborted();
      return await work(signal);
    } finally {
      this.#next();
    }
  }

  /** False: called off before its turn came. */
  async #turn(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    if (!this.#isBusy) {
      this.#isBusy = true;
      return true;
    }
    return new Promise((resolve) => {
      const leave = () => {
        this.#waiting.delete(begin);
        resolve(false);
      };
      const begin = () => {
        signal.removeEventListener('abort', leave);
        resolve(true);
      };
      this.#waiting.add(begin);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  #next(): void {
    const [begin] = this.#waiting;
    if (!begin) this.#isBusy = false;
    else {
      this.#waiting.delete(begin);
      begin();
    }
  }
}
