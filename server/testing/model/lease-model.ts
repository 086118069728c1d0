/**
 * What leases, sessions and the pool come to, by DESIGN's words and nothing else: lists that are searched from end to
 * end, no index. What a pair is in, and who is next in line, is asked of pair-model.ts and queue-model.ts.
 */
import type { LeaseEnd } from '../../../protocol/codes.ts';
import type { AddressRecord } from '../../../protocol/frames.ts';
import type { Where } from '../../../protocol/where.ts';
import type { Holder } from '../../lease/holder.ts';
import type { ResourcePolicy } from '../../lease/policy.ts';
import { meets } from '../where-meets.ts';
import {
  countRequests,
  isSame,
  type ModelAddress,
  type ModelKey,
  type ModelLease,
  type ModelPair,
  type ModelSession,
  type ModelWaiter,
  newAddress,
} from './model-records.ts';

/** An ended lease is known so long, and so is a key whose leases have all ended. */
const REMEMBERED_MS = 600_000;

export type Known = ModelLease | 'not_holder' | 'unknown_lease';

export class LeaseModel {
  nowMs = 0;
  utcMs = 0;
  today = 0;
  /** Tokens from here on are new. */
  lastToken = 0;
  reservedToken = 0;
  /** Counts services and newcomers. */
  turns = 0;
  defaultPolicy: ResourcePolicy = { ttlMinMs: 0, ttlMaxMs: 0 };
  policies = new Map<number, ResourcePolicy>();
  /** Removed ones too, while something keeps them. */
  addresses: ModelAddress[] = [];
  readonly leases: ModelLease[] = [];
  sessions: ModelSession[] = [];
  /** In the order of their arrival. */
  waiters: ModelWaiter[] = [];
  keys: ModelKey[] = [];
  /** By resource, without substitutes. */
  readonly grants = new Map<number, number>();
  readonly lastGrantMs = new Map<number, number>();

  // ---- questions

  session(id: string): ModelSession | undefined {
    return this.sessions.find((session) => session.id === id);
  }

  policy(resource: number): ResourcePolicy {
    return this.policies.get(resource) ?? this.defaultPolicy;
  }

  unended(resource?: number): ModelLease[] {
    return this.leases.filter((one) => one.end === undefined && (resource === undefined || one.resource === resource));
  }

  heldBy(holder: Holder): ModelLease[] {
    return this.unended().filter((lease) => isSame(lease.holder, holder));
  }

  rpw(address: ModelAddress): number {
    let sum = 0;
    for (const [day, requests] of address.requests) if (day > this.today - 7) sum += requests;
    return sum;
  }

  serves(address: ModelAddress, resource: number): boolean {
    return !address.isRemoved && address.record.resource_ids.includes(resource);
  }

  serving(resource: number): ModelAddress[] {
    return this.addresses.filter((address) => this.serves(address, resource));
  }

  /** Whether the address meets the request's condition and the resource's own. */
  meets(address: ModelAddress, resource: number, where: Where | undefined): boolean {
    const { record } = address;
    const attributes = {
      address: record.address,
      country: record.country,
      rpw: this.rpw(address),
      resourceIds: record.resource_ids,
      labels: record['labels'] as Record<string, string> | undefined,
    };
    return [this.policy(resource).where, where].every((part) => part === undefined || meets(part, attributes));
  }

  matching(resource: number, where: Where | undefined): ModelAddress[] {
    return this.serving(resource).filter((address) => this.meets(address, resource, where));
  }

  /** Whether `holder` may be given something. */
  isPresent(holder: Holder): boolean {
    if (holder.kind !== 'session') return true;
    const session = this.session(holder.session);
    return session !== undefined && (session.suspendedUntilMs ?? Infinity) > this.nowMs;
  }

  /** The lease as `holder` may speak of it. */
  find(token: number, holder: Holder): Known {
    const lease = this.leases.find((one) => one.token === token);
    if (!lease) return 'unknown_lease';
    const isHolder = isSame(lease.holder, holder);
    if (lease.end === undefined) return isHolder ? lease : 'not_holder';
    return isHolder && this.nowMs - lease.endedAtMs < REMEMBERED_MS ? lease : 'unknown_lease';
  }

  /** What is known of a key: while it waits, while one of its leases lives, and a while after the last. */
  findKey(holder: Holder, key: string): ModelKey | undefined {
    const entry = this.keys.find((one) => one.key === key && isSame(one.holder, holder));
    if (!entry || entry.waiter || entry.leases.some((lease) => lease.end === undefined)) return entry;
    const endedAtMs = Math.max(...entry.leases.map((lease) => lease.endedAtMs));
    return this.nowMs - endedAtMs < REMEMBERED_MS ? entry : undefined;
  }

  clamp(resource: number, ttlMs: number): number {
    const { ttlMinMs, ttlMaxMs } = this.policy(resource);
    return Math.min(Math.max(ttlMs, ttlMinMs), ttlMaxMs);
  }

  /** By pool record, by policy, or by a lease that still lives. */
  exists(resource: number): boolean {
    return this.unended(resource).length > 0 || this.policies.has(resource) || this.serving(resource).length > 0;
  }

