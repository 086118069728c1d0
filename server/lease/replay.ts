/**
 * Of a state that is rebuilt, many events change the same pairs again and again, and nobody looks at them meanwhile. So
 * the indexes that cost most are left empty until all is read, and then filled in one go.
 */
import type { Address } from './address.ts';
import { existing } from './existing.ts';
import { armNotice, reviewLease } from './lease-index.ts';
import { pairStatus, wake } from './pair.ts';
import { type AddressFacts, factsOf } from './resource-pool.ts';
import type { LeaseState } from './state.ts';

export function beginReplay(state: LeaseState): void {
  state.isReplaying = true;
}

/** Does nothing where no replay was begun. */
export function endReplay(state: LeaseState): void {
  if (!state.isReplaying) return;
  state.isReplaying = false;
  fillPools(state);
  for (const lease of state.leases.values()) {
    reviewLease(state, existing(state.addresses, lease.addressId), lease);
    armNotice(state, lease);
  }
  for (const resource of state.resources.values()) wake(state, resource);
}

/** Pool after pool: what one of them writes to stays in the processor's cache. */
function fillPools(state: LeaseState): void {
  const served = new Map<number, { readonly address: Address; readonly facts: AddressFacts }[]>();
  for (const id of state.resources.keys()) served.set(id, []);
  for (const address of state.addresses.values()) {
    if (address.removed) continue;
    const entry = { address, facts: factsOf(address) };
    for (const id of address.resourceIds) existing(served, id).push(entry);
  }
  for (const [id, entries] of served) {
    existing(state.resources, id).pool.fill(entries, (address) => pairStatus(address, id));
  }
}
