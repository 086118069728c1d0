/** What the HTTP operations of this folder have in common: the port, who holds what, refusals as problems. */
import { createHash } from 'node:crypto';
import * as v from 'valibot';
import type { RefusedReason } from '../../protocol/codes.ts';
import { NAME_LENGTH_MAX } from '../../protocol/limits.ts';
import { type ProblemExtras, problemResponse } from '../../protocol/problems.ts';
import type { Caller } from '../admin/operation.ts';
import type { DomainPort } from '../coordinator/domain-port.ts';
import type { LeaseAnswers, LeaseCommand, LeaseNotice, Refused } from './commands.ts';
import type { Holder, Owner } from './holder.ts';
import type { LeaseState } from './state.ts';

export type LeasePort = DomainPort<LeaseState, LeaseCommand, LeaseAnswers, LeaseNotice>;

/** The secret of a lease without a client behind it: whoever knows it is its holder. */
export const SECRET_HEADER = 'Leasehold-Secret';
export const secretHeader = {
  [SECRET_HEADER]: v.exactOptional(
    v.pipe(
      v.string(),
      v.maxLength(NAME_LENGTH_MAX),
      v.description('`secret` of a lease that was granted to nobody in particular: whoever knows it is its holder.'),
    ),
  ),
};

/** Who holds a lease that `caller` has; `secret`: of one without a client behind it. */
export function holderOf(caller: Caller, secret: string | undefined): Holder | undefined {
  if (secret !== undefined) return { kind: 'secret', secretHash: sha256(secret) };
  return caller.isAuthenticated ? { kind: 'client', client: caller.client } : undefined;
}

/** Who is behind a holder that is known by a secret only. */
export function ownerOf(caller: Caller): { readonly owner?: Owner } {
  return caller.isAuthenticated ? {} : { owner: { kind: 'ip', ip: caller.client } };
}

export function sha256(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

const REFUSALS: Readonly<Record<RefusedReason, string>> = {
  none_available: 'no address is free',
  max_leases: 'the resource has all the leases it may have',
  slowed: 'too much of the pool is in quarantine: grants are kept apart',
  wait_timeout: 'no address came free in time',
};

/** Where nobody knows when something may come free. */
const RETRY_S = 60;

export function refusal({ reason, why, retryAfterMs }: Refused): Response {
  const extras: ProblemExtras = { reason, why };
  const isOwnBound = reason === 'max_leases' && why.max_leases_per_client !== undefined;
  const message = isOwnBound ? 'the client has all the leases of this resource that it may have' : REFUSALS[reason];
  const retryAfterS = retryAfterMs === undefined ? RETRY_S : Math.max(1, Math.ceil(retryAfterMs / 1_000));
  return problemResponse(409, message, { ...extras, retryAfterS });
}

export const REFUSED_409 =
  'Nothing is free: `reason` says why, `why` in numbers, and `Retry-After` when to ask again: a minute where nobody knows.';
