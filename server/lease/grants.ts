import type { Grant } from '../../protocol/frames.ts';
import { type Address, addressRecord } from './address.ts';
import type { Granted } from './commands.ts';
import type { LeaseEvent } from './events.ts';
import { type LeaseState, TOKEN_BLOCK } from './state.ts';

type LeaseGranted = Extract<LeaseEvent, { type: 'LeaseGranted' }>;
type Terms = Omit<LeaseGranted, 'type' | 'lease' | 'addressId'>;

/** What granting these addresses on the same terms adds to a decision, and what the holder is told of each. */
export function grantLeases(
  state: LeaseState,
  addresses: readonly Address[],
  terms: Terms,
  told: { readonly ttlMs: number; readonly clamped: boolean },
): { events: LeaseEvent[]; grants: Grant[] } {
  const first = state.lastToken + 1;
  const lastToken = state.lastToken + addresses.length;
  const events = addresses.map(({ id }, index): LeaseEvent => grantEvent(first + index, id, terms));
  if (lastToken > state.reservedToken) events.unshift({ type: 'TokensReserved', until: lastToken + TOKEN_BLOCK });
  const grants = addresses.map((address, index) => {
    const record = addressRecord(address);
    record.rpw += 1;
    const grant: Grant = { lease: first + index, resource: terms.resource, address: record, ttl_ms: told.ttlMs };
    if (told.clamped) grant.clamped = true;
    return grant;
  });
  return { events, grants };
}

/** Field by field: to spread the terms would make the event of which there is most several times as dear. */
function grantEvent(lease: number, addressId: number, terms: Terms): LeaseGranted {
  return {
    type: 'LeaseGranted',
    lease,
    resource: terms.resource,
    addressId,
    holder: terms.holder,
    request: terms.request,
    ttlMs: terms.ttlMs,
    clamped: terms.clamped,
    deadlineMs: terms.deadlineMs,
    waiter: terms.waiter,
    where: terms.where,
    strategy: terms.strategy,
    sticky: terms.sticky,
    key: terms.key,
    body: terms.body,
    substituteFor: terms.substituteFor,
    otherRequests: terms.otherRequests,
    isMany: terms.isMany,
    isEphemeral: terms.isEphemeral,
  } satisfies { [Field in keyof LeaseGranted]-?: LeaseGranted[Field] | undefined };
}

export function granted(grants: readonly Grant[], { count }: { readonly count?: number | undefined }): Granted {
  return { type: 'granted', grants, isMany: count !== undefined };
}
