import { WAITER_REQUESTS_MAX } from '../../protocol/limits.ts';
import { type Address, ensurePair } from './address.ts';
import { removeWaiter, serve, whereOf } from './apply-waiting.ts';
import { collectorOf } from './collectors.ts';
import type { LeaseEvent } from './events.ts';
import { existing, missing } from './existing.ts';
import { HolderKeys, holderName } from './idempotency.ts';
import {
  armExpiry,
  armNotice,
  armRest,
  countTtl,
  indexLease,
  leasesChanged,
  reviewLease,
  sessionOf,
  unindexLease,
  usageChanged,
} from './lease-index.ts';
import type { LiveLease } from './lease-rows.ts';
import { isPlain, pairStatus, refreshAddress, refreshPair, wake } from './pair.ts';
import { ensureResource, type Lease, type LeaseState, type LeaseTerms, UNASKED_ENDS_MAX } from './state.ts';
import { noteGrant, noteRequests } from './unwritten-usage.ts';

type Event<Type extends LeaseEvent['type']> = Extract<LeaseEvent, { type: Type }>;

const NO_REQUESTS: readonly number[] = [];

export function applyGrant(state: LeaseState, event: Event<'LeaseGranted'>): void {
  if (event.lease <= state.lastToken) throw new Error(`token ${event.lease} is not above ${state.lastToken}`);
  const address = state.addresses.get(event.addressId) ?? missing(event.addressId);
  const resource = ensureResource(state, event.resource);
  const { holder, substituteFor } = event;
  const session = sessionOf(state, holder);
  state.lastToken = event.lease;
  const waiter = event.waiter === undefined ? undefined : state.waiters.get(event.waiter);
  // The first lease of a count takes the waiter away, and with it what was reserved for it.
  if (waiter) removeWaiter(state, waiter);
  // Before the grant's own request is counted: by what the condition saw.
  if (substituteFor === undefined) {
    const collector = session ? session.collector : collectorOf(state, holder);
    if (collector) serve(state, collector, resource, address);
  }
  if (event.strategy === undefined) resource.pool.known(whereOf(state, resource, event.where))?.advance(address);
  address.lastToken = event.lease;
  const lease = {
    token: event.lease,
    resource: event.resource,
    addressId: event.addressId,
    // A million leases come with a million copies: those of a session share its own.
    holder: session ? session.holder : holder,
    request: event.request,
    otherRequests: event.otherRequests ?? NO_REQUESTS,
    ttlMs: event.ttlMs,
    clamped: event.clamped,
    deadlineMs: event.deadlineMs,
    grantedDay: state.today.day,
    terms: termsOf(event),
    revoking: undefined,
    isBanned: false,
    requests: 1,
    settled: false,
  };
  indexLease(state, lease, address, resource, session);
  if (substituteFor === undefined) {
    resource.grants += 1;
    resource.lastGrantMs = event.deadlineMs - event.ttlMs;
  } else {
    const predecessor = state.leases.get(substituteFor);
    if (predecessor?.revoking) predecessor.revoking.hasSubstitute = true;
  }
  if (event.key !== undefined && event.body !== undefined) {
    keysOf(state, holderName(holder)).granted(event.key, event.body, event.lease);
  }
  address.requests.add(state.today.day, 1);
  if (event.isEphemeral) noteGrant(state, address, resource, event.deadlineMs - event.ttlMs);
  usageChanged(state, address);
}

function termsOf({ where, strategy, sticky, key, isMany }: Event<'LeaseGranted'>): LeaseTerms | undefined {
  const isPlainRequest =
    where === undefined && strategy === undefined && sticky === undefined && key === undefined && isMany === undefined;
  return isPlainRequest ? undefined : { where, strategy, sticky, key, isMany };
}

export function applyRepeat(state: LeaseState, { leases, request }: Event<'GrantRepeated'>): void {
  for (const token of leases) {
    const lease = existing(state.leases, token);
    lease.otherRequests = [...lease.otherRequests, request].slice(-WAITER_REQUESTS_MAX);
  }
}

export function keysOf(state: LeaseState, name: string): HolderKeys {
  let keys = state.keys.get(name);
  if (!keys) {
    keys = new HolderKeys();
    state.keys.set(name, keys);
  }
  return keys;
}

export function applyRenewal(state: LeaseState, event: Event<'LeaseRenewed'>): void {
  const lease = existing(state.leases, event.lease);
  countTtl(state, lease, -1);
  lease.ttlMs = event.ttlMs;
  lease.clamped = event.clamped;
  lease.deadlineMs = event.deadlineMs;
  countTtl(state, lease, 1);
  endChanged(state, lease);
  if (!state.isReplaying) armNotice(state, lease, sessionOf(state, lease.holder));
}

export function applyRevocation(state: LeaseState, event: Event<'RevocationAnnounced'>): void {
  const lease = existing(state.leases, event.lease);
  const hasSubstitute = lease.revoking?.hasSubstitute ?? false;
  lease.revoking = { reason: event.reason, atMs: event.atMs, hasSubstitute };
  reviewLease(state, existing(state.addresses, lease.addressId), lease);
  endChanged(state, lease);
}

/** It ends at another time than before. */
function endChanged(state: LeaseState, lease: LiveLease): void {
  const address = existing(state.addresses, lease.addressId);
  address.endChanged(lease);
  if (state.isReplaying) return;
  armExpiry(state, lease, ensureResource(state, lease.resource));
  // On probation every pair of the address waits for it.
  const resources = address.probationAfter === undefined ? [lease.resource] : address.resourceIds;
  for (const id of resources) state.resources.get(id)?.pool.setStatus(address, pairStatus(address, id));
}

