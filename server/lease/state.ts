import type { LeaseEnd, RevokeReason } from '../../protocol/codes.ts';
import type { AddressRecord, Ended } from '../../protocol/frames.ts';
import { EndedLeases } from './ended-leases.ts';
import type { Holder } from './holder.ts';
import { IndexedHeap, NOT_IN_HEAP } from './indexed-heap.ts';
import { ResourcePool } from './resource-pool.ts';
import { RollingRequests } from './rolling-requests.ts';
import type { Attributes } from './where.ts';

/** Unasked ends that a session is told of when it resumes. */
export const UNASKED_ENDS_MAX = 1_024;
/** Tokens reserved at once: a restart never gives one that was reserved before. */
export const TOKEN_BLOCK = 2 ** 20;

/** What an operator sets for a resource. */
export interface ResourcePolicy {
  /** Live leases at most; absent: no bound. */
  readonly maxLeases?: number;
  readonly ttlMinMs: number;
  readonly ttlMaxMs: number;
}

/** One proxy server, with what its pool record carries. */
export class Address implements Attributes {
  readonly id: number;
  readonly address: string;
  /** The last pool record, with the figure that its file gave as `rpw`. */
  record: AddressRecord;
  requests: RollingRequests;
  /** The state's own day, by which `rpw` counts. */
  readonly #today: { readonly day: number };
  /** Removed from the pool; stays until its last lease has ended. */
  removed = false;
  /** Live leases on it, one per resource at most. */
  leases: Lease[] = [];

  constructor(id: number, record: AddressRecord, today: { readonly day: number }) {
    this.id = id;
    this.address = record.address;
    this.record = record;
    this.#today = today;
    this.requests = RollingRequests.starting(today.day, record.rpw);
  }

  get country(): string {
    return this.record.country;
  }

  /** Requests of the last seven days as of the state's day. */
  get rpw(): number {
    return this.requests.total(this.#today.day);
  }

  get resourceIds(): readonly number[] {
    return this.record.resource_ids;
  }

  get labels(): Readonly<Record<string, string>> | undefined {
    return this.record['labels'] as Record<string, string> | undefined;
  }

  leaseFor(resource: number): Lease | undefined {
    return this.leases.find((lease) => lease.resource === resource);
  }

  serves(resource: number): boolean {
    return !this.removed && this.record.resource_ids.includes(resource);
  }
}

/** The right to use a pair for a time. Live ones and, for a while, ended ones. */
export interface Lease {
  readonly token: number;
  readonly resource: number;
  readonly addressId: number;
  readonly holder: Holder;
  /** `id` of the acquire that it answered. */
  readonly request: number;
  /** TTL as last asked for and granted. */
  ttlMs: number;
  clamped: boolean;
  /** By the coordinator's clock. */
  deadlineMs: number;
  readonly grantedDay: number;
  /** Requests counted for it so far: 1 from the grant on, then what was reported. */
  requests: number;
  settled: boolean;
  /** How and when, by the coordinator's clock, an ended one ended. */
  end: LeaseEnd | undefined;
  endedAtMs: number;
  expiryPlace: number;
  noticePlace: number;
}

/** How the leases of a session end with it: handed back by a goodbye, or lost. */
export type SessionEnd = 'released' | 'session_lost';

/** A collector's presence. */
export interface Session {
  readonly id: string;
  /** SHA-256 of its secret, hexadecimal. */
  readonly secretHash: string;
  readonly client: string | undefined;
  resumeWindowMs: number;
  /** Absent: a third of the lease's TTL, at most 5 s. */
  noticeMs: number | undefined;
  /** By the coordinator's clock; undefined: a socket carries it. */
  suspendedUntilMs: number | undefined;
  /** Of a suspended one: how its leases end if nobody resumes it. */
  end: SessionEnd;
  readonly leases: Set<Lease>;
  /** The last UNASKED_ENDS_MAX, oldest first. */
  readonly unaskedEnds: Ended[];
  suspendedPlace: number;
}

export interface Resource {
  readonly id: number;
  readonly pool: ResourcePool<Address>;
  /** Live leases by deadline. */
  readonly leases: IndexedHeap<Lease>;
  /** Grants so far: the request number of the round robin. */
  grants: number;
  expiryPlace: number;
}

/** A change of the pool that is prepared over several batches and seen only when committed. */
export type PoolChange =
  | readonly [kind: 'add', addressId: number, record: AddressRecord]
  | readonly [kind: 'update', addressId: number, record: AddressRecord, takesRpw: boolean]
  | readonly [kind: 'remove', addressId: number];

export interface LeaseState {
  epoch: number;
  /** UTC day by which rpw counts; turned by an event, never backwards. */
  readonly today: { day: number };
  /** Invariant: every token given out is at most this. */
  lastToken: number;
  /** Invariant: no token above it is given out before a reservation of it is in the journal. */
  reservedToken: number;
  lastAddressId: number;
  lastStage: number;
  defaultPolicy: ResourcePolicy;
  policies: Map<number, ResourcePolicy>;
  readonly addresses: Map<number, Address>;
  readonly addressIds: Map<string, number>;
  readonly resources: Map<number, Resource>;
  readonly leases: Map<number, Lease>;
  readonly ended: EndedLeases;
  readonly sessions: Map<string, Session>;
  readonly stages: Map<number, PoolChange[]>;

