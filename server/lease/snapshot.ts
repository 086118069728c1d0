/**
 * The durable state as a stream of small values, and back. Order: `meta`, `resource`, `policy`, `address`, `session`,
 * `lease`, `ended`, `stage`; each value begins with its kind and the version of its fields. Resources come before what names them, so that a restored
 * state has them in the order of the one that was written.
 */
import type { LeaseEnd } from '../../protocol/codes.ts';
import type { AddressRecord, Ended } from '../../protocol/frames.ts';
import { NewerDataError } from '../coordinator/domain.ts';
import { indexLease } from './apply.ts';
import { decodeHolder, encodeHolder, type HolderRecord } from './holder.ts';
import { NOT_IN_HEAP } from './indexed-heap.ts';
import { addAddress } from './pool-changes.ts';
import { RollingRequests } from './rolling-requests.ts';
import {
  Address,
  ensureResource,
  type Lease,
  type LeaseState,
  type PoolChange,
  type ResourcePolicy,
  type SessionEnd,
} from './state.ts';

type LeaseRecord = readonly [
  token: number,
  resource: number,
  addressId: number,
  holder: HolderRecord,
  request: number,
  ttlMs: number,
  clamped: boolean,
  deadlineMs: number,
  grantedDay: number,
  requests: number,
  settled: boolean,
];

type StateRecord =
  | readonly [
      kind: 'meta',
      version: 1,
      epoch: number,
      day: number,
      lastToken: number,
      reservedToken: number,
      lastAddressId: number,
      lastStage: number,
      defaultPolicy: ResourcePolicy,
    ]
  | readonly [kind: 'resource', version: 1, id: number, grants: number]
  | readonly [kind: 'policy', version: 1, resource: number, policy: ResourcePolicy]
  | readonly [
      kind: 'address',
      version: 1,
      id: number,
      record: AddressRecord,
      requests: readonly number[],
      removed: boolean,
    ]
  | readonly [
      kind: 'session',
      version: 1,
      id: string,
      secretHash: string,
      client: string | null,
      resumeWindowMs: number,
      noticeMs: number | null,
      suspendedUntilMs: number | null,
      end: SessionEnd,
      unaskedEnds: readonly Ended[],
    ]
  | readonly [kind: 'lease', version: 1, lease: LeaseRecord]
  | readonly [kind: 'ended', version: 1, lease: LeaseRecord, end: LeaseEnd, endedAtMs: number]
  | readonly [kind: 'stage', version: 1, stage: number, changes: readonly PoolChange[]];

/** Of every kind so far. */
const VERSION = 1;

/** Changes of a stage in one record. */
const STAGE_CHANGES = 100;

export function* encodeState(state: LeaseState): Generator<StateRecord> {
  const { epoch, today, lastToken, reservedToken, lastAddressId, lastStage, defaultPolicy } = state;
  yield ['meta', VERSION, epoch, today.day, lastToken, reservedToken, lastAddressId, lastStage, defaultPolicy];
  for (const resource of state.resources.values()) yield ['resource', VERSION, resource.id, resource.grants];
  for (const [resource, policy] of state.policies) yield ['policy', VERSION, resource, policy];
  for (const address of state.addresses.values()) {
    yield ['address', VERSION, address.id, address.record, address.requests.encode(), address.removed];
  }
  for (const session of state.sessions.values()) {
    yield [
      'session',
      VERSION,
      session.id,
      session.secretHash,
      session.client ?? null,
      session.resumeWindowMs,
      session.noticeMs ?? null,
      session.suspendedUntilMs ?? null,
      session.end,
      session.unaskedEnds,
    ];
  }
  for (const lease of state.leases.values()) yield ['lease', VERSION, encodeLease(lease)];
  for (const lease of state.ended) yield ['ended', VERSION, encodeLease(lease), lease.end!, lease.endedAtMs];
  for (const [stage, changes] of state.stages) {
    for (let index = 0; index < changes.length; index += STAGE_CHANGES) {
      yield ['stage', VERSION, stage, changes.slice(index, index + STAGE_CHANGES)];
    }
  }
}

export function restoreState(state: LeaseState, value: unknown): void {
  const record = value as StateRecord;
  if (record[1] !== VERSION) throw unknownRecord(record);
  switch (record[0]) {
    case 'meta': {
      const [, , epoch, day, lastToken, reservedToken, lastAddressId, lastStage, defaultPolicy] = record;
      Object.assign(state, { epoch, lastToken, reservedToken, lastAddressId, lastStage, defaultPolicy });
      state.today.day = day;
      return;
    }
    case 'policy':
      state.policies.set(record[2], record[3]);
      return;
    case 'address': {
      const [, , id, pool, requests, removed] = record;
      const address = new Address(id, pool, state.today);
      address.requests = RollingRequests.decode(requests);
      address.removed = removed;
      addAddress(state, address);
      return;
    }
    case 'session': {
      const [, , id, secretHash, client, resumeWindowMs, noticeMs, suspendedUntilMs, end, unaskedEnds] = record;
      const session = {
        id,
        secretHash,
        client: client ?? undefined,
        resumeWindowMs,
        noticeMs: noticeMs ?? undefined,
        suspendedUntilMs: suspendedUntilMs ?? undefined,
        end,
        leases: new Set<Lease>(),
        unaskedEnds: [...unaskedEnds],
        suspendedPlace: NOT_IN_HEAP,
      };
      state.sessions.set(id, session);
      if (suspendedUntilMs !== null) state.suspended.set(session, suspendedUntilMs);
      return;
    }
    case 'resource':
      ensureResource(state, record[2]).grants = record[3];
      return;
    case 'lease':
      return indexLease(state, decodeLease(record[2]));
    case 'ended': {
      const lease = decodeLease(record[2]);
      lease.end = record[3];
      lease.endedAtMs = record[4];
      state.ended.add(lease);
      return;
    }
    case 'stage': {
      const [, , stage, changes] = record;
      const staged = state.stages.get(stage);
      if (staged) staged.push(...changes);
      else state.stages.set(stage, [...changes]);
      return;
    }
    default:
      throw unknownRecord(record);
  }
}

function unknownRecord([kind, version]: readonly unknown[]): Error {
  return new NewerDataError(`record ${String(kind)} version ${String(version)} in a snapshot`);
}

function encodeLease(lease: Lease): LeaseRecord {
  return [
    lease.token,
    lease.resource,
    lease.addressId,
    encodeHolder(lease.holder),
    lease.request,
    lease.ttlMs,
    lease.clamped,
    lease.deadlineMs,
    lease.grantedDay,
    lease.requests,
    lease.settled,
  ];
}

function decodeLease(record: LeaseRecord): Lease {
  const [token, resource, addressId, holder, request, ttlMs, clamped, deadlineMs, grantedDay, requests, settled] =
    record;
  return {
    token,
    resource,
    addressId,
    holder: decodeHolder(holder),
    request,
    ttlMs,
    clamped,
    deadlineMs,
    grantedDay,
    requests,
    settled,
    end: undefined,
    endedAtMs: 0,
    expiryPlace: NOT_IN_HEAP,
    noticePlace: NOT_IN_HEAP,
  };
}
