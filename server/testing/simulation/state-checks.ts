import { PAIR_STATES, type RevokeReason } from '../../../protocol/codes.ts';
import type { Lease, LeaseState } from '../../lease/state.ts';
import { checkIndexes } from '../lease-invariants.ts';
import type { Findings } from './findings.ts';
import type { History } from './history.ts';
import { firstServable, serving, stateOf } from './naive-pairs.ts';
import type { SimDisk } from './sim-log.ts';
import type { Run } from './sim-server.ts';

/** With a lease live, the clock is on disk at least so often, and a quarter of the shortest TTL where that is less. */
const CLOCK_MARK_MAX_MS = 1_000;
const CLOCK_MARK_MAX_LOW_MS = 60_000;
/** Timers are this much late, and a turn takes a while. */
const CLOCK_MARK_SLACK_MS = 5;

/** Of one resource, while they are counted. */
const pairCounts = new Uint32Array(PAIR_STATES.length);

/** The pairs of the resources that something has happened to: as many in each state as there must be. */
export function checkTouched(state: LeaseState, history: History, findings: Findings): void {
  if (history.touched.size === 0) return;
  for (const id of history.touched) checkCounts(state, history, findings, id);
  history.touched.clear();
}

/**
 * At the end of a turn, when all that it can do is done: nobody who waits for these resources could be given anything or
 * is past its time, and no lease goes on without a word whose address may not be used.
 */
export function checkTurn(
  state: LeaseState,
  history: History,
  findings: Findings,
  resources: Iterable<number>,
  nowMs: number,
): void {
  const { leases, waits } = history;
  for (const id of resources) {
    const resource = state.resources.get(id);
    if (!resource) continue;
    const waiters = waits.waitersOf(id, state);
    // While the disk is nearly full nobody is served, and all keep their places.
    const isServing = state.storage === 'ample';
    const servable = isServing && firstServable(state, resource, waiters, leases.liveCount(id), nowMs);
    if (servable) findings.report('waiting', `waiter ${servable.number} could be served, and isn't`);
    for (const { number, untilMs } of waiters) {
      if (untilMs <= nowMs) findings.report('waiting', `waiter ${number} is ${nowMs - untilMs} ms past its time`);
    }
    for (const { token } of leases.live.get(id)?.values() ?? []) {
      const lease = state.leases.get(token);
      const reason = lease && withdrawal(state, lease);
      if (reason !== undefined && !lease!.revoking) findings.report('marks', `lease ${token} goes on: ${reason}`);
    }
  }
}

/** Why the lease may not go on. Whoever has reported a ban knows of it, and keeps its own until it is done. */
function withdrawal(state: LeaseState, { addressId, resource, isBanned }: Lease): RevokeReason | undefined {
  const address = state.addresses.get(addressId)!;
  if (address.removed) return 'address_removed';
  if (!address.record.resource_ids.includes(resource)) return 'resource_withdrawn';
  if (address.isUnhealthy) return 'unhealthy';
  const isQuarantined = address.quarantine !== undefined || address.pairs?.get(resource)?.quarantine !== undefined;
  return isQuarantined && !isBanned ? 'quarantined' : undefined;
}

/** Everything, from the ground up. */
export function checkAll(state: LeaseState, history: History, findings: Findings): void {
  const { leases, sessions, waits } = history;
  for (const id of state.resources.keys()) checkCounts(state, history, findings, id);
  const listedBy = new Map<number, string>();
  for (const { id, leases: own } of state.sessions.values()) for (const { token } of own) listedBy.set(token, id);
  for (const ofResource of leases.live.values()) {
    for (const { token, addressId, resource, session } of ofResource.values()) {
      const lease = state.leases.get(token);
      const holder = lease?.holder.kind === 'session' ? lease.holder.session : undefined;
      if (!lease) findings.report('durability', `lease ${token} is live, and the state doesn't know it`);
      else if (lease.addressId !== addressId || lease.resource !== resource || holder !== session) {
        findings.report('pairs', `lease ${token} is another one in the state`);
      }
      if (listedBy.get(token) !== session) {
        findings.report('pairs', `lease ${token} belongs to session ${session}, which doesn't know it`);
      }
    }
  }
  if (state.leases.size !== leases.liveCount()) {
    findings.report('pairs', `the state has ${state.leases.size} leases, ${leases.liveCount()} are live`);
  }
  let openCount = 0;
  for (const { id, isEnded } of sessions.sessions.values()) {
    if (isEnded) continue;
    openCount += 1;
    if (!state.sessions.has(id)) findings.report('sessions', `session ${id} is open and not in the state`);
  }
  if (state.sessions.size !== openCount) {
    findings.report('sessions', `the state has ${state.sessions.size} sessions, ${openCount} are open`);
  }
  for (const { number, session, resource, requests } of waits.waiting.values()) {
    const waiter = state.waiters.get(number);
    const isSame = waiter?.session.id === session && waiter.resource.id === resource;
    if (!isSame || waiter.requests.at(-1)?.id !== requests.at(-1)) {
      findings.report('waiting', `waiter ${number} of session ${session} isn't in the state, or is another one`);
    }
  }
  if (state.waiters.size !== waits.waiting.size) {
    findings.report('waiting', `the state has ${state.waiters.size} waiters, ${waits.waiting.size} wait`);
  }
  try {
    checkIndexes(state);
  } catch (error) {
    findings.report('indexes', (error as Error).message);
  }
}

/** How much a restart would prolong what is live: at most the mark, or as long as the last append took. */
export function checkClock(run: Run, disk: SimDisk, findings: Findings): void {
  const { state, clock, process, coordinator } = run;
  // What is on its way to disk brings the clock along, and a process that has just woken has had no time to write.
  if (coordinator.position > disk.position || disk.isAppending || process.awakeMs < CLOCK_MARK_SLACK_MS) return;
  let markMs = Infinity;
  const maxMs = state.storage === 'ample' ? CLOCK_MARK_MAX_MS : CLOCK_MARK_MAX_LOW_MS;
  for (const { ttlMs } of state.leases.values()) markMs = Math.min(markMs, maxMs, ttlMs / 4);
  const behindMs = clock.nowMs() - disk.clockMs;
  if (behindMs > Math.max(markMs, disk.lastAppendMs) + CLOCK_MARK_SLACK_MS) {
    findings.report('clock', `the clock on disk is ${behindMs} ms behind, ${markMs} ms at most were promised`);
  }
}

function checkCounts(state: LeaseState, history: History, findings: Findings, id: number): void {
  const resource = state.resources.get(id);
  if (!resource) return;
  const { leases, queue, pool } = resource;
  const liveCount = history.leases.liveCount(id);
  if (leases.size !== liveCount) {
    findings.report('pairs', `resource ${id} has ${leases.size} leases, ${liveCount} are live`);
  }
  const waitCount = history.waits.countOf(id);
  if (queue.size !== waitCount) findings.report('waiting', `${queue.size} wait for resource ${id}, not ${waitCount}`);
  const addresses = serving(state, id);
  const counts = pairCounts.fill(0);
  for (const address of addresses) counts[PAIR_STATES.indexOf(stateOf(address, id))]! += 1;
  if (pool.size !== addresses.length) {
    findings.report('pairs', `resource ${id} has ${pool.size} pairs, of ${addresses.length} addresses`);
  }
  for (const [code, pairState] of PAIR_STATES.entries()) {
    if (pool.countOf(pairState) !== counts[code]) {
      const what = `${pool.countOf(pairState)} ${pairState} pairs, of ${counts[code]}`;
      findings.report('pairs', `resource ${id} counts ${what}`);
    }
  }
}
