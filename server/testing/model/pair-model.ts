/** What a pair is in, what may be granted and why not, and what bans come to: DESIGN's sentences, each looked up anew. */
import type { PairState, RefusedReason, RevokeReason } from '../../../protocol/codes.ts';
import type { Why } from '../../../protocol/frames.ts';
import type { Where } from '../../../protocol/where.ts';
import { BAN_DECAY_MS, BAN_MAX_MS, SLOW_INTERVAL_MS } from '../../lease/policy.ts';
import type { LeaseModel } from './lease-model.ts';
import {
  endsAtMs,
  type ModelAddress,
  type ModelLease,
  type ModelMarks,
  type ModelPair,
  type ModelWaiter,
  pairOf,
} from './model-records.ts';

interface ModelStatus {
  readonly state: PairState;
  /** When it may come free; Infinity: nobody can say. */
  readonly untilMs: number;
  readonly isEligible: boolean;
}

/** The first state that applies. What is reserved for `collector` is not reserved for itself. */
export function statusOf(
  model: LeaseModel,
  address: ModelAddress,
  resource: number,
  collector?: ModelWaiter,
): ModelStatus {
  const not = (state: PairState, untilMs: number) => ({ state, untilMs, isEligible: false });
  const leases = model.unended().filter((lease) => lease.address === address);
  const pair = pairOf(address, resource);
  const own = leases.find((lease) => lease.resource === resource);
  const quarantines = [pair.quarantine, address.quarantine].flatMap((one) => one?.untilMs ?? []);
  const rests = [...quarantines, pair.coolingUntilMs ?? 0];
  if (own) return not('leased', Math.max(endsAtMs(own), ...rests));
  if (pair.reservedFor && pair.reservedFor !== collector) return not('reserved', pair.reservedFor.untilMs);
  if (quarantines.length > 0) return not('quarantined', Math.max(...rests));
  if (pair.coolingUntilMs !== undefined) return not('cooling', pair.coolingUntilMs);
  if (address.isUnhealthy) return not('unhealthy', Infinity);
  if (address.isDraining) return not('draining', Infinity);
  if (address.probationAfter !== undefined) {
    const reservedFor = address.pairs.flatMap((one) => one.reservedFor ?? []).filter((waiter) => waiter !== collector);
    const busy = [...leases.map(endsAtMs), ...reservedFor.map(({ untilMs }) => untilMs)];
    return busy.length > 0 ? not('probation', Math.min(...busy)) : { state: 'probation', untilMs: 0, isEligible: true };
  }
  const state = pair.probationAfter === undefined ? 'free' : 'probation';
  return { state, untilMs: 0, isEligible: true };
}

export function eligible(model: LeaseModel, resource: number, where: Where | undefined): ModelAddress[] {
  return model.matching(resource, where).filter((address) => statusOf(model, address, resource).isEligible);
}

export interface ModelBound {
  readonly reason: Extract<RefusedReason, 'max_leases' | 'slowed'>;
  readonly untilMs: number;
}

/** What keeps `count` more leases from being granted whatever the addresses; `ownCount` of those taken make room. */
export function boundOf(model: LeaseModel, resource: number, count: number, ownCount = 0): ModelBound | undefined {
  const { maxLeases, slowShare, slowIntervalMs = SLOW_INTERVAL_MS } = model.policy(resource);
  const leases = model.unended(resource);
  const reserved = model.addresses.filter((address) => pairOf(address, resource).reservedFor).length;
  if (maxLeases !== undefined && leases.length + reserved - ownCount + count > maxLeases) {
    const untilMs = count > maxLeases ? Infinity : Math.min(...leases.map(endsAtMs));
    return { reason: 'max_leases', untilMs };
  }
  if (slowShare === undefined) return undefined;
  const serving = model.serving(resource);
  const quarantined = serving.filter((address) => statusOf(model, address, resource).state === 'quarantined');
  if (quarantined.length <= slowShare * serving.length) return undefined;
  const untilMs = (model.lastGrantMs.get(resource) ?? -Infinity) + slowIntervalMs;
  return untilMs > model.nowMs ? { reason: 'slowed', untilMs } : undefined;
}

