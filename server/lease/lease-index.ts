/** The indexes that lead to a live lease, and what follows from its being there. */
import type { RevokeReason } from '../../protocol/codes.ts';
import { type Address } from './address.ts';
import { countHeld, tallyFor } from './collectors.ts';
import { missing } from './existing.ts';
import { type Holder, isEphemeral } from './holder.ts';
import type { LeaseFields } from './lease-fields.ts';
import type { LiveLease } from './lease-rows.ts';
import { type Pair, type QuarantineRecord, refreshAddress, refreshPairOf, restsUntilMs, wake } from './pair.ts';
import { endsAtMs, ensureResource, type Lease, type LeaseState, type Resource, type Session } from './state.ts';

/** Puts a live lease into every index that leads to it: at a grant, and when a snapshot is read. `session`: of its holder. */
export function indexLease(
  state: LeaseState,
  fields: LeaseFields,
  address: Address,
  resource: Resource,
  session: Session | undefined,
): void {
  const lease = state.leases.add(fields);
  if (!state.isReplaying) session?.leases.add(lease);
  linkLease(state, lease, address, resource, session);
}

export function leasesOf(state: LeaseState, address: Address): LiveLease[] {
  return address.leaseRows.map((row) => state.leases.rows.at(row));
}

export function sessionOf(state: LeaseState, holder: Holder): Session | undefined {
  if (holder.kind !== 'session') return undefined;
  return state.sessions.get(holder.session) ?? missing(holder.session);
}

/** Into all but those that go by the tokens. */
export function linkLease(
  state: LeaseState,
  lease: LiveLease,
  address: Address,
  resource: Resource,
  session: Session | undefined,
): void {
  if (address.isLeased(lease.resource)) {
    throw new Error(`address ${address.id} is granted twice for resource ${lease.resource}`);
  }
  address.addLease(lease);
  countLease(state, lease, resource, session);
  if (!state.isReplaying) armLease(state, lease, address, resource, session);
}

/** One more. `session`: of its holder. */
export function countLease(
  state: LeaseState,
  lease: Pick<Lease, 'holder' | 'ttlMs'>,
  resource: Resource,
  session: Session | undefined,
): void {
  resource.leaseCount += 1;
  if (session) session.leaseCount += 1;
  const tally = session ? session.tally : tallyFor(state, lease.holder);
  countHeld(state, tally, resource, 1);
  countTtl(state, lease, 1);
}

/** What follows for its pair, and when it ends. */
export function armLease(
  state: LeaseState,
  lease: LiveLease,
  address: Address,
  resource: Resource,
  session: Session | undefined,
): void {
  leasesChanged(state, address, resource);
  reviewLease(state, address, lease);
  armExpiry(state, lease, resource);
  armNotice(state, lease, session);
}

/** To their sessions, which have none yet, in the order in which they were granted. */
export function listLeases(state: LeaseState): void {
  for (const lease of state.leases.values()) sessionOf(state, lease.holder)?.leases.add(lease);
}

/** Takes a lease that ends out of all of them. */
export function unindexLease(state: LeaseState, lease: LiveLease, address: Address, resource: Resource): void {
  countTtl(state, lease, -1);
  address.removeLease(lease);
  resource.leaseCount -= 1;
  resource.leases.delete(lease);
  armResource(state, resource);
  state.notices.delete(lease);
  state.withdrawn.delete(lease);
  const session = sessionOf(state, lease.holder);
  if (session) {
    session.leaseCount -= 1;
    if (!state.isReplaying) session.leases.delete(lease);
  }
  countHeld(state, session ? session.tally : tallyFor(state, lease.holder), resource, -1);
  state.leases.delete(lease.token);
}

/** An address on probation has one lease at a time, whatever the resource: all its pairs follow. */
export function leasesChanged(state: LeaseState, address: Address, resource: Resource): void {
  if (address.probationAfter !== undefined) refreshAddress(state, address);
  else refreshPairOf(state, address, resource);
}

/** What conditions and strategies read of the address has changed, for every resource that it serves. */
export function usageChanged(state: LeaseState, address: Address): void {
  if (state.isReplaying) return;
  for (const id of address.resourceIds) {
    const resource = state.resources.get(id);
    if (!resource) continue;
    resource.pool.usageChanged(address);
    wake(state, resource);
  }
}

