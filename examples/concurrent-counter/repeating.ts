/** What is made again where nothing is left of an attempt. */
import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from '../../protocol/backoff.ts';

/**
 * After these nothing is left of an attempt: the database has rolled it back, for another transaction (40001) or a
 * deadlock (40P01), or the table has refused it, or the coordinator was too busy for it. A broken connection is
 * not among them: whether its commit took place isn't known.
 */
const REPEATABLE = new Set(['40001', '40P01', 'late_write', 'overloaded']);
/** With everybody's waits spread over 100 ms, so many attempts in vain don't happen but where nothing ever succeeds. */
const ATTEMPTS_MAX = 200;
const BACKOFF = { minMs: 2, maxMs: 100 };

/** The table refused a write: it has seen a later token, or the row is no longer as it was read. */
export class LateWriteError extends Error {
  override readonly name = 'LateWriteError';
  readonly code = 'late_write';
}

export interface Added {
  readonly value: number;
  /** 1: at the first go. */
  readonly attempts: number;
}

export async function repeating(add: () => Promise<number>): Promise<Added> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return { value: await add(), attempts };
    } catch (error) {
      const { code, retryAfterMs = 0 } = error as { code?: unknown; retryAfterMs?: number };
      if (!REPEATABLE.has(String(code)) || attempts === ATTEMPTS_MAX) throw error;
      await sleep(Math.max(retryAfterMs, backoffMs(attempts - 1, BACKOFF, Math.random)));
    }
  }
}
