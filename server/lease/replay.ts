/**
 * Of a state that is rebuilt, many events change the same pairs again and again, and nobody looks at them meanwhile. So
 * the indexes that cost most are left empty until all is read, and then filled in one go.
 */
import type { Address } from './address.ts';
import { existing } from './existing.ts';
import { LeaseHeapFilling } from './lease-heap.ts';
import { armResource, listLeases, noticeAtMs, reviewLeases, sessionOf } from './lease-index.ts';
import { pairStatus, wake } from './pair.ts';
import { type AddressFacts, factsOf, PoolFilling } from './resource-pool.ts';
import { endsAtMs, type LeaseState } from './state.ts';

export function beginReplay(state: LeaseState): void {
  state.isReplaying = true;
}

/** Does nothing where no replay was begun. */
export function endReplay(state: LeaseState): void {
  if (!state.isReplaying) return;
  if (state.restored) throw new Error('a snapshot lacks some of its leases');
  state.isReplaying = false;
  fillPools(state);
  armLeases(state);
  listLeases(state);
  for (const resource of state.resources.values()) {
    armResource(state, resource);
    wake(state, resource);
  }
}

/**
 * First address after address, and of its leases only those that may have to be revoked: what lies all over the memory is
 * fetched once. Then pool after pool: what one of them writes to stays in the processor's cache.
 */
function fillPools(state: LeaseState): void {
  const fillings = new Map<number, PoolFilling<Address>>();
  for (const { id, addressCount } of state.resources.values()) fillings.set(id, new PoolFilling(addressCount));
  const strings = new Map<string, string>();
  for (const address of state.addresses.values()) {
    const { removed, isUnhealthy, quarantine, pairs } = address;
    if (removed || isUnhealthy || quarantine || pairs || !address.servesLeased()) reviewLeases(state, address);
    if (removed) continue;
    const entry = { address, facts: sharingStrings(factsOf(address), strings) };
    for (const id of address.resourceIds) existing(fillings, id).add(entry, pairStatus(address, id));
  }
  for (const [id, filling] of fillings) existing(state.resources, id).pool.fill(filling);
}

/** Row after row: whose lease is whose neighbour is all the same to the heaps. */
function armLeases(state: LeaseState): void {
  const { rows } = state.leases;
  const ends = new Map<number, LeaseHeapFilling>();
  for (const { id, leaseCount } of state.resources.values()) ends.set(id, new LeaseHeapFilling(leaseCount));
  const notices = new LeaseHeapFilling(state.leases.size);
  for (let row = 0; row < rows.end; row += 1) {
    if (!rows.has(row)) continue;
    const lease = rows.at(row);
    existing(ends, lease.resource).add(row, endsAtMs(lease));
    const session = sessionOf(state, lease.holder);
    const noticeMs = session && noticeAtMs(lease, session);
    if (noticeMs !== undefined) notices.add(row, noticeMs);
  }
  for (const [id, filling] of ends) existing(state.resources, id).leases.fill(filling);
  state.notices.fill(notices);
}

/** Strings that are one are told to be equal at a glance, by each pool that looks them up. */
function sharingStrings(facts: AddressFacts, strings: Map<string, string>): AddressFacts {
  const one = (text: string) => {
    const known = strings.get(text);
    if (known === undefined) strings.set(text, text);
    return known ?? text;
  };
  const { country, resourceIdsKey, labelsKey } = facts;
  return { ...facts, country: one(country), resourceIdsKey: one(resourceIdsKey), labelsKey: one(labelsKey) };
}