export function applyReport(state: LeaseState, event: Event<'LeaseReported'>): void {
  const live = state.leases.get(event.lease);
  const lease = live ?? state.ended.get(event.lease);
  if (!lease) throw new Error(`an event speaks of lease ${event.lease}, which isn't there`);
  const address = state.addresses.get(lease.addressId);
  if (event.outcome === 'banned') {
    lease.isBanned = true;
    if (address && live) reviewLease(state, address, live);
  }
  // By an event of its own where nothing else of the lease is written.
  if (event.outcome === 'ok' && address && !event.isEphemeral) endProbation(state, address, lease);
  if (event.requests === undefined) return;
  const difference = event.requests - lease.requests;
  if (event.isEphemeral) return reportUse(state, lease, address, difference);
  // The first settlement may take the grant's own 1 back, on the day that it was counted; later totals only rise.
  if (difference < 0 && lease.settled) return;
  lease.requests = event.requests;
  lease.settled = true;
  if (!address) return;
  address.requests.add(difference < 0 ? lease.grantedDay : state.today.day, difference);
  usageChanged(state, address);
}

/** Of a lease of this process: totals only rise. */
function reportUse(state: LeaseState, lease: Lease, address: Address | undefined, difference: number): void {
  if (difference <= 0) return;
  lease.requests += difference;
  if (!address) return;
  address.requests.add(state.today.day, difference);
  noteRequests(state, address, difference);
  usageChanged(state, address);
}

/** A lease granted since has gone well. Says whose probation that ends. */
export function provenBy(address: Address, { token, resource }: Lease): { isAddress: boolean; isPair: boolean } {
  const pair = address.pairs?.get(resource);
  return {
    isAddress: address.probationAfter !== undefined && token > address.probationAfter,
    isPair: pair?.probationAfter !== undefined && token > pair.probationAfter,
  };
}

function endProbation(state: LeaseState, address: Address, lease: Lease): void {
  const { isAddress, isPair } = provenBy(address, lease);
  if (isAddress) endAddressProbation(state, address);
  if (isPair) endPairProbation(state, address, lease.resource);
}

export function endAddressProbation(state: LeaseState, address: Address): void {
  address.probationAfter = undefined;
  refreshAddress(state, address);
}

export function endPairProbation(state: LeaseState, address: Address, resource: number): void {
  const pair = ensurePair(address, resource);
  pair.probationAfter = undefined;
  if (isPlain(pair)) address.pairs!.delete(resource);
  refreshPair(state, address, resource);
}

/** How much a new interval between ends counts in their mean. */
const END_INTERVAL_SHARE = 0.1;

export function applyLeaseEnd(state: LeaseState, event: Event<'LeaseEnded'>): void {
  const { end, reason, atMs, coolingUntilMs } = event;
  const lease = state.leases.get(event.lease) ?? missing(event.lease);
  const address = state.addresses.get(lease.addressId) ?? missing(lease.addressId);
  const resource = ensureResource(state, lease.resource);
  const { token, holder } = lease;
  const key = lease.terms?.key;
  // Nobody asks for one of this process any more: its holder has said all it had to say.
  if (!event.isEphemeral) state.ended.add(lease, end, atMs);
  // From here on its row says nothing.
  unindexLease(state, lease, address, resource);
  if (holder.kind === 'session' && (end === 'expired' || end === 'revoked')) {
    const session = existing(state.sessions, holder.session);
    const ended = { lease: token, resource: resource.id, end };
    session.unaskedEnds.push(reason === undefined ? ended : { ...ended, reason });
    if (session.unaskedEnds.length > UNASKED_ENDS_MAX) session.unaskedEnds.shift();
  }
  if (coolingUntilMs !== undefined) {
    const pair = ensurePair(address, resource.id);
    pair.coolingUntilMs = coolingUntilMs;
    armRest(state, pair);
  }
  if (key !== undefined) state.keys.get(holderName(holder))?.ended(key, token, atMs);
  if (resource.lastEndMs !== undefined) {
    const intervalMs = Math.max(0, atMs - resource.lastEndMs);
    const meanMs = resource.endIntervalMs ?? intervalMs;
    resource.endIntervalMs = meanMs + (intervalMs - meanMs) * END_INTERVAL_SHARE;
  }
  resource.lastEndMs = atMs;
  // Whatever becomes of the address: where a bound of the resource was in the way, it may not be any more.
  wake(state, resource);
  if (forgetIfGone(state, address)) return;
  // In this order: while the pair is leased its place in the orders of free ones need not follow.
  usageChanged(state, address);
  leasesChanged(state, address, resource);
}

/** A removed address stays while somebody has a lease on it, and while a pair of it must not be given again. */
export function forgetIfGone(state: LeaseState, address: Address): boolean {
  if (!address.removed || address.leaseCount > 0 || address.quarantine) return false;
  for (const pair of address.pairs?.values() ?? []) {
    if (pair.coolingUntilMs !== undefined || pair.quarantine) return false;
  }
  state.addresses.delete(address.id);
  state.unwritten.requests.delete(address.id);
  if (state.addressIds.get(address.address) === address.id) state.addressIds.delete(address.address);
  return true;
}
