import { assertNever } from '../../protocol/assert.ts';
import { parkLines, removeWaiter, unparkLines } from './apply-waiting.ts';
import { joinParties, leaveParties } from './collectors.ts';
import type { LeaseEvent } from './events.ts';
import { existing } from './existing.ts';
import { holderName } from './idempotency.ts';
import { NOT_IN_HEAP } from './indexed-heap.ts';
import { armNotice } from './lease-index.ts';
import { LeaseList } from './lease-list.ts';
import type { LeaseState, Session, SessionEnd } from './state.ts';

type SessionEvent = Extract<
  LeaseEvent,
  {
    type:
      | 'EpochStarted'
      | 'SessionOpened'
      | 'SessionSuspended'
      | 'SuspensionsExtended'
      | 'SessionResumed'
      | 'SessionEnded';
  }
>;

/** `untilMs` of a session that is over: what it holds goes slice by slice, and nothing extends it. */
export const ENDED_MS = 0;

/** Who is there, who was, and for how long. */
export function applySessionEvent(state: LeaseState, event: SessionEvent): void {
  switch (event.type) {
    case 'EpochStarted':
      return startEpoch(state, event);
    case 'SessionOpened':
      state.sessions.set(event.session, {
        id: event.session,
        holder: { kind: 'session', session: event.session },
        secretHash: event.secretHash,
        client: event.client,
        owner: event.owner,
        ...joinParties(state, event.owner),
        resumeWindowMs: event.resumeWindowMs,
        noticeMs: event.noticeMs,
        suspendedUntilMs: undefined,
        end: 'session_lost',
        leaseCount: 0,
        leases: new LeaseList(state.leases.rows),
        unaskedEnds: [],
        lines: new Set(),
        waiterCount: 0,
        suspendedPlace: NOT_IN_HEAP,
      });
      return;
    case 'SessionSuspended':
      return suspend(state, existing(state.sessions, event.session), event.untilMs, event.end);
    case 'SuspensionsExtended':
      for (const session of state.suspended.upTo(Infinity, state.suspended.size)) {
        if (session.suspendedUntilMs! === ENDED_MS) continue;
        session.suspendedUntilMs! += event.byMs;
        state.suspended.set(session, session.suspendedUntilMs!);
      }
      return;
    case 'SessionResumed': {
      const session = existing(state.sessions, event.session);
      session.suspendedUntilMs = undefined;
      session.resumeWindowMs = event.resumeWindowMs;
      session.noticeMs = event.noticeMs;
      state.suspended.delete(session);
      for (const lease of session.leases) armNotice(state, lease, session);
      unparkLines(state, session);
      return;
    }
    case 'SessionEnded':
      return endSession(state, existing(state.sessions, event.session));
    default:
      assertNever(event);
  }
}

function startEpoch(state: LeaseState, event: Extract<LeaseEvent, { type: 'EpochStarted' }>): void {
  state.epoch = event.epoch;
  state.lastToken = Math.max(state.lastToken, state.reservedToken, event.tokenFloor);
  state.stages.clear();
  for (const session of state.sessions.values()) {
    if (session.suspendedUntilMs !== undefined) continue;
    suspend(state, session, event.atMs + Math.max(session.resumeWindowMs, event.suspendMs), 'session_lost');
  }
}

function suspend(state: LeaseState, session: Session, untilMs: number, end: SessionEnd): void {
  session.suspendedUntilMs = untilMs;
  session.end = end;
  state.suspended.set(session, untilMs);
  parkLines(state, session);
}

/** Its waiters and its keys go with it: there is nobody left to answer. */
function endSession(state: LeaseState, session: Session): void {
  if (session.leaseCount > 0) throw new Error(`session ${session.id} ends with ${session.leaseCount} leases`);
  for (const line of session.lines) for (const waiter of line.waiters) removeWaiter(state, waiter);
  state.keys.delete(holderName({ kind: 'session', session: session.id }));
  state.suspended.delete(session);
  state.sessions.delete(session.id);
  leaveParties(state, session);
}
