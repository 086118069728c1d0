import { assertNever } from '../../protocol/assert.ts';
import { applyGrant, applyLeaseEnd, applyRenewal, applyRepeat, applyReport, applyRevocation } from './apply-lease.ts';
import { applyPairEvent } from './apply-pair.ts';
import { applyWaitEvent, parkLines, regroupWaiters, removeWaiter, unparkLines } from './apply-waiting.ts';
import type { LeaseEvent } from './events.ts';
import { existing } from './existing.ts';
import { holderName } from './idempotency.ts';
import { NOT_IN_HEAP } from './indexed-heap.ts';
import { armNotice } from './lease-index.ts';
import { wake } from './pair.ts';
import { applyPoolChanges, forgetResources } from './pool-changes.ts';
import { ensureResource, type LeaseState, type Session, type SessionEnd } from './state.ts';

/** The only way in which the state changes: live, at recovery and on a standby alike. Throws on an impossible event. */
export function applyEvent(state: LeaseState, event: LeaseEvent): void {
  switch (event.type) {
    case 'EpochStarted':
      return startEpoch(state, event);
    case 'DayTurned':
      state.today.day = Math.max(state.today.day, event.day);
      for (const resource of state.resources.values()) {
        resource.pool.forgetRpw();
        // A figure has fallen, and with it what a condition on it holds for.
        wake(state, resource);
      }
      return;
    case 'TokensReserved':
      state.reservedToken = event.until;
      return;
    case 'Configured':
      state.defaultPolicy = event.defaultPolicy;
      state.policies = new Map(event.policies);
      for (const id of state.policies.keys()) ensureResource(state, id);
      regroupWaiters(state);
      return forgetResources(state);
    case 'PoolStaged': {
      const stage = state.stages.get(event.stage) ?? [];
      for (const change of event.changes) {
        stage.push(change);
        if (change[0] === 'add') state.lastAddressId = Math.max(state.lastAddressId, change[1]);
      }
      state.stages.set(event.stage, stage);
      state.lastStage = Math.max(state.lastStage, event.stage);
      return;
    }
    case 'PoolCommitted':
      applyPoolChanges(state, state.stages.get(event.stage) ?? []);
      state.stages.delete(event.stage);
      return forgetResources(state);
    case 'SessionOpened':
      state.sessions.set(event.session, {
        id: event.session,
        secretHash: event.secretHash,
        client: event.client,
        resumeWindowMs: event.resumeWindowMs,
        noticeMs: event.noticeMs,
        suspendedUntilMs: undefined,
        end: 'session_lost',
        leases: new Set(),
        unaskedEnds: [],
        served: new Map(),
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
      for (const lease of session.leases) armNotice(state, lease);
      unparkLines(state, session);
      return;
    }
    case 'SessionEnded':
      return endSession(state, existing(state.sessions, event.session));
    case 'LeaseGranted':
      return applyGrant(state, event);
    case 'GrantRepeated':
      return applyRepeat(state, event);
    case 'LeaseRenewed':
      return applyRenewal(state, event);
    case 'LeaseReported':
      return applyReport(state, event);
    case 'LeaseEnded':
      return applyLeaseEnd(state, event);
    case 'RevocationAnnounced':
      return applyRevocation(state, event);
    case 'ExpiryNoticed':
      state.notices.delete(existing(state.leases, event.lease));
      return;
    case 'AcquireQueued':
    case 'WaitRepeated':
    case 'WaitEnded':
    case 'WaitersMatched':
    case 'PairReserved':
    case 'ReservationsDropped':
    case 'QueueNoticed':
      return applyWaitEvent(state, event);
    case 'CooldownEnded':
    case 'PairQuarantined':
    case 'AddressQuarantined':
    case 'PairQuarantineEnded':
    case 'AddressQuarantineEnded':
    case 'AddressHealthChanged':
    case 'AddressDrainChanged':
      return applyPairEvent(state, event);
    default:
      assertNever(event);
  }
}

/** `untilMs` of a session that is over: what it holds goes slice by slice, and nothing extends it. */
export const ENDED_MS = 0;

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
  if (session.leases.size > 0) throw new Error(`session ${session.id} ends with ${session.leases.size} leases`);
  for (const line of session.lines) for (const waiter of line.waiters) removeWaiter(state, waiter);
  state.keys.delete(holderName({ kind: 'session', session: session.id }));
  state.suspended.delete(session);
  state.sessions.delete(session.id);
}
