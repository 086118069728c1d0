import { assertNever } from '../../protocol/assert.ts';
import { type Decision, type DecisionContext, EVENTS_PER_DECISION_MAX } from '../coordinator/domain.ts';
import type {
  AcquireLease,
  LeaseAnswer,
  LeaseCommand,
  LeaseNotice,
  Rejected,
  ReleaseLease,
  RenewalOutcome,
  RenewLeases,
  ReportLease,
  RevokeLeases,
  StartEpoch,
} from './commands.ts';
import { dayEvents } from './day.ts';
import { decideImport } from './decide-import.ts';
import { decideDrop, decideEndSession, decideOpen, suspendedOverdue } from './decide-session.ts';
import { ENDED_LEASES_MS } from './ended-leases.ts';
import type { LeaseEvent } from './events.ts';
import { type Holder, isSameHolder } from './holder.ts';
import { LeaseEnds } from './lease-ends.ts';
import { utcDay } from './rolling-requests.ts';
import { select } from './select.ts';
import { addressRecord, exists, type Lease, type LeaseState, policyOf, type Resource, TOKEN_BLOCK } from './state.ts';

export type LeaseDecision = Decision<LeaseCommand, LeaseEvent, LeaseAnswer, LeaseNotice>;

/** The answer to every command: what happens, who is told what. Changes nothing. */
export function decide(state: LeaseState, command: LeaseCommand, context: DecisionContext): LeaseDecision {
  switch (command.type) {
    case 'StartEpoch':
      return startEpoch(command, context);
    case 'Configure': {
      const { defaultPolicy, policies } = command;
      const isSame =
        JSON.stringify([defaultPolicy, [...policies]]) === JSON.stringify([state.defaultPolicy, [...state.policies]]);
      return { events: isSame ? [] : [{ type: 'Configured', defaultPolicy, policies: [...policies] }], answer: DONE };
    }
    case 'ImportPool':
      return decideImport(state, command, context);
    case 'OpenSession':
      return decideOpen(state, command, context);
    case 'DropSession':
      return decideDrop(state, command, context);
    case 'EndSession':
      return decideEndSession(state, command, context);
    case 'AcquireLease':
      return acquire(state, command, context);
    case 'RenewLeases':
      return renew(state, command, context);
    case 'ReleaseLease':
      return release(state, command, context);
    case 'ReportLease':
      return report(state, command, context);
    case 'RevokeLeases':
      return revoke(state, command, context);
    case 'RevokeWithdrawn':
      return revokeWithdrawn(state, context);
    case 'Due':
      return due(state, context);
    default:
      return assertNever(command);
  }
}

const DONE = { type: 'done' } as const;

/** When `Due` has something to do. */
export function dueMs(state: LeaseState): number | undefined {
  const dueMs = Math.min(
    state.expiry.peekKey() ?? Infinity,
    state.notices.peekKey() ?? Infinity,
    state.suspended.peekKey() ?? Infinity,
  );
  return dueMs === Infinity ? undefined : dueMs;
}

function startEpoch(command: StartEpoch, { nowMs, utcMs }: DecisionContext): LeaseDecision {
  return {
    events: [
      {
        type: 'EpochStarted',
        epoch: command.epoch,
        atMs: nowMs,
        tokenFloor: command.tokenFloor,
        suspendMs: command.suspendMs,
      },
      { type: 'DayTurned', day: utcDay(utcMs) },
    ],
    answer: DONE,
    // An end of the last run may have come between a change of the pool and the revocations that it asks for.
    next: { type: 'RevokeWithdrawn' },
  };
}

