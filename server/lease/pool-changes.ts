import type { AddressRecord } from '../../protocol/frames.ts';
import { NewerDataError } from '../coordinator/domain.ts';
import { RollingRequests } from './rolling-requests.ts';
import { Address, ensureResource, type LeaseState, type PoolChange } from './state.ts';

/** A committed import: all of it becomes visible at once. */
export function applyPoolChanges(state: LeaseState, changes: readonly PoolChange[]): void {
  for (const change of changes) {
    switch (change[0]) {
      case 'add':
        putAddress(state, change[1], change[2], true);
        break;
      case 'update':
        putAddress(state, change[1], change[2], change[3]);
        break;
      case 'remove': {
        const address = state.addresses.get(change[1]);
        if (!address) break;
        address.removed = true;
        reindexAddress(state, address, address.record.resource_ids);
        if (address.leases.length > 0) break;
        state.addresses.delete(address.id);
        state.addressIds.delete(address.address);
        break;
      }
      default:
        throw new NewerDataError(`change of the pool ${String(change[0])}`);
    }
  }
}

/** Another import may have brought the same address, or taken it away, since this change was staged. */
function putAddress(state: LeaseState, id: number, record: AddressRecord, takesRpw: boolean): void {
  const knownId = state.addressIds.get(record.address);
  const address = knownId === undefined ? undefined : state.addresses.get(knownId);
  if (!address) return addAddress(state, new Address(id, record, state.today));
  if (takesRpw) address.requests = RollingRequests.starting(state.today.day, record.rpw);
  const servedBefore = address.record.resource_ids;
  address.record = record;
  address.removed = false;
  reindexAddress(state, address, servedBefore);
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
    if (!address.serves(id)) state.resources.get(id)?.pool.delete(address);
  }
  if (!address.removed) {
    for (const id of address.record.resource_ids) {
      ensureResource(state, id).pool.set(address, address.leaseFor(id) === undefined);
    }
  }
  for (const lease of address.leases) {
    if (address.serves(lease.resource)) state.withdrawn.delete(lease);
    else state.withdrawn.set(lease, address.removed ? 'address_removed' : 'resource_withdrawn');
  }
}
