import type { LeaseEnd, RevokeReason, Strategy } from '../../protocol/codes.ts';
import type { AddressRecord, Ended } from '../../protocol/frames.ts';
import type { Where } from '../../protocol/where.ts';
import type { StorageLevel } from '../coordinator/domain.ts';
import type { Address } from './address.ts';
import type { Collector, Tally } from './collectors.ts';
import { EndedLeases } from './ended-leases.ts';
import type { Holder, Owner } from './holder.ts';
import type { HolderKeys } from './idempotency.ts';
import { IndexedHeap, NOT_IN_HEAP } from './indexed-heap.ts';
import type { RestoredLeases } from './lease-columns.ts';
import { LeaseHeap } from './lease-heap.ts';
import type { LeaseList } from './lease-list.ts';
import { LeaseTable } from './lease-table.ts';
import { OverruledRecords } from './overruled-records.ts';
import type { Pair, Resting } from './pair.ts';
import type { ResourcePolicy } from './policy.ts';
import { ResourcePool } from './resource-pool.ts';
import type { UnwrittenUsage } from './unwritten-usage.ts';
import { type Line, ResourceQueue, type Waiter } from './waiting.ts';

/** Unasked ends that a session is told of when it resumes. */
export const UNASKED_ENDS_MAX = 1_024;
/** Tokens reserved at once: a restart never gives one that was reserved before. */
export const TOKEN_BLOCK = 2 ** 20;

/** The right to use a pair for a time. Live ones (`LiveLease`) and, for a while, ended ones. */
export interface Lease {
  readonly token: number;
  readonly resource: number;
  readonly addressId: number;
  readonly holder: Holder;
  /** `id` of the acquire that it answered. */
  readonly request: number;
  /** Further ids of the same request, known by its key; newest last, WAITER_REQUESTS_MAX at most. */
  readonly otherRequests: readonly number[];
  /** TTL as last asked for and granted. */
  readonly ttlMs: number;
  readonly clamped: boolean;
  /** By the coordinator's clock. */
  readonly deadlineMs: number;
  readonly grantedDay: number;
  /** What was asked for beside a TTL; undefined: nothing. A substitute is chosen by it. */
  readonly terms: LeaseTerms | undefined;
  /** An announced revocation. */
  readonly revoking: Revoking | undefined;
  /** A ban was reported of it: counted once. */
  isBanned: boolean;
  /** Requests counted for it so far: 1 from the grant on, then what was reported. */
  requests: number;
  settled: boolean;
  /** How and when, by the coordinator's clock, an ended one ended. */
  readonly end: LeaseEnd | undefined;
  readonly endedAtMs: number | undefined;
}

export interface EndedLease extends Lease {
  readonly end: LeaseEnd;
  readonly endedAtMs: number;
}

export interface LeaseTerms {
  readonly where: Where | undefined;
  /** Absent: round_robin. */
  readonly strategy: Strategy | undefined;
  readonly sticky: string | undefined;
  readonly key: string | undefined;
  /** It named a count; whatever has become of the others. */
  readonly isMany: boolean | undefined;
}

export interface Revoking {
  readonly reason: RevokeReason;
  /** When it comes into force, by the coordinator's clock. */
  readonly atMs: number;
  /** Its holder has another lease in its place already. */
  hasSubstitute: boolean;
}

/** When the lease ends by itself: at its deadline, or before it by an announced revocation. */
export function endsAtMs({ deadlineMs, revoking }: Pick<Lease, 'deadlineMs' | 'revoking'>): number {
  return revoking ? Math.min(deadlineMs, revoking.atMs) : deadlineMs;
}

/** How the leases of a session end with it: handed back by a goodbye, lost, or by an operator's word. */
export type SessionEnd = 'released' | 'session_lost' | 'revoked';

/** A collector's presence. */
export interface Session {
  readonly id: string;
  /** That of its leases: one for all. */
  readonly holder: Holder;
  /** SHA-256 of its secret, hexadecimal. */
  readonly secretHash: string;
  readonly client: string | undefined;
  /** Who opened it; kept as long as it lives, whoever resumes it. */
  readonly owner: Owner | undefined;
  readonly collector: Collector;
  readonly tally: Tally;
  resumeWindowMs: number;
  /** Absent: a third of the lease's TTL, at most 5 s. */
  noticeMs: number | undefined;
  /** By the coordinator's clock; undefined: a socket carries it. */
  suspendedUntilMs: number | undefined;
  /** Of a suspended one: how its leases end if nobody resumes it. */
  end: SessionEnd;
  /** Live leases of it. Invariant: as many as are in `leases`, unless the state is replaying. */
  leaseCount: number;
  readonly leases: LeaseList;
  /** The last UNASKED_ENDS_MAX, oldest first. */
  readonly unaskedEnds: Ended[];
  readonly lines: Set<Line>;
  waiterCount: number;
  suspendedPlace: number;
}

