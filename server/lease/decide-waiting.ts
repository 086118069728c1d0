/** Who waits: served in turn, told of their places, taken out. */
import type { Grant } from '../../protocol/frames.ts';
import { QUEUE_NOTICES_MAX } from '../../protocol/limits.ts';
import { type DecisionContext, EVENTS_PER_DECISION_MAX } from '../coordinator/domain.ts';
import { type Address } from './address.ts';
import { QUEUE_NOTICE_MS } from './apply-waiting.ts';
import { heldOf } from './collectors.ts';
import type { CancelAcquire, Granted, LeaseNotice, Queued, Refused } from './commands.ts';
import { nextDayMs } from './day.ts';
import type { LeaseDecision } from './decide.ts';
import { grantedTtl } from './decide-lease.ts';
import type { LeaseEvent } from './events.ts';
import { granted, grantLeases } from './grants.ts';
import { LeaseEnds } from './lease-ends.ts';
import { pairStatus } from './pair.ts';
import { type Bound, boundOf, choose, refusal, type Wish } from './select.ts';
import { endsAtMs, type Lease, type LeaseState, policyOf, type Resource, type Session } from './state.ts';
import { isShort } from './storage.ts';
import type { Line, Waiter } from './waiting.ts';
import { headOf, isBefore } from './waiting-order.ts';

/** Waits that run out in one decision, … */
const TIMEOUTS_MAX = 100;
/** … and different refusals among them: each looks at up to WHY_EXACT_MAX addresses. */
const TIMEOUT_REFUSALS_MAX = 4;

/**
 * One step towards the state in which nobody who waits for `resource` could be given anything: a grant, or an address
 * kept for a count. Undefined: that state is reached, and known to be.
 */
export function matchStep(state: LeaseState, resource: Resource, context: DecisionContext): LeaseDecision | undefined {
  const { nowMs } = context;
  // They keep their places until there is room again.
  if (isShort(state)) return undefined;
  const dueMs = state.matching.keyOf(resource);
  if (dueMs === undefined || dueMs > nowMs) return undefined;
  const dropped = staleReservations(state, resource, nowMs);
  if (dropped) return { events: [dropped] };
  const single = boundOf(state, resource, 1, nowMs);
  const best = single ? undefined : bestSingle(resource);
  const count = bestCount(state, resource, best, single, nowMs);
  const next = count ?? (best && headOf(best));
  // A pause may have left more waits that are over than one turn ends: what came free since is for others.
  if (next && next.untilMs <= nowMs) return timeoutStep(state, context);
  if (count) return serveCount(state, resource, count, context);
  if (best) return answerWaiter(state, resource, headOf(best), 1, context);
  // Without anybody's doing a slow-down ends, and requests of a week ago age out.
  const slowedUntilMs = single?.reason === 'slowed' ? single.untilMs : Infinity;
  const nextMs = Math.min(slowedUntilMs, nextDayMs(nowMs, context.utcMs));
  const isAwaited = resource.queue.activeCount > 0;
  return { events: [{ type: 'WaitersMatched', resource: resource.id, nextMs: isAwaited ? nextMs : undefined }] };
}

/** Of the lines for which something is eligible, the one served longest ago. */
function bestSingle(resource: Resource): Line | undefined {
  let best: Line | undefined;
  for (const { condition, ready } of resource.queue.groups()) {
    const line = ready.peek()?.first;
    if (line && (!best || isBefore(line, best)) && condition.eligibleCount > 0) best = line;
  }
  return best;
}

/**
 * A count that can be served, or may go on collecting, before `best`. Only one collects: were there two, each could hold
 * what the other lacks.
 */
function bestCount(
  state: LeaseState,
  resource: Resource,
  best: Line | undefined,
  single: Bound | undefined,
  nowMs: number,
): Waiter | undefined {
  let found: Waiter | undefined;
  const collector = collectorOf(state, resource);
  for (const waiter of resource.queue.counts()) {
    const line = waiter.line!;
    const { condition } = line.group;
    const isFirst = !(best && isBefore(best, line)) && !(found && isBefore(found.line!, line));
    const count = waiter.count!;
    const missing = count - waiter.reserved.size;
    const { tally } = waiter.session;
    const isComplete =
      condition.eligibleCount >= missing && !boundOf(state, resource, count, nowMs, waiter.reserved.size, tally);
    const mayCollect = waiter === collector && !single && condition.eligibleCount > 0;
    if (isFirst && (isComplete || (mayCollect && missing > 0))) found = waiter;
  }
  return found;
}

