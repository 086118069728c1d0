/**
 * Who held what at one moment of the past, and how it ended: from the state as it was then, and from the events kept
 * from before and after. Pure; where the events come from is the caller's business.
 */
import type { LeaseEnd } from '../../protocol/codes.ts';
import { describeHolder, type Fields } from './described.ts';
import type { LeaseEvent } from './events.ts';
import { maskAddress } from './pool-file.ts';
import { endsAtMs, type Lease, type LeaseState } from './state.ts';

export interface HistoryFilter {
  readonly resource?: number | undefined;
  /** The whole string, its `host:port`, or the address's id. */
  readonly address?: string | undefined;
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

/** The events that `LeaseHistory.saw` has a use for; the rest need not be decoded. */
export const HISTORY_EVENTS: ReadonlySet<string> = new Set(['LeaseGranted', 'LeaseEnded']);

export class LeaseHistory {
  readonly #held = new Map<number, HeldLease>();

  /** `state` as it was at the moment, when the coordinator's clock showed `clockMs`. */
  constructor(state: LeaseState, clockMs: number, filter: HistoryFilter = {}) {
    for (const lease of state.leases.values()) {
      const address = state.addresses.get(lease.addressId)?.address ?? '';
      if (filter.resource !== undefined && lease.resource !== filter.resource) continue;
      if (filter.address !== undefined && !isMeant(filter.address, lease.addressId, address)) continue;
      this.#held.set(lease.token, heldLease(lease, address, clockMs));
    }
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

  /** In the order of their tokens, which is that of their grants. */
  held(): readonly HeldLease[] {
    return [...this.#held.values()].toSorted((one, other) => one.lease - other.lease);
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

function isMeant(wanted: string, addressId: number, address: string): boolean {
  return wanted === address || wanted === String(addressId) || wanted === hostAndPort(address);
}

/** `host:port` of an address that may have a scheme, credentials and a path. */
function hostAndPort(address: string): string {
  const withoutScheme = address.replace(/^[a-z][a-z0-9+.-]*:\/\//i, '');
  return withoutScheme.slice(withoutScheme.lastIndexOf('@') + 1).replace(/\/.*$/, '');
}
