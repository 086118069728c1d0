/** Single addresses, by hand: put in, changed, taken out. Their changes go the way of an import's. */
import type { AddressRecord } from '../../protocol/frames.ts';
import type { DecisionContext } from '../coordinator/domain.ts';
import type { Address } from './address.ts';
import type { AddAddress, LeaseAnswer, Rejected, RemoveAddress, UpdateAddress } from './commands.ts';
import { dayEvents } from './day.ts';
import type { LeaseDecision } from './decide.ts';
import { unknownAddress } from './decide-pair.ts';
import { revokeNext } from './decide-revoke.ts';
import type { LeaseEvent } from './events.ts';
import { leasesOf } from './lease-index.ts';
import { tooManyResources } from './resources-bound.ts';
import type { LeaseState, PoolChange } from './state.ts';
import { isShort, storageFull } from './storage.ts';

/** One that only waits for its last lease to end, or for a rest, comes back under its id. */
export function addAddress(state: LeaseState, command: AddAddress, context: DecisionContext): LeaseDecision {
  const { record, resourcesMax } = command;
  const knownId = state.addressIds.get(record.address);
  const known = knownId === undefined ? undefined : state.addresses.get(knownId)!;
  if (known && !known.removed) return { events: [], answer: { type: 'duplicate', addressId: known.id } };
  if (isShort(state)) return storageFull();
  const excess = tooManyResources(state, record.resource_ids, resourcesMax);
  if (excess) return { events: [], answer: excess };
  if (known) return changed(state, updateOf(known, record), { type: 'added', addressId: known.id }, context);
  const addressId = state.lastAddressId + 1;
  return changed(state, ['add', addressId, record], { type: 'added', addressId }, context);
}

export function updateAddress(state: LeaseState, command: UpdateAddress, context: DecisionContext): LeaseDecision {
  const { addressId, record, resourcesMax } = command;
  const address = state.addresses.get(addressId);
  if (!address || address.removed) return unknownAddress(addressId);
  if (record.address !== address.address) {
    const message = 'address: is what an address is known by, and stays; remove it and add another';
    return { events: [], answer: { type: 'rejected', code: 'bad_field', message, path: 'address' } };
  }
  const answer = { type: 'updated', addressId } as const;
  if (JSON.stringify(record) === JSON.stringify(address.record)) return { events: [], answer };
  if (isShort(state)) return storageFull();
  const excess = tooManyResources(state, record.resource_ids, resourcesMax);
  if (excess) return { events: [], answer: excess };
  return changed(state, updateOf(address, record), answer, context);
}

/**
 * Out at once: nobody gets it any more. Its leases are revoked as those of an address that an import takes out, by the
 * deadlines of their resources, or by the one that is given.
 */
export function removeAddress(state: LeaseState, command: RemoveAddress, context: DecisionContext): LeaseDecision {
  const { addressId, deadlineMs, revoking } = command;
  const answer = { type: 'removed', addressId } as const;
  if (revoking) {
    const step = revokeNext(state, revoking, 'address_removed', deadlineMs ?? 0, context);
    if (!step) return { events: [], answer };
    return { ...step.decision, again: { ...command, revoking: step.progress } };
  }
  const address = state.addresses.get(addressId);
  if (!address || address.removed) return unknownAddress(addressId);
  const removal = changed(state, ['remove', addressId], answer, context);
  if (deadlineMs === undefined) return removal;
  const leases = leasesOf(state, address).map(({ token }) => token);
  return { events: removal.events, again: { ...command, revoking: { leases, offset: 0, revoked: undefined } } };
}

function updateOf({ id, record: known }: Address, record: AddressRecord): PoolChange {
  return ['update', id, record, record.rpw !== known.rpw];
}

function changed(
  state: LeaseState,
  change: PoolChange,
  answer: Exclude<LeaseAnswer, Rejected>,
  { utcMs }: DecisionContext,
): LeaseDecision {
  const stage = state.lastStage + 1;
  // The record's figure counts as of the day on which it is seen.
  const committed: LeaseEvent[] = [...dayEvents(state, utcMs), { type: 'PoolCommitted', stage, source: 'hand' }];
  return { events: [{ type: 'PoolStaged', stage, changes: [change] }, ...committed], answer };
}