/** Whether the lease has to be revoked, as the address and the pair are now. */
export function reviewLease(state: LeaseState, address: Address, lease: LiveLease): void {
  if (state.isReplaying) return;
  const isAnnounced = lease.revoking !== undefined && lease.revoking.reason !== 'operator';
  if (isAnnounced || withdrawalOf(address, lease) === undefined) state.withdrawn.delete(lease);
  else state.withdrawn.set(lease, lease.token);
}

export function reviewLeases(state: LeaseState, address: Address): void {
  if (state.isReplaying) return;
  for (const lease of leasesOf(state, address)) reviewLease(state, address, lease);
}

/** Why the pair of a lease may not be used any more; undefined: it may. */
export function withdrawalOf(address: Address, lease: Lease): RevokeReason | undefined {
  if (address.removed) return 'address_removed';
  if (!address.serves(lease.resource)) return 'resource_withdrawn';
  if (address.isUnhealthy) return 'unhealthy';
  const pair = address.pairs?.get(lease.resource);
  return isBarred(lease, address.quarantine) || isBarred(lease, pair?.quarantine) ? 'quarantined' : undefined;
}

/** Whoever reported the ban knows of it and is about to hand the address back; an operator's word is for all. */
function isBarred({ isBanned }: Lease, quarantine: QuarantineRecord | undefined): boolean {
  return quarantine !== undefined && (quarantine.reason === 'operator' || !isBanned);
}

/**
 * Ends what this process holds of an address, or of a pair of it, that has left the pool, where there is nothing of such a
 * lease in the journal: whoever replays it would find the address gone. Its holder is told by `Due`.
 */
export function cutWithdrawn(state: LeaseState, address: Address): void {
  for (const lease of leasesOf(state, address)) {
    if (!isEphemeral(lease) || address.serves(lease.resource)) continue;
    const reason = withdrawalOf(address, lease)!;
    const { token } = lease;
    const resource = ensureResource(state, lease.resource);
    unindexLease(state, lease, address, resource);
    usageChanged(state, address);
    leasesChanged(state, address, resource);
    state.cut.push({ lease: token, reason });
  }
}

export function armExpiry(state: LeaseState, lease: LiveLease, resource: Resource): void {
  if (state.isReplaying) return;
  resource.leases.set(lease, endsAtMs(lease));
  armResource(state, resource);
}

/** Puts the pair where its rest is found to be over. */
export function armRest(state: LeaseState, pair: Pair): void {
  const untilMs = restsUntilMs(pair);
  // A pair that rests keeps its resource; of one that only was banned the resource may be forgotten.
  const resource = untilMs === Infinity ? state.resources.get(pair.resource) : ensureResource(state, pair.resource);
  if (!resource) return;
  if (untilMs === Infinity) resource.resting.delete(pair);
  else resource.resting.set(pair, untilMs);
  armResource(state, resource);
}

export function armResource(state: LeaseState, resource: Resource): void {
  if (state.isReplaying) return;
  const earliestMs = Math.min(resource.leases.peekKey() ?? Infinity, resource.resting.peekKey() ?? Infinity);
  if (earliestMs === Infinity) state.expiry.delete(resource);
  else state.expiry.set(resource, earliestMs);
}

/** Unasked-for default: a third of the TTL ahead, at most this. */
const NOTICE_DEFAULT_MAX_MS = 5_000;

/** `session`: of its holder. */
export function armNotice(state: LeaseState, lease: LiveLease, session: Session | undefined): void {
  if (!session || state.isReplaying) return;
  const atMs = noticeAtMs(lease, session);
  if (atMs === undefined) state.notices.delete(lease);
  else state.notices.set(lease, atMs);
}

/** When the lease's session, if it isn't renewed, is told that it runs out; undefined: never. */
export function noticeAtMs(
  { ttlMs, deadlineMs }: Pick<Lease, 'ttlMs' | 'deadlineMs'>,
  session: Session,
): number | undefined {
  let noticeMs = session.noticeMs ?? Math.min(NOTICE_DEFAULT_MAX_MS, Math.floor(ttlMs / 3));
  // As far ahead as the lease is long, a notice would answer every renewal: whoever renews by it would never rest.
  if (noticeMs >= ttlMs) noticeMs = Math.floor(ttlMs / 2);
  return noticeMs > 0 ? deadlineMs - noticeMs : undefined;
}

/** A restart prolongs no lease of this process: it ends it. */
export function countTtl(state: LeaseState, lease: Pick<Lease, 'holder' | 'ttlMs'>, step: 1 | -1): void {
  if (isEphemeral(lease)) return;
  state.ttlClasses[31 - Math.clz32(lease.ttlMs)]! += step;
}
