import type { Grant } from '../../protocol/frames.ts';
import {
  COUNT_WHERE_CHARACTERS_MAX,
  WAITERS_PER_RESOURCE_MAX,
  WAITERS_PER_SESSION_MAX,
  WAITING_COUNTS_MAX,
} from '../../protocol/limits.ts';
import { type DecisionContext, EVENTS_PER_DECISION_MAX } from '../coordinator/domain.ts';
import { addressRecord } from './address.ts';
import { whereOf } from './apply-waiting.ts';
import { type Tally, tallyOf } from './collectors.ts';
import type { AcquireLease, AcquireTerms, ExplainAcquire, LeaseAnswer, Rejected } from './commands.ts';
import { dayEvents } from './day.ts';
import type { LeaseDecision } from './decide.ts';
import { expireStep } from './decide-due.ts';
import { grantedTtl } from './decide-lease.ts';
import { estimateMs, matchStep } from './decide-waiting.ts';
import type { LeaseEvent } from './events.ts';
import { granted, grantLeases } from './grants.ts';
import { type Holder, isEphemeral, ownerName } from './holder.ts';
import { bodyDigest, holderName, type KeyEntry } from './idempotency.ts';
import { type Bound, choiceOf, refusal, type Selection, select, type Wish, whyOf } from './select.ts';
import { endsAtMs, exists, type Lease, type LeaseState, policyOf, type Resource } from './state.ts';
import { isShort, storageFull } from './storage.ts';
import { isUsageFull, usageEvents } from './unwritten-usage.ts';

export function acquire(state: LeaseState, command: AcquireLease, context: DecisionContext): LeaseDecision {
  const { holder, key } = command;
  if (!isPresent(state, holder, context.nowMs)) {
    // Whoever speaks for it: a lease of a session that has gone would be nobody's.
    return { events: [], answer: { type: 'rejected', code: 'not_holder', message: 'the session has ended' } };
  }
  const body = key === undefined ? undefined : bodyDigest(command);
  if (key !== undefined) {
    const entry = state.keys.get(holderName(holder))?.find(key, context.nowMs);
    if (entry) return repeat(state, command, entry, body!, context.nowMs);
  }
  const chosen = chooseFor(state, command, context);
  if (!('selection' in chosen)) return chosen;
  const { resource, wish, selection } = chosen;
  if (!('addresses' in selection)) return queue(state, resource, command, wish, body, selection.bound, context);
  const { ttlMs, clamped } = grantedTtl(state, resource.id, command.ttlMs);
  const isProcess = isEphemeral(command);
  const isFull = isProcess && selection.addresses.some((address) => isUsageFull(state, address));
  const { events, grants } = grantLeases(
    state,
    selection.addresses,
    {
      resource: resource.id,
      holder: ownedHolder(command),
      request: command.request,
      ttlMs,
      clamped,
      deadlineMs: Math.ceil(context.nowMs) + ttlMs,
      where: command.where,
      strategy: wish.strategy === 'round_robin' ? undefined : wish.strategy,
      sticky: wish.sticky,
      key,
      body,
      isMany: command.count === undefined ? undefined : true,
      isEphemeral: isProcess ? true : undefined,
    },
    { ttlMs, clamped },
  );
  return { events: isFull ? [...usageEvents(state), ...events] : events, answer: granted(grants, command) };
}

/** What `acquire` would be answered, by the same choice. */
export function explain(state: LeaseState, command: ExplainAcquire, context: DecisionContext): LeaseDecision {
  const chosen = chooseFor(state, command, context);
  if (!('selection' in chosen)) return chosen;
  const { resource, wish, selection } = chosen;
  const bound = 'addresses' in selection ? undefined : selection.bound;
  const why = whyOf(state, resource, wish, bound, context.nowMs, Infinity);
  const otherwise = mayQueue(state, resource, command) ? 'queue' : 'refuse';
  return { events: [], answer: { type: 'explained', would: 'addresses' in selection ? 'grant' : otherwise, why } };
}

