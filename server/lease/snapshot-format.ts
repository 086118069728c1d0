/** The records of a snapshot, field by field: what of the state is durable. snapshot.ts says in which order they stand. */
import type { LeaseEnd, RevokeReason, Strategy } from '../../protocol/codes.ts';
import type { AddressRecord, Ended } from '../../protocol/frames.ts';
import type { Where } from '../../protocol/where.ts';
import type { HolderRecord, OwnerRecord } from './holder.ts';
import type { NumberColumn } from './number-column.ts';
import type { QuarantineReason } from './pair.ts';
import type { ResourcePolicy } from './policy.ts';
import type { PoolChange, SessionEnd } from './state.ts';

export type LeaseRecord = readonly [
  token: number,
  resource: number,
  addressId: number,
  holder: HolderRecord,
  request: number,
  ttlMs: number,
  clamped: boolean,
  deadlineMs: number,
  grantedDay: number,
  requests: number,
  settled: boolean,
  // Since version 2.
  isBanned?: boolean,
  terms?: TermsFields | null,
  revoking?: RevokingFields | null,
  otherRequests?: readonly number[],
];

export type TermsFields = readonly [
  where: Where | null,
  strategy: Strategy | null,
  sticky: string | null,
  key: string | null,
  isMany: boolean | null,
];

export type RevokingFields = readonly [reason: RevokeReason, atMs: number, hasSubstitute: boolean];

/** Of the leases of which there is something to say: index in the record, and what. */
export type Sparse<Fields> = readonly (readonly [index: number, fields: Fields])[];

/** `null`: until it is lifted. */
export type QuarantineFields = readonly [reason: QuarantineReason, untilMs: number | null];
export type BanFields = readonly [level: number, atMs: number];

export type StateRecord =
  | readonly [
      kind: 'meta',
      version: 1 | 2 | 3,
      epoch: number,
      day: number,
      lastToken: number,
      reservedToken: number,
      lastAddressId: number,
      lastStage: number,
      defaultPolicy: ResourcePolicy,
      lastWaiter?: number,
      turns?: number,
      lastPolicyVersion?: number,
    ]
  | readonly [kind: 'resource', version: 1 | 2, id: number, grants: number, lastGrantMs?: number | null]
  | readonly [kind: 'policy', version: 1 | 2 | 3, resource: number, policy: ResourcePolicy]
  | readonly [kind: 'own_policy', version: 1, resource: number, policy: Partial<ResourcePolicy>, policyVersion: number]
  | readonly [
      kind: 'address',
      version: 1 | 2,
      id: number,
      record: AddressRecord,
      requests: readonly number[],
      removed: boolean,
      lastToken?: number,
      isUnhealthy?: boolean,
      isDraining?: boolean,
      quarantine?: QuarantineFields | null,
      bans?: BanFields | null,
      probationAfter?: number | null,
    ]
  | readonly [
      kind: 'pair',
      version: 1,
      addressId: number,
      resource: number,
      coolingUntilMs: number | null,
      quarantine: QuarantineFields | null,
      bans: BanFields | null,
      probationAfter: number | null,
    ]
  /** An authenticated client with its sessions. */
  | readonly [
      kind: 'collector',
      version: 1,
      client: string,
      served: readonly (readonly [resource: number, turn: number])[],
    ]
  | readonly [
      kind: 'session',
      version: 1 | 2 | 3,
      id: string,
      secretHash: string,
      client: string | null,
      resumeWindowMs: number,
      noticeMs: number | null,
      suspendedUntilMs: number | null,
      end: SessionEnd,
      unaskedEnds: readonly Ended[],
      /** Of one that is its own collector. */
      served?: readonly (readonly [resource: number, turn: number])[],
      owner?: OwnerRecord | null,
    ]
  /** One live lease, as snapshots held them before there was `leases`. */
  | readonly [kind: 'lease', version: 1 | 2, lease: LeaseRecord]
  | readonly [
      kind: 'leases',
      version: 1 | 2,
      /** In all the records of a snapshot. */
      total: number,
      /** Id of an address, number of leases on it, of the next …: they stand in this order. */
      addresses: NumberColumn,
      /** Since version 2 numbered on from the records before, which have named the others (snapshot-holders.ts). */
      holders: readonly HolderRecord[],
      // From here on a column each, by index.
      /** Place among all leases in the order of their tokens. */
      ranks: NumberColumn,
      tokens: NumberColumn,
      resources: NumberColumn,
      /** Numbers of holders, from 0; in version 1 indexes in this record's own. */
      heldBy: NumberColumn,
      requestIds: NumberColumn,
      ttlsMs: NumberColumn,
      deadlinesMs: NumberColumn,
      grantedDays: NumberColumn,
      requests: NumberColumn,
      /** Bits: 1 clamped, 2 settled, 4 banned. */
      flags: NumberColumn,
      terms: Sparse<TermsFields>,
      revoking: Sparse<RevokingFields>,
      otherRequests: Sparse<readonly number[]>,
    ]
  | readonly [kind: 'ended', version: 1 | 2, lease: LeaseRecord, end: LeaseEnd, endedAtMs: number]
  | readonly [
      kind: 'waiter',
      version: 1 | 2,
      number: number,
      session: string,
      resource: number,
      requests: readonly (readonly [id: number, atMs: number])[],
      areRequestsStale: boolean,
      ttlMs: number,
      untilMs: number,
      where: Where | null,
      strategy: Strategy | null,
      sticky: string | null,
      count: number | null,
      key: string | null,
      body: string | null,
      lineKey: number,
      parkedAtGrants: number | null,
      /** Where it is another than the line's. */
      strandKey?: number | null,
    ]
  | readonly [
      kind: 'key',
      version: 1,
      holder: string,
      key: string,
      body: string,
      waiter: number | null,
      leases: readonly number[],
      liveCount: number,
      endedAtMs: number | null,
    ]
  /** The oldest first. */
  | readonly [kind: 'overruled', version: 1, address: string, digest: string]
  | readonly [kind: 'stage', version: 1, stage: number, changes: readonly PoolChange[]];

export type RecordOf<Kind extends StateRecord[0]> = Extract<StateRecord, readonly [Kind, ...unknown[]]>;

/** The latest version of each kind: the one that is written. */
export const VERSIONS = {
  meta: 3,
  resource: 2,
  policy: 3,
  own_policy: 1,
  address: 2,
  pair: 1,
  collector: 1,
  session: 3,
  lease: 2,
  leases: 2,
  ended: 2,
  waiter: 2,
  key: 1,
  overruled: 1,
  stage: 1,
} as const satisfies Record<StateRecord[0], number>;
