/** What the client library throws and what a lease's signal aborts with. */
import type { ErrorCode, LeaseEnd, OpenWord, RefusedReason } from './codes.ts';
import type { Why } from './frames.ts';

/**
 * Faults that the client itself finds; all others are the coordinator's `error` codes.
 * - `disconnected`: the connection broke before the answer. Whether the request was carried out is not known, but for an
 *   acquire: nothing is left of it.
 * - `timeout`: no answer in time, or a grant that came only when its TTL was over.
 * - `closed`: the client is closed, by its owner or for good by the coordinator (`closeCode`).
 * - `aborted`: the caller's signal; `cause` is the signal's reason.
 */
export type ClientErrorCode = 'disconnected' | 'timeout' | 'closed' | 'aborted';

export interface ErrorDetails {
  /** Where in the request, e.g. `where.country.in[0]`. */
  readonly path?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  /** The WebSocket close code behind it. */
  readonly closeCode?: number | undefined;
  readonly cause?: unknown;
}

/** A request that was answered with `error`, or that the client could not get answered. */
export class LeaseholdError extends Error {
  override readonly name = 'LeaseholdError';
  readonly code: OpenWord<ErrorCode> | ClientErrorCode;
  readonly path: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly closeCode: number | undefined;

  constructor(code: OpenWord<ErrorCode> | ClientErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.path = details.path;
    this.retryAfterMs = details.retryAfterMs;
    this.closeCode = details.closeCode;
  }
}

/** What a caller gets who gave up by its own signal. */
export function abortedError(signal: AbortSignal): LeaseholdError {
  return new LeaseholdError('aborted', 'given up by the caller', { cause: signal.reason as unknown });
}

/** An acquire that was understood and could not be granted now. `why` says what stood in the way. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly reason: OpenWord<RefusedReason>;
  readonly why: Why;
  readonly retryAfterMs: number | undefined;

  constructor(reason: OpenWord<RefusedReason>, why: Why, retryAfterMs: number | undefined) {
    super(`refused: ${reason}`);
    this.reason = reason;
    this.why = why;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface LeaseEnding {
  readonly end: OpenWord<LeaseEnd>;
  /** Of a revocation or a lost session: what brought it about. */
  readonly reason?: string;
}

/** The reason of an ended lease's `signal`. */
export class LeaseEndedError extends Error {
  override readonly name = 'LeaseEndedError';
  readonly end: OpenWord<LeaseEnd>;
  readonly reason: string | undefined;

  constructor({ end, reason }: LeaseEnding) {
    super(reason === undefined ? `the lease ended: ${end}` : `the lease ended: ${end} (${reason})`);
    this.end = end;
    this.reason = reason;
  }
}
