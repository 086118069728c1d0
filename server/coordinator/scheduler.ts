/** Time and turns, as the composition root hands them out; a simulation hands out its own. */
export interface Clock {
  /** Fractional ms, monotonic, continuing over restarts from the last reading on disk. */
  nowMs(): number;
  /** Wall clock, ms since 1970. */
  utcMs(): number;
}

export interface Scheduler {
  /** Calls back once after `delayMs` (bounded by the caller to less than 2³¹); returns how to call it off. */
  setTimer(delayMs: number, callback: () => void): () => void;
  /** Calls back once what is ready to be read now has been read: the end of the turn. */
  defer(callback: () => void): void;
}
