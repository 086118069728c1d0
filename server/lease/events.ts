/**
 * What has happened to leases, sessions and the pool; all that the journal holds of them.
 *
 * On disk an event is `['lease', name, version, …fields]` with the fields in the order of FIELDS, absent ones as nil at
 * their place, trailing ones left out. Meaning and order of a version never change; what must change gets a new one.
 */
import type { LeaseEnd, Outcome } from '../../protocol/codes.ts';
import { type EventRecord, NewerDataError } from '../coordinator/domain.ts';
import { decodeHolder, encodeHolder, type Holder, type HolderRecord } from './holder.ts';
import type { PoolChange, ResourcePolicy, SessionEnd } from './state.ts';

export type LeaseEvent =
  /** A run began: sessions that were open are suspended until `suspendMs` (or their window) after `atMs`. */
  | { type: 'EpochStarted'; epoch: number; atMs: number; tokenFloor: number; suspendMs: number }
  | { type: 'DayTurned'; day: number }
  /** Tokens up to `until` may be given out from here on. */
  | { type: 'TokensReserved'; until: number }
  | { type: 'Configured'; defaultPolicy: ResourcePolicy; policies: readonly (readonly [number, ResourcePolicy])[] }
  | { type: 'PoolStaged'; stage: number; changes: readonly PoolChange[] }
  | { type: 'PoolCommitted'; stage: number }
  | {
      type: 'SessionOpened';
      session: string;
      secretHash: string;
      client: string | undefined;
      resumeWindowMs: number;
      noticeMs: number | undefined;
    }
  /** Unless it is resumed by then, it ends, and its leases as `end` says. */
  | { type: 'SessionSuspended'; session: string; untilMs: number; end: SessionEnd }
  | { type: 'SessionResumed'; session: string; resumeWindowMs: number; noticeMs: number | undefined }
  | { type: 'SessionEnded'; session: string }
  | {
      type: 'LeaseGranted';
      lease: number;
      resource: number;
      addressId: number;
      holder: Holder;
      request: number;
      ttlMs: number;
      clamped: boolean;
      deadlineMs: number;
    }
  | { type: 'LeaseRenewed'; lease: number; ttlMs: number; clamped: boolean; deadlineMs: number }
  /** `requests` is the lease's total so far. */
  | { type: 'LeaseReported'; lease: number; outcome: Outcome | undefined; requests: number | undefined }
  | { type: 'LeaseEnded'; lease: number; end: LeaseEnd; reason: string | undefined; atMs: number }
  /** The session has been told that the lease runs out. Not written: a coordinator that restarts tells it again. */
  | { type: 'ExpiryNoticed'; lease: number };

const FIELDS = {
  EpochStarted: ['epoch', 'atMs', 'tokenFloor', 'suspendMs'],
  DayTurned: ['day'],
  TokensReserved: ['until'],
  Configured: ['defaultPolicy', 'policies'],
  PoolStaged: ['stage', 'changes'],
  PoolCommitted: ['stage'],
  SessionOpened: ['session', 'secretHash', 'client', 'resumeWindowMs', 'noticeMs'],
  SessionSuspended: ['session', 'untilMs', 'end'],
  SessionResumed: ['session', 'resumeWindowMs', 'noticeMs'],
  SessionEnded: ['session'],
  LeaseGranted: ['lease', 'resource', 'addressId', 'holder', 'request', 'ttlMs', 'clamped', 'deadlineMs'],
  LeaseRenewed: ['lease', 'ttlMs', 'clamped', 'deadlineMs'],
  LeaseReported: ['lease', 'outcome', 'requests'],
  LeaseEnded: ['lease', 'end', 'atMs', 'reason'],
  ExpiryNoticed: ['lease'],
} as const satisfies { [Type in LeaseEvent['type']]: readonly (keyof Extract<LeaseEvent, { type: Type }>)[] };

export const LEASE_DOMAIN = 'lease';

/** The version that is written of each event, and the only one that this build reads. */
const VERSIONS: Readonly<Record<LeaseEvent['type'], number>> = {
  EpochStarted: 1,
  DayTurned: 1,
  TokensReserved: 1,
  Configured: 1,
  PoolStaged: 1,
  PoolCommitted: 1,
  SessionOpened: 1,
  SessionSuspended: 1,
  SessionResumed: 1,
  SessionEnded: 1,
  LeaseGranted: 1,
  LeaseRenewed: 1,
  LeaseReported: 1,
  LeaseEnded: 1,
  ExpiryNoticed: 1,
};

export function encodeEvent(event: LeaseEvent): EventRecord {
  const record: [string, string, number, ...unknown[]] = [LEASE_DOMAIN, event.type, VERSIONS[event.type]];
  const values = event as unknown as Readonly<Record<string, unknown>>;
  for (const field of FIELDS[event.type]) {
    record.push(field === 'holder' ? encodeHolder(values[field] as Holder) : (values[field] ?? null));
  }
  while (record.length > 3 && record.at(-1) === null) record.pop();
  return record;
}

/** Throws on what this build doesn't know. */
export function decodeEvent([domain, type, version, ...values]: EventRecord): LeaseEvent {
  const fields = Object.hasOwn(FIELDS, type) ? FIELDS[type as LeaseEvent['type']] : undefined;
  const isKnown = domain === LEASE_DOMAIN && fields && version === VERSIONS[type as LeaseEvent['type']];
  if (!isKnown || values.length > fields.length) {
    throw new NewerDataError(`event ${domain}/${type} version ${version}`);
  }
  const event: Record<string, unknown> = { type };
  for (const [index, field] of fields.entries()) {
    const value = values[index] ?? undefined;
    event[field] = field === 'holder' ? decodeHolder(value as HolderRecord) : value;
  }
  return event as unknown as LeaseEvent;
}
