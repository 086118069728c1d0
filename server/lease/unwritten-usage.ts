/**
 * What leases of this process have used and the journal doesn't say yet. Memory counts it at once, so that conditions and
 * strategies go by it; the journal is told once a second, and from then on both say the same.
 */

import type { Address } from './address.ts';
import type { LeaseEvent } from './events.ts';
import { existing } from './existing.ts';
import type { LeaseState, Resource } from './state.ts';
import { isShort } from './storage.ts';

/** How long the journal may lag behind. */
export const USAGE_WRITTEN_AFTER_MS = 1_000;
/** Addresses of which something is unwritten; one more, and all of it is written. */
export const UNWRITTEN_ADDRESSES_MAX = 1_000;

export interface UnwrittenUsage {
  /** When the first of it came, by the coordinator's clock; undefined: there is none. */
  sinceMs: number | undefined;
  /** Requests by address. */
  readonly requests: Map<number, number>;
  /** Resources that were granted for, by id. */
  readonly resources: Set<number>;
}

export function noteGrant(state: LeaseState, address: Address, resource: Resource, atMs: number): void {
  const { unwritten } = state;
  unwritten.sinceMs ??= atMs;
  unwritten.resources.add(resource.id);
  unwritten.requests.set(address.id, (unwritten.requests.get(address.id) ?? 0) + 1);
}

export function noteRequests(state: LeaseState, address: Address, requests: number): void {
  const { unwritten } = state;
  // Whatever it adds to was granted, and that may have been written since: then it is due at once.
  unwritten.sinceMs ??= 0;
  unwritten.requests.set(address.id, (unwritten.requests.get(address.id) ?? 0) + requests);
}

/** When it is to be written; not while there is little room: nothing is granted then, either. */
export function usageDueMs(state: LeaseState): number | undefined {
  const { sinceMs } = state.unwritten;
  return sinceMs === undefined || isShort(state) ? undefined : sinceMs + USAGE_WRITTEN_AFTER_MS;
}

/** Whether a grant on this address makes it too much. */
export function isUsageFull({ unwritten: { requests } }: LeaseState, address: Address): boolean {
  return requests.size >= UNWRITTEN_ADDRESSES_MAX && !requests.has(address.id);
}

/** All of it, as events; none where there is nothing. One event, unless a full disk has held it up. */
export function usageEvents(state: LeaseState): LeaseEvent[] {
  const { unwritten, today, lastToken } = state;
  if (unwritten.sinceMs === undefined) return [];
  const resources = Array.from(unwritten.resources, (id) => {
    const { grants, lastGrantMs } = existing(state.resources, id);
    return [id, grants, lastGrantMs] as const;
  });
  const addresses = Array.from(unwritten.requests, ([id, requests]) => {
    return [id, requests, existing(state.addresses, id).lastToken] as const;
  });
  const events: LeaseEvent[] = [];
  for (let index = 0; index === 0 || index < addresses.length; index += UNWRITTEN_ADDRESSES_MAX) {
    const slice = addresses.slice(index, index + UNWRITTEN_ADDRESSES_MAX);
    events.push({ type: 'UsageWritten', day: today.day, lastToken, resources, addresses: slice });
  }
  return events;
}

/** Memory has it already, as far as this process has used it; whoever replays takes it in here. */
export function applyUsage(
  state: LeaseState,
  { day, lastToken, resources, addresses }: Extract<LeaseEvent, { type: 'UsageWritten' }>,
): readonly Address[] {
  const { unwritten } = state;
  state.lastToken = Math.max(state.lastToken, lastToken);
  for (const [id, grants, lastGrantMs] of resources) {
    const resource = state.resources.get(id);
    if (resource) Object.assign(resource, { grants, lastGrantMs });
  }
  const changed: Address[] = [];
  for (const [id, requests, token] of addresses) {
    const ahead = unwritten.requests.get(id) ?? 0;
    unwritten.requests.delete(id);
    const address = state.addresses.get(id);
    if (!address || (requests === ahead && address.lastToken >= token)) continue;
    address.requests.add(day, requests - ahead);
    address.lastToken = Math.max(address.lastToken, token);
    changed.push(address);
  }
  if (unwritten.requests.size > 0) return changed;
  unwritten.sinceMs = undefined;
  unwritten.resources.clear();
  return changed;
}
