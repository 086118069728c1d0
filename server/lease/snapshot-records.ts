/** The larger records of a snapshot, each from the state and back. */
import { Address, ensurePair } from './address.ts';
import { indexWaiter } from './apply-waiting.ts';
import { joinParties } from './collectors.ts';
import { existing } from './existing.ts';
import { decodeHolder, decodeOwner, encodeHolder } from './holder.ts';
import { NOT_IN_HEAP } from './indexed-heap.ts';
import type { LeaseFields } from './lease-fields.ts';
import { armRest } from './lease-index.ts';
import { LeaseList } from './lease-list.ts';
import { type Bans, isPlain, type QuarantineRecord, refreshPair } from './pair.ts';
import { addAddress } from './pool-changes.ts';
import { RollingRequests } from './rolling-requests.ts';
import {
  type BanFields,
  type LeaseRecord,
  type QuarantineFields,
  type RecordOf,
  type RevokingFields,
  type StateRecord,
  type TermsFields,
  VERSIONS,
} from './snapshot-format.ts';
import {
  ensureResource,
  type Lease,
  type LeaseState,
  type LeaseTerms,
  type Revoking,
  type Session,
  sharedHolder,
} from './state.ts';
import type { Line, Waiter } from './waiting.ts';
import { keyOf } from './waiting-order.ts';

export function* encodeAddress(address: Address): Generator<StateRecord> {
  yield [
    'address',
    VERSIONS.address,
    address.id,
    address.record,
    address.requests.encode(),
    address.removed,
    address.lastToken,
    address.isUnhealthy,
    address.isDraining,
    encodeQuarantine(address.quarantine),
    address.bans ? [address.bans.level, address.bans.atMs] : null,
    address.probationAfter ?? null,
  ];
  // By resource: which of them was heard of first may have to do with reservations, which aren't durable.
  const pairs = [...(address.pairs?.values() ?? [])].toSorted((one, other) => one.resource - other.resource);
  for (const pair of pairs) {
    // Nor is a pair written that knows of nothing else.
    if (isPlain({ ...pair, reservedFor: undefined })) continue;
    const { resource, coolingUntilMs, quarantine, bans, probationAfter } = pair;
    yield [
      'pair',
      VERSIONS.pair,
      address.id,
      resource,
      coolingUntilMs ?? null,
      encodeQuarantine(quarantine),
      bans ? [bans.level, bans.atMs] : null,
      probationAfter ?? null,
    ];
  }
}

export function restoreAddress(state: LeaseState, record: RecordOf<'address'>): void {
  const [, , id, pool, requests, removed, lastToken = 0, isUnhealthy = false, isDraining = false] = record;
  const [quarantine, bans, probationAfter] = [record[9], record[10], record[11]];
  const address = new Address(id, pool, state.today);
  address.requests = RollingRequests.decode(requests);
  Object.assign(address, { removed, lastToken, isUnhealthy, isDraining });
  address.quarantine = decodeQuarantine(quarantine);
  address.bans = decodeBans(bans);
  address.probationAfter = probationAfter ?? undefined;
  const untilMs = address.quarantine?.untilMs ?? Infinity;
  if (untilMs < Infinity) state.quarantined.set(address, untilMs);
  addAddress(state, address);
}

export function restorePair(state: LeaseState, record: RecordOf<'pair'>): void {
  const [, , addressId, resource, coolingUntilMs, quarantine, bans, probationAfter] = record;
  const address = existing(state.addresses, addressId);
  const pair = ensurePair(address, resource);
  pair.coolingUntilMs = coolingUntilMs ?? undefined;
  pair.quarantine = decodeQuarantine(quarantine);
  pair.bans = decodeBans(bans);
  pair.probationAfter = probationAfter ?? undefined;
  armRest(state, pair);
  refreshPair(state, address, resource);
}

function encodeQuarantine(quarantine: QuarantineRecord | undefined): QuarantineFields | null {
  return quarantine ? [quarantine.reason, quarantine.untilMs === Infinity ? null : quarantine.untilMs] : null;
}

function decodeQuarantine(fields: QuarantineFields | null | undefined): QuarantineRecord | undefined {
  return fields ? { reason: fields[0], untilMs: fields[1] ?? Infinity } : undefined;
}

function decodeBans(fields: BanFields | null | undefined): Bans | undefined {
  return fields ? { level: fields[0], atMs: fields[1] } : undefined;
}

