import { assertNever } from '../../protocol/assert.ts';
import type { LeaseEnd } from '../../protocol/codes.ts';
import type { LeaseEvent } from './events.ts';
import { NOT_IN_HEAP } from './indexed-heap.ts';
import { applyPoolChanges } from './pool-changes.ts';
import {
  type Address,
  ensureResource,
  type Lease,
  type LeaseState,
  type Resource,
  type Session,
  type SessionEnd,
  UNASKED_ENDS_MAX,
} from './state.ts';

/** The only way in which the state changes: live, at recovery and on a standby alike. Throws on an impossible event. */
export function applyEvent(state: LeaseState, event: LeaseEvent): void {
  switch (event.type) {
    case 'EpochStarted':
      return startEpoch(state, event);
    case 'DayTurned':
      state.today.day = Math.max(state.today.day, event.day);
      for (const resource of state.resources.values()) resource.pool.forgetRpw();
      return;
    case 'TokensReserved':
      state.reservedToken = event.until;
      return;
    case 'Configured':
      state.defaultPolicy = event.defaultPolicy;
      state.policies = new Map(event.policies);
      for (const id of state.policies.keys()) ensureResource(state, id);
      return;
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
      return;
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
        suspendedPlace: NOT_IN_HEAP,
      });
      return;
    case 'SessionSuspended':
      return suspend(state, existing(state.sessions, event.session), event.untilMs, event.end);
    case 'SessionResumed': {
      const session = existing(state.sessions, event.session);
      session.suspendedUntilMs = undefined;
      session.resumeWindowMs = event.resumeWindowMs;
      session.noticeMs = event.noticeMs;
      state.suspended.delete(session);
      for (const lease of session.leases) armNotice(state, lease);
      return;
    }
    case 'SessionEnded': {
      const session = existing(state.sessions, event.session);
      if (session.leases.size > 0) throw new Error(`session ${session.id} ends with ${session.leases.size} leases`);
      state.suspended.delete(session);
      state.sessions.delete(session.id);
      return;
    }
    case 'LeaseGranted':
      return grant(state, event);
    case 'LeaseRenewed': {
      const lease = existing(state.leases, event.lease);
      countTtl(state, lease, -1);
      lease.ttlMs = event.ttlMs;
      lease.clamped = event.clamped;
      lease.deadlineMs = event.deadlineMs;
      countTtl(state, lease, 1);
      armExpiry(state, lease);
      armNotice(state, lease);
      return;
    }
    case 'LeaseReported':
      return report(state, event);
    case 'LeaseEnded':
      return end(state, existing(state.leases, event.lease), event.end, event.reason, event.atMs);
    case 'ExpiryNoticed':
      state.notices.delete(existing(state.leases, event.lease));
      return;
    default:
      assertNever(event);
  }
}

/** Puts a live lease into every index that leads to it: at a grant, and when a snapshot is read. */
export function indexLease(state: LeaseState, lease: Lease): void {
  const address = existing(state.addresses, lease.addressId);
  const resource = ensureResource(state, lease.resource);
  if (address.leaseFor(lease.resource)) {
    throw new Error(`address ${address.id} is granted twice for resource ${lease.resource}`);
  }
  state.leases.set(lease.token, lease);
  address.leases.push(lease);
  resource.pool.setFree(address, false);
  if (lease.holder.kind === 'session') existing(state.sessions, lease.holder.session).leases.add(lease);
  if (!address.serves(lease.resource)) {
    state.withdrawn.set(lease, address.removed ? 'address_removed' : 'resource_withdrawn');
  }
  countTtl(state, lease, 1);
  armExpiry(state, lease);
  armNotice(state, lease);
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
}

function grant(state: LeaseState, event: Extract<LeaseEvent, { type: 'LeaseGranted' }>): void {
  if (event.lease <= state.lastToken) throw new Error(`token ${event.lease} is not above ${state.lastToken}`);
  const address = existing(state.addresses, event.addressId);
  state.lastToken = event.lease;
  indexLease(state, {
    token: event.lease,
    resource: event.resource,
    addressId: event.addressId,
    holder: event.holder,
    request: event.request,
    ttlMs: event.ttlMs,
    clamped: event.clamped,
    deadlineMs: event.deadlineMs,
    grantedDay: state.today.day,
    requests: 1,
    settled: false,
    end: undefined,
    endedAtMs: 0,
    expiryPlace: NOT_IN_HEAP,
    noticePlace: NOT_IN_HEAP,
  });
  ensureResource(state, event.resource).grants += 1;
  countRequests(state, address, state.today.day, 1);
}