export function whyOf(
  model: LeaseModel,
  resource: number,
  where: Where | undefined,
  count: number,
  bound: ModelBound | undefined,
): Why {
  const matching = model.matching(resource, where);
  const statuses = matching.map((address) => statusOf(model, address, resource));
  const states: Partial<Record<PairState, number>> = { leased: 0, free: 0 };
  for (const { state } of statuses) states[state] = (states[state] ?? 0) + 1;
  const soonestMs =
    bound?.untilMs ?? Math.min(...statuses.filter((one) => !one.isEligible).map((status) => status.untilMs));
  const isShort = !bound && count === 1 && statuses.every((status) => !status.isEligible);
  const relax = isShort && where ? relaxation(model, resource, where) : undefined;
  return {
    states,
    excluded: model.serving(resource).length - matching.length,
    ...(soonestMs < Infinity ? { soonest_ms: Math.max(0, Math.ceil(soonestMs - model.nowMs)) } : {}),
    ...(relax === undefined ? {} : { relax }),
    ...(bound?.reason === 'max_leases' ? { max_leases: model.policy(resource).maxLeases! } : {}),
    ...(bound?.reason === 'slowed' ? { slowed: true } : {}),
  };
}

/** Path of the first part without which something is eligible. */
function relaxation(model: LeaseModel, resource: number, where: Where): string | undefined {
  const without: [path: string, rest: Where][] = Object.keys(where).flatMap((key): [string, Where][] => {
    const { [key as keyof Where]: _, ...others } = where;
    if (key === 'and') {
      return where.and!.map((_part, index) => [`and[${index}]`, { ...where, and: where.and!.toSpliced(index, 1) }]);
    }
    if (key !== 'labels') return [[key, others]];
    return Object.keys(where.labels!).map((name) => {
      const { [name]: _label, ...labels } = where.labels!;
      return [`labels.${name}`, { ...where, labels }];
    });
  });
  return without.find(([, rest]) => eligible(model, resource, rest).length > 0)?.[0];
}

/** Why a lease may not go on; undefined: it may, or that has been announced. An operator's announcement is another. */
export function withdrawalOf(model: LeaseModel, lease: ModelLease): RevokeReason | undefined {
  const { address, resource } = lease;
  if (lease.revoking && lease.revoking.reason !== 'operator') return undefined;
  if (address.isRemoved) return 'address_removed';
  if (!model.serves(address, resource)) return 'resource_withdrawn';
  if (address.isUnhealthy) return 'unhealthy';
  // Whoever reported the ban knows of it and keeps its own, unless an operator has spoken.
  const quarantines = [address.quarantine, pairOf(address, resource).quarantine];
  const isQuarantined = quarantines.some((one) => one && (one.reason === 'operator' || !lease.isBanned));
  return isQuarantined ? 'quarantined' : undefined;
}

/** Until when a pair rests after a lease of it ended so; undefined: not at all. */
export function coolingUntilMs(model: LeaseModel, lease: ModelLease, end: NonNullable<ModelLease['end']>) {
  const { cooldownMs, handover } = model.policy(lease.resource);
  const ownMs = cooldownMs?.[end] ?? 0;
  const untilMs = Math.max(
    ownMs > 0 ? Math.ceil(model.nowMs) + ownMs : 0,
    handover === 'safe' && end !== 'released' ? lease.deadlineMs : 0,
  );
  return untilMs > model.nowMs ? untilMs : undefined;
}

export interface ModelBan {
  readonly resource: number | undefined;
  readonly reason: 'banned' | 'operator';
  readonly level: number;
  readonly untilMs: number;
}

/** Quarantines that a ban brings: of the pair, and of the address where enough resources have banned it. */
export function bansOf(model: LeaseModel, { address, resource }: ModelLease): ModelBan[] {
  const { banMs = 0, banMaxMs = BAN_MAX_MS, banAddressAfter = Infinity } = model.policy(resource);
  if (banMs === 0 || !model.addresses.includes(address)) return [];
  const ban = (marks: ModelMarks, of: number | undefined): ModelBan => {
    const level = levelOf(model, marks, resource);
    const untilMs = Math.ceil(model.nowMs) + Math.min(banMs * 2 ** level, banMaxMs);
    // An operator's quarantine that the ban outlasts ends as the ban's.
    const longer = marks.quarantine && marks.quarantine.untilMs >= untilMs ? marks.quarantine : undefined;
    return { resource: of, reason: 'banned', level: level + 1, untilMs, ...longer };
  };
  const others = address.pairs.filter((pair) => pair.resource !== resource && levelOf(model, pair, pair.resource) > 0);
  const bans = [ban(pairOf(address, resource), resource)];
  return others.length + 1 >= banAddressAfter ? [...bans, ban(address, undefined)] : bans;
}

/** What is left of earlier bans. */
function levelOf(model: LeaseModel, { bans }: ModelMarks, resource: number): number {
  if (!bans) return 0;
  const { banDecayMs = BAN_DECAY_MS } = model.policy(resource);
  return Math.max(0, bans.level - Math.floor((model.nowMs - bans.atMs) / banDecayMs));
}

export function marksOf(address: ModelAddress, resource: number | undefined): ModelMarks | ModelPair {
  return resource === undefined ? address : pairOf(address, resource);
}