  // Indexes over the above; nothing of them is persisted.
  /** Resources by the earliest deadline of theirs. */
  readonly expiry: IndexedHeap<Resource>;
  /** Leases whose session is still to be told that they run out, by when. */
  readonly notices: IndexedHeap<Lease>;
  readonly suspended: IndexedHeap<Session>;
  /** Live leases whose pair is no longer in the pool, with the reason for which they are to be revoked. */
  readonly withdrawn: Map<Lease, RevokeReason>;
  /** Live leases by the binary logarithm of their TTL. */
  readonly ttlClasses: Uint32Array;
}

export function createLeaseState(): LeaseState {
  return {
    epoch: 0,
    today: { day: 0 },
    lastToken: 0,
    reservedToken: 0,
    lastAddressId: 0,
    lastStage: 0,
    defaultPolicy: { ttlMinMs: 0, ttlMaxMs: 0 },
    policies: new Map(),
    addresses: new Map(),
    addressIds: new Map(),
    resources: new Map(),
    leases: new Map(),
    ended: new EndedLeases(),
    sessions: new Map(),
    stages: new Map(),
    expiry: new IndexedHeap<Resource>({
      get: (resource) => resource.expiryPlace,
      set: (resource, index) => {
        resource.expiryPlace = index;
      },
    }),
    notices: new IndexedHeap<Lease>({
      get: (lease) => lease.noticePlace,
      set: (lease, index) => {
        lease.noticePlace = index;
      },
    }),
    suspended: new IndexedHeap<Session>({
      get: (session) => session.suspendedPlace,
      set: (session, index) => {
        session.suspendedPlace = index;
      },
    }),
    withdrawn: new Map(),
    ttlClasses: new Uint32Array(32),
  };
}

/** The resource, made where it is named for the first time. */
export function ensureResource(state: LeaseState, id: number): Resource {
  let resource = state.resources.get(id);
  if (!resource) {
    resource = {
      id,
      pool: new ResourcePool<Address>(),
      leases: new IndexedHeap<Lease>({
        get: (lease) => lease.expiryPlace,
        set: (lease, index) => {
          lease.expiryPlace = index;
        },
      }),
      grants: 0,
      expiryPlace: NOT_IN_HEAP,
    };
    state.resources.set(id, resource);
  }
  return resource;
}

/** By pool record or by policy; what has neither is gone with its last lease. */
export function exists(state: LeaseState, resource: Resource): boolean {
  return resource.pool.size > 0 || resource.leases.size > 0 || state.policies.has(resource.id);
}

export function policyOf(state: LeaseState, resource: number): ResourcePolicy {
  return state.policies.get(resource) ?? state.defaultPolicy;
}

/** The whole record as a grant carries it: `rpw` as it counts now. */
export function addressRecord(address: Address): AddressRecord {
  return { ...address.record, rpw: address.rpw };
}
