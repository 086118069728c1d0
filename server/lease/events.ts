/**
 * What has happened to leases, sessions and the pool; all that the journal holds of them.
 *
 * On disk an event is `['lease', name, version, …fields]` with the fields in the order of FIELDS, absent ones as nil at
 * their place, trailing ones left out. Meaning and order of a version never change; what must change gets a new one.
 */
import type { LeaseEnd, Outcome, RevokeReason, Strategy } from '../../protocol/codes.ts';
import type { Where } from '../../protocol/where.ts';
import { type EventRecord, NewerDataError, type StorageLevel } from '../coordinator/domain.ts';
import {
  decodeHolder,
  decodeOwner,
  encodeHolder,
  encodeOwner,
  type Holder,
  type HolderRecord,
  type Owner,
  type OwnerRecord,
} from './holder.ts';
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

/** Of each event in their order, for its highest version. */
export const FIELDS = {
  EpochStarted: ['epoch', 'atMs', 'tokenFloor', 'suspendMs'],
  DayTurned: ['day'],
  TokensReserved: ['until'],
  Configured: ['defaultPolicy', 'policies'],
  PolicySet: ['resource', 'policy', 'version'],
  PolicyDeleted: ['resource'],
  PoolStaged: ['stage', 'changes'],
  PoolCommitted: ['stage', 'source'],
  PoolDropped: ['stage'],
  RecordOverruled: ['address', 'digest'],
  SessionOpened: ['session', 'secretHash', 'client', 'resumeWindowMs', 'noticeMs', 'owner'],
  SessionSuspended: ['session', 'untilMs', 'end'],
  SessionResumed: ['session', 'resumeWindowMs', 'noticeMs'],
  SessionEnded: ['session'],
  LeaseGranted: [
    'lease',
    'resource',
    'addressId',
    'holder',
    'request',
    'ttlMs',
    'clamped',
    'deadlineMs',
    'waiter',
    'where',
    'strategy',
    'sticky',
    'key',
    'body',
    'substituteFor',
    'otherRequests',
    'isMany',
  ],
  LeaseRenewed: ['lease', 'ttlMs', 'clamped', 'deadlineMs'],
  LeaseReported: ['lease', 'outcome', 'requests'],
  LeaseEnded: ['lease', 'end', 'atMs', 'reason', 'coolingUntilMs'],
  RevocationAnnounced: ['lease', 'reason', 'atMs'],
  CooldownBegan: ['resource', 'addressId', 'untilMs'],
  ProbationEnded: ['addressId', 'resource'],
  UsageWritten: ['day', 'lastToken', 'resources', 'addresses'],
  CutsNoticed: ['count'],
  AcquireQueued: [
    'waiter',
    'session',
    'resource',
    'request',
    'ttlMs',
    'atMs',
    'untilMs',
    'where',
    'strategy',
    'sticky',
    'count',
    'key',
    'body',
  ],
  WaitRepeated: ['waiter', 'request', 'atMs'],
  GrantRepeated: ['leases', 'request'],
  WaitEnded: ['waiter', 'end'],
  CooldownEnded: ['resource', 'addressId'],
  PairQuarantined: ['resource', 'addressId', 'reason', 'level', 'atMs', 'untilMs'],
  AddressQuarantined: ['addressId', 'reason', 'level', 'atMs', 'untilMs'],
  PairQuarantineEnded: ['resource', 'addressId', 'isLifted'],
  AddressQuarantineEnded: ['addressId', 'isLifted'],
  AddressHealthChanged: ['addressId', 'isHealthy'],
  AddressDrainChanged: ['addressId', 'isDraining'],
  SuspensionsExtended: ['byMs'],
  ExpiryNoticed: ['lease'],
  WaitersMatched: ['resource', 'nextMs'],
  PairReserved: ['waiter', 'addressId'],
  ReservationsDropped: ['waiter', 'addressIds'],
  StorageChanged: ['level'],
  QueueNoticed: ['resource', 'atMs', 'places'],
} as const satisfies { [Type in LeaseEvent['type']]: readonly (keyof Extract<LeaseEvent, { type: Type }>)[] };

export const LEASE_DOMAIN = 'lease';
/** What stands before the fields: domain, name and version. */
const EVENT_HEAD = 3;

/** Fields that earlier versions of an event had, where it has had any; what they lack is absent. Others are at version 1. */
const EARLIER_FIELDS: Readonly<Partial<Record<LeaseEvent['type'], readonly number[]>>> = {
  // Version 1 knew a policy of a bound and two TTLs.
  // Version 2 knew no bound of leases per client.
  Configured: [2, 2],
  // Version 1 didn't say who had changed the pool.
  PoolCommitted: [1],
  SessionOpened: [5],
  // Version 1 knew no end by an operator.
  SessionSuspended: [3],
  LeaseGranted: [8],
  LeaseEnded: [4],
};

