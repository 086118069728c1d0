/**
 * What leases, sessions and the pool come to, by DESIGN's words and nothing else: lists that are searched from end to
 * end, no index, no events. A lease is live while it hasn't been ended and its deadline lies ahead.
 */
import type { LeaseEnd } from '../../protocol/codes.ts';
import type { AddressRecord } from '../../protocol/frames.ts';
import type { Where } from '../../protocol/where.ts';
import type { Holder } from '../lease/holder.ts';
import type { ResourcePolicy } from '../lease/state.ts';
import { meets } from './where-model.ts';

const DAY_MS = 86_400_000;
const REPORT_MS = 600_000;

export interface ModelAddress {
  record: AddressRecord;
  /** Requests by UTC day. */
  requests: Map<number, number>;
}

export interface ModelLease {
  readonly token: number;
  readonly address: ModelAddress;
  readonly resource: number;
  readonly holder: Holder;
  readonly grantedDay: number;
  ttlMs: number;
  deadlineMs: number;
  requests: number;
  settled: boolean;
  end: LeaseEnd | undefined;
  endedAtMs: number;
  noticed: boolean;
}

export interface ModelSession {
  readonly id: string;
  windowMs: number;
  noticeMs: number | undefined;
  suspendedUntilMs: number | undefined;
  readonly unasked: number[];
}

export type Known = ModelLease | 'not_holder' | 'unknown_lease';

export class LeaseModel {
  nowMs = 0;
  utcMs = 0;
  today = 0;
  /** Tokens from here on are new. */
  lastToken = 0;
  reservedToken = 0;
  defaultPolicy: ResourcePolicy = { ttlMinMs: 0, ttlMaxMs: 0 };
  policies = new Map<number, ResourcePolicy>();
  addresses: ModelAddress[] = [];
  readonly leases: ModelLease[] = [];
  sessions: ModelSession[] = [];
  /** `token end` of what ended since this was last emptied. */
  ends: string[] = [];

  // ---- questions

  session(id: string): ModelSession | undefined {
    return this.sessions.find((session) => session.id === id);
  }

  policy(resource: number): ResourcePolicy {
    return this.policies.get(resource) ?? this.defaultPolicy;
  }

  live(): ModelLease[] {
    return this.leases.filter((lease) => lease.end === undefined && lease.deadlineMs > this.nowMs);
  }

  liveOf(resource: number): ModelLease[] {
    return this.live().filter((lease) => lease.resource === resource);
  }

  rpw(address: ModelAddress): number {
    let sum = 0;
    for (const [day, requests] of address.requests) if (day > this.today - 7) sum += requests;
    return sum;
  }

  serving(resource: number): ModelAddress[] {
    return this.addresses.filter(({ record }) => record.resource_ids.includes(resource));
  }

  matching(resource: number, where: Where | undefined): ModelAddress[] {
    return this.serving(resource).filter((address) => {
      const { record } = address;
      const attributes = {
        address: record.address,
        country: record.country,
        rpw: this.rpw(address),
        resourceIds: record.resource_ids,
        labels: record['labels'] as Record<string, string> | undefined,
      };
      return where === undefined || meets(where, attributes);
    });
  }

  isLeased(address: ModelAddress, resource: number): boolean {
    return this.liveOf(resource).some((lease) => lease.address === address);
  }

  /** Whether `holder` may be given something. */
  isPresent(holder: Holder): boolean {
    if (holder.kind !== 'session') return true;
    const session = this.session(holder.session);
    return session !== undefined && !this.isOver(session);
  }

  isOver(session: ModelSession): boolean {
    return session.suspendedUntilMs !== undefined && session.suspendedUntilMs <= this.nowMs;
  }

  /** The lease as `holder` may speak of it. */
  find(token: number, holder: Holder): Known {
    const lease = this.leases.find((one) => one.token === token);
    if (!lease) return 'unknown_lease';
    const isHolder = JSON.stringify(lease.holder) === JSON.stringify(holder);
    if (lease.end === undefined) return isHolder ? lease : 'not_holder';
    return isHolder && this.nowMs - lease.endedAtMs < REPORT_MS ? lease : 'unknown_lease';
  }

  clamp(resource: number, ttlMs: number): number {
    const { ttlMinMs, ttlMaxMs } = this.policy(resource);
    return Math.min(Math.max(ttlMs, ttlMinMs), ttlMaxMs);
  }

  /** When the session of a lease is to be told that it runs out; undefined: never. */
  /** By pool record, by policy, or by a lease that still lives. */
  exists(resource: number): boolean {
    const isLeased = this.live().some((lease) => lease.resource === resource);
    return isLeased || this.policies.has(resource) || this.serving(resource).length > 0;
  }

