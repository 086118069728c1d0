/** What has happened to leases, sessions and the pool; all that the journal holds of them, as event-records.ts has it. */
import type { LeaseEnd, Outcome, RevokeReason, Strategy } from '../../protocol/codes.ts';
import type { Where } from '../../protocol/where.ts';
import type { StorageLevel } from '../coordinator/domain.ts';
import type { Holder, Owner } from './holder.ts';
import type { QuarantineReason } from './pair.ts';
import type { ResourcePolicy } from './policy.ts';
import type { PoolChange, PoolSource, SessionEnd } from './state.ts';

/** Of a lease that this process holds: applied, and not written, since it dies with the process. */
interface OfLease {
  isEphemeral?: true | undefined;
}

export type LeaseEvent =
  /** A run began: sessions that were open are suspended until `suspendMs` (or their window) after `atMs`. */
  | { type: 'EpochStarted'; epoch: number; atMs: number; tokenFloor: number; suspendMs: number }
  | { type: 'DayTurned'; day: number }
  /** Tokens up to `until` may be given out from here on. */
  | { type: 'TokensReserved'; until: number }
  | { type: 'Configured'; defaultPolicy: ResourcePolicy; policies: readonly (readonly [number, ResourcePolicy])[] }
  /** By API: takes the place of the one that the resource had by API. */
  | { type: 'PolicySet'; resource: number; policy: Partial<ResourcePolicy>; version: number }
  | { type: 'PolicyDeleted'; resource: number }
  | { type: 'PoolStaged'; stage: number; changes: readonly PoolChange[] }
  /** `source` absent in version 1, which said by RecordOverruled what people had changed. */
  | { type: 'PoolCommitted'; stage: number; source: PoolSource | undefined }
  /** Nothing comes of it. */
  | { type: 'PoolDropped'; stage: number }
  /** Only read: behind a PoolCommitted of version 1, the mark of an address that a person has removed or changed. */
  | { type: 'RecordOverruled'; address: string; digest: string }
  | {
      type: 'SessionOpened';
      session: string;
      secretHash: string;
      client: string | undefined;
      resumeWindowMs: number;
      noticeMs: number | undefined;
      owner: Owner | undefined;
    }
  /** Unless it is resumed by then, it ends, and its leases as `end` says. */
  | { type: 'SessionSuspended'; session: string; untilMs: number; end: SessionEnd }
  | { type: 'SessionResumed'; session: string; resumeWindowMs: number; noticeMs: number | undefined }
  | { type: 'SessionEnded'; session: string }
  | ({
      type: 'LeaseGranted';
      lease: number;
      resource: number;
      addressId: number;
      holder: Holder;
      request: number;
      ttlMs: number;
      clamped: boolean;
      deadlineMs: number;
      /** The waiter that it answers. */
      waiter?: number | undefined;
      where?: Where | undefined;
      /** As it was chosen by; absent: round_robin. */
      strategy?: Strategy | undefined;
      sticky?: string | undefined;
      key?: string | undefined;
      /** Digest of the request that came with the key. */
      body?: string | undefined;
      /** The lease in whose place it comes. */
      substituteFor?: number | undefined;
      /** Further ids under which the same request was sent. */
      otherRequests?: readonly number[] | undefined;
      /** The request named a count, if only of one; absent: it didn't. */
      isMany?: boolean | undefined;
    } & OfLease)
  | ({ type: 'LeaseRenewed'; lease: number; ttlMs: number; clamped: boolean; deadlineMs: number } & OfLease)
  /** `requests` is the lease's total so far. */
  | ({ type: 'LeaseReported'; lease: number; outcome: Outcome | undefined; requests: number | undefined } & OfLease)
  | ({
      type: 'LeaseEnded';
      lease: number;
      end: LeaseEnd;
      reason: string | undefined;
      atMs: number;
      /** The pair rests until then. */
      coolingUntilMs?: number | undefined;
    } & OfLease)
  /** It comes into force at `atMs`. */
  | ({ type: 'RevocationAnnounced'; lease: number; reason: RevokeReason; atMs: number } & OfLease)
  /** The pair of a lease of this process rests: nothing else of that lease is written. */
  | { type: 'CooldownBegan'; resource: number; addressId: number; untilMs: number }
  /** A lease of this process, granted on probation, has gone well. Of the pair; of the whole address where there is no resource. */
  | { type: 'ProbationEnded'; addressId: number; resource?: number | undefined }
  /** What leases of this process came to on `day`: the last tokens, and how many grants there were in all. */
  | {
      type: 'UsageWritten';
      day: number;
      lastToken: number;
      resources: readonly (readonly [resource: number, grants: number, lastGrantMs: number])[];
      addresses: readonly (readonly [addressId: number, requests: number, lastToken: number])[];
    }
  /** Whoever holds them has been told that they ended, each with its address or its pair. Not written. */
  | { type: 'CutsNoticed'; count: number }
  | {
      type: 'AcquireQueued';
      waiter: number;
      session: string;
      resource: number;
      request: number;
      ttlMs: number;
      atMs: number;
      untilMs: number;
      where?: Where | undefined;
      strategy?: Strategy | undefined;
      sticky?: string | undefined;
      count?: number | undefined;
      key?: string | undefined;
      body?: string | undefined;
    }
  /** The same acquire once more, by its key: to be answered under this id too. */
  | { type: 'WaitRepeated'; waiter: number; request: number; atMs: number }
  /** The same, of one that was granted already. */
  | { type: 'GrantRepeated'; leases: readonly number[]; request: number }
  /** Without a grant. */
  | { type: 'WaitEnded'; waiter: number; end: 'timeout' | 'cancelled' }
  | { type: 'CooldownEnded'; resource: number; addressId: number }
  /** `level` counts the bans behind it; `untilMs` absent: until it is lifted. */
  | {
      type: 'PairQuarantined';
      resource: number;
      addressId: number;
      reason: QuarantineReason;
      level: number;
      atMs: number;
      untilMs?: number | undefined;
    }
  | {
      type: 'AddressQuarantined';
      addressId: number;
      reason: QuarantineReason;
      level: number;
      atMs: number;
      untilMs?: number | undefined;
    }
  /** By time: back on probation where it was for bans. Lifted: back at once, its bans forgotten. */
  | { type: 'PairQuarantineEnded'; resource: number; addressId: number; isLifted: boolean }
  | { type: 'AddressQuarantineEnded'; addressId: number; isLifted: boolean }
  | { type: 'AddressHealthChanged'; addressId: number; isHealthy: boolean }
  | { type: 'AddressDrainChanged'; addressId: number; isDraining: boolean }
  /** Suspended sessions may be resumed so much longer. */
  | { type: 'SuspensionsExtended'; byMs: number }
  /** The session has been told that the lease runs out. Not written: a coordinator that restarts tells it again. */
  | { type: 'ExpiryNoticed'; lease: number }
  /** Nobody who waits can be given anything before `nextMs`, or before something changes. Not written. */
  | { type: 'WaitersMatched'; resource: number; nextMs: number | undefined }
  /** Kept for a count that is not complete yet. Not written: after a restart it is collected again. */
  | { type: 'PairReserved'; waiter: number; addressId: number }
  | { type: 'ReservationsDropped'; waiter: number; addressIds: readonly number[] }
  /** Not written: there might be no room for it. */
  | { type: 'StorageChanged'; level: StorageLevel }
  /** Waiters have been told their places. Not written. */
  | {
      type: 'QueueNoticed';
      resource: number;
      atMs: number;
      places: readonly (readonly [waiter: number, position: number])[];
    };

/** False for what is applied, not written, and made anew by whoever restarts. */
export function isDurable(event: LeaseEvent): boolean {
  switch (event.type) {
    case 'ExpiryNoticed':
    case 'WaitersMatched':
    case 'PairReserved':
    case 'ReservationsDropped':
    case 'QueueNoticed':
    case 'StorageChanged':
    case 'CutsNoticed':
      return false;
    default:
      return (event as OfLease).isEphemeral !== true;
  }
}
