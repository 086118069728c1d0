import type { AddressRecord } from '../../protocol/frames.ts';
import { NewerDataError } from '../coordinator/domain.ts';
import { Address } from './address.ts';
import { forgetIfGone } from './apply-lease.ts';
import { unreserve } from './apply-waiting.ts';
import { existing } from './existing.ts';
import { cutWithdrawn, reviewLeases } from './lease-index.ts';
import { recordDigest } from './overruled-records.ts';
import { pairStatus, wake } from './pair.ts';
import { factsOf } from './resource-pool.ts';
import { RollingRequests } from './rolling-requests.ts';
import { ensureResource, exists, type LeaseState, type PoolChange, type PoolSource } from './state.ts';

/** A committed import: all of it becomes visible at once. */
export function applyPoolChanges(
  state: LeaseState,
  changes: readonly PoolChange[],
  source: PoolSource | undefined,
): void {
  for (const change of changes) {
    switch (change[0]) {
      case 'add':
        putAddress(state, { id: change[1], record: change[2], takesRpw: true, source });
        break;
      case 'update':
        putAddress(state, { id: change[1], record: change[2], takesRpw: change[3], source });
        break;
      case 'remove': {
        const address = state.addresses.get(change[1]);
        if (!address) break;
        // In version 1 a mark stayed, or followed.
        if (source) markOverruled(state, address.address, address, source);
        address.removed = true;
        reindexAddress(state, address, address.record.resource_ids);
        forgetIfGone(state, address);
        break;
      }
      default:
        throw new NewerDataError(`change of the pool ${String(change[0])}`);
    }
  }
}

/**
 * Forgets resources of which nothing is left. Looked for when pool or policies have changed, so what a lease or a rest
 * keeps for longer goes with the next change: a pool that changes for ever leaves nothing behind.
 */
export function forgetResources(state: LeaseState): void {
  for (const resource of state.resources.values()) {
    if (exists(state, resource) || resource.resting.size > 0 || resource.queue.size > 0) continue;
    state.resources.delete(resource.id);
    state.unwritten.resources.delete(resource.id);
    state.matching.delete(resource);
    state.queueNotices.delete(resource);
    for (const { collector, tally } of state.sessions.values()) {
      collector.served.delete(resource.id);
      tally.held.delete(resource.id);
    }
  }
}

interface Put {
  readonly id: number;
  readonly record: AddressRecord;
  readonly takesRpw: boolean;
  readonly source: PoolSource | undefined;
}

/** Another import may have brought the same address, or taken it away, since this change was staged. */
function putAddress(state: LeaseState, { id, record, takesRpw, source }: Put): void {
  const knownId = state.addressIds.get(record.address);
  const address = knownId === undefined ? undefined : state.addresses.get(knownId);
  // In version 1 a mark went with every put, and followed anew where it was to stay.
  markOverruled(state, record.address, address, source ?? 'file');
  if (!address) return addAddress(state, new Address(id, record, state.today));
  if (takesRpw) {
    address.requests = RollingRequests.starting(state.today.day, record.rpw);
    // Whatever was used before is no part of the new figure.
    if (state.unwritten.requests.has(address.id)) state.unwritten.requests.set(address.id, 0);
  }
  const servedBefore = address.removed ? [] : address.record.resource_ids;
  address.record = record;
  address.removed = false;
  reindexAddress(state, address, servedBefore);
}

/**
 * The first change that isn't the pool file's keeps in mind what was there before it, and later ones leave that as it is:
 * it is what the file said last. Only the file's own next word on the address takes the mark away.
 */
function markOverruled(state: LeaseState, address: string, known: Address | undefined, source: PoolSource): void {
  const { overruled } = state;
  if (source === 'file') return overruled.delete(address);
  const marked = overruled.get(address);
  // A large import doesn't drive out what people did by hand.
  if (source === 'import' && (marked !== undefined || overruled.isFull)) return;
  const before = known && !known.removed ? known.record : undefined;
  const digest = marked ?? (before && recordDigest(before));
  if (digest !== undefined) overruled.set(address, digest);
}

export function addAddress(state: LeaseState, address: Address): void {
  if (state.addressIds.has(address.address)) throw new Error(`address ${address.id} is in the pool already`);
  state.addresses.set(address.id, address);
  state.addressIds.set(address.address, address.id);
  reindexAddress(state, address, []);
}

/** Brings the resources' indexes, and the leases to be revoked, to what the address says of itself now. */
function reindexAddress(state: LeaseState, address: Address, servedBefore: readonly number[]): void {
  for (const id of servedBefore) {
    if (address.serves(id)) continue;
    const reservedFor = address.pairs?.get(id)?.reservedFor;
    if (reservedFor) unreserve(state, reservedFor, address);
    const resource = existing(state.resources, id);
    resource.addressCount -= 1;
    resource.pool.delete(address);
    // A count may have too few addresses left to go on collecting, and the share that is quarantined is another.
    wake(state, resource);
  }
  if (!address.removed) {
    const facts = state.isReplaying ? undefined : factsOf(address);
    for (const id of address.record.resource_ids) {
      const resource = ensureResource(state, id);
      if (!servedBefore.includes(id)) resource.addressCount += 1;
      if (facts) resource.pool.set(address, pairStatus(address, id), facts);
      wake(state, resource);
    }
  }
  cutWithdrawn(state, address);
  reviewLeases(state, address);
}