interface Format {
  readonly fields: readonly string[];
  /** By version, from 1 on: how many of the fields it has. */
  readonly fieldCounts: readonly number[];
}

const FORMATS: ReadonlyMap<string, Format> = new Map(
  Object.entries(FIELDS).map(([type, fields]) => {
    const earlier = EARLIER_FIELDS[type as LeaseEvent['type']] ?? [];
    return [type, { fields, fieldCounts: [...earlier, fields.length] }];
  }),
);

export function encodeEvent(event: LeaseEvent): EventRecord {
  if (event.type === 'LeaseGranted' && isPlainGrant(event)) return encodePlainGrant(event);
  if (event.type === 'LeaseEnded') return encodeEnd(event);
  const { fields, fieldCounts } = FORMATS.get(event.type)!;
  const record: [string, string, number, ...unknown[]] = [LEASE_DOMAIN, event.type, fieldCounts.length];
  const values = event as unknown as Readonly<Record<string, unknown>>;
  for (const field of fields) record.push(encodeField(field, values[field]));
  while (record.length > EVENT_HEAD && record[record.length - 1] === null) record.pop();
  return record;
}

type GrantEvent = Extract<LeaseEvent, { type: 'LeaseGranted' }>;

function isPlainGrant(event: GrantEvent): boolean {
  const { waiter, where, strategy, sticky, key, substituteFor, otherRequests, isMany } = event;
  const isAsked = waiter === undefined && substituteFor === undefined && otherRequests === undefined;
  const isAnyhow = where === undefined && strategy === undefined && sticky === undefined;
  return isAsked && isAnyhow && key === undefined && event.body === undefined && isMany === undefined;
}

/** As the table says; these two are nearly all that is written. */
function encodePlainGrant(event: GrantEvent): EventRecord {
  const { lease, resource, addressId, holder, request, ttlMs, clamped, deadlineMs } = event;
  const by = encodeHolder(holder);
  return [LEASE_DOMAIN, 'LeaseGranted', 2, lease, resource, addressId, by, request, ttlMs, clamped, deadlineMs];
}

function encodeEnd({
  lease,
  end,
  atMs,
  reason,
  coolingUntilMs,
}: Extract<LeaseEvent, { type: 'LeaseEnded' }>): EventRecord {
  if (coolingUntilMs !== undefined)
    return [LEASE_DOMAIN, 'LeaseEnded', 2, lease, end, atMs, reason ?? null, coolingUntilMs];
  if (reason !== undefined) return [LEASE_DOMAIN, 'LeaseEnded', 2, lease, end, atMs, reason];
  return [LEASE_DOMAIN, 'LeaseEnded', 2, lease, end, atMs];
}

/** Throws on what this build doesn't know. */
export function decodeEvent(record: EventRecord): LeaseEvent {
  const [domain, type, version] = record;
  const values = record.slice(EVENT_HEAD);
  const format = domain === LEASE_DOMAIN ? FORMATS.get(type) : undefined;
  const fieldCount = format?.fieldCounts[version - 1];
  if (!format || fieldCount === undefined || values.length > fieldCount) {
    throw new NewerDataError(`event ${domain}/${type} version ${version}`);
  }
  if (type === 'LeaseGranted') return decodeGrant(values);
  const event: Record<string, unknown> = { type };
  for (let index = 0; index < format.fields.length; index += 1) {
    const field = format.fields[index]!;
    event[field] = decodeField(field, values[index] ?? undefined);
  }
  return event as unknown as LeaseEvent;
}

function encodeField(field: string, value: unknown): unknown {
  if (field === 'holder') return encodeHolder(value as Holder);
  return field === 'owner' && value ? encodeOwner(value as Owner) : (value ?? null);
}

function decodeField(field: string, value: unknown): unknown {
  if (field === 'holder') return decodeHolder(value as HolderRecord);
  return field === 'owner' && value ? decodeOwner(value as OwnerRecord) : value;
}

/** As the table says; the event of which there is most, and the one with the most fields. */
function decodeGrant(values: readonly unknown[]): LeaseEvent {
  const grant = {
    type: 'LeaseGranted',
    lease: values[0],
    resource: values[1],
    addressId: values[2],
    holder: decodeHolder(values[3] as HolderRecord),
    request: values[4],
    ttlMs: values[5],
    clamped: values[6],
    deadlineMs: values[7],
    waiter: values[8] ?? undefined,
    where: values[9] ?? undefined,
    strategy: values[10] ?? undefined,
    sticky: values[11] ?? undefined,
    key: values[12] ?? undefined,
    body: values[13] ?? undefined,
    substituteFor: values[14] ?? undefined,
    otherRequests: values[15] ?? undefined,
    isMany: values[16] ?? undefined,
  } satisfies { [Field in Exclude<keyof Extract<LeaseEvent, { type: 'LeaseGranted' }>, 'isEphemeral'>]: unknown };
  return grant as LeaseEvent;
}
