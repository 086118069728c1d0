/**
 * The durable state as a stream of small values, and back. Order: `meta`, `resource`, `policy`, `address`, `session`,
 * `lease`, `ended`, `stage`; each value begins with its kind. Resources come before what names them, so that a restored
 * state has them in the order of the one that was written.
 */
import type { LeaseEnd } from '../../protocol/codes.ts';
import type { AddressRecord, Ended } from '../../protocol/frames.ts';
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
      epoch: number,
      day: number,
      lastToken: number,
      reservedToken: number,
      lastAddressId: number,
      lastStage: number,
      defaultPolicy: ResourcePolicy,
    ]
  | readonly [kind: 'resource', id: number, grants: number]
  | readonly [kind: 'policy', resource: number, policy: ResourcePolicy]
  | readonly [kind: 'address', id: number, record: AddressRecord, requests: readonly number[], removed: boolean]
  | readonly [
      kind: 'session',
      id: string,
      secretHash: string,
      client: string | null,
      resumeWindowMs: number,
      noticeMs: number | null,
      suspendedUntilMs: number | null,
      end: SessionEnd,
      unaskedEnds: readonly Ended[],
    ]
  | readonly [kind: 'lease', lease: LeaseRecord]
  | readonly [kind: 'ended', lease: LeaseRecord, end: LeaseEnd, endedAtMs: number]
  | readonly [kind: 'stage', stage: number, changes: readonly PoolChange[]];

/** Changes of a stage in one record. */
const STAGE_CHANGES = 100;

export function* encodeState(state: LeaseState): Generator<StateRecord> {
  const { epoch, today, lastToken, reservedToken, lastAddressId, lastStage, defaultPolicy } = state;
  yield ['meta', epoch, today.day, lastToken, reservedToken, lastAddressId, lastStage, defaultPolicy];
  for (const resource of state.resources.values()) yield ['resource', resource.id, resource.grants];
  for (const [resource, policy] of state.policies) yield ['policy', resource, policy];
  for (const address of state.addresses.values()) {
    yield ['address', address.id, address.record, address.requests.encode(), address.removed];
  }
  for (const session of state.sessions.values()) {
    yield [
      'session',
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
  for (const lease of state.leases.values()) yield ['lease', encodeLease(lease)];
  for (const lease of state.ended) yield ['ended', encodeLease(lease), lease.end!, lease.endedAtMs];
  for (const [stage, changes] of state.stages) {
    for (let index = 0; index < changes.length; index += STAGE_CHANGES) {
      yield ['stage', stage, changes.slice(index, index + STAGE_CHANGES)];
    }
  }
}

export function restoreState(state: LeaseState, value: unknown): void {
  const record = value as StateRecord;
  switch (record[0]) {
    case 'meta': {
      const [, epoch, day, lastToken, reservedToken, lastAddressId, lastStage, defaultPolicy] = record;
      Object.assign(state, { epoch, lastToken, reservedToken, lastAddressId, lastStage, defaultPolicy });
      state.today.day = day;
      return;
    }
    case 'policy':
      state.policies.set(record[1], record[2]);
      return;
    case 'address': {
      const [, id, pool, requests, removed] = record;
      const address = new Address(id, pool, state.today);
      address.requests = RollingRequests.decode(requests);
      address.removed = removed;
      addAddress(state, address);
      return;
    }
    case 'session': {
      const [, id, secretHash, client, resumeWindowMs, noticeMs, suspendedUntilMs, end, unaskedEnds] = record;
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
      ensureResource(state, record[1]).grants = record[2];
      return;
    case 'lease':
      return indexLease(state, decodeLease(record[1]));
    case 'ended': {
      const lease = decodeLease(record[1]);
      lease.end = record[2];
      lease.endedAtMs = record[3];
      state.ended.add(lease);
      return;
    }
    case 'stage': {
      const [, stage, changes] = record;
      const staged = state.stages.get(stage);
      if (staged) staged.push(...changes);
      else state.stages.set(stage, [...changes]);
      return;
    }
    default:
      throw new Error(`unknown record "${String(record[0])}" in a snapshot`);
  }
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
