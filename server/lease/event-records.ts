/**
 * Events as the journal has them: `['lease', name, version, …fields]` with the fields in the order of FIELDS, absent ones as
 * nil at their place, trailing ones left out. Meaning and order of a version never change; what must change gets a new one.
 */
import { type EventRecord, NewerDataError } from '../coordinator/domain.ts';
import type { LeaseEvent } from './events.ts';
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

type GrantEvent = Extract<LeaseEvent, { type: 'LeaseGranted' }>;
type RenewalEvent = Extract<LeaseEvent, { type: 'LeaseRenewed' }>;
type ReportEvent = Extract<LeaseEvent, { type: 'LeaseReported' }>;
type EndEvent = Extract<LeaseEvent, { type: 'LeaseEnded' }>;
/** All fields that are written, of whatever was read. */
type Decoded<Event extends LeaseEvent> = { [Field in Exclude<keyof Event, 'isEphemeral'>]: unknown };

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
  readonly type: string;
  readonly fields: readonly string[];
  /** By version, from 1 on: how many of the fields it has. */
  readonly fieldCounts: readonly number[];
  /** What comes of the fields, where that has a function of its own. */
  readonly decode: ((record: EventRecord) => LeaseEvent) | undefined;
}

const DECODERS: ReadonlyMap<string, Format['decode']> = new Map<LeaseEvent['type'], Format['decode']>([
  ['LeaseGranted', decodeGrant],
  ['LeaseRenewed', decodeRenewal],
  ['LeaseReported', decodeReport],
  ['LeaseEnded', decodeEnd],
]);

const FORMATS: ReadonlyMap<string, Format> = new Map(
  Object.entries(FIELDS).map(([type, fields]) => {
    const earlier = EARLIER_FIELDS[type as LeaseEvent['type']] ?? [];
    return [type, { type, fields, fieldCounts: [...earlier, fields.length], decode: DECODERS.get(type) }];
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

function encodeEnd({ lease, end, atMs, reason, coolingUntilMs }: EndEvent): EventRecord {
  if (coolingUntilMs !== undefined)
    return [LEASE_DOMAIN, 'LeaseEnded', 2, lease, end, atMs, reason ?? null, coolingUntilMs];
  if (reason !== undefined) return [LEASE_DOMAIN, 'LeaseEnded', 2, lease, end, atMs, reason];
  return [LEASE_DOMAIN, 'LeaseEnded', 2, lease, end, atMs];
}

/** Throws on what this build doesn't know. */
export function decodeEvent(record: EventRecord): LeaseEvent {
  const [domain, type, version] = record;
  const format = domain === LEASE_DOMAIN ? FORMATS.get(type) : undefined;
  const fieldCount = format?.fieldCounts[version - 1];
  if (!format || fieldCount === undefined || record.length - EVENT_HEAD > fieldCount) {
    throw new NewerDataError(`event ${domain}/${type} version ${version}`);
  }
  if (format.decode) return format.decode(record);
  // Not the record's own string: against that of the program each look is a comparison of letters.
  const event: Record<string, unknown> = { type: format.type };
  for (let index = 0; index < format.fields.length; index += 1) {
    const field = format.fields[index]!;
    event[field] = decodeField(field, record[EVENT_HEAD + index] ?? undefined);
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

/** As the table says, `record[EVENT_HEAD]` being the first field: nearly all events are of these four types. */
function decodeGrant(record: EventRecord): GrantEvent {
  const grant = {
    type: 'LeaseGranted',
    lease: record[3],
    resource: record[4],
    addressId: record[5],
    holder: decodeHolder(record[6] as HolderRecord),
    request: record[7],
    ttlMs: record[8],
    clamped: record[9],
    deadlineMs: record[10],
    waiter: record[11] ?? undefined,
    where: record[12] ?? undefined,
    strategy: record[13] ?? undefined,
    sticky: record[14] ?? undefined,
    key: record[15] ?? undefined,
    body: record[16] ?? undefined,
    substituteFor: record[17] ?? undefined,
    otherRequests: record[18] ?? undefined,
    isMany: record[19] ?? undefined,
  } satisfies Decoded<GrantEvent>;
  return grant as GrantEvent;
}

function decodeRenewal(record: EventRecord): RenewalEvent {
  const [, , , lease, ttlMs, clamped, deadlineMs] = record;
  return { type: 'LeaseRenewed', lease, ttlMs, clamped, deadlineMs } satisfies Decoded<RenewalEvent> as RenewalEvent;
}

function decodeReport(record: EventRecord): ReportEvent {
  const [, , , lease, outcome, requests] = record;
  const report = { type: 'LeaseReported', lease, outcome: outcome ?? undefined, requests: requests ?? undefined };
  return report satisfies Decoded<ReportEvent> as ReportEvent;
}

function decodeEnd(record: EventRecord): EndEvent {
  const end = {
    type: 'LeaseEnded',
    lease: record[3],
    end: record[4],
    atMs: record[5],
    reason: record[6] ?? undefined,
    coolingUntilMs: record[7] ?? undefined,
  } satisfies Decoded<EndEvent>;
  return end as EndEvent;
}
