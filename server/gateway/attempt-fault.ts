/** What became of a request that a target didn't answer. */
import { type Fault, faultOf } from '../health/probes.ts';

/**
 * - `refused`: no connection came about, so nothing of it was sent;
 * - `silent`: it was sent, and nothing came back in its time;
 * - `broken`: it was sent, at least a part of it, and the connection broke off, or what came back is no HTTP;
 * - `ours`: this machine is short of something, which says nothing about the target;
 * - `oversize`: what came back has a longer head than is taken here;
 * - `unfit`: it can't be sent at all.
 */
export type AttemptKind = 'refused' | 'silent' | 'broken' | 'ours' | 'oversize' | 'unfit';

export interface AttemptFault {
  readonly kind: AttemptKind;
  readonly reason: Fault | 'no_room' | 'oversize' | 'unfit';
}

/** Out of descriptors, ports or memory. */
const OURS = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL', 'EADDRINUSE']);
const OVERSIZE = new Set(['UND_ERR_HEADERS_OVERFLOW', 'HPE_HEADER_OVERFLOW']);
const UNFIT = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED', 'ERR_INVALID_CHAR', 'ERR_UNESCAPED_CHARACTERS']);

/** Whether this machine is short of something: nothing is known of whom it wanted to connect to. */
export function isOurs(error: Error): boolean {
  return OURS.has((error as NodeJS.ErrnoException).code ?? '');
}

/** `wasSent`: a connection was there, and the request was on its way. */
export function attemptFault(error: Error, wasSent: boolean): AttemptFault {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (!wasSent && isOurs(error)) return { kind: 'ours', reason: 'no_room' };
  if (!wasSent && UNFIT.has(code)) return { kind: 'unfit', reason: 'unfit' };
  if (OVERSIZE.has(code)) return { kind: 'oversize', reason: 'oversize' };
  const reason = faultOf(error);
  if (!wasSent) return { kind: 'refused', reason };
  return { kind: reason === 'timeout' ? 'silent' : 'broken', reason };
}

/** Methods that may be done twice where it isn't known whether they were done once (RFC 9110 §9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}
