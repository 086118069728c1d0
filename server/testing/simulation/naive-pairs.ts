/**
 * What state a pair is in, what a condition is met by, what is in the way of a grant, and who could be served: each read
 * off the marks of the state as DESIGN has them, without any of the indexes that the core goes by.
 */
import type { PairState } from '../../../protocol/codes.ts';
import type { Where } from '../../../protocol/where.ts';
import type { Address } from '../../lease/address.ts';
import { SLOW_INTERVAL_MS } from '../../lease/policy.ts';
import { type LeaseState, policyOf, type Resource } from '../../lease/state.ts';
import type { Waiter } from '../../lease/waiting.ts';
import { meets } from '../where-meets.ts';

/** The first that applies. What is reserved for the waiter `collector` isn't, to that one. */
export function stateOf(address: Address, resource: number, collector?: number): PairState {
  if (address.isLeased(resource)) return 'leased';
  const pair = address.pairs?.get(resource);
  if (pair?.reservedFor && pair.reservedFor.number !== collector) return 'reserved';
  if (pair?.quarantine || address.quarantine) return 'quarantined';
  if (pair?.coolingUntilMs !== undefined) return 'cooling';
  if (address.isUnhealthy) return 'unhealthy';
  if (address.isDraining) return 'draining';
  if (address.probationAfter !== undefined || pair?.probationAfter !== undefined) return 'probation';
  return 'free';
}

/** Whether the pair is to be had: an address on probation is tried out by one at a time. */
export function isEligible(address: Address, resource: number, collector?: number): boolean {
  const state = stateOf(address, resource, collector);
  if (state === 'probation') return address.probationAfter === undefined || !isBusy(address, collector);
  return state === 'free';
}

/** Somebody has a pair of it, or it is kept for somebody else. */
function isBusy(address: Address, collector: number | undefined): boolean {
  if (address.leaseCount > 0) return true;
  if (!address.pairs) return false;
  for (const { reservedFor } of address.pairs.values()) {
    if (reservedFor && reservedFor.number !== collector) return true;
  }
  return false;
}

export function serving(state: LeaseState, resource: number): Address[] {
  const addresses: Address[] = [];
  for (const address of state.addresses.values()) {
    if (!address.removed && address.record.resource_ids.includes(resource)) addresses.push(address);
  }
  return addresses;
}

/** The resource's own condition, and the request's. */
export function fits(state: LeaseState, resource: number, where: Where | undefined, address: Address): boolean {
  return conditionOf(state, resource, where)(address);
}

/** `fits`, for many addresses. */
export function conditionOf(
  state: LeaseState,
  resource: number,
  where: Where | undefined,
): (address: Address) => boolean {
  const { where: always } = policyOf(state, resource);
  return (address) => (!always || meets(always, address)) && (!where || meets(where, address));
}

export function reservedCount(addresses: readonly Address[], resource: number): number {
  let count = 0;
  for (const { pairs } of addresses) if (pairs?.get(resource)?.reservedFor) count += 1;
  return count;
}

/** What keeps `count` more leases from being granted now; `ownCount` are kept for whoever asks. */
export function boundOf(
  state: LeaseState,
  { id, lastGrantMs }: Resource,
  addresses: readonly Address[],
  liveCount: number,
  asked: { readonly count: number; readonly ownCount: number; readonly nowMs: number },
): 'max_leases' | 'slowed' | undefined {
  const { maxLeases = Infinity, slowShare, slowIntervalMs = SLOW_INTERVAL_MS } = policyOf(state, id);
  const taken = liveCount + reservedCount(addresses, id) - asked.ownCount;
  if (taken + asked.count > maxLeases) return 'max_leases';
  if (slowShare === undefined || lastGrantMs + slowIntervalMs <= asked.nowMs) return undefined;
  const quarantined = addresses.filter((address) => stateOf(address, id) === 'quarantined');
  return quarantined.length > slowShare * addresses.length ? 'slowed' : undefined;
}

/** Of those who wait for the resource and are there, one that could be given something; undefined: nobody could. */
export function firstServable(
  state: LeaseState,
  resource: Resource,
  waiters: readonly Waiter[],
  liveCount: number,
  nowMs: number,
): Waiter | undefined {
  if (waiters.length === 0) return undefined;
  const present = waiters.filter(({ session }) => session.suspendedUntilMs === undefined);
  if (present.length === 0) return undefined;
  const addresses = serving(state, resource.id);
  const bound = (count: number, ownCount: number) =>
    boundOf(state, resource, addresses, liveCount, { count, ownCount, nowMs });
  const isOpen = bound(1, 0) === undefined;
  if (!isOpen && present.every(({ count = 1 }) => count === 1)) return undefined;
  const eligible = addresses.filter((address) => isEligible(address, resource.id));
  if (eligible.length === 0 && !present.some(({ count, reserved }) => reserved.size === count)) return undefined;
  const { maxLeases = Infinity } = policyOf(state, resource.id);
  let hasCollector = false;
  for (const waiter of present) {
    const { where, count = 1, reserved } = waiter;
    const isFor = conditionOf(state, resource.id, where);
    if (count === 1) {
      if (isOpen && eligible.some(isFor)) return waiter;
      continue;
    }
    const has = eligible.filter(isFor).length;
    if (has >= count - reserved.size && bound(count, reserved.size) === undefined) return waiter;
    if (hasCollector || count > maxLeases || addresses.filter(isFor).length < count) continue;
    // The oldest that can be served at all keeps what comes its turn.
    hasCollector = true;
    if (isOpen && has > 0 && reserved.size < count) return waiter;
  }
  return undefined;
}
