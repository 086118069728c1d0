import type { ErrorCode, Outcome, RefusedReason, RevokeReason, Strategy } from '../../protocol/codes.ts';
import type { AddressRecord, Ended, Grant, Held, Waiting, Why } from '../../protocol/frames.ts';
import type { Where } from '../../protocol/where.ts';
import type { StorageLevel } from '../coordinator/domain.ts';
import type { Holder } from './holder.ts';
import type { ResourcePolicy } from './policy.ts';

/** What can be asked of the lease domain. Imperative; values have passed the wire's schema. */
export type LeaseCommand =
  | StartEpoch
  | Configure
  | ImportPool
  | OpenSession
  | DropSession
  | EndSession
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
  /** Where a long import has got to; only the domain itself sets it. */
  readonly progress?: ImportProgress;
}
export interface ImportProgress {
  readonly stage: number | undefined;
  readonly offset: number;
  readonly removals: readonly number[] | undefined;
  readonly counts: ImportCounts;
}
export interface ImportCounts {
  readonly added: number;
  readonly updated: number;
  readonly removed: number;
  /** In the file as they were already. */
  readonly unchanged: number;
}

export interface OpenSession {
  readonly type: 'OpenSession';
  /** Id and SHA-256 of the secret of the session to open where nothing is resumed. */
  readonly session: string;
  readonly secretHash: string;
  readonly resume?: { readonly session: string; readonly secretHash: string };
  readonly client?: string;
  readonly resumeWindowMs: number;
  readonly noticeMs?: number;
  /** Sessions at most, suspended ones included; beyond it: `overloaded`. */
  readonly sessionsMax: number;
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

/** What is asked for, by whom. */
export interface AcquireTerms {
  readonly holder: Holder;
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
  /** Of `leases`, each of which then stands there once, those dealt with so far; only the domain itself sets it. */
  readonly done?: { readonly offset: number; readonly revoked: readonly number[] };
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

export type Rejected = {
  readonly type: 'rejected';
  readonly code: ErrorCode;
  readonly message: string;
  readonly path?: string;
  readonly retryAfterMs?: number;
};
export type RenewalOutcome = { readonly lease: number } & (
  | { readonly ttlMs: number; readonly clamped: boolean }
  | { readonly rejected: Rejected }
);
export type Done = { readonly type: 'done' };

/** What each command is answered. */
export interface LeaseAnswers {
  StartEpoch: Done;
  Configure: Done;
  ImportPool: { readonly type: 'imported'; readonly counts: ImportCounts } | Rejected;
  OpenSession:
    | {
        readonly type: 'opened';
        readonly session: string;
        readonly resumed: boolean;
        readonly leases: readonly Held[];
        readonly waiting: readonly Waiting[];
        readonly ended: readonly Ended[];
      }
    | Rejected;
  DropSession: Done;
  EndSession: Done;
  AcquireLease: Granted | Queued | Refused | Rejected;
  ExplainAcquire:
    | { readonly type: 'explained'; readonly would: 'grant' | 'queue' | 'refuse'; readonly why: Why }
    | Rejected;
  CancelAcquire: { readonly type: 'cancelled'; readonly leases: readonly number[]; readonly isMany: boolean };
  /** In the order of the command, each once. */
  RenewLeases: { readonly type: 'renewed'; readonly leases: readonly RenewalOutcome[] } | Rejected;
  ReleaseLease: { readonly type: 'released' } | Rejected;
  ReportLease: { readonly type: 'reported' } | Rejected;
  RevokeLeases: { readonly type: 'revoked'; readonly leases: readonly number[] };
  Quarantine: Done | Rejected;
  LiftQuarantine: Done | Rejected;
  SetAddressHealth: Done | Rejected;
  DrainAddress: Done | Rejected;
  ExtendSuspensions: Done;
  SetStorage: Done;
  Due: Done;
}
export type LeaseAnswer = LeaseAnswers[keyof LeaseAnswers];

export type Granted = {
  readonly type: 'granted';
  readonly grants: readonly Grant[];
  /** The request named a count, if only of one. */
  readonly isMany: boolean;
};
export type Queued = { readonly type: 'queued'; readonly position: number; readonly estimateMs?: number };
export type Refused = {
  readonly type: 'refused';
  readonly reason: RefusedReason;
  readonly why: Why;
  readonly retryAfterMs?: number;
};

/** To a session: about a lease that it holds, or a request of its that waits. */
export type LeaseNotice =
  | { readonly type: 'LeaseExpiring'; readonly session: string; readonly lease: number; readonly remainingMs: number }
  | { readonly type: 'LeaseExpired'; readonly session: string; readonly lease: number }
  | {
      readonly type: 'LeaseRevoking';
      readonly session: string;
      readonly lease: number;
      readonly reason: RevokeReason;
      readonly deadlineMs: number;
      readonly substitute?: Grant;
    }
  | {
      readonly type: 'LeaseRevoked';
      readonly session: string;
      readonly lease: number;
      readonly reason: RevokeReason;
      readonly substitute?: Grant;
    }
  | {
      readonly type: 'WaitAnswered';
      readonly session: string;
      readonly request: number;
      readonly answer: Granted | Queued | Refused;
    };
