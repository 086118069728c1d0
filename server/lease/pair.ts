import type { Address } from './address.ts';
import type { IndexedHeap } from './indexed-heap.ts';
import type { PairStatus } from './resource-pool.ts';
import type { LeaseState, Resource } from './state.ts';
import type { Waiter } from './waiting.ts';

export type QuarantineReason = 'banned' | 'operator';

export interface QuarantineRecord {
  readonly reason: QuarantineReason;
  /** By the coordinator's clock; Infinity: until it is lifted. */
  readonly untilMs: number;
}

/** How often it was banned of late: the level falls with time. */
export interface Bans {
  readonly level: number;
  readonly atMs: number;
}

/** What is known of one address for one resource beside its lease; of most pairs nothing is. */
export interface Pair {
  readonly resource: number;
  readonly address: Address;
  coolingUntilMs: number | undefined;
  quarantine: QuarantineRecord | undefined;
  bans: Bans | undefined;
  /** On probation until a lease with a token above this reports `ok`. */
  probationAfter: number | undefined;
  /** The count waiter that collects it. */
  reservedFor: Waiter | undefined;
  restPlace: number;
}

/** Pairs of a resource that come back by time, by when. */
export type Resting = IndexedHeap<Pair>;

/**
 * The one state that a pair is in: the first that applies, in the order of PAIR_STATES. What is reserved for
 * `collector` doesn't count as reserved.
 */
export function pairStatus(address: Address, resource: number, collector?: Waiter): PairStatus {
  return statusOfPair(address, resource, address.leasedUntilMs(resource), collector);
}

/** The same, for who knows when its lease ends. */
export function statusOfPair(
  address: Address,
  resource: number,
  leasedUntilMs: number | undefined,
  collector?: Waiter,
): PairStatus {
  const pair = address.pairs?.get(resource);
  // One state hides the next, and the pair is free when all of them are over.
  const restMs = Math.max(pair?.quarantine?.untilMs ?? 0, address.quarantine?.untilMs ?? 0, pair?.coolingUntilMs ?? 0);
  if (leasedUntilMs !== undefined)
    return { state: 'leased', untilMs: Math.max(leasedUntilMs, restMs), isEligible: false };
  if (pair?.reservedFor && pair.reservedFor !== collector)
    return { state: 'reserved', untilMs: pair.reservedFor.untilMs, isEligible: false };
  if (pair?.quarantine || address.quarantine) return { state: 'quarantined', untilMs: restMs, isEligible: false };
  if (pair?.coolingUntilMs !== undefined) return { state: 'cooling', untilMs: pair.coolingUntilMs, isEligible: false };
  if (address.isUnhealthy) return { state: 'unhealthy', untilMs: Infinity, isEligible: false };
  if (address.isDraining) return { state: 'draining', untilMs: Infinity, isEligible: false };
  if (address.probationAfter !== undefined) {
    const untilMs = address.busyUntilMs(collector);
    return { state: 'probation', untilMs: untilMs ?? 0, isEligible: untilMs === undefined };
  }
  if (pair?.probationAfter !== undefined) return { state: 'probation', untilMs: 0, isEligible: true };
  return FREE;
}

const FREE: PairStatus = { state: 'free', untilMs: 0, isEligible: true };

/** When `resting` brings the pair back; Infinity: never by itself. */
export function restsUntilMs({ coolingUntilMs, quarantine }: Pair): number {
  return Math.min(coolingUntilMs ?? Infinity, quarantine?.untilMs ?? Infinity);
}

/** Whether the pair can be forgotten: it says nothing that one never heard of wouldn't. */
export function isPlain({ coolingUntilMs, quarantine, bans, probationAfter, reservedFor }: Pair): boolean {
  return coolingUntilMs === undefined && !quarantine && !bans && probationAfter === undefined && !reservedFor;
}

/** The level that is left of the bans at `nowMs`. */
export function levelAt(bans: Bans | undefined, nowMs: number, decayMs: number): number {
  if (!bans) return 0;
  return Math.max(0, bans.level - Math.floor(Math.max(0, nowMs - bans.atMs) / decayMs));
}

/** Where somebody waits, somebody may now be served: looked at in this turn. */
export function wake(state: LeaseState, resource: Resource): void {
  if (resource.queue.activeCount > 0) state.matching.set(resource, 0);
}

/** Brings the resource's index to what the pair has become. */
export function refreshPair(state: LeaseState, address: Address, resourceId: number): void {
  if (state.isReplaying) return;
  const resource = state.resources.get(resourceId);
  if (resource) refreshPairOf(state, address, resource);
}

export function refreshPairOf(state: LeaseState, address: Address, resource: Resource): void {
  if (state.isReplaying) return;
  resource.pool.setStatus(address, pairStatus(address, resource.id));
  wake(state, resource);
}

export function refreshAddress(state: LeaseState, address: Address): void {
  if (state.isReplaying) return;
  for (const id of address.resourceIds) refreshPair(state, address, id);
}