/** The choice for a request, or the decision that comes instead of it or before it. */
function chooseFor(
  state: LeaseState,
  command: AcquireLease | ExplainAcquire,
  context: DecisionContext,
): { readonly resource: Resource; readonly wish: Wish; readonly selection: Selection } | LeaseDecision {
  const resource = state.resources.get(command.resource);
  if (!resource || !exists(state, resource)) return unknownResource(command.resource);
  if (isShort(state)) return storageFull();
  const large = tooLargeForCount(command);
  if (large) return large;
  const wish = wishOf(state, resource, command);
  const before = beforeSelection(state, resource, wish, context);
  if (before) return { events: before.events, notices: before.notices, again: command };
  return { resource, wish, selection: select(state, resource, wish, context) };
}

/** The holder, and behind a secret its owner. */
function ownedHolder({ holder, owner }: AcquireTerms): Holder {
  return holder.kind === 'secret' && owner ? { kind: 'secret', secretHash: holder.secretHash, owner } : holder;
}

function tooLargeForCount({ where, count = 1 }: AcquireTerms): { events: []; answer: Rejected } | undefined {
  if (!where || count === 1) return undefined;
  const charactersMax = Math.floor(COUNT_WHERE_CHARACTERS_MAX / count);
  if (JSON.stringify(where).length <= charactersMax) return undefined;
  const message = `where: more than ${charactersMax} characters, too many beside a count of ${count}`;
  return { events: [], answer: { type: 'rejected', code: 'bad_field', message, path: 'where' } };
}

function wishOf(state: LeaseState, resource: Resource, terms: AcquireTerms): Wish {
  const { strategy, sticky } = choiceOf(state, resource, terms);
  return { where: terms.where, strategy, sticky, count: terms.count ?? 1, tally: tallyAsking(state, resource, terms) };
}

/** Looked up only where something depends on it. */
function tallyAsking(state: LeaseState, resource: Resource, terms: AcquireTerms): Tally | undefined {
  if (policyOf(state, resource.id).maxLeasesPerClient === undefined) return undefined;
  const { owner } = terms;
  return tallyOf(state, ownedHolder(terms)) ?? (owner && state.tallies.get(ownerName(owner)));
}

/**
 * What must have happened before a choice is made: the day has turned, leases and rests past their time have ended,
 * however long the process stood still, and whoever waits for what is free has been served. Undefined where there is
 * nothing of it, as almost always.
 */
function beforeSelection(
  state: LeaseState,
  resource: Resource,
  wish: Wish,
  context: DecisionContext,
): LeaseDecision | undefined {
  const turned = dayEvents(state, context.utcMs);
  if (turned.length > 0) return { events: turned };
  // As in `Due`: what one slice of ends has left goes to who waits, before a substitute is chosen in the next.
  const matched = matchStep(state, resource, context);
  if (matched) return matched;
  const expired = expireStep(state, resource, context);
  // Ends in masses are for `Due`, slice by slice: whoever can be served without them isn't kept waiting for them all.
  const isMass = expired !== undefined && expired.events.length === EVENTS_PER_DECISION_MAX;
  return isMass && 'addresses' in select(state, resource, wish, context) ? undefined : expired;
}

function queue(
  state: LeaseState,
  resource: Resource,
  command: AcquireLease,
  wish: Wish,
  body: string | undefined,
  bound: Bound | undefined,
  { nowMs }: DecisionContext,
): LeaseDecision {
  const { holder, waitMs = 0, request, ttlMs, where, count, key } = command;
  if (!mayQueue(state, resource, command) || holder.kind !== 'session') {
    return { events: [], answer: { type: 'refused', ...refusal(state, resource, wish, bound, nowMs) } };
  }
  const session = state.sessions.get(holder.session)!;
  const full = fullness(state, resource, command, session.waiterCount);
  if (full !== undefined) return { events: [], answer: { type: 'rejected', code: 'too_many', message: full } };
  const { strategy, sticky } = wish;
  const event = {
    type: 'AcquireQueued',
    waiter: state.lastWaiter + 1,
    session: session.id,
    resource: resource.id,
    request,
    ttlMs,
    atMs: nowMs,
    untilMs: Math.ceil(nowMs) + waitMs,
    where,
    strategy: strategy === 'round_robin' ? undefined : strategy,
    sticky,
    count,
    key,
    body,
  } satisfies LeaseEvent;
  const condition = resource.pool.condition(whereOf(state, resource, where));
  const served = session.collector.served.get(resource.id);
  const position = resource.queue.positionForNext(session, condition, (count ?? 1) > 1, served);
  const told: LeaseEvent = {
    type: 'QueueNoticed',
    resource: resource.id,
    atMs: nowMs,
    places: [[event.waiter, position]],
  };
  return { events: [event, told], answer: { type: 'queued', position, ...estimateMs(resource, position) } };
}

