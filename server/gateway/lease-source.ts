/** What the forward proxy leases addresses through. */
import type { Outcome, RevokeReason, Strategy } from '../../protocol/codes.ts';
import type { AddressRecord } from '../../protocol/frames.ts';
import type { Where } from '../../protocol/where.ts';
import type { Refused, Rejected } from '../lease/commands.ts';
import type { Owner } from '../lease/holder.ts';

export interface LeaseAsk {
  /** Whom it is for: counts in `max_leases_per_client`. */
  readonly owner: Owner;
  readonly resource: number;
  readonly where?: Where | undefined;
  readonly strategy?: Strategy | undefined;
  readonly sticky?: string | undefined;
}

export type LeaseAsked = { readonly type: 'granted'; readonly lease: ProcessLease } | Refused | Rejected;

/**
 * A lease that this process holds for a client: exclusive like any, and gone with the process. It is renewed as long as
 * it is held.
 */
export interface ProcessLease {
  readonly token: number;
  readonly resource: number;
  readonly addressId: number;
  /** The whole record, credentials and all. */
  readonly address: AddressRecord;
  /** Aborted where somebody else ended it, with the word for why as its reason: whatever uses it is to be cut at once. */
  readonly ended: AbortSignal;
  /** It has been announced that it ends: nothing new is to go by it. */
  isRevoking(): boolean;
  /** Of what goes on: `requests` is the total so far. A ban is in force from here on. */
  report(report: { readonly outcome?: Outcome; readonly requests: number }): void;
  /** Hands it back; what comes after the first time, or after its end, is passed over. `requests`: all that it was used for. */
  release(report?: { readonly outcome?: Outcome; readonly requests?: number }): void;
}

/** Why `ProcessLease.ended` was aborted. */
export type LeaseEndReason = RevokeReason | 'expired';

export interface LeaseSource {
  /** Resolves when the grant may leave the process: whatever it rests on is on disk. */
  acquire(ask: LeaseAsk): Promise<LeaseAsked>;
}
