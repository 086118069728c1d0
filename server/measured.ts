/**
 * What main puts around the parts that know nothing of metrics: domain and log, so that they are counted, and the state, so
 * that it can be read.
 *
 * Only what this run decides is counted: recovery has the domain itself. A count may be ahead of the disk by what is not
 * durable yet; if that is lost, so is the process, and the counts with it.
 */
import { PAIR_STATES } from '../protocol/codes.ts';
import type { Coordinator } from './coordinator/coordinator.ts';
import type { EventLog } from './coordinator/event-log.ts';
import type { Clock } from './coordinator/scheduler.ts';
import type { Journal } from './journal/journal.ts';
import type { LeaseEvent } from './lease/events.ts';
import type { Holder } from './lease/holder.ts';
import { leaseDomain } from './lease/lease-domain.ts';
import type { LeaseState } from './lease/state.ts';
import type { Gauges, ResourceGauges } from './metrics/gauges.ts';
import type { GrantVia, Metrics } from './metrics/metrics.ts';
import type { SessionHub } from './sessions/session-hub.ts';

const HOLDER_VIA: Readonly<Record<Holder['kind'], GrantVia>> = {
  session: 'ws',
  client: 'http',
  secret: 'http',
  process: 'gateway',
};

/** The lease domain, with its grants, ends and refusals counted. */
export function countedLeases(metrics: Metrics): typeof leaseDomain {
  return {
    ...leaseDomain,
    decide(state, command, context) {
      const decision = leaseDomain.decide(state, command, context);
      const { answer } = decision;
      if (answer?.type === 'refused') metrics.refused(answer.reason);
      return decision;
    },
    apply(state, event) {
      // Before: a waiter is gone with its grant.
      count(state, event, metrics);
      leaseDomain.apply(state, event);
    },
  };
}

function count(state: LeaseState, event: LeaseEvent, metrics: Metrics): void {
  switch (event.type) {
    case 'LeaseGranted':
      return countGrant(state, event, metrics);
    case 'LeaseEnded':
      return metrics.leaseEnded(event.end, event.reason);
    case 'WaitEnded':
      if (event.end === 'timeout') metrics.refused('wait_timeout');
      return;
    default:
  }
}

function countGrant(
  state: LeaseState,
  { waiter, substituteFor, holder, deadlineMs, ttlMs }: Extract<LeaseEvent, { type: 'LeaseGranted' }>,
  metrics: Metrics,
): void {
  if (substituteFor !== undefined) return metrics.granted('substitute');
  if (waiter === undefined) return metrics.granted(HOLDER_VIA[holder.kind]);
  metrics.granted('waiter');
  // With the first lease of a count it is gone.
  const request = state.waiters.get(waiter)?.requests[0];
  if (request) metrics.waited(Math.max(0, deadlineMs - ttlMs - request.atMs) / 1_000);
}

/** The log, with its commits timed. */
export function timedLog(log: EventLog, clock: Clock, metrics: Metrics): EventLog {
  return {
    batchBytesMax: log.batchBytesMax,
    batchEventsMax: log.batchEventsMax,
    append(batch, expectedPosition) {
      const startMs = clock.nowMs();
      return log.append(batch, expectedPosition).then((result) => {
        if (result.outcome === 'durable') metrics.committed((clock.nowMs() - startMs) / 1_000);
        return result;
      });
    },
    readFrom: (position) => log.readFrom(position),
    close: () => log.close(),
  };
}

export interface ReadParts {
  readonly build: Gauges['build'];
  readonly state: LeaseState;
  readonly coordinator: Coordinator;
  readonly journal: Journal;
  readonly hub: SessionHub;
}

/** Each is looked up when it is asked for. Nothing of it grows with the pool, the leases or the sessions. */
export function gaugesOf({ build, state, coordinator, journal, hub }: ReadParts): Gauges {
  return {
    build,
    get epoch() {
      return coordinator.epoch;
    },
    get position() {
      return coordinator.position;
    },
    get durablePosition() {
      return coordinator.durablePosition;
    },
    get backlogBytes() {
      return coordinator.backlogBytes;
    },
    get isOverloaded() {
      return coordinator.isOverloaded;
    },
    get storage() {
      return journal.storage;
    },
    get leases() {
      return state.leases.size;
    },
    get addresses() {
      return state.addresses.size;
    },
    get connectedSessions() {
      return state.sessions.size - state.suspended.size;
    },
    get suspendedSessions() {
      return state.suspended.size;
    },
    get sockets() {
      return hub.connectionCount;
    },
    get bufferedBytes() {
      return hub.bufferedBytes;
    },
    get resources() {
      return Array.from(
        state.resources.values(),
        ({ id, queue, pool }): ResourceGauges => ({
          id,
          waiting: queue.size,
          pairs: PAIR_STATES.map((pairState) => [pairState, pool.countOf(pairState)] as const),
        }),
      );
    },
  };
}
