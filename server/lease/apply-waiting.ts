import { assertNever } from '../../protocol/assert.ts';
import { WAITER_REQUESTS_MAX } from '../../protocol/limits.ts';
import type { Where } from '../../protocol/where.ts';
import { type Address, ensurePair } from './address.ts';
import { keysOf } from './apply-lease.ts';
import { type Collector, countHeld, isAtBound } from './collectors.ts';
import type { LeaseEvent } from './events.ts';
import { existing } from './existing.ts';
import { holderName } from './idempotency.ts';
import { NOT_IN_HEAP } from './indexed-heap.ts';
import { leasesChanged } from './lease-index.ts';
import { isPlain, wake } from './pair.ts';
import { ensureResource, type LeaseState, policyOf, type Resource, type Session } from './state.ts';
import type { Standing, Waiter } from './waiting.ts';
import { both } from './where.ts';

type WaitEvent = Extract<
  LeaseEvent,
  {
    type:
      | 'AcquireQueued'
      | 'WaitRepeated'
      | 'WaitEnded'
      | 'WaitersMatched'
      | 'PairReserved'
      | 'ReservationsDropped'
      | 'QueueNoticed';
  }
>;

/** Between two words to a waiter about its place. */
export const QUEUE_NOTICE_MS = 1_000;

export function applyWaitEvent(state: LeaseState, event: WaitEvent): void {
  switch (event.type) {
    case 'AcquireQueued':
      return enqueue(state, event);
    case 'WaitRepeated': {
      const waiter = existing(state.waiters, event.waiter);
      const request = { id: event.request, atMs: event.atMs };
      waiter.requests = waiter.areRequestsStale ? [request] : [...waiter.requests, request].slice(-WAITER_REQUESTS_MAX);
      waiter.areRequestsStale = false;
      waiter.toldAtMs = event.atMs;
      return;
    }
    case 'WaitEnded': {
      const waiter = existing(state.waiters, event.waiter);
      // Only grants are remembered.
      if (waiter.key !== undefined) forgetKey(state, waiter.session, waiter.key);
      return removeWaiter(state, waiter);
    }
    case 'WaitersMatched': {
      const resource = existing(state.resources, event.resource);
      if (event.nextMs === undefined) state.matching.delete(resource);
      else state.matching.set(resource, event.nextMs);
      return;
    }
    case 'PairReserved': {
      const waiter = existing(state.waiters, event.waiter);
      const address = existing(state.addresses, event.addressId);
      ensurePair(address, waiter.resource.id).reservedFor = waiter;
      waiter.reserved.add(address);
      waiter.resource.queue.reservedCount += 1;
      countHeld(state, waiter.session.tally, waiter.resource, 1);
      return leasesChanged(state, address, waiter.resource);
    }
    case 'ReservationsDropped': {
      const waiter = existing(state.waiters, event.waiter);
      for (const id of event.addressIds) unreserve(state, waiter, existing(state.addresses, id));
      return;
    }
    case 'QueueNoticed': {
      const resource = existing(state.resources, event.resource);
      for (const [number, position] of event.places) {
        const waiter = existing(state.waiters, number);
        waiter.toldPosition = position;
        waiter.toldAtMs = event.atMs;
      }
      if (resource.queue.activeCount === 0) state.queueNotices.delete(resource);
      else if ((state.queueNotices.keyOf(resource) ?? 0) <= event.atMs) {
        state.queueNotices.set(resource, event.atMs + QUEUE_NOTICE_MS);
      }
      return;
    }
    default:
      assertNever(event);
  }
}

/** When the collector was last served on the resource; one that never was stands at the present. */
function turnOf(state: LeaseState, { served }: Collector, resource: number): number {
  let turn = served.get(resource);
  if (turn === undefined) {
    state.turns += 1;
    turn = state.turns;
    served.set(resource, turn);
  }
  return turn;
}

