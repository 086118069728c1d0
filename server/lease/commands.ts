import type { Outcome, RevokeReason, Strategy } from '../../protocol/codes.ts';
import type { AddressRecord } from '../../protocol/frames.ts';
import type { Where } from '../../protocol/where.ts';
import type { StorageLevel } from '../coordinator/domain.ts';
import type { Holder, Owner } from './holder.ts';
import type { ResourcePolicy } from './policy.ts';

export type * from './answers.ts';

/** What can be asked of the lease domain. Imperative; values have passed the wire's schema. */
export type LeaseCommand =
  | StartEpoch
  | Configure
  | SetPolicy
  | DeletePolicy
  | ImportPool
  | AddAddress
  | UpdateAddress
  | RemoveAddress
  | OpenSession
  | DropSession
  | EndSession
  | RevokeSession
  | AcquireLease
  | ExplainAcquire
  | CancelAcquire
  | RenewLeases
  | ReleaseLease
  | ReportLease
  | RevokeLeases
  | Quarantine
  | LiftQuarantine
  | SetAddressHealth
  | DrainAddress
  | ExtendSuspensions
  | SetStorage
  | Due;

/** First command of each run of the coordinator. */
export interface StartEpoch {
  readonly type: 'StartEpoch';
  readonly epoch: number;
  /** No token of this run is at or below it: seconds since 2025 × 2²⁰, above what any earlier run reached. */
  readonly tokenFloor: number;
  /** Sessions found open are suspended for this long, or for their own resume window where that is longer. */
  readonly suspendMs: number;
}

/** Policies of the configuration, whole. */
export interface Configure {
  readonly type: 'Configure';
  readonly defaultPolicy: ResourcePolicy;
  readonly policies: ReadonlyMap<number, ResourcePolicy>;
}

/**
 * A resource's own policy, by API: what it says stands above the configuration, now and after a restart. It takes the place of
 * an earlier one, and makes the resource where there is none.
 */
export interface SetPolicy {
  readonly type: 'SetPolicy';
  readonly resource: number;
  readonly policy: Partial<ResourcePolicy>;
  /** The version that it is to follow; another one is stale. Absent: whatever there is. */
  readonly version?: number;
  readonly resourcesMax?: number;
}

/** Back to the configuration's. */
export interface DeletePolicy {
  readonly type: 'DeletePolicy';
  readonly resource: number;
  readonly version?: number;
}

/** The journal has more or less room than before. */
export interface SetStorage {
  readonly type: 'SetStorage';
  readonly level: StorageLevel;
}

/** Brings the pool to what `records` say; addresses that aren't among them stay unless `replace`. */
export interface ImportPool {
  readonly type: 'ImportPool';
  readonly records: readonly AddressRecord[];
  readonly replace: boolean;
  /** The file of the start: what was changed otherwise since stays so until its record is another. */
  readonly source?: 'file';
  /** Distinct resources at most; absent: whoever asks has seen to it. */
  readonly resourcesMax?: number;
  /** What it may change at most: each address counts one, and one more for each resource that it serves. Absent: all. */
  readonly changesMax?: number;
  /** Where a long import has got to; only the domain itself sets it. */
  readonly progress?: ImportProgress;
}
export interface ImportProgress {
  readonly stage: number | undefined;
  readonly offset: number;
  /** Of `replace`: addresses of the records so far. Grows with each slice. */
  readonly present: Set<string>;
  /** Of `replace`: ids still to be looked at; undefined: the records aren't through. */
  readonly sweep: { readonly nextId: number; readonly endId: number } | undefined;
  readonly counts: ImportCounts;
  /** As `changesMax` counts. */
  readonly changed: number;
  /** Resources that the records named so far. */
  readonly resources: ReadonlySet<number>;
}
export interface ImportCounts {
  readonly added: number;
  readonly updated: number;
  readonly removed: number;
  /** In the file as they were already. */
  readonly unchanged: number;
}

/** Into the pool, by hand; it stays as it is while the start's file says of it what it said before. */
export interface AddAddress {
  readonly type: 'AddAddress';
  readonly record: AddressRecord;
  readonly resourcesMax?: number;
}

/** By hand, the whole record; `rpw` is taken where it is another figure than the record's before. */
export interface UpdateAddress {
  readonly type: 'UpdateAddress';
  readonly addressId: number;
  /** Of the same `address`. */
  readonly record: AddressRecord;
  readonly resourcesMax?: number;
}

/** Out of the pool, by hand. */
export interface RemoveAddress {
  readonly type: 'RemoveAddress';
  readonly addressId: number;
  /** From now until its leases end; 0: at once. Absent: as the policies of their resources say. */
  readonly deadlineMs?: number;
  /** Its leases, those dealt with so far; only the domain itself sets it. */
  readonly revoking?: RevokeProgress;
}

export interface RevokeProgress {
  readonly leases: readonly number[];
  readonly offset: number;
  /** The last of those that were revoked; undefined: none yet. */
  readonly revoked: Revoked | undefined;
}

/** A list from its end: to add to it costs the same however long it is. */
export interface Revoked {
  readonly lease: number;
  readonly before: Revoked | undefined;
}

