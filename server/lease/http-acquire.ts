/** An acquire over HTTP, whose answers differ only in how a grant is shown. */
import { assertNever } from '../../protocol/assert.ts';
import type { Caller } from '../admin/operation.ts';
import { answerOf, idempotencyKey, rejection } from '../admin/requests.ts';
import type { Granted } from './answers.ts';
import type { AcquireTerms } from './commands.ts';
import { holderOf, type LeasePort, ownerOf, refusal } from './http-answers.ts';

export interface HttpAcquireOptions {
  readonly leases: LeasePort;
  /** A fresh secret for a lease without a client behind it. */
  readonly newSecret: () => string;
}

/** What to answer; `own`: the secret of who has no key. */
export type ShowGrants = (granted: Granted, own: { readonly secret?: string }) => Response;

/** Acquires for `caller`, whom nothing but the answer reaches: there is no waiting. */
export async function acquireOverHttp(
  { leases, newSecret }: HttpAcquireOptions,
  { caller, headers }: { readonly caller: Caller; readonly headers: Parameters<typeof idempotencyKey>[0] },
  wish: Omit<AcquireTerms, 'holder' | 'owner' | 'waitMs'>,
  show: ShowGrants,
): Promise<Response> {
  const { key, problem } = idempotencyKey(headers, caller);
  if (problem) return problem;
  const own = caller.isAuthenticated ? {} : { secret: newSecret() };
  const holder = holderOf(caller, own.secret)!;
  const answer = await answerOf(leases, { type: 'AcquireLease', holder, ...ownerOf(caller), request: 0, key, ...wish });
  switch (answer.type) {
    case 'granted':
      return show(answer, own);
    case 'refused':
      return refusal(answer);
    case 'rejected':
      return rejection(answer);
    case 'queued':
      throw new Error('an acquire that may not wait was queued');
    default:
      return assertNever(answer);
  }
}
