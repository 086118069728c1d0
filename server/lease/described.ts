/** Events and snapshot records of leases as people read them: fields by name, in snake_case, without secrets. */
import type { EventRecord } from '../coordinator/domain.ts';
import { decodeEvent } from './event-records.ts';
import { decodeHolder, decodeOwner, type Holder, type HolderRecord, type OwnerRecord } from './holder.ts';
import { leaseRecordsOf } from './lease-columns.ts';
import { MASKED, maskAddress, maskValue } from './masking.ts';
import { type LeaseRecord, type StateRecord, VERSIONS } from './snapshot-format.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** Throws on what this build doesn't know. */
export function describeEvent(record: EventRecord): Fields {
  const event = decodeEvent(record) as { type: string } & Record<string, unknown>;
  // By hand: whoever listens to what happens has every event described.
  const fields: Record<string, unknown> = {};
  for (const name of Object.keys(event)) {
    const value = event[name];
    if (name !== 'type' && value !== undefined) fields[inSnakeCase(name)] = describeField(name, value);
  }
  return fields;
}

function describeField(name: string, value: unknown): unknown {
  switch (name) {
    case 'secretHash':
    // Whoever knows the rest of a record could try credentials by it.
    case 'digest':
      return MASKED;
    case 'address':
      return maskAddress(value as string);
    case 'holder':
      return describeHolder(value as Holder);
    case 'changes':
      return (value as unknown[][]).map(describeChange);
    case 'policy':
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
  if (holder.kind !== 'secret') return { ...holder };
  return holder.owner ? { kind: holder.kind, owner: holder.owner } : { kind: holder.kind };
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
export function describePolicy(policy: unknown): Fields {
  const entries = Object.entries(policy as Fields).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(entries.map(([name, value]) => [inSnakeCase(name), maskValue(value)]));
}

/** Names of our own: there are only so many. */
const snakeCases = new Map<string, string>();

function inSnakeCase(name: string): string {
  let snake = snakeCases.get(name);
  if (snake === undefined) {
    snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    snakeCases.set(name, snake);
  }
  return snake;
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
    'last_policy_version',
  ],
  resource: ['resource', 'grants', 'last_grant_ms'],
  policy: ['resource', 'policy'],
  own_policy: ['resource', 'policy', 'policy_version'],
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
  collector: ['client', 'served'],
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
    'owner',
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
    'strand_key',
  ],
  key: ['holder', 'key', 'body', 'waiter', 'leases', 'live_count', 'ended_at_ms'],
  overruled: ['address', 'digest'],
  stage: ['stage', 'changes'],
};

export interface DescribedRecord {
  readonly kind: string;
  readonly version: number;
  readonly fields: Fields;
}

/** For the records of one `encodeState`, in their order; leases that stand in one record are described one by one. */
export function recordDescriber(): (value: unknown) => DescribedRecord[] {
  const holders: HolderRecord[] = [];
  return (value) => {
    const record = value as StateRecord;
    if (record[0] !== 'leases') return [describeOne(record)];
    return leaseRecordsOf(record, holders).map((lease) => describeOne(['lease', VERSIONS.lease, lease]));
  };
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
  if (name === 'secret_hash' || name === 'digest') return { [name]: MASKED };
  if (name === 'address') return { address: maskAddress(value as string) };
  if (name === 'policy' || name === 'default_policy') return { [name]: describePolicy(value) };
  if (name === 'quarantine') return { quarantine: named(['reason', 'until_ms'], value) };
  if (name === 'bans') return { bans: named(['level', 'at_ms'], value) };
  if (name === 'owner') return { owner: decodeOwner(value as OwnerRecord) };
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