function report(state: LeaseState, event: Extract<LeaseEvent, { type: 'LeaseReported' }>): void {
  const lease = state.leases.get(event.lease) ?? state.ended.get(event.lease);
  if (!lease) throw new Error(`an event speaks of lease ${event.lease}, which isn't there`);
  if (event.requests === undefined) return;
  const address = state.addresses.get(lease.addressId);
  const difference = event.requests - lease.requests;
  // The first settlement may take the grant's own 1 back, on the day that it was counted; later totals only rise.
  if (difference < 0 && lease.settled) return;
  if (address) countRequests(state, address, difference < 0 ? lease.grantedDay : state.today.day, difference);
  lease.requests = event.requests;
  lease.settled = true;
}

function end(state: LeaseState, lease: Lease, kind: LeaseEnd, reason: string | undefined, atMs: number): void {
  const address = existing(state.addresses, lease.addressId);
  const resource = ensureResource(state, lease.resource);
  countTtl(state, lease, -1);
  state.leases.delete(lease.token);
  address.leases.splice(address.leases.indexOf(lease), 1);
  resource.leases.delete(lease);
  armResource(state, resource);
  state.notices.delete(lease);
  state.withdrawn.delete(lease);
  if (lease.holder.kind === 'session') {
    const session = existing(state.sessions, lease.holder.session);
    session.leases.delete(lease);
    if (kind === 'expired' || kind === 'revoked') {
      const ended = { lease: lease.token, resource: lease.resource, end: kind };
      session.unaskedEnds.push(reason === undefined ? ended : { ...ended, reason });
      if (session.unaskedEnds.length > UNASKED_ENDS_MAX) session.unaskedEnds.shift();
    }
  }
  if (address.removed && address.leases.length === 0) {
    state.addresses.delete(address.id);
    if (state.addressIds.get(address.address) === address.id) state.addressIds.delete(address.address);
  } else resource.pool.setFree(address, address.serves(resource.id));
  lease.end = kind;
  lease.endedAtMs = atMs;
  state.ended.add(lease);
}

function countRequests(state: LeaseState, address: Address, day: number, requests: number): void {
  address.requests.add(day, requests);
  for (const id of address.resourceIds) state.resources.get(id)?.pool.rpwChanged(address);
}

function armExpiry(state: LeaseState, lease: Lease): void {
  const resource = ensureResource(state, lease.resource);
  resource.leases.set(lease, lease.deadlineMs);
  armResource(state, resource);
}

function armResource(state: LeaseState, resource: Resource): void {
  const earliestMs = resource.leases.peekKey();
  if (earliestMs === undefined) state.expiry.delete(resource);
  else state.expiry.set(resource, earliestMs);
}

/** Unasked-for default: a third of the TTL ahead, at most this. */
const NOTICE_DEFAULT_MAX_MS = 5_000;

function armNotice(state: LeaseState, lease: Lease): void {
  if (lease.holder.kind !== 'session') return;
  const session = existing(state.sessions, lease.holder.session);
  let noticeMs = session.noticeMs ?? Math.min(NOTICE_DEFAULT_MAX_MS, Math.floor(lease.ttlMs / 3));
  // As far ahead as the lease is long, a notice would answer every renewal: whoever renews by it would never rest.
  if (noticeMs >= lease.ttlMs) noticeMs = Math.floor(lease.ttlMs / 2);
  if (noticeMs > 0) state.notices.set(lease, lease.deadlineMs - noticeMs);
  else state.notices.delete(lease);
}

function countTtl(state: LeaseState, lease: Lease, step: 1 | -1): void {
  state.ttlClasses[Math.floor(Math.log2(lease.ttlMs))]! += step;
}

function existing<Key extends string | number, Value>(map: ReadonlyMap<Key, Value>, key: Key): Value {
  const value = map.get(key);
  if (value === undefined) throw new Error(`an event speaks of ${String(key)}, which isn't there`);
  return value;
}