function serveCount(state: LeaseState, resource: Resource, waiter: Waiter, context: DecisionContext): LeaseDecision {
  const { condition } = waiter.line!.group;
  const count = waiter.count!;
  const isComplete =
    condition.eligibleCount >= count - waiter.reserved.size &&
    !boundOf(state, resource, count, context.nowMs, waiter.reserved.size, waiter.session.tally);
  if (isComplete) return answerWaiter(state, resource, waiter, count, context);
  const [address] = choose(resource, condition, wishOfWaiter(waiter), 1, context);
  return { events: [{ type: 'PairReserved', waiter: waiter.number, addressId: address!.id }] };
}

/**
 * The oldest of those that can ever have what they ask for: one that can't would only keep it from the others, and so would
 * one whose client holds so much that it can't for now.
 */
function collectorOf(state: LeaseState, resource: Resource): Waiter | undefined {
  const { maxLeases = Infinity, maxLeasesPerClient = Infinity } = policyOf(state, resource.id);
  for (const waiter of resource.queue.counts()) {
    const count = waiter.count!;
    const heldBeside = heldOf(waiter.session.tally, resource) - waiter.reserved.size;
    const isWithinBounds = count <= maxLeases && heldBeside + count <= maxLeasesPerClient;
    if (isWithinBounds && waiter.line!.group.condition.matchingCount >= count) return waiter;
  }
  return undefined;
}

/** What is kept for a count that doesn't collect any more, or couldn't be leased for it now. */
function staleReservations(state: LeaseState, resource: Resource, nowMs: number): LeaseEvent | undefined {
  if (resource.queue.reservedCount === 0) return undefined;
  const collector = collectorOf(state, resource);
  for (const waiter of resource.queue.counts()) {
    const { condition } = waiter.line!.group;
    const collects = waiter === collector && waiter.untilMs > nowMs;
    const addressIds = [...waiter.reserved]
      .filter((address) => !collects || !condition.holds(address) || !isLeasableFor(waiter, address, resource))
      .map(({ id }) => id);
    if (addressIds.length > 0) return { type: 'ReservationsDropped', waiter: waiter.number, addressIds };
  }
  return undefined;
}

function isLeasableFor(waiter: Waiter, address: Address, resource: Resource): boolean {
  return address.serves(resource.id) && pairStatus(address, resource.id, waiter).isEligible;
}

function wishOfWaiter({ where, strategy, sticky, count, session }: Waiter): Wish {
  return { where, strategy: strategy ?? 'round_robin', sticky, count: count ?? 1, tally: session.tally };
}

/** Grants what the waiter asked for: what is kept for it, and the rest as its strategy chooses. */
function answerWaiter(
  state: LeaseState,
  resource: Resource,
  waiter: Waiter,
  count: number,
  context: DecisionContext,
): LeaseDecision {
  const { nowMs } = context;
  const { condition } = waiter.line!.group;
  const missing = count - waiter.reserved.size;
  const chosen = missing > 0 ? choose(resource, condition, wishOfWaiter(waiter), missing, context) : [];
  const { ttlMs, clamped } = grantedTtl(state, resource.id, waiter.ttlMs);
  const { events, grants } = grantLeases(
    state,
    [...waiter.reserved, ...chosen],
    {
      resource: resource.id,
      holder: { kind: 'session', session: waiter.session.id },
      request: waiter.requests.at(-1)!.id,
      ttlMs,
      clamped,
      deadlineMs: Math.ceil(nowMs) + ttlMs,
      waiter: waiter.number,
      where: waiter.where,
      strategy: waiter.strategy,
      sticky: waiter.sticky,
      key: waiter.key,
      body: waiter.body,
      otherRequests: waiter.requests.length > 1 ? waiter.requests.slice(0, -1).map(({ id }) => id) : undefined,
      isMany: waiter.count === undefined ? undefined : true,
    },
    { ttlMs, clamped },
  );
  const notices = waiter.requests.map(({ id, atMs }) => {
    // Whole milliseconds down: the holder adds them to the moment at which it asked.
    const waitedMs = Math.floor(nowMs - atMs);
    const waited = grants.map((grant) => afterWait(grant, waitedMs));
    return answered(waiter, id, granted(waited, waiter));
  });
  return { events, notices };
}

function afterWait({ lease, resource, address, ttl_ms, clamped }: Grant, waited_ms: number): Grant {
  if (clamped === undefined) return { lease, resource, address, ttl_ms, waited_ms };
  return { lease, resource, address, ttl_ms, clamped, waited_ms };
}

function answered(waiter: Waiter, request: number, answer: Granted | Queued | Refused): LeaseNotice {
  return { type: 'WaitAnswered', session: waiter.session.id, request, answer };
}

