/** What the lease domain decides, as frames. */
import { assertNever } from '../../protocol/assert.ts';
import type { CoordinatorFrame, ErrorFrame, Grant, GrantedFrame } from '../../protocol/frames.ts';
import type { Taken } from '../clients/access.ts';
import type { Granted, Queued, Refused, Rejected, RenewalOutcome, SessionNotice } from '../lease/commands.ts';

/** What an acquire is answered, at once or after a wait. */
export function acquireFrame(id: number, answer: Granted | Queued | Refused): CoordinatorFrame {
  switch (answer.type) {
    case 'granted':
      return answer.isMany ? { type: 'granted', id, leases: [...answer.grants] } : grantedFrame(id, answer.grants[0]!);
    case 'queued': {
      const { position, estimateMs } = answer;
      return estimateMs === undefined
        ? { type: 'queued', id, position }
        : { type: 'queued', id, position, estimate_ms: estimateMs };
    }
    case 'refused': {
      const { reason, why, retryAfterMs } = answer;
      return retryAfterMs === undefined
        ? { type: 'refused', id, reason, why }
        : { type: 'refused', id, reason, why, retry_after_ms: retryAfterMs };
    }
    default:
      return assertNever(answer);
  }
}

/** Field by field: to spread the grant would cost several times as much. */
function grantedFrame(id: number, grant: Grant): GrantedFrame {
  const { lease, resource, address, ttl_ms, clamped, waited_ms } = grant;
  const frame: GrantedFrame = { type: 'granted', id, lease, resource, address, ttl_ms };
  if (clamped !== undefined) frame.clamped = clamped;
  if (waited_ms !== undefined) frame.waited_ms = waited_ms;
  return frame;
}

export function noticeFrame(notice: SessionNotice): CoordinatorFrame {
  switch (notice.type) {
    case 'LeaseExpiring':
      return { type: 'expiring', lease: notice.lease, remaining_ms: notice.remainingMs };
    case 'LeaseExpired':
      return { type: 'expired', lease: notice.lease };
    case 'LeaseRevoking': {
      const { lease, reason, deadlineMs, substitute } = notice;
      const revoking = { type: 'revoking', lease, reason, deadline_ms: deadlineMs } as const;
      return substitute ? { ...revoking, substitute } : revoking;
    }
    case 'LeaseRevoked': {
      const { lease, reason, substitute } = notice;
      return substitute ? { type: 'revoked', lease, reason, substitute } : { type: 'revoked', lease, reason };
    }
    case 'WaitAnswered':
      return acquireFrame(notice.request, notice.answer);
    default:
      return assertNever(notice);
  }
}

export function errorFrame(id: number | undefined, { code, message, path, retryAfterMs }: Rejected): CoordinatorFrame {
  const error: ErrorFrame = id === undefined ? { type: 'error', code, message } : { type: 'error', id, code, message };
  if (path !== undefined) error.path = path;
  if (retryAfterMs !== undefined) error.retry_after_ms = retryAfterMs;
  return error;
}

/** How long a turned-away client is asked to wait. */
const OVERLOADED_RETRY_MS = 1_000;

export function overloaded(): Rejected {
  const message = 'the disk is behind; try again later';
  return { type: 'rejected', code: 'overloaded', message, retryAfterMs: OVERLOADED_RETRY_MS };
}

/** The same whether the key is wrong, missing, or has come to its end. */
export function unauthorized(): Rejected {
  return { type: 'rejected', code: 'unauthorized', message: 'an API key is needed, and a good one' };
}

/** Told to a client whose bucket never fills: an operator may have given it another limit by then. */
const RATE_RETRY_MAX_MS = 86_400_000;

export function rateLimited({ limit, retryAfterMs }: Extract<Taken, { ok: false }>): Rejected {
  const message = `no more requests now: ${limit.capacity} at once, and then as they come back`;
  return { type: 'rejected', code: 'rate_limited', message, retryAfterMs: Math.min(retryAfterMs, RATE_RETRY_MAX_MS) };
}

/** One of the leases that were renewed together. */
export function renewalEntry(outcome: RenewalOutcome) {
  if ('rejected' in outcome) return { lease: outcome.lease, lost: true as const };
  const { lease, ttlMs, clamped } = outcome;
  return clamped ? { lease, ttl_ms: ttlMs, clamped } : { lease, ttl_ms: ttlMs };
}
