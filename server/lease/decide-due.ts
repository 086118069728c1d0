/** What time brings: ends, rests that are over, grants to who waits, word to holders. */
import { type DecisionContext, EVENTS_PER_DECISION_MAX } from '../coordinator/domain.ts';
import type { Due, LeaseNotice } from './commands.ts';
import { dayEvents } from './day.ts';
import type { LeaseDecision } from './decide.ts';
import { revokeNow, revokeOne } from './decide-revoke.ts';
import { suspendedOverdue } from './decide-session.ts';
import { matchStep, queueNoticeStep, timeoutStep } from './decide-waiting.ts';
import type { LeaseEvent } from './events.ts';
import { LeaseEnds, overdueEnding } from './lease-ends.ts';
import { withdrawalOf } from './lease-index.ts';
import { endsAtMs, type LeaseState, policyOf, type Resource } from './state.ts';
import { isShort } from './storage.ts';
import { usageDueMs, usageEvents } from './unwritten-usage.ts';

/** Events that one turn's look at what is due brings at most; the rest comes with the next turn. */
const DUE_EVENTS_MAX = EVENTS_PER_DECISION_MAX;

const DONE = { type: 'done' } as const;

/** When `Due` has something to do. */
export function dueMs(state: LeaseState): number | undefined {
  if (state.withdrawn.size > 0 || state.cut.length > 0) return 0;
  const dueMs = Math.min(
    (isShort(state) ? undefined : state.matching.peekKey()) ?? Infinity,
    state.expiry.peekKey() ?? Infinity,
    state.notices.peekKey() ?? Infinity,
    state.suspended.peekKey() ?? Infinity,
    state.waitDeadlines.peekKey() ?? Infinity,
    state.queueNotices.peekKey() ?? Infinity,
    state.quarantined.peekKey() ?? Infinity,
    usageDueMs(state) ?? Infinity,
  );
  return dueMs === Infinity ? undefined : dueMs;
}

/** One step after the other, until nothing is due or the turn has had enough of it. */
export function due(state: LeaseState, command: Due, context: DecisionContext): LeaseDecision {
  const step = nextStep(state, context);
  if (!step) return { events: [], answer: DONE };
  const steps = (command.steps ?? 0) + weightOf(state, step);
  const { events, notices } = step;
  return steps < DUE_EVENTS_MAX
    ? { events, notices, again: { type: 'Due', steps } }
    : { events, notices, answer: DONE };
}

/** What makes a decision without events dear is whom it tells, and what makes the end of a session dear is who waits. */
function weightOf(state: LeaseState, { events, notices }: LeaseDecision): number {
  let weight = Math.max(1, events.length, notices?.length ?? 0);
  for (const event of events) {
    if (event.type === 'SessionEnded') weight += state.sessions.get(event.session)!.waiterCount;
  }
  return weight;
}

/**
 * Ends and rests make room for who waits, so that the grants come in the same turn; what ends in masses comes in slices,
 * and those who wait are served between them. Whoever is refused since its time is over is told how things stand after
 * all that: a lease past its deadline has ended in that, too.
 */
function nextStep(state: LeaseState, context: DecisionContext): LeaseDecision | undefined {
  const { nowMs } = context;
  return (
    cutStep(state) ??
    dayStep(state, context) ??
    suspendedOverdue(state, context) ??
    matchStepOfAny(state, context) ??
    expireStepOfAny(state, context) ??
    timeoutStep(state, context) ??
    addressReturnStep(state, nowMs) ??
    withdrawStep(state, context) ??
    noticeStep(state, nowMs) ??
    queueNoticeStep(state, context) ??
    usageStep(state, nowMs)
  );
}

/** Before anybody else is given what has been taken from them. */
function cutStep({ cut }: LeaseState): LeaseDecision | undefined {
  if (cut.length === 0) return undefined;
  const told = cut.slice(0, EVENTS_PER_DECISION_MAX);
  return {
    events: [{ type: 'CutsNoticed', count: told.length }],
    notices: told.map(({ lease, reason }) => ({ type: 'ProcessLeaseEnded', lease, reason })),
  };
}

