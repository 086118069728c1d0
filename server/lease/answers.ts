/** What the commands of the lease domain are answered, and what it tells sessions unasked. */
import type { ErrorCode, RefusedReason, RevokeReason } from '../../protocol/codes.ts';
import type { Ended, Grant, Held, Waiting, Why } from '../../protocol/frames.ts';
import type { ImportCounts } from './commands.ts';

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
/** Somebody else was faster: the policy has this version now. */
export type Stale = { readonly type: 'stale'; readonly version: number };
export type Done = { readonly type: 'done' };

/** What each command is answered. */
export interface LeaseAnswers {
  StartEpoch: Done;
  Configure: Done;
  /** Faults of the whole policy that would come of it are rejected with the path `policy`. */
  SetPolicy: { readonly type: 'policy_set'; readonly version: number } | Stale | Rejected;
  /** `no_policy`: there was none by API. */
  DeletePolicy: { readonly type: 'policy_deleted' } | { readonly type: 'no_policy' } | Stale;
  ImportPool: { readonly type: 'imported'; readonly counts: ImportCounts } | Rejected;
  AddAddress:
    | { readonly type: 'added'; readonly addressId: number }
    /** There is one of that name already. */
    | { readonly type: 'duplicate'; readonly addressId: number }
    | Rejected;
  /** An unknown address is rejected with the path `address_id`. */
  UpdateAddress: { readonly type: 'updated'; readonly addressId: number } | Rejected;
  RemoveAddress: { readonly type: 'removed'; readonly addressId: number } | Rejected;
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
  RevokeSession: { readonly type: 'session_revoked'; readonly leases: number } | { readonly type: 'unknown_session' };
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

export type LeaseNotice = SessionNotice | ProcessNotice;

/** To whatever of this process holds the lease. */
export type ProcessNotice = { readonly session?: never; readonly lease: number } & (
  | { readonly type: 'ProcessLeaseRevoking'; readonly reason: RevokeReason }
  /** It was not handed back. */
  | { readonly type: 'ProcessLeaseEnded'; readonly reason: RevokeReason | 'expired' }
);

/** To a session: about a lease that it holds, or a request of its that waits. */
export type SessionNotice =
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