function acquire(state: LeaseState, command: AcquireLease, { nowMs, utcMs }: DecisionContext): LeaseDecision {
  const resource = state.resources.get(command.resource);
  if (!resource || !exists(state, resource)) {
    const message = `resource: no resource ${command.resource}`;
    return { events: [], answer: { type: 'rejected', code: 'unknown_resource', message, path: 'resource' } };
  }
  if (!isPresent(state, command.holder, nowMs)) {
    // Whoever speaks for it: a lease of a session that has gone would be nobody's.
    return { events: [], answer: { type: 'rejected', code: 'not_holder', message: 'the session has ended' } };
  }
  const before = beforeSelection(state, resource, nowMs, utcMs);
  if (before) return { ...before, again: true };

  const selection = select(state, resource, command.where, nowMs);
  if (!('addressId' in selection)) return { events: [], answer: { type: 'refused', ...selection } };
  const { ttlMs, clamped } = grantedTtl(state, resource.id, command.ttlMs);
  const address = state.addresses.get(selection.addressId)!;
  const token = state.lastToken + 1;
  const events: LeaseEvent[] = [];
  if (token > state.reservedToken) events.push({ type: 'TokensReserved', until: token + TOKEN_BLOCK });
  events.push({
    type: 'LeaseGranted',
    lease: token,
    resource: resource.id,
    addressId: address.id,
    holder: command.holder,
    request: command.request,
    ttlMs,
    clamped,
    deadlineMs: Math.ceil(nowMs) + ttlMs,
  });
  const record = addressRecord(address);
  record.rpw += 1;
  const grant = { lease: token, resource: resource.id, address: record, ttl_ms: ttlMs };
  return { events, answer: { type: 'granted', grant: clamped ? { ...grant, clamped } : grant } };
}

/**
 * What must have happened before a choice is made: the day has turned, and leases past their deadline have ended, both
 * however long the process stood still. Undefined where there is nothing of it, as almost always.
 */
function beforeSelection(
  state: LeaseState,
  resource: Resource,
  nowMs: number,
  utcMs: number,
): LeaseDecision | undefined {
  const turned = dayEvents(state, utcMs);
  if (turned.length > 0) return { events: turned };
  if ((resource.leases.peekKey() ?? Infinity) > nowMs) return undefined;
  const ends = new LeaseEnds(nowMs);
  for (const lease of resource.leases.upTo(nowMs, EVENTS_PER_DECISION_MAX)) ends.add(lease, { end: 'expired' });
  return { events: ends.events, notices: ends.notices };
}

function grantedTtl(state: LeaseState, resource: number, askedMs: number): { ttlMs: number; clamped: boolean } {
  const { ttlMinMs, ttlMaxMs } = policyOf(state, resource);
  const ttlMs = Math.min(Math.max(askedMs, ttlMinMs), ttlMaxMs);
  return { ttlMs, clamped: ttlMs !== askedMs };
}

function renew(state: LeaseState, command: RenewLeases, { nowMs }: DecisionContext): LeaseDecision {
  const ends = new LeaseEnds(nowMs);
  const { events, notices } = ends;
  const renewals: RenewalOutcome[] = [];
  for (const token of new Set(command.leases)) {
    const lease = find(state, token, command.holder, nowMs);
    if ('type' in lease || lease.end !== undefined) {
      renewals.push({ lease: token, rejected: 'type' in lease ? lease : lost(token) });
      continue;
    }
    if (lease.deadlineMs <= nowMs) {
      ends.add(lease, { end: 'expired' });
      renewals.push({ lease: token, rejected: lost(token) });
      continue;
    }
    const { ttlMs, clamped } = grantedTtl(state, lease.resource, command.ttlMs ?? lease.ttlMs);
    const deadlineMs = Math.max(lease.deadlineMs, Math.ceil(nowMs) + ttlMs);
    events.push({ type: 'LeaseRenewed', lease: token, ttlMs, clamped, deadlineMs });
    renewals.push({ lease: token, ttlMs: Math.max(ttlMs, Math.floor(deadlineMs - nowMs)), clamped });
  }
  return { events, notices, answer: { type: 'renewed', leases: renewals } };
}

/** A second release is answered like the first; a lease that ended otherwise is lost, its report taken all the same. */
function release(state: LeaseState, command: ReleaseLease, { nowMs, utcMs }: DecisionContext): LeaseDecision {
  const lease = find(state, command.lease, command.holder, nowMs);
  if ('type' in lease) return { events: [], answer: lease };
  const ends = new LeaseEnds(nowMs);
  if (lease.end === undefined) ends.add(lease, { end: 'released' });
  const isReleased = lease.end === 'released' || (lease.end === undefined && lease.deadlineMs > nowMs);
  return {
    events: [...reportEvents(state, command, utcMs), ...ends.events],
    notices: ends.notices,
    answer: isReleased ? { type: 'released' } : lost(lease.token),
  };
}