/** Some of the waits whose time is over; undefined: there are none. */
export function timeoutStep(state: LeaseState, { nowMs }: DecisionContext): LeaseDecision | undefined {
  if ((state.waitDeadlines.peekKey() ?? Infinity) > nowMs) return undefined;
  const events: LeaseEvent[] = [];
  const notices: LeaseNotice[] = [];
  /** Those who waited for the same are refused in the same words. */
  const refusals = new Map<string, Refused>();
  for (const waiter of state.waitDeadlines.upTo(nowMs, TIMEOUTS_MAX)) {
    const { resource, line } = waiter;
    // Its refusal speaks of what there is once it has given back what it had collected.
    const dropped = staleReservations(state, resource, nowMs);
    if (dropped && events.length === 0) return { events: [dropped] };
    if (dropped) break;
    const bound = boundOf(state, resource, waiter.count ?? 1, nowMs, 0, waiter.session.tally);
    const name = JSON.stringify([resource.id, line!.group.condition.key, waiter.count, bound]);
    const isKnown = refusals.has(name);
    if (!isKnown && refusals.size === TIMEOUT_REFUSALS_MAX) break;
    events.push({ type: 'WaitEnded', waiter: waiter.number, end: 'timeout' });
    // Nobody is there to be told.
    if (line!.parkedAtGrants !== undefined) continue;
    if (!isKnown) refusals.set(name, timeoutRefusal(state, waiter, bound, nowMs));
    notices.push(...waiter.requests.map(({ id }) => answered(waiter, id, refusals.get(name)!)));
  }
  return { events, notices };
}

function timeoutRefusal(state: LeaseState, waiter: Waiter, bound: Bound | undefined, nowMs: number): Refused {
  const refused = refusal(state, waiter.resource, wishOfWaiter(waiter), bound, nowMs);
  return { type: 'refused', ...refused, reason: 'wait_timeout' };
}

/** Word of their places to those whose place is another than the last time. */
export function queueNoticeStep(state: LeaseState, { nowMs }: DecisionContext): LeaseDecision | undefined {
  if ((state.queueNotices.peekKey() ?? Infinity) > nowMs) return undefined;
  const resource = state.queueNotices.peek()!;
  const places: [number, number][] = [];
  const notices: LeaseNotice[] = [];
  for (const [index, waiter] of resource.queue.inOrder(QUEUE_NOTICES_MAX).entries()) {
    const position = index + 1;
    if (waiter.toldPosition === position || nowMs - waiter.toldAtMs < QUEUE_NOTICE_MS) continue;
    places.push([waiter.number, position]);
    const queued: Queued = { type: 'queued', position, ...estimateMs(resource, position) };
    notices.push(...waiter.requests.map(({ id }) => answered(waiter, id, queued)));
  }
  return { events: [{ type: 'QueueNoticed', resource: resource.id, atMs: nowMs, places }], notices };
}

/** Places come free at the pace of late; nobody knows before two leases have ended. */
export function estimateMs({ endIntervalMs }: Resource, position: number): { estimateMs?: number } {
  return endIntervalMs === undefined ? {} : { estimateMs: Math.ceil(endIntervalMs * position) };
}

/**
 * Takes an acquire back: out of the line where it waits; where it was granted in the meantime, what it was granted is
 * released. One that was refused, or never was, has left nothing to take back.
 */
export function cancel(state: LeaseState, command: CancelAcquire, { nowMs }: DecisionContext): LeaseDecision {
  const { holder, request, released = [] } = command;
  const nothing: LeaseDecision = { events: [], answer: { type: 'cancelled', leases: [], isMany: false } };
  const session = holder.kind === 'session' ? state.sessions.get(holder.session) : undefined;
  if (!session) return nothing;
  for (const line of session.lines) {
    for (const waiter of line.waiters) {
      if (!waiter.requests.some(({ id }) => id === request)) continue;
      return { ...nothing, events: [{ type: 'WaitEnded', waiter: waiter.number, end: 'cancelled' }] };
    }
  }
  const held = leasesOf(session, request);
  const ends = new LeaseEnds(state, nowMs);
  for (const lease of held) ends.add(lease, { end: 'released' });
  const { events, notices } = ends;
  const leases = [...released, ...held.filter((lease) => endsAtMs(lease) > nowMs).map(({ token }) => token)];
  if (held.length === EVENTS_PER_DECISION_MAX) return { events, notices, next: { ...command, released: leases } };
  // However many are left of them.
  const isMany = held.some(({ terms }) => terms?.isMany);
  return { events, notices, answer: { type: 'cancelled', leases, isMany } };
}

/**
 * Live leases that answer the request; the first EVENTS_PER_DECISION_MAX of them: there may be more where substitutes came
 * for substitutes, or where a client uses an id again.
 */
function leasesOf({ leases }: Session, request: number): Lease[] {
  const found: Lease[] = [];
  for (const lease of leases) {
    if (lease.request === request || lease.otherRequests.includes(request)) found.push(lease);
    if (found.length === EVENTS_PER_DECISION_MAX) break;
  }
  return found;
}
