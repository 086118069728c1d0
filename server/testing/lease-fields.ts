import type { LeaseFields } from '../lease/lease-rows.ts';

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
