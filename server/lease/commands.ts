import type { ErrorCode, Outcome, RefusedReason, RevokeReason } from '../../protocol/codes.ts';
import type { AddressRecord, Ended, Grant, Held, Why } from '../../protocol/frames.ts';
import type { Where } from '../../protocol/where.ts';
import type { Holder } from './holder.ts';
import type { ResourcePolicy } from './state.ts';

/** What can be asked of the lease domain. Imperative; values have passed the wire's schema. */
export type LeaseCommand =
  | StartEpoch
  | Configure
  | ImportPool
  | OpenSession
  | DropSession
  | EndSession
  | AcquireLease
  | RenewLeases
  | ReleaseLease
  | ReportLease
  | RevokeLeases
  | RevokeWithdrawn
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

export interface AcquireLease {
  readonly type: 'AcquireLease';
  readonly holder: Holder;
  readonly resource: number;
  readonly ttlMs: number;
  readonly where?: Where;
  readonly request: number;
}

/** A TTL that isn't given is the one last asked for. */
export interface RenewLeases {
  readonly type: 'RenewLeases';
  readonly holder: Holder;
  readonly leases: readonly number[];
  readonly ttlMs?: number;
}

export interface ReleaseLease {
  readonly type: 'ReleaseLease';
  readonly holder: Holder;
  readonly lease: number;
  readonly outcome?: Outcome;
  readonly requests?: number;
}

export interface ReportLease {
  readonly type: 'ReportLease';
  readonly holder: Holder;
  readonly lease: number;
  readonly outcome?: Outcome;
  readonly requests?: number;
}

/** By an operator: whoever holds them. At most EVENTS_PER_DECISION_MAX in one command. */
export interface RevokeLeases {
  readonly type: 'RevokeLeases';
  readonly leases: readonly number[];
  readonly reason: RevokeReason;
}

/** Ends what the pool no longer carries. */
export interface RevokeWithdrawn {
  readonly type: 'RevokeWithdrawn';
}

/** Something's time has come. */
export interface Due {
  readonly type: 'Due';
}

export type Rejected = {
  readonly type: 'rejected';
  readonly code: ErrorCode;
  readonly message: string;
  readonly path?: string;
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
  ImportPool: { readonly type: 'imported'; readonly counts: ImportCounts };
  OpenSession:
    | {
        readonly type: 'opened';
        readonly session: string;
        readonly resumed: boolean;
        readonly leases: readonly Held[];
        readonly ended: readonly Ended[];
      }
    | Rejected;
  DropSession: Done;
  EndSession: Done;
  AcquireLease:
    | { readonly type: 'granted'; readonly grant: Grant }
    | { readonly type: 'refused'; readonly reason: RefusedReason; readonly why: Why; readonly retryAfterMs?: number }
    | Rejected;
  /** In the order of the command, each once. */
  RenewLeases: { readonly type: 'renewed'; readonly leases: readonly RenewalOutcome[] };
  ReleaseLease: { readonly type: 'released' } | Rejected;
  ReportLease: { readonly type: 'reported' } | Rejected;
  RevokeLeases: { readonly type: 'revoked'; readonly leases: readonly number[] };
  RevokeWithdrawn: Done;
  Due: Done;
}
export type LeaseAnswer = LeaseAnswers[keyof LeaseAnswers];

/** To the session that holds the lease. */
export type LeaseNotice =
  | { readonly type: 'LeaseExpiring'; readonly session: string; readonly lease: number; readonly remainingMs: number }
  | { readonly type: 'LeaseExpired'; readonly session: string; readonly lease: number }
  | {
      readonly type: 'LeaseRevoked';
      readonly session: string;
      readonly lease: number;
      readonly reason: RevokeReason;
    };
