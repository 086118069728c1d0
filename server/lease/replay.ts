/**
 * Of a state that is rebuilt, many events change the same pairs again and again, and nobody looks at them meanwhile. So
 * the indexes that cost most are left empty until all is read, and then filled in one go.
 */
import type { Address } from './address.ts';
import { existing } from './existing.ts';
import { LeaseHeapFilling } from './lease-heap.ts';
import { armResource, listLeases, noticeAtMs, reviewLeases, sessionOf } from './lease-index.ts';
import { statusOfPair, wake } from './pair.ts';
import { PoolFilling } from './resource-pool.ts';
import { SlotColumns } from './slot-columns.ts';
import type { LeaseState } from './state.ts';

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

/** Of a resource, while the pools are filled. */
interface Filled {
  readonly filling: PoolFilling;
  /** The last address that was found leased for it, and until when. */
  leased: Address | undefined;
  leasedUntilMs: number;
}

/**
 * First address after address, and of its leases only those that may have to be revoked: what lies all over the memory is
 * fetched once. Then pool after pool: what one of them writes to stays in the processor's cache.
 */
function fillPools(state: LeaseState): void {
  const all = new SlotColumns<Address>();
  const pools = new Map<number, Filled>();
  for (const { id, addressCount } of state.resources.values()) {
    pools.set(id, { filling: new PoolFilling(addressCount), leased: undefined, leasedUntilMs: 0 });
  }
  for (const address of state.addresses.values()) {
    const { removed, isUnhealthy, quarantine, pairs } = address;
    address.visitLeases((resource, untilMs) => {
      const pool = existing(pools, resource);
      pool.leased = address;
      pool.leasedUntilMs = untilMs;
    });
    let leasedCount = 0;
    if (!removed) {
      const slot = all.add(address);
      for (const id of address.resourceIds) {
        const { filling, leased, leasedUntilMs } = existing(pools, id);
        if (leased === address) leasedCount += 1;
        filling.add(slot, statusOfPair(address, id, leased === address ? leasedUntilMs : undefined));
      }
    }
    const isWithdrawn = removed || isUnhealthy || leasedCount < address.leaseCount;
    if (isWithdrawn || quarantine || pairs) reviewLeases(state, address);
  }
  for (const [id, { filling }] of pools) existing(state.resources, id).pool.fill(all, filling);
}

/** Row after row: whose lease is whose neighbour is all the same to the heaps. */
function armLeases(state: LeaseState): void {
  const { rows } = state.leases;
  const ends = new Map<number, LeaseHeapFilling>();
  for (const { id, leaseCount } of state.resources.values()) ends.set(id, new LeaseHeapFilling(leaseCount));
  const notices = new LeaseHeapFilling(state.leases.size);
  for (let row = 0; row < rows.end; row += 1) {
    if (!rows.has(row)) continue;
    existing(ends, rows.resources[row]!).add(row, rows.endsAtMs(row));
    const session = sessionOf(state, rows.holders[row]!);
    const noticeMs = session && noticeAtMs({ ttlMs: rows.ttlsMs[row]!, deadlineMs: rows.deadlinesMs[row]! }, session);
    if (noticeMs !== undefined) notices.add(row, noticeMs);
  }
  for (const [id, filling] of ends) existing(state.resources, id).leases.fill(filling);
  state.notices.fill(notices);
}