export function restoreSession(state: LeaseState, record: RecordOf<'session'>): void {
  const [, , id, secretHash, client, resumeWindowMs, noticeMs, suspendedUntilMs, end, unaskedEnds] = record;
  const [served = [], owner] = [record[10], record[11] ? decodeOwner(record[11]) : undefined];
  const session: Session = {
    id,
    holder: { kind: 'session', session: id },
    secretHash,
    client: client ?? undefined,
    owner,
    ...joinParties(state, owner, served),
    resumeWindowMs,
    noticeMs: noticeMs ?? undefined,
    suspendedUntilMs: suspendedUntilMs ?? undefined,
    end,
    leaseCount: 0,
    leases: new LeaseList(state.leases.rows),
    unaskedEnds: [...unaskedEnds],
    lines: new Set<Line>(),
    waiterCount: 0,
    suspendedPlace: NOT_IN_HEAP,
  };
  state.sessions.set(id, session);
  if (suspendedUntilMs !== null) state.suspended.set(session, suspendedUntilMs);
}

export function encodeWaiter(waiter: Waiter): StateRecord {
  const line = waiter.line!;
  const lineKey = keyOf(line);
  return [
    'waiter',
    VERSIONS.waiter,
    waiter.number,
    waiter.session.id,
    waiter.resource.id,
    waiter.requests.map(({ id, atMs }) => [id, atMs] as const),
    waiter.areRequestsStale,
    waiter.ttlMs,
    waiter.untilMs,
    waiter.where ?? null,
    waiter.strategy ?? null,
    waiter.sticky ?? null,
    waiter.count ?? null,
    waiter.key ?? null,
    waiter.body ?? null,
    lineKey,
    line.parkedAtGrants ?? null,
    line.strand.key === lineKey ? null : line.strand.key,
  ];
}

export function restoreWaiter(state: LeaseState, record: RecordOf<'waiter'>): void {
  const [, , number, session, resource, requests, areRequestsStale, ttlMs, untilMs, where, strategy, sticky] = record;
  const [count, key, body, lineKey, parkedAtGrants] = [record[12], record[13], record[14], record[15], record[16]];
  const strandKey = record[17] ?? undefined;
  const waiter: Waiter = {
    number,
    session: existing(state.sessions, session),
    resource: ensureResource(state, resource),
    requests: requests.map(([id, atMs]) => ({ id, atMs })),
    areRequestsStale,
    ttlMs,
    untilMs,
    where: where ?? undefined,
    strategy: strategy ?? undefined,
    sticky: sticky ?? undefined,
    count: count ?? undefined,
    key: key ?? undefined,
    body: body ?? undefined,
    line: undefined,
    reserved: new Set(),
    toldPosition: 0,
    toldAtMs: 0,
    deadlinePlace: NOT_IN_HEAP,
  };
  indexWaiter(state, waiter, {
    key: strandKey ?? lineKey,
    passedOverKey: strandKey === undefined ? undefined : lineKey,
    parkedAtGrants: parkedAtGrants ?? undefined,
  });
}

export function encodeLease(lease: Lease): LeaseRecord {
  const { terms, revoking } = lease;
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
    lease.isBanned,
    terms ? encodeTerms(terms) : null,
    revoking ? encodeRevoking(revoking) : null,
    lease.otherRequests,
  ];
}

export function encodeTerms({ where, strategy, sticky, key, isMany }: LeaseTerms): TermsFields {
  return [where ?? null, strategy ?? null, sticky ?? null, key ?? null, isMany ?? null];
}

export function decodeTerms([where, strategy, sticky, key, isMany]: TermsFields): LeaseTerms {
  return {
    where: where ?? undefined,
    strategy: strategy ?? undefined,
    sticky: sticky ?? undefined,
    key: key ?? undefined,
    isMany: isMany ?? undefined,
  };
}

export function encodeRevoking({ reason, atMs, hasSubstitute }: Revoking): RevokingFields {
  return [reason, atMs, hasSubstitute];
}

export function decodeRevoking([reason, atMs, hasSubstitute]: RevokingFields): Revoking {
  return { reason, atMs, hasSubstitute };
}

export function decodeLease(state: LeaseState, record: LeaseRecord): LeaseFields {
  const [terms, revoking, otherRequests] = [record[12], record[13], record[14]];
  return {
    token: record[0],
    resource: record[1],
    addressId: record[2],
    holder: sharedHolder(state, decodeHolder(record[3])),
    request: record[4],
    otherRequests: otherRequests ?? [],
    ttlMs: record[5],
    clamped: record[6],
    deadlineMs: record[7],
    grantedDay: record[8],
    terms: terms ? decodeTerms(terms) : undefined,
    revoking: revoking ? decodeRevoking(revoking) : undefined,
    isBanned: record[11] ?? false,
    requests: record[9],
    settled: record[10],
  };
}