function report(state: LeaseState, command: ReportLease, { nowMs, utcMs }: DecisionContext): LeaseDecision {
  const lease = find(state, command.lease, command.holder, nowMs);
  if ('type' in lease) return { events: [], answer: lease };
  return { events: reportEvents(state, command, utcMs), answer: { type: 'reported' } };
}

function reportEvents(state: LeaseState, command: ReleaseLease | ReportLease, utcMs: number): LeaseEvent[] {
  const { lease, outcome, requests } = command;
  if (outcome === undefined && requests === undefined) return [];
  return [...dayEvents(state, utcMs), { type: 'LeaseReported', lease, outcome, requests }];
}

function revoke(state: LeaseState, command: RevokeLeases, { nowMs }: DecisionContext): LeaseDecision {
  const named = new Set(command.leases.slice(0, EVENTS_PER_DECISION_MAX));
  const live = [...named].flatMap((token) => state.leases.get(token) ?? []).filter((lease) => lease.deadlineMs > nowMs);
  const ends = new LeaseEnds(nowMs);
  for (const lease of live) ends.add(lease, { end: 'revoked', reason: command.reason });
  const { events, notices } = ends;
  return { events, notices, answer: { type: 'revoked', leases: live.map((lease) => lease.token) } };
}

function revokeWithdrawn(state: LeaseState, { nowMs }: DecisionContext): LeaseDecision {
  const ends = new LeaseEnds(nowMs);
  const { events, notices } = ends;
  for (const [lease, reason] of state.withdrawn) {
    ends.add(lease, { end: 'revoked', reason });
    if (events.length === EVENTS_PER_DECISION_MAX) break;
  }
  const remain = state.withdrawn.size > events.length;
  return { events, notices, ...(remain ? { next: { type: 'RevokeWithdrawn' } } : { answer: DONE }) };
}

/** One slice of what is overdue; the loop asks again while something is left. */
function due(state: LeaseState, context: DecisionContext): LeaseDecision {
  const { nowMs } = context;
  const sessions = suspendedOverdue(state, context);
  if (sessions) return { ...sessions, answer: DONE };
  const ends = new LeaseEnds(nowMs);
  const { events, notices } = ends;
  const room = () => EVENTS_PER_DECISION_MAX - events.length;
  for (const resource of state.expiry.upTo(nowMs, EVENTS_PER_DECISION_MAX)) {
    for (const lease of resource.leases.upTo(nowMs, room())) {
      ends.add(lease, { end: 'expired' });
    }
    if (room() === 0) break;
  }
  for (const lease of state.notices.upTo(nowMs, room())) {
    if (lease.deadlineMs <= nowMs || lease.holder.kind !== 'session') continue;
    const remainingMs = Math.floor(lease.deadlineMs - nowMs);
    events.push({ type: 'ExpiryNoticed', lease: lease.token });
    notices.push({ type: 'LeaseExpiring', session: lease.holder.session, lease: lease.token, remainingMs });
  }
  return { events, notices, answer: DONE };
}

/** Whether `holder` can still be given something: a session whose time is over can't, though its end is yet to come. */
function isPresent(state: LeaseState, holder: Holder, nowMs: number): boolean {
  if (holder.kind !== 'session') return true;
  const session = state.sessions.get(holder.session);
  return session !== undefined && (session.suspendedUntilMs ?? Infinity) > nowMs;
}

/** The lease that `holder` speaks of, live or ended of late; one of somebody else's never. */
function find(state: LeaseState, token: number, holder: Holder, nowMs: number): Lease | Rejected {
  const live = state.leases.get(token);
  if (live && live.deadlineMs > nowMs && !isSameHolder(live.holder, holder)) {
    const message = `lease: ${token} belongs to another holder`;
    return { type: 'rejected', code: 'not_holder', message, path: 'lease' };
  }
  const lease = live ?? state.ended.get(token);
  // The index forgets the old only when another lease ends.
  const isKnown = lease && (lease.end === undefined || lease.endedAtMs > nowMs - ENDED_LEASES_MS);
  if (isKnown && isSameHolder(lease.holder, holder)) return lease;
  return { type: 'rejected', code: 'unknown_lease', message: `lease: no lease ${token}`, path: 'lease' };
}

function lost(token: number): Rejected {
  return { type: 'rejected', code: 'lease_lost', message: `lease: ${token} has ended`, path: 'lease' };
}
