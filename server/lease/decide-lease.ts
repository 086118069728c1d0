/** What a holder asks of a lease that it has, or had. */
import type { DecisionContext } from '../coordinator/domain.ts';
import { provenBy } from './apply-lease.ts';
import type { Rejected, ReleaseLease, RenewalOutcome, RenewLeases, ReportLease } from './commands.ts';
import { dayEvents } from './day.ts';
import type { LeaseDecision } from './decide.ts';
import { banEvents } from './decide-pair.ts';
import { ENDED_LEASES_MS } from './ended-leases.ts';
import type { LeaseEvent } from './events.ts';
import { durabilityOf, type Holder, isEphemeral, isSameHolder } from './holder.ts';
import { endOf, LeaseEnds } from './lease-ends.ts';
import { endsAtMs, type Lease, type LeaseState, policyOf } from './state.ts';
import { storageFull } from './storage.ts';
import { usageEvents } from './unwritten-usage.ts';

export function grantedTtl(state: LeaseState, resource: number, askedMs: number): { ttlMs: number; clamped: boolean } {
  const { ttlMinMs, ttlMaxMs } = policyOf(state, resource);
  const ttlMs = Math.min(Math.max(askedMs, ttlMinMs), ttlMaxMs);
  return { ttlMs, clamped: ttlMs !== askedMs };
}

export function renew(state: LeaseState, command: RenewLeases, { nowMs }: DecisionContext): LeaseDecision {
  if (state.storage === 'least') return storageFull();
  const ends = new LeaseEnds(state, nowMs);
  const { events, notices } = ends;
  const renewals: RenewalOutcome[] = [];
  for (const token of new Set(command.leases)) {
    const lease = find(state, token, command.holder, nowMs);
    if ('type' in lease || lease.end !== undefined) {
      renewals.push({ lease: token, rejected: 'type' in lease ? lease : lost(token) });
      continue;
    }
    if (endsAtMs(lease) <= nowMs) {
      ends.add(lease, { end: 'expired' });
      renewals.push({ lease: token, rejected: lost(token) });
      continue;
    }
    const { ttlMs, clamped } = grantedTtl(state, lease.resource, command.ttlMs ?? lease.ttlMs);
    const revokedAtMs = lease.revoking?.atMs ?? Infinity;
    const askedMs = Math.ceil(nowMs) + ttlMs;
    // Never nearer than it was, and no further than an announced revocation.
    const deadlineMs = Math.max(lease.deadlineMs, Math.min(askedMs, revokedAtMs));
    events.push({ type: 'LeaseRenewed', lease: token, ttlMs, clamped, deadlineMs, ...durabilityOf(lease) });
    const remainingMs = Math.floor(Math.min(deadlineMs, revokedAtMs) - nowMs);
    const isCut = revokedAtMs < askedMs;
    renewals.push({
      lease: token,
      ttlMs: isCut ? remainingMs : Math.max(ttlMs, remainingMs),
      clamped: clamped || isCut,
    });
  }
  return { events, notices, answer: { type: 'renewed', leases: renewals } };
}

/** A second release is answered like the first; a lease that ended otherwise is lost, its report taken all the same. */
export function release(state: LeaseState, command: ReleaseLease, context: DecisionContext): LeaseDecision {
  const { nowMs } = context;
  const lease = find(state, command.lease, command.holder, nowMs);
  if ('type' in lease) return { events: [], answer: lease };
  const reported = reportEvents(state, lease, command, context);
  if (lease.end !== undefined) {
    return { events: reported, answer: lease.end === 'released' ? RELEASED : lost(lease.token) };
  }
  const { events, notice } = endOf(state, lease, RELEASE, nowMs);
  return {
    events: reported.length > 0 ? [...reported, ...events] : events,
    notices: notice && [notice],
    answer: endsAtMs(lease) > nowMs ? RELEASED : lost(lease.token),
  };
}

const RELEASE = { end: 'released' } as const;
const RELEASED = { type: 'released' } as const;
const NO_EVENTS: readonly LeaseEvent[] = [];

export function report(state: LeaseState, command: ReportLease, context: DecisionContext): LeaseDecision {
  const lease = find(state, command.lease, command.holder, context.nowMs);
  if ('type' in lease) return { events: [], answer: lease };
  return { events: reportEvents(state, lease, command, context), answer: { type: 'reported' } };
}

function reportEvents(
  state: LeaseState,
  lease: Lease,
  { outcome, requests }: ReleaseLease | ReportLease,
  { nowMs, utcMs }: DecisionContext,
): readonly LeaseEvent[] {
  if (outcome === undefined && requests === undefined) return NO_EVENTS;
  const bans = outcome === 'banned' && !lease.isBanned ? banEvents(state, lease, nowMs) : [];
  const reported = { type: 'LeaseReported', lease: lease.token, outcome, requests, ...durabilityOf(lease) } as const;
  const proven = outcome === 'ok' && isEphemeral(lease) ? probationEvents(state, lease) : [];
  const turned = dayEvents(state, utcMs);
  // A count below zero is cut: what it is taken from has to be the same in the journal. The turn of the day writes it, too.
  const isLess = requests !== undefined && requests < lease.requests;
  const used = isLess && turned.length === 0 ? usageEvents(state) : [];
  return [...turned, ...used, reported, ...bans, ...proven];
}

/** What `ok` changes, where the report itself isn't written. */
function probationEvents(state: LeaseState, lease: Lease): LeaseEvent[] {
  const address = state.addresses.get(lease.addressId);
  if (!address) return [];
  const { isAddress, isPair } = provenBy(address, lease);
  const events: LeaseEvent[] = [];
  if (isAddress) events.push({ type: 'ProbationEnded', addressId: address.id });
  if (isPair) events.push({ type: 'ProbationEnded', addressId: address.id, resource: lease.resource });
  return events;
}

/** The lease that `holder` speaks of, live or ended of late; one of somebody else's never. */
function find(state: LeaseState, token: number, holder: Holder, nowMs: number): Lease | Rejected {
  const live = state.leases.get(token);
  if (live && endsAtMs(live) > nowMs && !isSameHolder(live.holder, holder)) {
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
