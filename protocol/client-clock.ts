/**
 * A holder's view of time: two clocks, and whichever says "over" first is right.
 *
 * Neither is enough alone: a monotonic clock may stand still while the machine sleeps, a wall clock may be set back.
 */
import { CLOCK_RATE_MARGIN } from './limits.ts';

export interface Clocks {
  /** Monotonic, fractional ms. */
  monoMs(): number;
  /** Wall clock, ms since 1970. */
  wallMs(): number;
}

/** One instant, or one deadline, by both clocks. */
export interface Moment {
  readonly monoMs: number;
  readonly wallMs: number;
}

export function momentOf(clocks: Clocks): Moment {
  return { monoMs: clocks.monoMs(), wallMs: clocks.wallMs() };
}

export function shift(moment: Moment, ms: number): Moment {
  return { monoMs: moment.monoMs + ms, wallMs: moment.wallMs + ms };
}

/** By the clock that says the most has passed. */
export function elapsedMs(since: Moment, clocks: Clocks): number {
  return Math.max(clocks.monoMs() - since.monoMs, clocks.wallMs() - since.wallMs);
}

/** By the clock that comes first; negative once over. */
export function remainingMs(deadline: Moment, clocks: Clocks): number {
  return Math.min(deadline.monoMs - clocks.monoMs(), deadline.wallMs - clocks.wallMs());
}

/** As much of a span that the coordinator measures as a holder may use: its own clock may be the slower one. */
export function withClockMargin(spanMs: number): number {
  return spanMs * (1 - CLOCK_RATE_MARGIN);
}

/** What setTimeout takes; it fires at once for anything longer. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Calls back once after `delayMs`, however long; returns how to call it off. */
export function startTimer(delayMs: number, callback: () => void): () => void {
  let leftMs = Math.max(0, Math.ceil(delayMs));
  let handle: ReturnType<typeof setTimeout>;
  const next = () => {
    const stepMs = Math.min(leftMs, TIMER_MS_MAX);
    leftMs -= stepMs;
    handle = setTimeout(leftMs > 0 ? next : callback, stepMs);
  };
  next();
  return () => clearTimeout(handle);
}
