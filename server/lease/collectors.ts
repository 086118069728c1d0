/**
 * Who counts as one. A *collector* is served in turn: an authenticated client with all its sessions, or a session by itself.
 * A *tally* is what `max_leases_per_client` goes by: an authenticated client with its sessions and what it holds over HTTP;
 * where nobody is authenticated, an IP likewise; and where not even that is known, a session by itself.
 */
import { existing } from './existing.ts';
import { type Holder, type Owner, ownerName } from './holder.ts';
import { type LeaseState, policyOf, type Resource } from './state.ts';

export interface Collector {
  /** Of an authenticated client; undefined: of one session. */
  readonly client: string | undefined;
  /** By resource: when it was last served, or began to wait for the first time, by `LeaseState.turns`. */
  readonly served: Map<number, number>;
  sessionCount: number;
}

export interface Tally {
  /** In `LeaseState.tallies`; undefined: of one session, which alone knows it. */
  readonly name: string | undefined;
  /**
   * By resource: live leases, and pairs that are kept for its counts; 0 where there were some. An index: nothing of it is
   * persisted.
   */
  readonly held: Map<number, number>;
  /** Invariant: the sum of `held`. */
  heldCount: number;
  sessionCount: number;
}

/** The tally of leases that the process has for nobody in particular. */
const PROCESS = 'process';

/** What a session that begins belongs to. `served`: of one that is read from a snapshot, where it is its own collector. */
export function joinParties(
  state: LeaseState,
  owner: Owner | undefined,
  served: Iterable<readonly [number, number]> = [],
): { collector: Collector; tally: Tally } {
  const collector =
    owner?.kind === 'client'
      ? ensureCollector(state, owner.client)
      : { client: undefined, served: new Map(served), sessionCount: 0 };
  const tally = owner ? ensureTally(state, ownerName(owner)) : newTally(undefined);
  collector.sessionCount += 1;
  tally.sessionCount += 1;
  return { collector, tally };
}

/** Of a session that ends, and holds nothing any more. */
export function leaveParties(state: LeaseState, { collector, tally }: { collector: Collector; tally: Tally }): void {
  collector.sessionCount -= 1;
  // It comes back as a newcomer, who stands at the present.
  if (collector.client !== undefined && collector.sessionCount === 0) state.collectors.delete(collector.client);
  tally.sessionCount -= 1;
  forgetIfEmpty(state, tally);
}

export function ensureCollector(state: LeaseState, client: string): Collector {
  let collector = state.collectors.get(client);
  if (!collector) {
    collector = { client, served: new Map(), sessionCount: 0 };
    state.collectors.set(client, collector);
  }
  return collector;
}

/** Whose turn it was when `holder` was granted something; undefined: of nobody who could wait. */
export function collectorOf(state: LeaseState, holder: Holder): Collector | undefined {
  switch (holder.kind) {
    case 'session':
      return existing(state.sessions, holder.session).collector;
    case 'client':
      return state.collectors.get(holder.client);
    case 'secret':
      return holder.owner?.kind === 'client' ? state.collectors.get(holder.owner.client) : undefined;
    case 'process':
      return undefined;
  }
}

/** Undefined: it has, and holds, nothing. */
export function tallyOf(state: LeaseState, holder: Holder): Tally | undefined {
  if (holder.kind === 'session') return state.sessions.get(holder.session)?.tally;
  const name = tallyName(holder);
  return name === undefined ? undefined : state.tallies.get(name);
}

/** That of a lease that is granted; undefined: it counts by itself. */
export function tallyFor(state: LeaseState, holder: Holder): Tally | undefined {
  if (holder.kind === 'session') return existing(state.sessions, holder.session).tally;
  const name = tallyName(holder);
  return name === undefined ? undefined : ensureTally(state, name);
}

/** Who knows a lease's secret is nobody twice: each such lease has another one. */
function tallyName(holder: Exclude<Holder, { kind: 'session' }>): string | undefined {
  switch (holder.kind) {
    case 'client':
      return ownerName(holder);
    case 'secret':
      return holder.owner && ownerName(holder.owner);
    case 'process':
      return holder.owner ? ownerName(holder.owner) : PROCESS;
  }
}

function ensureTally(state: LeaseState, name: string): Tally {
  let tally = state.tallies.get(name);
  if (!tally) {
    tally = newTally(name);
    state.tallies.set(name, tally);
  }
  return tally;
}

function newTally(name: string | undefined): Tally {
  return { name, held: new Map(), heldCount: 0, sessionCount: 0 };
}

function forgetIfEmpty(state: LeaseState, tally: Tally): void {
  if (tally.name !== undefined && tally.sessionCount === 0 && tally.heldCount === 0) state.tallies.delete(tally.name);
}

/** One lease more or less, or one pair that is kept for a count. Whoever waits is held back at the bound, and no longer below. */
export function countHeld(state: LeaseState, tally: Tally | undefined, resource: Resource, step: 1 | -1): void {
  if (!tally) return;
  tally.held.set(resource.id, heldOf(tally, resource) + step);
  tally.heldCount += step;
  if (tally.heldCount === 0) forgetIfEmpty(state, tally);
  if (resource.queue.size > 0) resource.queue.hold(tally, isAtBound(state, tally, resource));
}

export function heldOf(tally: Tally | undefined, resource: Resource): number {
  return tally?.held.get(resource.id) ?? 0;
}

export function isAtBound(state: LeaseState, tally: Tally, resource: Resource): boolean {
  const { maxLeasesPerClient } = policyOf(state, resource.id);
  return maxLeasesPerClient !== undefined && heldOf(tally, resource) >= maxLeasesPerClient;
}
