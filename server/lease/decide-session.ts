import type { Held, Waiting } from '../../protocol/frames.ts';
import { type Decision, type DecisionContext, EVENTS_PER_DECISION_MAX } from '../coordinator/domain.ts';
import { addressRecord } from './address.ts';
import { ENDED_MS } from './apply-session.ts';
import type {
  DropSession,
  EndSession,
  ExtendSuspensions,
  LeaseAnswer,
  LeaseCommand,
  LeaseNotice,
  OpenSession,
  RevokeSession,
} from './commands.ts';
import type { LeaseEvent } from './events.ts';
import { isOthers, type Owner } from './holder.ts';
import { type Ending, LeaseEnds } from './lease-ends.ts';
import { endsAtMs, type Lease, type LeaseState, type Session, type SessionEnd } from './state.ts';
import { isShort, storageFull } from './storage.ts';

type SessionDecision = Decision<LeaseCommand, LeaseEvent, LeaseAnswer, LeaseNotice>;

/** Resumes the session that is named with its secret, or opens the new one that the command brings. */
export function decideOpen(state: LeaseState, command: OpenSession, { nowMs }: DecisionContext): SessionDecision {
  const { resumeWindowMs, noticeMs } = command;
  const resumable = command.resume && resumableSession(state, command.resume, command.owner, nowMs);
  if (resumable) {
    const ends = new LeaseEnds(state, nowMs);
    for (const lease of take(overdueOf(resumable, nowMs), EVENTS_PER_DECISION_MAX)) ends.add(lease, { end: 'expired' });
    if (ends.events.length > 0) return { events: ends.events, notices: ends.notices, again: command };
    return {
      events: [{ type: 'SessionResumed', session: resumable.id, resumeWindowMs, noticeMs }],
      answer: {
        type: 'opened',
        session: resumable.id,
        resumed: true,
        leases: Array.from(resumable.leases, (lease) => held(state, lease, nowMs)),
        waiting: waiting(resumable),
        ended: [...resumable.unaskedEnds],
      },
    };
  }
  if (isShort(state)) return storageFull();
  if (state.sessions.size >= command.sessionsMax) {
    const message = `no more than ${command.sessionsMax} sessions`;
    return { events: [], answer: { type: 'rejected', code: 'overloaded', message } };
  }
  const { session, secretHash, client, owner, sessionsPerClientMax = Infinity } = command;
  const ofClient = owner?.kind === 'client' ? (state.collectors.get(owner.client)?.sessionCount ?? 0) : 0;
  if (ofClient >= sessionsPerClientMax) {
    const message = `no more than ${sessionsPerClientMax} sessions of one client`;
    return { events: [], answer: { type: 'rejected', code: 'too_many', message } };
  }
  return {
    events: [{ type: 'SessionOpened', session, secretHash, client, resumeWindowMs, noticeMs, owner }],
    answer: { type: 'opened', session, resumed: false, leases: [], waiting: [], ended: [] },
  };
}

/** The socket is gone: the session waits for its holder where it may, and ends where it may not. */
export function decideDrop(state: LeaseState, command: DropSession, { nowMs }: DecisionContext): SessionDecision {
  const session = state.sessions.get(command.session);
  if (!session || session.suspendedUntilMs !== undefined) return { events: [], answer: { type: 'done' } };
  const keepMs = Math.max(session.resumeWindowMs, command.suspendMs);
  if (keepMs > 0) {
    const untilMs = Math.ceil(nowMs) + keepMs;
    const end = 'session_lost';
    return { events: [{ type: 'SessionSuspended', session: session.id, untilMs, end }], answer: { type: 'done' } };
  }
  return endSession(state, session, 'session_lost', nowMs);
}

/** A goodbye hands everything back. */
export function decideEndSession(state: LeaseState, command: EndSession, { nowMs }: DecisionContext): SessionDecision {
  const session = state.sessions.get(command.session);
  return session ? endSession(state, session, 'released', nowMs) : { events: [], answer: { type: 'done' } };
}

/** Whoever is still there gets word of each lease: it asked for none of these ends. */
export function decideRevokeSession(
  state: LeaseState,
  command: RevokeSession,
  context: DecisionContext,
): SessionDecision {
  const session = state.sessions.get(command.session);
  // One whose time is over is as good as gone; it ends by that.
  if (!session || (session.suspendedUntilMs ?? Infinity) <= context.nowMs) {
    return { events: [], answer: { type: 'unknown_session' } };
  }
  const answer = { type: 'session_revoked', leases: session.leaseCount } as const;
  return { ...endSession(state, session, 'revoked', context.nowMs), answer };
}

