/** Events and snapshot records of leases as people read them: fields by name, in snake_case, without secrets. */
import type { EventRecord } from '../coordinator/domain.ts';
import { decodeEvent } from './events.ts';
import { decodeHolder, type Holder, type HolderRecord } from './holder.ts';
import { leaseRecordsOf } from './lease-columns.ts';
import { MASKED, maskValue } from './masking.ts';
import { maskAddress } from './pool-file.ts';
import { type LeaseRecord, type StateRecord, VERSIONS } from './snapshot-format.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** Throws on what this build doesn't know. */
export function describeEvent(record: EventRecord): Fields {
  const { type: _type, ...fields } = decodeEvent(record) as { type: string } & Record<string, unknown>;
  const named = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(named.map(([name, value]) => [inSnakeCase(name), describeField(name, value)]));
}

function describeField(name: string, value: unknown): unknown {
  switch (name) {
    case 'secretHash':
      return MASKED;
    case 'holder':
      return describeHolder(value as Holder);
    case 'changes':
      return (value as unknown[][]).map(describeChange);
    case 'defaultPolicy':
      return describePolicy(value);
    case 'policies':
      return (value as [number, unknown][]).map(([resource, policy]) => ({ resource, policy: describePolicy(policy) }));
    case 'places':
      return (value as [number, number][]).map(([waiter, position]) => ({ waiter, position }));
    default:
      return maskValue(value);
  }
}

export function describeHolder(holder: Holder): Fields {
  return holder.kind === 'secret' ? { kind: holder.kind } : { ...holder };
}

function describeChange([change, addressId, record, takesRpw]: readonly unknown[]): Fields {
  return {
    change,
    address_id: addressId,
    ...(record === undefined ? {} : { record: describePoolRecord(record as Fields) }),
    ...(takesRpw === undefined ? {} : { takes_rpw: takesRpw }),
  };
}

/** `address` by its own rule; the rest may be anything that a pool file carried. */
function describePoolRecord({ address, ...rest }: Fields): Fields {
  return { address: maskAddress(String(address)), ...(maskValue(rest) as Fields) };
}

/** The policy's own fields have names of ours; what stands in its condition has the wire's. */
function describePolicy(policy: unknown): Fields {
  const entries = Object.entries(policy as Fields).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(entries.map(([name, value]) => [inSnakeCase(name), maskValue(value)]));
}

function inSnakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

const LEASE_FIELDS = [
  'lease',
  'resource',
  'address_id',
  'holder',
  'request',
  'ttl_ms',
  'clamped',
  'deadline_ms',
  'granted_day',
  'requests',
  'settled',
  'is_banned',
  'terms',
  'revoking',
  'other_requests',
] as const;

/** Behind kind and version, as snapshot-format.ts names them. */
const RECORD_FIELDS: Readonly<Record<StateRecord[0], readonly string[]>> = {
  meta: [
    'epoch',
    'day',
    'last_token',
    'reserved_token',
    'last_address_id',
    'last_stage',
    'default_policy',
    'last_waiter',
    'turns',
  ],
  resource: ['resource', 'grants', 'last_grant_ms'],
  policy: ['resource', 'policy'],
  address: [
    'address_id',
    'record',
    'requests',
    'removed',
    'last_token',
    'is_unhealthy',
    'is_draining',
    'quarantine',
    'bans',
    'probation_after',
  ],
  pair: ['address_id', 'resource', 'cooling_until_ms', 'quarantine', 'bans', 'probation_after'],
  session: [
    'session',
    'secret_hash',
    'client',
    'resume_window_ms',
    'notice_ms',
    'suspended_until_ms',
    'end',
    'unasked_ends',
    'served',
  ],
  lease: ['lease'],
  leases: [],
  ended: ['lease', 'end', 'ended_at_ms'],
  waiter: [
    'waiter',
    'session',
    'resource',
    'requests',
    'are_requests_stale',
    'ttl_ms',
    'until_ms',
    'where',
    'strategy',
    'sticky',
    'count',
    'key',
    'body',
    'line_key',
    'parked_at_grants',
  ],
  key: ['holder', 'key', 'body', 'waiter', 'leases', 'live_count', 'ended_at_ms'],
  stage: ['stage', 'changes'],
};

export interface DescribedRecord {
  readonly kind: string;
  readonly version: number;
  readonly fields: Fields;
}

/** A record of `encodeState`; leases that stand in one record one by one. */
export function describeRecord(value: unknown): DescribedRecord[] {
  const record = value as StateRecord;
  if (record[0] !== 'leases') return [describeOne(record)];
  return leaseRecordsOf(record).map((lease) => describeOne(['lease', VERSIONS.lease, lease]));
}

function describeOne([kind, version, ...values]: StateRecord): DescribedRecord {
  const fields: Record<string, unknown> = {};
  for (const [index, name] of RECORD_FIELDS[kind].entries()) {
    const field = values[index];
    if (field !== undefined && field !== null) Object.assign(fields, describeRecordField(kind, name, field));
  }
  return { kind, version, fields };
}

function describeRecordField(kind: StateRecord[0], name: string, value: unknown): Fields {
  if (name === 'lease') return describeLease(value as LeaseRecord);
  if (name === 'record') return { record: describePoolRecord(value as Fields) };
  if (name === 'changes') return { changes: (value as unknown[][]).map(describeChange) };
  if (name === 'secret_hash') return { secret_hash: MASKED };
  if (name === 'policy' || name === 'default_policy') return { [name]: describePolicy(value) };
  if (name === 'quarantine') return { quarantine: named(['reason', 'until_ms'], value) };
  if (name === 'bans') return { bans: named(['level', 'at_ms'], value) };
  if (name === 'served') return { served: (value as unknown[]).map((it) => named(['resource', 'turn'], it)) };
  if (name === 'requests' && kind === 'waiter') {
    return { requests: (value as unknown[]).map((it) => named(['request', 'at_ms'], it)) };
  }
  // By its name, in which the hash of a secret may stand.
  if (name === 'holder') return { holder: String(value).replace(/^secret .*$/, `secret ${MASKED}`) };
  return { [name]: maskValue(value) };
}

function describeLease(record: LeaseRecord): Fields {
  const { holder, terms, revoking, ...fields } = named(LEASE_FIELDS, record);
  return {
    ...fields,
    holder: describeHolder(decodeHolder(holder as HolderRecord)),
    ...(terms ? { terms: maskValue(named(['where', 'strategy', 'sticky', 'key', 'is_many'], terms)) } : {}),
    ...(revoking ? { revoking: named(['reason', 'at_ms', 'has_substitute'], revoking) } : {}),
  };
}

/** Without what is absent. */
function named(names: readonly string[], values: unknown): Record<string, unknown> {
  const entries = names.map((name, index) => [name, (values as readonly unknown[])[index]] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined && value !== null));
}