function usageStep(state: LeaseState, nowMs: number): LeaseDecision | undefined {
  return isOver(usageDueMs(state), nowMs) ? { events: usageEvents(state) } : undefined;
}

/** Before anybody is given something: the grant counts for the day, and conditions may ask what has aged out. */
function dayStep(state: LeaseState, { utcMs }: DecisionContext): LeaseDecision | undefined {
  const events = dayEvents(state, utcMs);
  return events.length > 0 ? { events } : undefined;
}

function matchStepOfAny(state: LeaseState, context: DecisionContext): LeaseDecision | undefined {
  const resource = state.matching.peek();
  return resource && matchStep(state, resource, context);
}

function expireStepOfAny(state: LeaseState, context: DecisionContext): LeaseDecision | undefined {
  const resource = state.expiry.peek();
  return resource && expireStep(state, resource, context);
}

/** One slice of the ends and of the rests of a resource whose time is over; undefined: there are none. */
export function expireStep(state: LeaseState, resource: Resource, context: DecisionContext): LeaseDecision | undefined {
  const { nowMs } = context;
  if (!isOver(resource.leases.peekKey(), nowMs) && !isOver(resource.resting.peekKey(), nowMs)) return undefined;
  const first = resource.leases.peek();
  const firstEnding = first && overdueEnding(first, nowMs);
  // One that was announced: a decision of its own, since another address may come in its place.
  if (firstEnding?.end === 'revoked') return revokeNow(state, first!, firstEnding.reason, context);
  const ends = new LeaseEnds(state, nowMs);
  const { events, notices } = ends;
  // Whoever comes back on probation proves itself by a later token: the last one has to be known.
  if (isOver(resource.resting.peekKey(), nowMs)) events.push(...usageEvents(state));
  for (const lease of resource.leases.upTo(nowMs, EVENTS_PER_DECISION_MAX - events.length)) {
    const ending = overdueEnding(lease, nowMs)!;
    if (ending.end === 'revoked') break;
    ends.add(lease, ending);
  }
  for (const pair of resource.resting.upTo(nowMs, (EVENTS_PER_DECISION_MAX - events.length) >> 1)) {
    const where = { resource: resource.id, addressId: pair.address.id };
    if (isOver(pair.coolingUntilMs, nowMs)) events.push({ type: 'CooldownEnded', ...where });
    if (isOver(pair.quarantine?.untilMs, nowMs)) {
      events.push({ type: 'PairQuarantineEnded', ...where, isLifted: false });
    }
  }
  return { events, notices };
}

function isOver(untilMs: number | undefined, nowMs: number): boolean {
  return untilMs !== undefined && untilMs <= nowMs;
}

function addressReturnStep(state: LeaseState, nowMs: number): LeaseDecision | undefined {
  if (!isOver(state.quarantined.peekKey(), nowMs)) return undefined;
  const events = usageEvents(state);
  for (const { id } of state.quarantined.upTo(nowMs, EVENTS_PER_DECISION_MAX - events.length)) {
    events.push({ type: 'AddressQuarantineEnded', addressId: id, isLifted: false });
  }
  return { events };
}

/** One lease whose address may not be used any more. */
function withdrawStep(state: LeaseState, context: DecisionContext): LeaseDecision | undefined {
  const lease = state.withdrawn.peek();
  if (!lease) return undefined;
  const reason = withdrawalOf(state.addresses.get(lease.addressId)!, lease)!;
  const { revokeDeadlineMs = 0 } = policyOf(state, lease.resource);
  return revokeOne(state, lease, reason, revokeDeadlineMs, context);
}

function noticeStep(state: LeaseState, nowMs: number): LeaseDecision | undefined {
  if (!isOver(state.notices.peekKey(), nowMs)) return undefined;
  const events: LeaseEvent[] = [];
  const notices: LeaseNotice[] = [];
  for (const lease of state.notices.upTo(nowMs, EVENTS_PER_DECISION_MAX)) {
    if (lease.holder.kind !== 'session') continue;
    events.push({ type: 'ExpiryNoticed', lease: lease.token });
    const remainingMs = Math.floor(endsAtMs(lease) - nowMs);
    notices.push({ type: 'LeaseExpiring', session: lease.holder.session, lease: lease.token, remainingMs });
  }
  return { events, notices };
}
