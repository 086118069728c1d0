/** Live leases as operators are shown them: page by page, by what they are about. */
import * as v from 'valibot';
import { answerOf, idSchema, lookAt, type Page } from '../admin/requests.ts';
import { REVOKED_AT_ONCE_MAX } from './decide-revoke.ts';
import { describeHolder } from './described.ts';
import type { Holder, Owner } from './holder.ts';
import type { LeasePort } from './http-answers.ts';
import { maskAddress } from './masking.ts';
import { endsAtMs, type Lease, type LeaseState } from './state.ts';

/** Leases that one page looks at. */
export const SCANNED_MAX = 10_000;

export const leaseFilter = {
  resource: v.exactOptional(v.pipe(idSchema, v.description('Only those of this resource.'))),
  address_id: v.exactOptional(v.pipe(idSchema, v.description('Only those of this address.'))),
  session: v.exactOptional(v.pipe(v.string(), v.description('Only those that this session holds.'))),
  client: v.exactOptional(
    v.pipe(
      v.string(),
      v.description(
        'Only those of this client: of its sessions, and what it holds over HTTP. An IP where it has no key.',
      ),
    ),
  ),
};

export interface LeaseFilter {
  readonly resource?: number;
  readonly address_id?: number;
  readonly session?: string;
  readonly client?: string;
}

export const leaseShown = v.object({
  lease: idSchema,
  resource: idSchema,
  address_id: idSchema,
  address: v.pipe(v.string(), v.description('Without its credentials.')),
  holder: v.object({
    kind: v.picklist(['session', 'client', 'secret', 'process']),
    session: v.exactOptional(v.string()),
    client: v.exactOptional(v.string()),
    owner: v.exactOptional(
      v.pipe(
        v.variant('kind', [
          v.object({ kind: v.literal('ip'), ip: v.string() }),
          v.object({ kind: v.literal('client'), client: v.string() }),
        ]),
        v.description('Who got the secret, or for whom the gateway has it.'),
      ),
    ),
  }),
  ttl_ms: v.pipe(v.number(), v.description('What is left of it.')),
  requests: v.number(),
  revoking: v.exactOptional(v.object({ reason: v.string(), deadline_ms: v.number() })),
});

/** The leases behind `after` that are meant, by rising tokens, and where the next page begins if there may be one. */
export function leasePage(
  state: LeaseState,
  nowMs: number,
  { limit, after }: Page,
  filter: LeaseFilter,
): { leases: object[]; next?: number } {
  const leases: object[] = [];
  let last = after;
  let seen = 0;
  // In the order of their tokens.
  for (const lease of state.leases.values(after + 1)) {
    if (leases.length === limit || seen === SCANNED_MAX) return { leases, next: last };
    seen += 1;
    last = lease.token;
    if (endsAtMs(lease) > nowMs && isMeant(state, lease, filter)) leases.push(leaseEntry(state, lease, nowMs)!);
  }
  return { leases };
}

export function leaseEntry(state: LeaseState, lease: Lease | undefined, nowMs: number): object | undefined {
  if (!lease || endsAtMs(lease) <= nowMs) return undefined;
  const { token, resource, addressId, holder, requests, revoking } = lease;
  return {
    lease: token,
    resource,
    address_id: addressId,
    address: maskAddress(state.addresses.get(addressId)?.address ?? ''),
    holder: describeHolder(holder),
    ttl_ms: Math.floor(endsAtMs(lease) - nowMs),
    requests,
    ...(revoking ? { revoking: { reason: revoking.reason, deadline_ms: Math.floor(revoking.atMs - nowMs) } } : {}),
  };
}

/**
 * Revokes what is meant and was there when it was asked, slice by slice, each in a turn of its own; how many there were. What
 * comes in the place of a revoked lease is a newer one, and stays.
 */
export async function endLeases(
  leases: LeasePort,
  filter: LeaseFilter,
  { deadlineMs, signal }: { readonly deadlineMs: number; readonly signal: AbortSignal },
): Promise<number> {
  let revoked = 0;
  let after = 0;
  const last = await lookAt(leases, (state) => state.lastToken);
  while (!signal.aborted) {
    const slice = await lookAt(leases, (state) => tokensBetween(state, after, last, filter));
    if (slice.tokens.length > 0) {
      const command = { type: 'RevokeLeases', leases: slice.tokens, reason: 'operator', deadlineMs } as const;
      revoked += (await answerOf(leases, command)).leases.length;
    }
    if (slice.next === undefined) break;
    after = slice.next;
  }
  return revoked;
}

/** Behind `after`, up to `last`. */
function tokensBetween(
  state: LeaseState,
  after: number,
  last: number,
  filter: LeaseFilter,
): { readonly tokens: number[]; readonly next: number | undefined } {
  const tokens: number[] = [];
  let seen = after;
  let count = 0;
  for (const lease of state.leases.values(after + 1)) {
    if (lease.token > last) break;
    if (tokens.length === REVOKED_AT_ONCE_MAX || count === SCANNED_MAX) return { tokens, next: seen };
    count += 1;
    seen = lease.token;
    if (isMeant(state, lease, filter)) tokens.push(lease.token);
  }
  return { tokens, next: undefined };
}

function isMeant(state: LeaseState, { resource, addressId, holder }: Lease, filter: LeaseFilter): boolean {
  if (filter.resource !== undefined && filter.resource !== resource) return false;
  if (filter.address_id !== undefined && filter.address_id !== addressId) return false;
  if (filter.session !== undefined && !(holder.kind === 'session' && holder.session === filter.session)) return false;
  return filter.client === undefined || clientOf(state, holder) === filter.client;
}

function clientOf(state: LeaseState, holder: Holder): string | undefined {
  switch (holder.kind) {
    case 'session':
      return ownerText(state.sessions.get(holder.session)?.owner);
    case 'client':
      return holder.client;
    case 'secret':
    case 'process':
      return ownerText(holder.owner);
  }
}

/** A client's id, or the IP of one that has none. */
function ownerText(owner: Owner | undefined): string | undefined {
  return owner?.kind === 'client' ? owner.client : owner?.ip;
}
