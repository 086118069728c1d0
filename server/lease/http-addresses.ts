/** Addresses as operators are shown them, page by page. */
import * as v from 'valibot';
import { idSchema, lookAt, type Page, unknown } from '../admin/requests.ts';
import type { Address } from './address.ts';
import type { LeasePort } from './http-answers.ts';
import { maskAddress } from './masking.ts';
import type { Bans, QuarantineRecord } from './pair.ts';
import type { LeaseState } from './state.ts';

/** Ids that one page looks at, at most: a page may hold less than was asked for, and `next` says whether to go on. */
export const SCANNED_MAX = 10_000;

export const quarantineEntries = {
  reason: v.pipe(v.string(), v.description('`operator` or `banned`.')),
  level: v.pipe(v.number(), v.description('Bans behind it.')),
  remaining_ms: v.exactOptional(v.pipe(v.number(), v.description('Absent: until it is lifted.'))),
};

export const addressShown = v.object({
  address_id: idSchema,
  address: v.pipe(v.string(), v.description('Without its credentials.')),
  country: v.string(),
  rpw: v.pipe(v.number(), v.description('Requests of the last seven days.')),
  resource_ids: v.array(idSchema),
  healthy: v.boolean(),
  draining: v.boolean(),
  quarantine: v.exactOptional(v.object(quarantineEntries)),
});

/** One that is still in the pool: a removed one only waits for its last lease to end. */
export function findAddress(state: LeaseState, addressId: number): Address | undefined {
  const address = state.addresses.get(addressId);
  return address?.removed ? undefined : address;
}

export function isKnown(leases: LeasePort, addressId: number): Promise<boolean> {
  return lookAt(leases, (state) => findAddress(state, addressId) !== undefined);
}

export function unknownAddress(addressId: number): Response {
  return unknown('address_id', `no address ${addressId}`, 'unknown_address');
}

/** The addresses behind `after` that are `wanted`, by rising ids, and where the next page begins if there is one. */
export function addressPage(
  state: LeaseState,
  { after, limit }: Page,
  wanted: (address: Address) => boolean,
): { readonly found: readonly Address[]; readonly next: { readonly next?: number } } {
  const found: Address[] = [];
  const last = Math.min(state.lastAddressId, after + SCANNED_MAX);
  for (let id = after + 1; id <= last; id += 1) {
    const address = findAddress(state, id);
    if (address && wanted(address)) found.push(address);
    if (found.length === limit) return { found, next: id < state.lastAddressId ? { next: id } : {} };
  }
  return { found, next: last < state.lastAddressId ? { next: last } : {} };
}

export function addressEntry(address: Address, nowMs: number): object {
  const { id, country, rpw, resourceIds, isUnhealthy, isDraining, quarantine, bans } = address;
  return {
    address_id: id,
    address: maskAddress(address.address),
    country,
    rpw,
    resource_ids: resourceIds,
    healthy: !isUnhealthy,
    draining: isDraining,
    ...(quarantine ? { quarantine: quarantineFields(quarantine, bans, nowMs) } : {}),
  };
}

/** `level` counts the bans behind it; without `remaining_ms` it stands until it is lifted. */
export function quarantineFields({ reason, untilMs }: QuarantineRecord, bans: Bans | undefined, nowMs: number): object {
  const level = bans?.level ?? 0;
  return untilMs === Infinity
    ? { reason, level }
    : { reason, level, remaining_ms: Math.max(0, Math.floor(untilMs - nowMs)) };
}
