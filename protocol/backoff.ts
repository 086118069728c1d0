/** How long a client waits between attempts to connect. */

export interface BackoffBounds {
  /** Ceiling of the first wait, ms; it doubles with each further one. */
  readonly minMs: number;
  /** No wait is longer, ms. */
  readonly maxMs: number;
}

/** Doublings after which any sensible bound has long been reached; keeps the power finite. */
const DOUBLINGS_MAX = 32;

/**
 * The wait before attempt number `attempt` (from 0), ms: exponential with full jitter, uniform in [0, ceiling). Clients
 * that lost the same coordinator at the same moment come back spread over the whole interval, not in waves.
 */
export function backoffMs(attempt: number, { minMs, maxMs }: BackoffBounds, random: () => number): number {
  const ceilingMs = Math.min(maxMs, minMs * 2 ** Math.min(attempt, DOUBLINGS_MAX));
  return random() * ceilingMs;
}
