import type { LeaseFields } from '../lease/lease-fields.ts';
import type { Lease } from '../lease/state.ts';

/** A lease as it is granted, with `given` of its fields. */
export function leaseFields(given: Partial<LeaseFields> & { readonly token: number }): LeaseFields {
  return {
    resource: 7,
    addressId: 1,
    holder: { kind: 'process' },
    request: 0,
    otherRequests: [],
    ttlMs: 1_000,
    clamped: false,
    deadlineMs: 0,
    grantedDay: 0,
    terms: undefined,
    revoking: undefined,
    isBanned: false,
    requests: 1,
    settled: false,
    ...given,
  };
}

/** All that is known of it, where it stands now. */
export function known(lease: Lease): Lease {
  return {
    token: lease.token,
    resource: lease.resource,
    addressId: lease.addressId,
    holder: lease.holder,
    request: lease.request,
    otherRequests: lease.otherRequests,
    ttlMs: lease.ttlMs,
    clamped: lease.clamped,
    deadlineMs: lease.deadlineMs,
    grantedDay: lease.grantedDay,
    terms: lease.terms,
    revoking: lease.revoking,
    isBanned: lease.isBanned,
    requests: lease.requests,
    settled: lease.settled,
    end: lease.end,
    endedAtMs: lease.endedAtMs,
  };
}