  noticeAtMs(lease: ModelLease): number | undefined {
    if (lease.holder.kind !== 'session') return undefined;
    const noticeMs = this.session(lease.holder.session)?.noticeMs ?? Math.min(5_000, Math.floor(lease.ttlMs / 3));
    const aheadMs = noticeMs < lease.ttlMs ? noticeMs : Math.floor(lease.ttlMs / 2);
    return aheadMs === 0 ? undefined : lease.deadlineMs - aheadMs;
  }

  // ---- changes

  turnDay(): void {
    this.today = Math.max(this.today, Math.floor(this.utcMs / DAY_MS));
  }

  grant(lease: Pick<ModelLease, 'token' | 'address' | 'resource' | 'holder' | 'ttlMs'>): void {
    this.lastToken = lease.token;
    if (lease.token > this.reservedToken) this.reservedToken = lease.token + 2 ** 20;
    this.count(lease.address, this.today, 1);
    this.leases.push({
      ...lease,
      grantedDay: this.today,
      deadlineMs: Math.ceil(this.nowMs) + lease.ttlMs,
      requests: 1,
      settled: false,
      end: undefined,
      endedAtMs: 0,
      noticed: false,
    });
  }

  renew(lease: ModelLease, ttlMs: number): void {
    lease.ttlMs = ttlMs;
    lease.deadlineMs = Math.max(lease.deadlineMs, Math.ceil(this.nowMs) + ttlMs);
    lease.noticed = false;
  }

  report(lease: ModelLease, requests: number | undefined): void {
    this.turnDay();
    if (requests === undefined) return;
    const difference = requests - lease.requests;
    if (difference < 0 && lease.settled) return;
    this.count(lease.address, difference < 0 ? lease.grantedDay : this.today, difference);
    lease.requests = requests;
    lease.settled = true;
  }

  count(address: ModelAddress, day: number, requests: number): void {
    address.requests.set(day, Math.max(0, (address.requests.get(day) ?? 0) + requests));
  }

  end(lease: ModelLease, end: LeaseEnd): void {
    lease.end = end;
    lease.endedAtMs = this.nowMs;
    this.ends.push(`${lease.token} ${end}`);
    if (lease.holder.kind !== 'session' || (end !== 'expired' && end !== 'revoked')) return;
    const unasked = this.session(lease.holder.session)?.unasked;
    unasked?.push(lease.token);
  }

  /** What ran out by now has ended now. */
  expire(): void {
    for (const lease of this.leases) {
      if (lease.end === undefined && lease.deadlineMs <= this.nowMs) this.end(lease, 'expired');
    }
  }

  endSession(id: string, end: 'released' | 'session_lost'): void {
    for (const lease of this.live()) {
      if (lease.holder.kind === 'session' && lease.holder.session === id) this.end(lease, end);
    }
    this.sessions = this.sessions.filter((session) => session.id !== id);
  }

  /** Everything whose time has come by now. */
  settle(): void {
    this.expire();
    for (const session of this.sessions) if (this.isOver(session)) this.endSession(session.id, 'session_lost');
  }

  /** Sessions and leases end on the way, each at its own time; first the sessions. */
  advance(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const times = [
        ...this.leases.filter((lease) => lease.end === undefined).map((lease) => lease.deadlineMs),
        ...this.sessions.map((session) => session.suspendedUntilMs ?? Infinity),
      ];
      const nextMs = Math.min(...times);
      if (nextMs > endMs) break;
      this.pass(Math.max(0, nextMs - this.nowMs));
      for (const session of this.sessions) if (this.isOver(session)) this.endSession(session.id, 'session_lost');
      this.expire();
    }
    this.pass(endMs - this.nowMs);
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.utcMs += ms;
  }

  importPool(records: readonly AddressRecord[], replace: boolean) {
    const counts = { added: 0, updated: 0, removed: 0, unchanged: 0 };
    const absent = this.addresses.filter(({ record }) => !records.some(({ address }) => address === record.address));
    const removed = replace ? absent : [];
    const isSame = (record: AddressRecord, known: ModelAddress | undefined) =>
      JSON.stringify(known?.record) === JSON.stringify(record);
    const known = (record: AddressRecord) => this.addresses.find((one) => one.record.address === record.address);
    if (removed.length > 0 || records.some((record) => !isSame(record, known(record)))) this.turnDay();
    for (const record of records) {
      const address = known(record);
      const imported = new Map([[this.today, record.rpw]]);
      if (!address) {
        counts.added += 1;
        this.addresses.push({ record, requests: imported });
      } else if (isSame(record, address)) counts.unchanged += 1;
      else {
        counts.updated += 1;
        if (record.rpw !== address.record.rpw) address.requests = imported;
        address.record = record;
      }
    }
    counts.removed = removed.length;
    this.addresses = this.addresses.filter((address) => !removed.includes(address));
    for (const lease of this.live()) {
      if (!this.serving(lease.resource).includes(lease.address)) this.end(lease, 'revoked');
    }
    return counts;
  }
}
