/** What the model keeps: plain records in lists. */
import type { LeaseEnd, RevokeReason, Strategy } from '../../../protocol/codes.ts';
import type { AddressRecord } from '../../../protocol/frames.ts';
import type { Where } from '../../../protocol/where.ts';
import type { Holder } from '../../lease/holder.ts';

export const DAY_MS = 86_400_000;

/** Of a pair, and likewise of an address as a whole. */
export interface ModelMarks {
  quarantine: { readonly reason: 'banned' | 'operator'; readonly untilMs: number } | undefined;
  bans: { readonly level: number; readonly atMs: number } | undefined;
  /** On probation until a lease with a higher token reports `ok`. */
  probationAfter: number | undefined;
}

export interface ModelPair extends ModelMarks {
  readonly resource: number;
  coolingUntilMs: number | undefined;
  reservedFor: ModelWaiter | undefined;
}

export interface ModelAddress extends ModelMarks {
  readonly id: number;
  record: AddressRecord;
  /** Requests by UTC day. */
  requests: Map<number, number>;
  isRemoved: boolean;
  isUnhealthy: boolean;
  isDraining: boolean;
  lastToken: number;
  readonly pairs: ModelPair[];
}

/** What an acquire asks for beside a resource and a TTL. */
export interface ModelTerms {
  readonly where: Where | undefined;
  readonly strategy: Strategy | undefined;
  readonly sticky: string | undefined;
}

export interface ModelLease {
  readonly token: number;
  readonly address: ModelAddress;
  readonly resource: number;
  readonly holder: Holder;
  readonly request: number;
  /** Further ids under which the same was asked. */
  readonly otherRequests: number[];
  readonly terms: ModelTerms;
  readonly key: string | undefined;
  readonly isOfCount: boolean;
  readonly grantedDay: number;
  ttlMs: number;
  clamped: boolean;
  deadlineMs: number;
  revoking: { readonly reason: RevokeReason; readonly atMs: number } | undefined;
  hasSubstitute: boolean;
  isBanned: boolean;
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
  /** By resource: when it was served last, or began to wait, by `turns`. */
  readonly served: Map<number, number>;
}

export interface ModelWaiter {
  readonly number: number;
  readonly session: ModelSession;
  readonly resource: number;
  requests: { readonly id: number; readonly atMs: number }[];
  /** They came on a connection that is gone. */
  areRequestsStale: boolean;
  readonly ttlMs: number;
  readonly terms: ModelTerms;
  readonly count: number | undefined;
  readonly key: string | undefined;
  readonly untilMs: number;
  /** When its collector was last served with what it could have taken, by `turns`; the least is next. */
  turn: number;
  /** Grants of the resource when its session was suspended. */
  parkedAtGrants: number | undefined;
  toldPosition: number;
  toldAtMs: number;
  /** Its place is another than it was told, seen first at this moment. */
  untoldSinceMs: number | undefined;
}

export interface ModelKey {
  readonly holder: Holder;
  readonly key: string;
  readonly body: string;
  waiter: ModelWaiter | undefined;
  readonly leases: ModelLease[];
}

export function isSame(one: Holder, other: Holder): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** When a lease ends by itself. */
export function endsAtMs({ deadlineMs, revoking }: ModelLease): number {
  return Math.min(deadlineMs, revoking?.atMs ?? Infinity);
}

export function pairOf(address: ModelAddress, resource: number): ModelPair {
  let pair = address.pairs.find((one) => one.resource === resource);
  if (!pair) {
    pair = { resource, ...UNMARKED, coolingUntilMs: undefined, reservedFor: undefined };
    address.pairs.push(pair);
  }
  return pair;
}

const UNMARKED: ModelMarks = { quarantine: undefined, bans: undefined, probationAfter: undefined };

export function newAddress(id: number, record: AddressRecord, requests: Map<number, number>): ModelAddress {
  const flags = { isRemoved: false, isUnhealthy: false, isDraining: false };
  return { id, record, requests, ...flags, ...UNMARKED, lastToken: 0, pairs: [] };
}

export function countRequests(address: ModelAddress, day: number, requests: number): void {
  address.requests.set(day, Math.max(0, (address.requests.get(day) ?? 0) + requests));
}