function enqueue(state: LeaseState, event: Extract<WaitEvent, { type: 'AcquireQueued' }>): void {
  const session = existing(state.sessions, event.session);
  const resource = ensureResource(state, event.resource);
  const { waiter: number, request, ttlMs, atMs, untilMs, where, strategy, sticky, count, key, body } = event;
  state.lastWaiter = number;
  const waiter: Waiter = {
    number,
    session,
    resource,
    requests: [{ id: request, atMs }],
    areRequestsStale: false,
    ttlMs,
    where,
    strategy,
    sticky,
    count,
    key,
    body,
    untilMs,
    line: undefined,
    reserved: new Set(),
    toldPosition: 0,
    toldAtMs: atMs,
    deadlinePlace: NOT_IN_HEAP,
  };
  if (key !== undefined && body !== undefined) {
    const entry = { key, body, waiter: number, leases: [], liveCount: 0, endedAtMs: undefined };
    keysOf(state, sessionName(session)).put(entry);
  }
  const turn = turnOf(state, session.collector, resource.id);
  indexWaiter(state, waiter, { key: turn, passedOverKey: undefined, parkedAtGrants: undefined });
}

/** Puts a waiter where it is found: when it comes, and when a snapshot is read. */
export function indexWaiter(state: LeaseState, waiter: Waiter, standing: Standing): void {
  const { resource, session } = waiter;
  state.waiters.set(waiter.number, waiter);
  state.waitDeadlines.set(waiter, waiter.untilMs);
  session.waiterCount += 1;
  const isHeld = isAtBound(state, session.tally, resource);
  resource.queue.add(waiter, whereOf(state, resource, waiter.where), standing, isHeld);
  wake(state, resource);
}

/** Out of the line, with whatever was reserved for it. */
export function removeWaiter(state: LeaseState, waiter: Waiter): void {
  const { resource } = waiter;
  for (const address of waiter.reserved) unreserve(state, waiter, address);
  resource.queue.delete(waiter);
  waiter.session.waiterCount -= 1;
  state.waitDeadlines.delete(waiter);
  state.waiters.delete(waiter.number);
  wake(state, resource);
}

/** The address is no longer kept for the waiter. Does nothing where it wasn't. */
export function unreserve(state: LeaseState, waiter: Waiter, address: Address): void {
  if (!waiter.reserved.delete(address)) return;
  const resource = waiter.resource;
  resource.queue.reservedCount -= 1;
  countHeld(state, waiter.session.tally, resource, -1);
  const pair = address.pairs?.get(resource.id);
  if (pair) {
    pair.reservedFor = undefined;
    if (isPlain(pair)) address.pairs!.delete(resource.id);
  }
  leasesChanged(state, address, resource);
}

export function serve(state: LeaseState, collector: Collector, resource: Resource, address: Address): void {
  state.turns += 1;
  collector.served.set(resource.id, state.turns);
  resource.queue.served(collector, address, state.turns);
}

/** Suspended: its waiters keep their places and are passed over; what a count has collected is for others. */
export function parkLines(state: LeaseState, session: Session): void {
  for (const line of session.lines) {
    line.resource.queue.park(line);
    for (const waiter of line.waiters) {
      for (const address of waiter.reserved) unreserve(state, waiter, address);
    }
    wake(state, line.resource);
  }
}

/** Back, on another socket than the one on which the waiters' requests came. */
export function unparkLines(state: LeaseState, session: Session): void {
  for (const line of session.lines) {
    for (const waiter of line.waiters) {
      // `welcome` names the newest of its ids, and on this socket it is answered by that alone.
      waiter.requests = waiter.requests.slice(-1);
      waiter.areRequestsStale = true;
    }
    line.resource.queue.unpark(line);
    wake(state, line.resource);
    if (!state.queueNotices.has(line.resource)) state.queueNotices.set(line.resource, 0);
  }
}

/** The resource's policy has changed, and with it the conditions. */
export function regroupWaiters(state: LeaseState, resource: Resource): void {
  if (resource.queue.size === 0) return;
  resource.queue.regroup(
    (waiter) => whereOf(state, resource, waiter.where),
    (tally) => isAtBound(state, tally, resource),
  );
  wake(state, resource);
}

/** A request's own condition with that of its resource. */
export function whereOf(state: LeaseState, resource: Resource, where: Where | undefined): Where | undefined {
  return both(policyOf(state, resource.id).where, where);
}

function forgetKey(state: LeaseState, session: Session, key: string): void {
  const name = sessionName(session);
  const keys = state.keys.get(name);
  keys?.delete(key);
  if (keys?.size === 0) state.keys.delete(name);
}

function sessionName(session: Session): string {
  return holderName({ kind: 'session', session: session.id });
}