/** One slice of the ends of sessions that nobody resumed in time; undefined where there are none. */
export function suspendedOverdue(state: LeaseState, { nowMs }: DecisionContext): SessionDecision | undefined {
  if ((state.suspended.peekKey() ?? Infinity) > nowMs) return undefined;
  const ends = new LeaseEnds(state, nowMs);
  let waiterCount = 0;
  const room = () => EVENTS_PER_DECISION_MAX - ends.events.length;
  for (const session of state.suspended.upTo(nowMs, EVENTS_PER_DECISION_MAX)) {
    for (const lease of take(session.leases, room())) ends.add(lease, endingOf(session.end));
    if (room() === 0) break;
    ends.events.push({ type: 'SessionEnded', session: session.id });
    // They go with it.
    waiterCount += session.waiterCount;
    if (waiterCount >= EVENTS_PER_DECISION_MAX) break;
  }
  return { events: ends.events, notices: ends.notices };
}

function endSession(state: LeaseState, session: Session, end: SessionEnd, nowMs: number): SessionDecision {
  if (session.leaseCount >= EVENTS_PER_DECISION_MAX) {
    // Too many ends for one decision: from now on nobody can resume it, and `Due` ends it slice by slice.
    return {
      events: [{ type: 'SessionSuspended', session: session.id, untilMs: ENDED_MS, end }],
      answer: { type: 'done' },
    };
  }
  const ends = new LeaseEnds(state, nowMs);
  for (const lease of session.leases) ends.add(lease, endingOf(end));
  ends.events.push({ type: 'SessionEnded', session: session.id });
  return { events: ends.events, notices: ends.notices, answer: { type: 'done' } };
}

function endingOf(end: SessionEnd): Ending {
  return end === 'revoked' ? { end, reason: 'operator' } : { end };
}

function resumableSession(
  state: LeaseState,
  { session: id, secretHash }: { readonly session: string; readonly secretHash: string },
  owner: Owner | undefined,
  nowMs: number,
): Session | undefined {
  const session = state.sessions.get(id);
  if (!session || session.secretHash !== secretHash || isOthers(session.owner, owner)) return undefined;
  return session.suspendedUntilMs !== undefined && session.suspendedUntilMs <= nowMs ? undefined : session;
}

function* overdueOf({ leases }: Session, nowMs: number): Generator<Lease> {
  for (const lease of leases) if (endsAtMs(lease) <= nowMs) yield lease;
}

function held(state: LeaseState, lease: Lease, nowMs: number): Held {
  const { revoking } = lease;
  return {
    lease: lease.token,
    resource: lease.resource,
    address: addressRecord(state.addresses.get(lease.addressId)!),
    ttl_ms: Math.floor(endsAtMs(lease) - nowMs),
    ...(lease.clamped ? { clamped: true } : {}),
    request: lease.request,
    ...(lease.terms?.key === undefined ? {} : { key: lease.terms.key }),
    ...(revoking ? { revoking: { reason: revoking.reason, deadline_ms: Math.floor(revoking.atMs - nowMs) } } : {}),
  };
}

/** In the order of their arrival, each with the place that it has now that its session is back. */
function waiting(session: Session): Waiting[] {
  const waiters = [...session.lines].flatMap((line) => [...line.waiters]);
  waiters.sort((one, other) => one.number - other.number);
  return waiters.map((waiter) => ({
    request: waiter.requests.at(-1)!.id,
    ...(waiter.key === undefined ? {} : { key: waiter.key }),
    position: waiter.resource.queue.positionOf(waiter),
  }));
}

/** Nobody could resume while the process stood still. */
export function extendSuspensions(state: LeaseState, { byMs }: ExtendSuspensions): SessionDecision {
  return { events: state.suspended.size > 0 ? [{ type: 'SuspensionsExtended', byMs }] : [], answer: { type: 'done' } };
}

function* take<Item>(items: Iterable<Item>, limit: number): Generator<Item> {
  let taken = 0;
  for (const item of items) {
    if (taken === limit) return;
    taken += 1;
    yield item;
  }
}
