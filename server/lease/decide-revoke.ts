/** Revocations: at once or announced, with another address in the old one's place where there is one. */
import type { RevokeReason } from '../../protocol/codes.ts';
import type { Grant } from '../../protocol/frames.ts';
import type { DecisionContext } from '../coordinator/domain.ts';
import { whereOf } from './apply-waiting.ts';
import { tallyOf } from './collectors.ts';
import type { LeaseNotice, Revoked, RevokeLeases, RevokeProgress } from './commands.ts';
import { dayEvents } from './day.ts';
import type { LeaseDecision } from './decide.ts';
import { matchStep } from './decide-waiting.ts';
import type { LeaseEvent } from './events.ts';
import { grantLeases } from './grants.ts';
import { durabilityOf } from './holder.ts';
import { LeaseEnds } from './lease-ends.ts';
import { boundOf, choose } from './select.ts';
import { endsAtMs, type Lease, type LeaseState } from './state.ts';
import { isShort } from './storage.ts';

/** Leases that one command names at most; what it has further is passed over. */
export const REVOKED_AT_ONCE_MAX = 1_000;

/** One lease a decision, so that each substitute is chosen among what the ones before have left. */
export function revoke(state: LeaseState, command: RevokeLeases, context: DecisionContext): LeaseDecision {
  const turned = dayEvents(state, context.utcMs);
  if (turned.length > 0) return { events: turned, again: command };
  const done = command.done ?? {
    leases: [...new Set(command.leases)].slice(0, REVOKED_AT_ONCE_MAX),
    offset: 0,
    revoked: undefined,
  };
  const step = revokeNext(state, done, command.reason, command.deadlineMs ?? 0, context);
  if (step) return { ...step.decision, again: { ...command, done: step.progress } };
  return { events: [], answer: { type: 'revoked', leases: inOrder(done.revoked) } };
}

function inOrder(last: Revoked | undefined): number[] {
  const leases: number[] = [];
  for (let revoked = last; revoked; revoked = revoked.before) leases.push(revoked.lease);
  return leases.reverse();
}

/** The next of them that lives, or whoever is to be served before; undefined: none is left. */
export function revokeNext(
  state: LeaseState,
  progress: RevokeProgress,
  reason: RevokeReason,
  deadlineMs: number,
  context: DecisionContext,
): { readonly decision: LeaseDecision; readonly progress: RevokeProgress } | undefined {
  const { leases, offset, revoked } = progress;
  for (let index = offset; index < leases.length; index += 1) {
    const lease = state.leases.get(leases[index]!);
    if (!lease || endsAtMs(lease) <= context.nowMs) continue;
    // Who waits for what the lease before has left comes before a substitute for this one.
    const before = matchStep(state, state.resources.get(lease.resource)!, context);
    if (before) return { decision: before, progress: { leases, offset: index, revoked } };
    return {
      decision: revokeOne(state, lease, reason, deadlineMs, context),
      progress: { leases, offset: index + 1, revoked: { lease: lease.token, before: revoked } },
    };
  }
  return undefined;
}

export function revokeOne(
  state: LeaseState,
  lease: Lease,
  reason: RevokeReason,
  deadlineMs: number,
  context: DecisionContext,
): LeaseDecision {
  if (deadlineMs <= 0) return revokeNow(state, lease, reason, context);
  const atMs = Math.ceil(context.nowMs) + deadlineMs;
  const { revoking } = lease;
  if (revoking && revoking.atMs < atMs) {
    // What was announced for sooner stands; of an operator's only the reason is another now.
    if (revoking.reason !== 'operator' || reason === 'operator') return { events: [] };
    const sooner = { type: 'RevocationAnnounced', lease: lease.token, reason, atMs: revoking.atMs } as const;
    return { events: [{ ...sooner, ...durabilityOf(lease) }] };
  }
  const announced: LeaseEvent = {
    type: 'RevocationAnnounced',
    lease: lease.token,
    reason,
    atMs,
    ...durabilityOf(lease),
  };
  const substitute = substituteFor(state, lease, 0, context);
  return {
    events: [announced, ...(substitute?.events ?? [])],
    notices: revokingNotices(lease, reason, deadlineMs, substitute?.grant),
  };
}

function revokingNotices(
  { token, holder }: Lease,
  reason: RevokeReason,
  deadlineMs: number,
  substitute: Grant | undefined,
): LeaseNotice[] {
  if (holder.kind === 'process') return [{ type: 'ProcessLeaseRevoking', lease: token, reason }];
  if (holder.kind !== 'session') return [];
  const revoking = { type: 'LeaseRevoking', session: holder.session, lease: token, reason, deadlineMs } as const;
  return [substitute ? { ...revoking, substitute } : revoking];
}

export function revokeNow(
  state: LeaseState,
  lease: Lease,
  reason: RevokeReason,
  context: DecisionContext,
): LeaseDecision {
  const ends = new LeaseEnds(state, context.nowMs);
  ends.add(lease, { end: 'revoked', reason });
  // The lease that ends makes room for the one in its place.
  const substitute = substituteFor(state, lease, 1, context);
  if (!substitute) return { events: ends.events, notices: ends.notices };
  return {
    events: [...ends.events, ...substitute.events],
    notices: ends.notices.map((notice) => ({ ...notice, substitute: substitute.grant })),
  };
}

/** Another address under the request's own condition, for what remains of the lease. `ownCount` leases make room. */
function substituteFor(
  state: LeaseState,
  lease: Lease,
  ownCount: number,
  context: DecisionContext,
): { events: LeaseEvent[]; grant: Grant } | undefined {
  const { holder, deadlineMs, terms, revoking } = lease;
  const { nowMs } = context;
  if (holder.kind !== 'session' || revoking?.hasSubstitute || deadlineMs <= nowMs) return undefined;
  if (isShort(state)) return undefined;
  // Somebody who isn't there can't go over to it.
  if (state.sessions.get(holder.session)?.suspendedUntilMs !== undefined) return undefined;
  const resource = state.resources.get(lease.resource)!;
  const condition = resource.pool.condition(whereOf(state, resource, terms?.where));
  const bound = boundOf(state, resource, 1, nowMs, ownCount, tallyOf(state, holder));
  if (condition.eligibleCount === 0 || bound) return undefined;
  const strategy = terms?.strategy ?? 'round_robin';
  const addresses = choose(resource, condition, { strategy, sticky: terms?.sticky }, 1, context);
  const { events, grants } = grantLeases(
    state,
    addresses,
    {
      resource: resource.id,
      holder,
      request: lease.request,
      otherRequests: lease.otherRequests.length > 0 ? lease.otherRequests : undefined,
      ttlMs: lease.ttlMs,
      clamped: lease.clamped,
      deadlineMs,
      where: terms?.where,
      strategy: terms?.strategy,
      sticky: terms?.sticky,
      isMany: terms?.isMany,
      substituteFor: lease.token,
    },
    { ttlMs: Math.floor(deadlineMs - nowMs), clamped: lease.clamped },
  );
  return { events, grant: grants[0]! };
}