  /** When the session of a lease is to be told that it runs out; undefined: never. */
  noticeAtMs(lease: ModelLease): number | undefined {
    if (lease.holder.kind !== 'session') return undefined;
    const noticeMs = this.session(lease.holder.session)?.noticeMs ?? Math.min(5_000, Math.floor(lease.ttlMs / 3));
    const aheadMs = noticeMs < lease.ttlMs ? noticeMs : Math.floor(lease.ttlMs / 2);
    return aheadMs === 0 ? undefined : lease.deadlineMs - aheadMs;
  }

  // ---- changes

  moveTo(nowMs: number): void {
    this.utcMs += nowMs - this.nowMs;
    this.nowMs = nowMs;
  }

  grant(
    given: Pick<ModelLease, 'token' | 'address' | 'resource' | 'holder' | 'request' | 'terms' | 'key'> &
      Pick<ModelLease, 'otherRequests' | 'ttlMs' | 'clamped' | 'deadlineMs' | 'isOfCount'>,
  ): ModelLease {
    const lease: ModelLease = {
      ...given,
      grantedDay: this.today,
      revoking: undefined,
      hasSubstitute: false,
      isBanned: false,
      requests: 1,
      settled: false,
      end: undefined,
      endedAtMs: 0,
      noticed: false,
    };
    this.leases.push(lease);
    this.lastToken = lease.token;
    lease.address.lastToken = lease.token;
    countRequests(lease.address, this.today, 1);
    return lease;
  }

  report(lease: ModelLease, requests: number | undefined): void {
    if (requests === undefined) return;
    const difference = requests - lease.requests;
    if (difference < 0 && lease.settled) return;
    countRequests(lease.address, difference < 0 ? lease.grantedDay : this.today, difference);
    lease.requests = requests;
    lease.settled = true;
  }

  end(lease: ModelLease, end: LeaseEnd): void {
    lease.end = end;
    lease.endedAtMs = this.nowMs;
    if (lease.holder.kind !== 'session' || (end !== 'expired' && end !== 'revoked')) return;
    this.session(lease.holder.session)?.unasked.push(lease.token);
  }

  /** Gone with its waiters and its keys; its leases have ended before. */
  endSession(id: string): void {
    const session = this.session(id);
    this.sessions = this.sessions.filter((one) => one !== session);
    for (const waiter of this.waiters.filter((one) => one.session === session)) this.removeWaiter(waiter);
    this.keys = this.keys.filter(({ holder }) => !isSame(holder, { kind: 'session', session: id }));
  }

  removeWaiter(waiter: ModelWaiter): void {
    this.waiters = this.waiters.filter((one) => one !== waiter);
    this.unreserve(waiter);
  }

  unreserve(waiter: ModelWaiter): void {
    for (const { pairs } of this.addresses) {
      for (const pair of pairs) if (pair.reservedFor === waiter) pair.reservedFor = undefined;
    }
  }

  importPool(records: readonly AddressRecord[], replace: boolean, idOf: (address: string) => number) {
    const counts = { added: 0, updated: 0, removed: 0, unchanged: 0 };
    for (const record of records) {
      const known = this.addresses.find((one) => one.record.address === record.address);
      const imported = new Map([[this.today, record.rpw]]);
      if (!known) {
        counts.added += 1;
        this.addresses.push(newAddress(idOf(record.address), record, imported));
      } else if (!known.isRemoved && JSON.stringify(known.record) === JSON.stringify(record)) counts.unchanged += 1;
      else {
        counts.updated += 1;
        if (record.rpw !== known.record.rpw) known.requests = imported;
        known.record = record;
        known.isRemoved = false;
      }
    }
    const absent = this.addresses.filter(({ record }) => !records.some(({ address }) => address === record.address));
    for (const address of replace ? absent : []) {
      if (!address.isRemoved) counts.removed += 1;
      address.isRemoved = true;
    }
    for (const address of this.addresses) {
      for (const pair of address.pairs) if (!this.serves(address, pair.resource)) pair.reservedFor = undefined;
    }
    return counts;
  }

  /** With the change of pool or policies that leaves nothing of it, all that was known of a resource is forgotten. */
  forgetResources(): void {
    const isThere = (id: number) =>
      this.policies.has(id) ||
      this.unended(id).length > 0 ||
      this.waiters.some(({ resource }) => resource === id) ||
      this.addresses.some((address) => this.serves(address, id) || address.pairs.some((pair) => isResting(pair, id)));
    const named = new Set([...this.grants.keys(), ...this.sessions.flatMap(({ served }) => [...served.keys()])]);
    for (const id of named) {
      if (isThere(id)) continue;
      this.grants.delete(id);
      this.lastGrantMs.delete(id);
      for (const { served } of this.sessions) served.delete(id);
    }
  }

  /** A removed address is kept by a lease on it, and while it, or a pair of it, must not be given again. */
  forgetRemoved(): void {
    const isKept = ({ quarantine, pairs }: ModelAddress) =>
      quarantine !== undefined || pairs.some((pair) => pair.quarantine ?? pair.coolingUntilMs);
    const leased = new Set(this.unended().map(({ address }) => address));
    this.addresses = this.addresses.filter((one) => !one.isRemoved || leased.has(one) || isKept(one));
  }
}

function isResting({ resource, coolingUntilMs, quarantine }: ModelPair, id: number): boolean {
  return resource === id && Math.min(coolingUntilMs ?? Infinity, quarantine?.untilMs ?? Infinity) < Infinity;
}
