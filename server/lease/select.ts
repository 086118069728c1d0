import type { RefusedReason } from '../../protocol/codes.ts';
import type { Why } from '../../protocol/frames.ts';
import type { Where } from '../../protocol/where.ts';
import { type LeaseState, policyOf, type Resource } from './state.ts';

/** Live leases that are looked at, at most, for the soonest end under a condition; beyond it: of any lease. */
const SOONEST_EXACT_MAX = 10_000;

export type Selection =
  | { readonly addressId: number }
  | { readonly reason: RefusedReason; readonly why: Why; readonly retryAfterMs?: number };

/**
 * Chooses an address for `resource` under `where`, or says why there is none. Changes nothing, so that an explanation
 * comes from the same code as the grant.
 *
 * Round robin is an integer ring: the request's number over the eligible addresses.
 */
export function select(state: LeaseState, resource: Resource, where: Where | undefined, nowMs: number): Selection {
  const candidates = resource.pool.candidates(where);
  const { maxLeases } = policyOf(state, resource.id);
  const isAtMax = maxLeases !== undefined && resource.leases.size >= maxLeases;
  if (!isAtMax && candidates.eligibleCount > 0) {
    return { addressId: candidates.addressIdAt(resource.grants % candidates.eligibleCount) };
  }
  const soonestMs = soonestEndMs(state, resource, isAtMax ? undefined : where);
  const retryAfterMs = soonestMs === undefined ? undefined : Math.max(0, Math.ceil(soonestMs - nowMs));
  const leased = candidates.matchingCount - candidates.eligibleCount;
  return {
    reason: isAtMax ? 'max_leases' : 'none_available',
    why: {
      states: { leased, free: candidates.eligibleCount },
      excluded: resource.pool.size - candidates.matchingCount,
      ...(retryAfterMs === undefined ? {} : { soonest_ms: retryAfterMs }),
      ...(isAtMax ? { max_leases: maxLeases } : {}),
    },
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** When the first lease of an address that meets `where` runs out, by the coordinator's clock. */
function soonestEndMs(state: LeaseState, resource: Resource, where: Where | undefined): number | undefined {
  if (where === undefined || resource.leases.size > SOONEST_EXACT_MAX) return resource.leases.peekKey();
  const { holds } = resource.pool.condition(where);
  let soonestMs: number | undefined;
  for (const lease of resource.leases.values()) {
    const address = state.addresses.get(lease.addressId);
    if (address?.serves(resource.id) && holds(address) && !(lease.deadlineMs >= (soonestMs ?? Infinity))) {
      soonestMs = lease.deadlineMs;
    }
  }
  return soonestMs;
}