export interface Resource {
  readonly id: number;
  readonly pool: ResourcePool<Address>;
  /** Addresses that serve it. Invariant: `pool.size`, unless the state is replaying. */
  addressCount: number;
  /** Live leases of it. Invariant: `leases.size`, unless the state is replaying. */
  leaseCount: number;
  /** By when they end. */
  readonly leases: LeaseHeap;
  readonly resting: Resting;
  readonly queue: ResourceQueue;
  /** Grants so far: the request number of the round robin. */
  grants: number;
  lastGrantMs: number;
  /** Between ends of leases: a mean that forgets; undefined: too few so far. Only for estimates. */
  endIntervalMs: number | undefined;
  lastEndMs: number | undefined;
  expiryPlace: number;
  matchingPlace: number;
  queueNoticePlace: number;
}

export interface OwnPolicy {
  readonly policy: Partial<ResourcePolicy>;
  /** Rises with every change; that of a resource without a policy of its own is 0. */
  readonly version: number;
}

/** A change of the pool that is prepared over several batches and seen only when committed. */
export type PoolChange =
  | readonly [kind: 'add', addressId: number, record: AddressRecord]
  | readonly [kind: 'update', addressId: number, record: AddressRecord, takesRpw: boolean]
  | readonly [kind: 'remove', addressId: number];

/** Who says it: the pool file of the start, a whole import, or a person about one address. */
export type PoolSource = 'file' | 'import' | 'hand';

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
  lastWaiter: number;
  /** The clock of fair waiting: counts services and newcomers. */
  turns: number;
  defaultPolicy: ResourcePolicy;
  /** Of the configuration, whole. */
  configuredPolicies: Map<number, ResourcePolicy>;
  /** By API, as far as they go. */
  readonly ownPolicies: Map<number, OwnPolicy>;
  /** The last that a policy was given, of whichever resource: none comes twice. */
  lastPolicyVersion: number;
  readonly addresses: Map<number, Address>;
  readonly addressIds: Map<string, number>;
  readonly resources: Map<number, Resource>;
  readonly leases: LeaseTable;
  readonly ended: EndedLeases;
  readonly sessions: Map<string, Session>;
  /** Of authenticated clients that have a session, by client. */
  readonly collectors: Map<string, Collector>;
  readonly waiters: Map<number, Waiter>;
  /** By holderName. */
  readonly keys: Map<string, HolderKeys>;
  readonly stages: Map<number, PoolChange[]>;
  readonly overruled: OverruledRecords;

  /** Room in the journal. Not persisted: each run is told anew. */
  storage: StorageLevel;
  /**
   * While it is replayed, what only decisions look at stays as it was made: empty are the pools of the resources, `expiry`,
   * `notices` and `withdrawn`, and the leases of sessions and resources, but for their number. replay.ts puts that right at
   * the end.
   */
  isReplaying: boolean;
  /** While a snapshot is restored: its leases, which come in an order of their own. */
  restored: RestoredLeases | undefined;
  /** Of the leases of this process. Not persisted: the next one has none. */
  readonly unwritten: UnwrittenUsage;
  /** Tokens of leases of this process that ended with their address or pair, whose holders are still to be told. */
  readonly cut: { readonly lease: number; readonly reason: RevokeReason }[];

  // Indexes over the above; nothing of them is persisted.
  /** What the resources go by: `ownPolicies` over `configuredPolicies` and the default one. */
  policies: Map<number, ResourcePolicy>;
  /** Of owners that have a session or a lease, by ownerName. */
  readonly tallies: Map<string, Tally>;
  /** Resources by the earliest end of a lease, a cool-down or a quarantine of theirs. */
  readonly expiry: IndexedHeap<Resource>;
  /** Resources whose waiters are to be looked at, by when; 0: now. */
  readonly matching: IndexedHeap<Resource>;
  /** Resources whose waiters are to be told their places, by when. */
  readonly queueNotices: IndexedHeap<Resource>;
  readonly waitDeadlines: IndexedHeap<Waiter>;
  /** Quarantined addresses that come back by time, by when. */
  readonly quarantined: IndexedHeap<Address>;
  /** Leases whose session is still to be told that they run out, by when. */
  readonly notices: LeaseHeap;
  readonly suspended: IndexedHeap<Session>;
  /** Live leases that are to be revoked, since their pair may not be used any more; by token. */
  readonly withdrawn: LeaseHeap;
  /** Live leases by the binary logarithm of their TTL. */
  readonly ttlClasses: Uint32Array;
}

