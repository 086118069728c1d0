/**
 * Who waits and who is next: a collector's requests under one condition are a line, served first come first; of the
 * lines that something fits, the one whose collector was served longest ago with what it could have taken is next.
 */
import type { Where } from '../../../protocol/where.ts';
import type { LeaseModel } from './lease-model.ts';
import { type ModelAddress, type ModelSession, type ModelWaiter, pairOf } from './model-records.ts';
import { boundOf, eligible, statusOf } from './pair-model.ts';

/** Before every turn that there is. */
const PASSED_OVER = -1e9;

export interface NextStep {
  readonly waiter: ModelWaiter;
  readonly kind: 'grant' | 'reserve';
}

/** What is to happen next for those who wait; undefined: nobody can be given anything. */
export function nextStep(model: LeaseModel, resource: number): NextStep | undefined {
  const waiters = active(model, resource);
  const single = boundOf(model, resource, 1);
  const fits = (waiter: ModelWaiter) => eligible(model, resource, waiter.terms.where).length;
  const steps: NextStep[] = [];
  if (!single) {
    const best = waiters.filter((waiter) => !isCount(waiter) && fits(waiter) > 0).toSorted(inTurn)[0];
    if (best) steps.push({ waiter: best, kind: 'grant' });
  }
  const collector = collectorOf(model, resource);
  for (const waiter of waiters.filter(isCount)) {
    const reserved = reservedFor(model, waiter).length;
    const isComplete = fits(waiter) >= waiter.count! - reserved && !boundOf(model, resource, waiter.count!, reserved);
    const mayCollect = waiter === collector && !single && reserved < waiter.count! && fits(waiter) > 0;
    if (isComplete) steps.push({ waiter, kind: 'grant' });
    else if (mayCollect) steps.push({ waiter, kind: 'reserve' });
  }
  return steps.toSorted((one, other) => inTurn(one.waiter, other.waiter))[0];
}

export function reservedFor(model: LeaseModel, waiter: ModelWaiter): ModelAddress[] {
  return model.addresses.filter((address) => pairOf(address, waiter.resource).reservedFor === waiter);
}

/** What is reserved and must not be: only one collects, and only what it could be given. */
export function staleReservations(model: LeaseModel, waiter: ModelWaiter): ModelAddress[] {
  const { resource, terms } = waiter;
  const collects = collectorOf(model, resource) === waiter && waiter.untilMs > model.nowMs;
  return reservedFor(model, waiter).filter((address) => {
    const isFit = model.serves(address, resource) && model.meets(address, resource, terms.where);
    return !collects || !isFit || !statusOf(model, address, resource, waiter).isEligible;
  });
}

/** Place of each who is present: the collectors in turn, each with its next and after that with its oldest. */
export function positions(model: LeaseModel, resource: number): Map<ModelWaiter, number> {
  const waiters = active(model, resource).toSorted(inTurn);
  const firsts = waiters.filter(({ session }, index) => waiters.findIndex((one) => one.session === session) === index);
  const collectors = firsts.map((first) => [
    first,
    ...waiters
      .filter((one) => one.session === first.session && one !== first)
      .toSorted((one, other) => one.number - other.number),
  ]);
  const places = new Map<ModelWaiter, number>();
  for (let round = 0; collectors.some((own) => own.length > round); round += 1) {
    for (const own of collectors) {
      const waiter = own[round];
      if (waiter) places.set(waiter, places.size + 1);
    }
  }
  return places;
}

/** A new request stands in its line, or begins one that goes by the collector's last service; a newcomer's, by now. */
export function enqueue(model: LeaseModel, waiter: ModelWaiter): void {
  const { session, resource } = waiter;
  const mate = model.waiters.find((other) => isSameLine(model, other, waiter));
  if (!session.served.has(resource)) {
    model.turns += 1;
    session.served.set(resource, model.turns);
  }
  waiter.turn = mate?.turn ?? session.served.get(resource)!;
  model.waiters.push(waiter);
}

/** Served: what else the collector waits for and could have taken this for goes behind those served longer ago. */
export function serve(model: LeaseModel, session: ModelSession, resource: number, address: ModelAddress): void {
  model.turns += 1;
  session.served.set(resource, model.turns);
  for (const waiter of model.waiters) {
    if (waiter.session !== session || waiter.resource !== resource) continue;
    if (model.meets(address, resource, waiter.terms.where)) waiter.turn = model.turns;
  }
}

/** Its session is suspended: it keeps its place, is passed over, and what was reserved for it is for others. */
export function park(model: LeaseModel, session: ModelSession): void {
  for (const waiter of model.waiters.filter((one) => one.session === session)) {
    waiter.parkedAtGrants ??= model.grants.get(waiter.resource) ?? 0;
    model.unreserve(waiter);
  }
}

/** Its session is on another socket, where its lines come first, by arrival, if others were served while it was on none. */
export function unpark(model: LeaseModel, session: ModelSession): void {
  for (const waiter of model.waiters.filter((one) => one.session === session)) {
    waiter.requests = waiter.requests.slice(-1);
    waiter.areRequestsStale = true;
  }
  const own = model.waiters.filter((one) => one.session === session && one.parkedAtGrants !== undefined);
  const heads = own.map((waiter) => own.find((other) => isSameLine(model, other, waiter))!);
  for (const [index, waiter] of own.entries()) {
    const isPassedOver = (model.grants.get(waiter.resource) ?? 0) > waiter.parkedAtGrants!;
    if (isPassedOver) waiter.turn = PASSED_OVER + heads[index]!.number;
    waiter.parkedAtGrants = undefined;
  }
}

/** The policies have changed: requests whose conditions have become one stand in one line, where its first one stood. */
export function regroup(model: LeaseModel): void {
  for (const [index, waiter] of model.waiters.entries()) {
    const first = model.waiters.slice(0, index).find((other) => isSameLine(model, other, waiter));
    if (first) waiter.turn = first.turn;
  }
}

export function isCount({ count }: ModelWaiter): boolean {
  return count !== undefined && count > 1;
}

/** Those whose session is present, in the order of their arrival. */
export function active(model: LeaseModel, resource: number): ModelWaiter[] {
  return model.waiters.filter((one) => one.resource === resource && one.parkedAtGrants === undefined);
}

function inTurn(one: ModelWaiter, other: ModelWaiter): number {
  return one.turn - other.turn || one.number - other.number;
}

/** The oldest count that can ever have what it asks for. */
function collectorOf(model: LeaseModel, resource: number): ModelWaiter | undefined {
  const { maxLeases = Infinity } = model.policy(resource);
  const possible = (waiter: ModelWaiter) => waiter.count! <= maxLeases && isPossible(model, waiter);
  return active(model, resource).filter(isCount).find(possible);
}

function isPossible(model: LeaseModel, { resource, terms, count }: ModelWaiter): boolean {
  return model.matching(resource, terms.where).length >= count!;
}

/** Counts stand for themselves: they need several at once. */
function isSameLine(model: LeaseModel, one: ModelWaiter, other: ModelWaiter): boolean {
  if (one === other) return true;
  if (one.session !== other.session || one.resource !== other.resource || isCount(one) || isCount(other)) return false;
  const keyOf = ({ resource, terms }: ModelWaiter) => conditionKey(model.policy(resource).where, terms.where);
  return keyOf(one) === keyOf(other);
}

/** Whatever the order of its keys; nothing asked for is the empty condition. */
export function conditionKey(policy: Where | undefined, own: Where | undefined): string {
  const where = policy && own ? { and: [policy, own] } : (policy ?? own);
  return JSON.stringify(where ?? {}, (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  });
}
