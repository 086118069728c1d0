import type { RefusedReason, Strategy } from '../../protocol/codes.ts';
import type { Why } from '../../protocol/frames.ts';
import { WHY_EXACT_MAX } from '../../protocol/limits.ts';
import type { Where } from '../../protocol/where.ts';
import { type Address } from './address.ts';
import { whereOf } from './apply-waiting.ts';
import { heldOf, type Tally } from './collectors.ts';
import type { AcquireTerms } from './commands.ts';
import { holderName } from './idempotency.ts';
import { SLOW_INTERVAL_MS } from './policy.ts';
import type { Condition } from './resource-pool.ts';
import { type LeaseState, policyOf, type Resource } from './state.ts';
import { conjuncts } from './where.ts';

/** How to choose among what fits; `sticky` goes with the strategy of that name. */
export interface Choice {
  readonly strategy: Strategy;
  readonly sticky: string | undefined;
}

export interface Wish extends Choice {
  readonly where: Where | undefined;
  readonly count: number;
  /** What whoever asks holds already; undefined: nothing. */
  readonly tally: Tally | undefined;
}

export interface Refusal {
  readonly reason: RefusedReason;
  readonly why: Why;
  readonly retryAfterMs?: number;
}

export type Selection =
  | { readonly addresses: readonly Address[] }
  /** None; `bound`: because of it, and not for want of addresses. */
  | { readonly bound: Bound | undefined };

export interface SelectContext {
  readonly nowMs: number;
  readonly random: () => number;
}

/**
 * Chooses addresses for a request on `resource`, or finds that there are none. Changes nothing, so that an explanation
 * comes from the same code as the grant.
 */
export function select(state: LeaseState, resource: Resource, wish: Wish, context: SelectContext): Selection {
  const condition = resource.pool.condition(whereOf(state, resource, wish.where));
  const bound = boundOf(state, resource, wish.count, context.nowMs, 0, wish.tally);
  if (bound || condition.eligibleCount < wish.count) return { bound };
  return { addresses: choose(resource, condition, wish, wish.count, context) };
}

export function choose(
  resource: Resource,
  condition: Condition<Address>,
  { strategy, sticky }: Choice,
  count: number,
  context: SelectContext,
): readonly Address[] {
  return condition.choose({ strategy, sticky: sticky ?? '', turn: resource.grants, random: context.random, count });
}

/** A string to stick to asks for `sticky`; who names neither gets the resource's default, and sticks by its own name. */
export function choiceOf(state: LeaseState, resource: Resource, { strategy, sticky, holder }: AcquireTerms): Choice {
  if (strategy !== undefined || sticky !== undefined) return { strategy: strategy ?? 'sticky', sticky };
  const byDefault = policyOf(state, resource.id).strategy ?? 'round_robin';
  return { strategy: byDefault, sticky: byDefault === 'sticky' ? holderName(holder) : undefined };
}

/** What keeps `count` more leases from being granted, whatever addresses there are. */
export type Bound =
  | { readonly reason: 'max_leases'; readonly maxLeases: number }
  | { readonly reason: 'max_leases'; readonly maxLeasesPerClient: number }
  | { readonly reason: 'slowed'; readonly untilMs: number };

/** `ownCount` leases or reservations are about to make room for these. `tally`: of whom they are to belong to. */
export function boundOf(
  state: LeaseState,
  resource: Resource,
  count: number,
  nowMs: number,
  ownCount = 0,
  tally?: Tally,
): Bound | undefined {
  const { maxLeases, maxLeasesPerClient } = policyOf(state, resource.id);
  const taken = resource.leaseCount + resource.queue.reservedCount - ownCount;
  if (maxLeases !== undefined && taken + count > maxLeases) return { reason: 'max_leases', maxLeases };
  if (maxLeasesPerClient !== undefined && heldOf(tally, resource) - ownCount + count > maxLeasesPerClient) {
    return { reason: 'max_leases', maxLeasesPerClient };
  }
  const untilMs = slowedUntilMs(state, resource);
  return untilMs > nowMs ? { reason: 'slowed', untilMs } : undefined;
}

/** While more than the set share of the pool is quarantined, grants keep their distance: the rest isn't burnt too. */
function slowedUntilMs(state: LeaseState, { id, pool, lastGrantMs }: Resource): number {
  const { slowShare, slowIntervalMs = SLOW_INTERVAL_MS } = policyOf(state, id);
  if (slowShare === undefined || pool.countOf('quarantined') <= slowShare * pool.size) return 0;
  return lastGrantMs + slowIntervalMs;
}

export function refusal(
  state: LeaseState,
  resource: Resource,
  wish: Wish,
  bound: Bound | undefined,
  nowMs: number,
  whyMax = WHY_EXACT_MAX,
): Refusal {
  const why = whyOf(state, resource, wish, bound, nowMs, whyMax);
  const retryAfterMs = why.soonest_ms;
  const reason = bound?.reason ?? 'none_available';
  return retryAfterMs === undefined ? { reason, why } : { reason, why, retryAfterMs };
}

/** How things stand for a request: in which states the addresses are that it fits, and what is in its way. */
export function whyOf(
  state: LeaseState,
  resource: Resource,
  wish: Wish,
  bound: Bound | undefined,
  nowMs: number,
  whyMax: number,
): Why {
  const { pool } = resource;
  const condition = pool.condition(whereOf(state, resource, wish.where));
  const survey = condition.survey(whyMax);
  const soonestMs = soonest(resource, wish, bound, survey.soonestMs);
  const isShort = !bound && wish.count === 1 && condition.eligibleCount === 0;
  const relax =
    isShort && wish.where
      ? pool.relaxation(policyOf(state, resource.id).where, conjuncts(wish.where), whyMax)
      : undefined;
  const why: Why = { states: { leased: 0, free: 0, ...survey.states }, excluded: pool.size - survey.matching };
  if (soonestMs < Infinity) why.soonest_ms = Math.max(0, Math.ceil(soonestMs - nowMs));
  if (relax !== undefined) why.relax = relax;
  if (bound) nameBound(why, bound);
  if (!survey.isExact) why.approximate = true;
  return why;
}

function nameBound(why: Why, bound: Bound): void {
  if (bound.reason === 'slowed') why.slowed = true;
  else if ('maxLeases' in bound) why.max_leases = bound.maxLeases;
  else why.max_leases_per_client = bound.maxLeasesPerClient;
}

function soonest(resource: Resource, { count }: Wish, bound: Bound | undefined, addressMs: number): number {
  if (bound?.reason === 'slowed') return bound.untilMs;
  if (!bound) return addressMs;
  // What is in the way is the client's own: it knows best when that ends.
  if (!('maxLeases' in bound)) return Infinity;
  // More at a time than the policy allows: no end of a lease makes room for that.
  return count > bound.maxLeases ? Infinity : (resource.leases.peekKey() ?? Infinity);
}