/** Whether waiting can help at all: more than may ever be leased at once never comes. */
function mayQueue(state: LeaseState, resource: Resource, { holder, waitMs = 0, count = 1 }: AcquireTerms): boolean {
  const { maxLeases = Infinity, maxLeasesPerClient = Infinity } = policyOf(state, resource.id);
  return holder.kind === 'session' && waitMs > 0 && count <= Math.min(maxLeases, maxLeasesPerClient);
}

function fullness(
  state: LeaseState,
  resource: Resource,
  { where, count = 1 }: AcquireTerms,
  waiterCount: number,
): string | undefined {
  const { id, pool, queue } = resource;
  if (waiterCount >= WAITERS_PER_SESSION_MAX) return `${WAITERS_PER_SESSION_MAX} requests of the session wait already`;
  if (queue.size >= WAITERS_PER_RESOURCE_MAX)
    return `${WAITERS_PER_RESOURCE_MAX} requests wait for resource ${id} already`;
  if (count > 1 && queue.countCount >= WAITING_COUNTS_MAX) {
    return `${WAITING_COUNTS_MAX} requests with a count wait for resource ${id} already`;
  }
  if (queue.takes(pool.condition(whereOf(state, resource, where)))) return undefined;
  return `too many different conditions wait for resource ${id} already`;
}

/** The same acquire once more, known by its key. */
function repeat(state: LeaseState, command: AcquireLease, entry: KeyEntry, body: string, nowMs: number): LeaseDecision {
  const answered = (answer: LeaseAnswer): LeaseDecision => ({ events: [], answer });
  if (entry.body !== body) {
    const message = 'key: was used for another request';
    return answered({ type: 'rejected', code: 'key_reused', message, path: 'key' });
  }
  if (entry.waiter !== undefined) {
    const waiter = state.waiters.get(entry.waiter)!;
    const position = waiter.resource.queue.positionOf(waiter);
    return {
      events: [{ type: 'WaitRepeated', waiter: waiter.number, request: command.request, atMs: nowMs }],
      answer: { type: 'queued', position, ...estimateMs(waiter.resource, position) },
    };
  }
  const live = entry.leases
    .flatMap((token) => state.leases.get(token) ?? [])
    .filter((lease) => endsAtMs(lease) > nowMs);
  if (live.length > 0) {
    const grants = live.map((lease) => regrant(state, lease, nowMs));
    const leases = live.map(({ token }) => token);
    return {
      events: [{ type: 'GrantRepeated', leases, request: command.request }],
      answer: granted(grants, command),
    };
  }
  const message = 'key: what was granted for it has ended';
  return answered({ type: 'rejected', code: 'lease_lost', message, path: 'key' });
}

function regrant(state: LeaseState, lease: Lease, nowMs: number): Grant {
  const grant: Grant = {
    lease: lease.token,
    resource: lease.resource,
    address: addressRecord(state.addresses.get(lease.addressId)!),
    ttl_ms: Math.floor(endsAtMs(lease) - nowMs),
  };
  if (lease.clamped) grant.clamped = true;
  return grant;
}

/** Whether `holder` can still be given something: a session whose time is over can't, though its end is yet to come. */
function isPresent(state: LeaseState, holder: Holder, nowMs: number): boolean {
  if (holder.kind !== 'session') return true;
  const session = state.sessions.get(holder.session);
  return session !== undefined && (session.suspendedUntilMs ?? Infinity) > nowMs;
}

function unknownResource(resource: number): { events: []; answer: Rejected } {
  const message = `resource: no resource ${resource}`;
  return { events: [], answer: { type: 'rejected', code: 'unknown_resource', message, path: 'resource' } };
}