export interface OpenSession {
  readonly type: 'OpenSession';
  /** Id and SHA-256 of the secret of the session to open where nothing is resumed. */
  readonly session: string;
  readonly secretHash: string;
  readonly resume?: { readonly session: string; readonly secretHash: string };
  /** What the collector calls itself. */
  readonly client?: string;
  /** Who is behind it. A client's session is resumed by that client only. */
  readonly owner?: Owner;
  readonly resumeWindowMs: number;
  readonly noticeMs?: number;
  /** Sessions at most, suspended ones included; beyond it: `overloaded`. */
  readonly sessionsMax: number;
  /** The same of one client with a key; beyond it: `too_many`. Absent: no bound of its own. */
  readonly sessionsPerClientMax?: number | undefined;
}

/** Its socket is gone. */
export interface DropSession {
  readonly type: 'DropSession';
  readonly session: string;
  /** Where the coordinator closed the socket: keep the session this long, or its own window where that is longer. */
  readonly suspendMs: number;
}

/** The collector said goodbye. */
export interface EndSession {
  readonly type: 'EndSession';
  readonly session: string;
}

/**
 * By an operator, whoever's it is: its leases are revoked at once, and without substitutes, since nobody is left to hold
 * them. It can't be resumed any more; its socket, where it has one, is the caller's to close.
 */
export interface RevokeSession {
  readonly type: 'RevokeSession';
  readonly session: string;
}

/** What is asked for, by whom. */
export interface AcquireTerms {
  readonly holder: Holder;
  /** Who is behind a holder that is known by a secret only, or whom an explanation is for whose session isn't there. */
  readonly owner?: Owner | undefined;
  readonly resource: number;
  readonly ttlMs: number;
  readonly where?: Where | undefined;
  readonly strategy?: Strategy | undefined;
  /** The string that `sticky` goes by; without a strategy it stands for `sticky`. */
  readonly sticky?: string | undefined;
  /** How long to queue where it can't be granted now. Only sessions queue; absent or 0: not at all. */
  readonly waitMs?: number | undefined;
  /** All or nothing; absent: one, and the answer isn't a list. */
  readonly count?: number | undefined;
}

export interface AcquireLease extends AcquireTerms {
  readonly type: 'AcquireLease';
  /** Id by which the answer will be known. */
  readonly request: number;
  /** Makes it idempotent for its holder; sessions and clients only. */
  readonly key?: string | undefined;
}

/** What would be answered; changes nothing. */
export interface ExplainAcquire extends AcquireTerms {
  readonly type: 'ExplainAcquire';
}

/** Takes an acquire back, whatever has become of it. */
export interface CancelAcquire {
  readonly type: 'CancelAcquire';
  readonly holder: Holder;
  readonly request: number;
  /** Leases released so far; only the domain itself sets it. */
  readonly released?: readonly number[];
}

/** A TTL that isn't given is the one last asked for. */
export interface RenewLeases {
  readonly type: 'RenewLeases';
  readonly holder: Holder;
  readonly leases: readonly number[];
  readonly ttlMs?: number | undefined;
}

export interface ReleaseLease {
  readonly type: 'ReleaseLease';
  readonly holder: Holder;
  readonly lease: number;
  readonly outcome?: Outcome | undefined;
  readonly requests?: number | undefined;
}

export interface ReportLease {
  readonly type: 'ReportLease';
  readonly holder: Holder;
  readonly lease: number;
  readonly outcome?: Outcome | undefined;
  readonly requests?: number | undefined;
}

/** By an operator: whoever holds them. At most REVOKED_AT_ONCE_MAX in one command. */
export interface RevokeLeases {
  readonly type: 'RevokeLeases';
  readonly leases: readonly number[];
  readonly reason: RevokeReason;
  /** From now until they end; absent or 0: at once. */
  readonly deadlineMs?: number;
  /** Those of `leases`, each once, that were dealt with so far; only the domain itself sets it. */
  readonly done?: RevokeProgress;
}

/** By an operator: no new lease of the pair, or of the whole address where no resource is named; live ones are revoked. */
export interface Quarantine {
  readonly type: 'Quarantine';
  readonly addressId: number;
  readonly resource?: number;
  /** Absent: until it is lifted. */
  readonly forMs?: number;
}

/** Ends a quarantine, whoever set it, and forgets the bans behind it. */
export interface LiftQuarantine {
  readonly type: 'LiftQuarantine';
  readonly addressId: number;
  readonly resource?: number;
}

/** What a probe has found. Leases on an address that turns unhealthy are revoked. */
export interface SetAddressHealth {
  readonly type: 'SetAddressHealth';
  readonly addressId: number;
  readonly isHealthy: boolean;
}

/** No new leases, and none revoked. */
export interface DrainAddress {
  readonly type: 'DrainAddress';
  readonly addressId: number;
  readonly isDraining: boolean;
}

/** The process stood still, or was away: nobody could resume in that time. */
export interface ExtendSuspensions {
  readonly type: 'ExtendSuspensions';
  readonly byMs: number;
}

/** Something's time has come. */
export interface Due {
  readonly type: 'Due';
  /** Taken so far in this turn; only the domain itself sets it. */
  readonly steps?: number;
}
