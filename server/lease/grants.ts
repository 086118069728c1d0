import type { Grant } from '../../protocol/frames.ts';
import { type Address, addressRecord } from './address.ts';
import type { Granted } from './commands.ts';
import type { LeaseEvent } from './events.ts';
import { type LeaseState, TOKEN_BLOCK } from './state.ts';

type Terms = Omit<Extract<LeaseEvent, { type: 'LeaseGranted' }>, 'type' | 'lease' | 'addressId'>;

/** What granting these addresses on the same terms adds to a decision, and what the holder is told of each. */
export function grantLeases(
  state: LeaseState,
  addresses: readonly Address[],
  terms: Terms,
  told: { readonly ttlMs: number; readonly clamped: boolean },
): { events: LeaseEvent[]; grants: Grant[] } {
  const events: LeaseEvent[] = [];
  const lastToken = state.lastToken + addresses.length;
  if (lastToken > state.reservedToken) events.push({ type: 'TokensReserved', until: lastToken + TOKEN_BLOCK });
  const grants: Grant[] = [];
  for (const [index, address] of addresses.entries()) {
    const lease = state.lastToken + 1 + index;
    events.push({ type: 'LeaseGranted', lease, addressId: address.id, ...terms });
    const record = addressRecord(address);
    record.rpw += 1;
    const grant: Grant = { lease, resource: terms.resource, address: record, ttl_ms: told.ttlMs };
    if (told.clamped) grant.clamped = true;
    grants.push(grant);
  }
  return { events, grants };
}

export function granted(grants: readonly Grant[], { count }: { readonly count?: number | undefined }): Granted {
  return { type: 'granted', grants, isMany: count !== undefined };
}