export function createLeaseState(): LeaseState {
  const leases = new LeaseTable();
  const { rows } = leases;
  return {
    epoch: 0,
    today: { day: 0 },
    lastToken: 0,
    reservedToken: 0,
    lastAddressId: 0,
    lastStage: 0,
    lastWaiter: 0,
    turns: 0,
    defaultPolicy: { ttlMinMs: 0, ttlMaxMs: 0 },
    configuredPolicies: new Map(),
    ownPolicies: new Map(),
    lastPolicyVersion: 0,
    addresses: new Map(),
    addressIds: new Map(),
    resources: new Map(),
    leases,
    ended: new EndedLeases(),
    sessions: new Map(),
    collectors: new Map(),
    waiters: new Map(),
    keys: new Map(),
    stages: new Map(),
    overruled: new OverruledRecords(),
    storage: 'ample',
    isReplaying: false,
    restored: undefined,
    unwritten: { sinceMs: undefined, requests: new Map(), resources: new Set() },
    cut: [],
    policies: new Map(),
    tallies: new Map(),
    expiry: new IndexedHeap<Resource>({
      get: (it) => it.expiryPlace,
      set: (it, index) => {
        it.expiryPlace = index;
      },
    }),
    matching: new IndexedHeap<Resource>({
      get: (it) => it.matchingPlace,
      set: (it, index) => {
        it.matchingPlace = index;
      },
    }),
    queueNotices: new IndexedHeap<Resource>({
      get: (it) => it.queueNoticePlace,
      set: (it, index) => {
        it.queueNoticePlace = index;
      },
    }),
    waitDeadlines: new IndexedHeap<Waiter>({
      get: (it) => it.deadlinePlace,
      set: (it, index) => {
        it.deadlinePlace = index;
      },
    }),
    quarantined: new IndexedHeap<Address>({
      get: (it) => it.quarantinePlace,
      set: (it, index) => {
        it.quarantinePlace = index;
      },
    }),
    notices: new LeaseHeap(rows, {
      get: (row) => rows.noticePlaces[row]!,
      set: (row, handle) => {
        rows.noticePlaces[row] = handle;
      },
    }),
    suspended: new IndexedHeap<Session>({
      get: (it) => it.suspendedPlace,
      set: (it, index) => {
        it.suspendedPlace = index;
      },
    }),
    withdrawn: new LeaseHeap(rows, {
      get: (row) => rows.withdrawnPlaces[row]!,
      set: (row, handle) => {
        rows.withdrawnPlaces[row] = handle;
      },
    }),
    ttlClasses: new Uint32Array(32),
  };
}

/** The one that a session's leases share, or `holder` itself: a million leases come with a million copies. */
export function sharedHolder(state: LeaseState, holder: Holder): Holder {
  return (holder.kind === 'session' ? state.sessions.get(holder.session)?.holder : undefined) ?? holder;
}

/** The resource, made where it is named for the first time. */
export function ensureResource(state: LeaseState, id: number): Resource {
  let resource = state.resources.get(id);
  if (!resource) {
    const pool = new ResourcePool<Address>();
    const { rows } = state.leases;
    resource = {
      id,
      pool,
      addressCount: 0,
      leaseCount: 0,
      leases: new LeaseHeap(rows, {
        get: (row) => rows.expiryPlaces[row]!,
        set: (row, handle) => {
          rows.expiryPlaces[row] = handle;
        },
      }),
      resting: new IndexedHeap<Pair>({
        get: (it) => it.restPlace,
        set: (it, index) => {
          it.restPlace = index;
        },
      }),
      queue: new ResourceQueue(pool),
      grants: 0,
      lastGrantMs: -Infinity,
      endIntervalMs: undefined,
      lastEndMs: undefined,
      expiryPlace: NOT_IN_HEAP,
      matchingPlace: NOT_IN_HEAP,
      queueNoticePlace: NOT_IN_HEAP,
    };
    state.resources.set(id, resource);
  }
  return resource;
}

/** By pool record or by policy; what has neither is gone with its last lease. */
export function exists(state: LeaseState, resource: Resource): boolean {
  return resource.addressCount > 0 || resource.leaseCount > 0 || state.policies.has(resource.id);
}

export function policyOf(state: LeaseState, resource: number): ResourcePolicy {
  return state.policies.get(resource) ?? state.defaultPolicy;
}
