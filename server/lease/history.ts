/**
 * Who held what at one moment of the past, and how it ended: from the state as it was then, and from the events kept
 * from before and after. Pure; where the events come from is the caller's business.
 */
import type { LeaseEnd } from '../../protocol/codes.ts';
import type { EventRecord } from '../coordinator/domain.ts';
import { describeHolder, type Fields } from './described.ts';
import { LEASE_DOMAIN } from './event-records.ts';
import type { LeaseEvent } from './events.ts';
import { maskAddress } from './masking.ts';
import { DAY_MS } from './rolling-requests.ts';
import { endsAtMs, type Lease, type LeaseState } from './state.ts';

export interface HistoryFilter {
  readonly resource?: number | undefined;
  /** The whole string, its `host:port`, or the address's id. */
  readonly address?: string | undefined;
  /** Tokens above it only. */
  readonly after?: number | undefined;
  /** So many leases at most, those of the lowest tokens. */
  readonly limit?: number | undefined;
}

/** One lease as it stood at the moment. Clock readings are the coordinator's, UTC is that of the batch. */
export interface HeldLease {
  readonly lease: number;
  readonly resource: number;
  readonly addressId: number;
  /** Masked. */
  readonly address: string;
  readonly holder: Fields;
  /** As last asked for by then. */
  readonly ttlMs: number;
  /** What was left of it; 0: its time was over, and its end came a moment later. */
  readonly remainingMs: number;
  /** Announced by then. */
  readonly revoking: { readonly reason: string; readonly remainingMs: number } | undefined;
  readonly requests: number;
  /** undefined: before the oldest event kept. */
  readonly grantedUtcMs: number | undefined;
  /** UTC day of the grant, in days since 1970: the state knows it when no event is left. */
  readonly grantedDay: number;
  /** undefined: it was still held at the end of what is kept. */
  readonly ended: LeaseEnding | undefined;
}

export interface LeaseEnding {
  readonly end: LeaseEnd;
  readonly reason: string | undefined;
  readonly utcMs: number;
  readonly position: number;
}

/** Of these events `LeaseHistory` has a use; in each the token is the first field. */
const HISTORY_EVENTS: ReadonlySet<string> = new Set(['LeaseGranted', 'LeaseEnded']);

export class LeaseHistory {
  /** In the order of their tokens, which is that of their grants. */
  readonly #held = new Map<number, HeldLease>();
  /** There are more than the limit. */
  readonly hasMore: boolean;

  /** `state` as it was at the moment, when the coordinator's clock showed `clockMs`. */
  constructor(state: LeaseState, clockMs: number, filter: HistoryFilter = {}) {
    const { after = 0, limit = Infinity } = filter;
    let hasMore = false;
    for (const lease of state.leases.values()) {
      if (lease.token <= after) continue;
      const address = state.addresses.get(lease.addressId)?.address ?? '';
      if (filter.resource !== undefined && lease.resource !== filter.resource) continue;
      if (filter.address !== undefined && !isMeant(filter.address, lease.addressId, address)) continue;
      hasMore = this.#held.size === limit;
      if (hasMore) break;
      this.#held.set(lease.token, heldLease(lease, address, clockMs));
    }
    this.hasMore = hasMore;
  }

  /** Whether `saw` has a use for an event: most need not be decoded. */
  concerns([domain, type, , token]: EventRecord): boolean {
    return domain === LEASE_DOMAIN && HISTORY_EVENTS.has(type) && this.#held.has(token as number);
  }

  /** An event of any time, in whatever order. A token is granted once and ends once. */
  saw(event: LeaseEvent, position: number, utcMs: number): void {
    if (event.type !== 'LeaseGranted' && event.type !== 'LeaseEnded') return;
    const held = this.#held.get(event.lease);
    if (!held) return;
    if (event.type === 'LeaseGranted') {
      this.#held.set(event.lease, { ...held, grantedUtcMs: utcMs });
      return;
    }
    const { end, reason } = event;
    this.#held.set(event.lease, { ...held, ended: { end, reason, utcMs, position } });
  }

  held(): readonly HeldLease[] {
    return [...this.#held.values()];
  }
}

function heldLease(lease: Lease, address: string, clockMs: number): HeldLease {
  const { token, resource, addressId, holder, ttlMs, revoking, requests, grantedDay } = lease;
  const leftOf = (atMs: number) => Math.max(0, Math.floor(atMs - clockMs));
  return {
    lease: token,
    resource,
    addressId,
    address: maskAddress(address),
    holder: describeHolder(holder),
    ttlMs,
    remainingMs: leftOf(endsAtMs(lease)),
    revoking: revoking && { reason: revoking.reason, remainingMs: leftOf(revoking.atMs) },
    requests,
    grantedUtcMs: undefined,
    grantedDay,
    ended: undefined,
  };
}

/** For JSON. */
export function describeHeld({ revoking, ended, ...lease }: HeldLease): Fields {
  return {
    lease: lease.lease,
    resource: lease.resource,
    address_id: lease.addressId,
    address: lease.address,
    holder: lease.holder,
    ttl_ms: lease.ttlMs,
    remaining_ms: lease.remainingMs,
    requests: lease.requests,
    // null: before what is kept; the day is known all the same.
    granted_utc: lease.grantedUtcMs === undefined ? null : utcText(lease.grantedUtcMs),
    granted_day: dayText(lease.grantedDay),
    revoking: revoking ? { reason: revoking.reason, remaining_ms: revoking.remainingMs } : null,
    // null: still held at the end of what is kept.
    end: ended?.end ?? null,
    reason: ended?.reason ?? null,
    ended_utc: ended ? utcText(ended.utcMs) : null,
    ended_position: ended?.position ?? null,
  };
}

/** As `2026-11-21`; of days since 1970. */
export function dayText(day: number): string {
  return utcText(day * DAY_MS).slice(0, 10);
}

/** ISO 8601, as far as it can say. */
export function utcText(utcMs: number): string {
  return Math.abs(utcMs) <= 8.64e15 ? new Date(utcMs).toISOString() : `${utcMs} ms since 1970`;
}

function isMeant(wanted: string, addressId: number, address: string): boolean {
  return wanted === address || wanted === String(addressId) || wanted === hostAndPort(address);
}

/** `host:port` of an address that may have a scheme, credentials and a path. */
function hostAndPort(address: string): string {
  const withoutScheme = address.replace(/^[a-z][a-z0-9+.-]*:\/\//i, '');
  return withoutScheme.slice(withoutScheme.lastIndexOf('@') + 1).replace(/\/.*$/, '');
}
