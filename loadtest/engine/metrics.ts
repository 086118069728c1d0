/**
 * What the engine says of a run, under `leasehold.`: counters, and histograms in milliseconds.
 *
 * Invariant: no name begins another one. The plugin `ensure` puts values in the place of names wherever it finds them in an
 * expression, in no order that could be relied on.
 */
import type { Timeline } from './timeline.ts';

/** The part of artillery's emitter that is used. */
export interface MetricEvents {
  emit(event: 'counter' | 'histogram', name: string, value: number): unknown;
  emit(event: 'error', code: string): unknown;
  emit(event: 'started'): unknown;
}

/** Requests whose time to the answer is a histogram; `wait`: an acquire that stood in line. */
export const VERBS = ['connect', 'acquire', 'wait', 'renew', 'report', 'release', 'count'] as const;
export type Verb = (typeof VERBS)[number];

/** Said as 0 from the first collector on, so that a threshold on one that never happens finds it. */
export const COUNTERS = [
  /** Sessions opened. */
  'opened',
  'requests',
  /** Leases. */
  'granted',
  /** Acquires that stood in line. */
  'queued',
  /** Acquires that were refused; `refused.<reason>` says why. */
  'refusals',
  /** Requests that were answered with an error or not at all; `failed.<code>`. */
  'failures',
  /** Steps on a lease that was never granted or has ended. */
  'skipped',
  /** Connections that broke without the scenario's doing. */
  'disconnected',
  'resumed',
  /** Came back and found a new session. */
  'replaced',
  /** Leases that ended with their session, or that a resume no longer found: somebody believed in them. */
  'lost_leases',
  /** Leases that ended while they were to be held. */
  'ended_early',
  /** Connections that the scenario cut. */
  'dropped',
  /** Two live leases on one pair. */
  'overlaps',
] as const;
export type Counter = (typeof COUNTERS)[number];

/** Pushes; the first two have a time at which they are due. */
export const PUSHES = ['expired', 'expiring', 'revoking', 'revoked', 'goaway'] as const;
export type Push = (typeof PUSHES)[number];

export const answerName = (verb: Verb) => `leasehold.${verb}.ms`;
export const counterName = (counter: Counter) => `leasehold.${counter}`;
export const pushedName = (push: Push) => `leasehold.pushed.${push}`;
export const lateName = (push: 'expired' | 'expiring') => `leasehold.late.${push}.ms`;

export class Metrics {
  readonly #events: MetricEvents;
  readonly #timeline: Timeline | undefined;

  constructor(events: MetricEvents, timeline: Timeline | undefined) {
    this.#events = events;
    this.#timeline = timeline;
  }

  /** Once for each collector. */
  begin(): void {
    for (const counter of COUNTERS) this.#events.emit('counter', counterName(counter), 0);
  }

  count(counter: Counter, by = 1): void {
    this.#events.emit('counter', counterName(counter), by);
  }

  /** A request that was answered, by a refusal too. */
  answered(verb: Verb, ms: number): void {
    this.#events.emit('histogram', answerName(verb), ms);
    this.#timeline?.record(verb, ms);
  }

  refused(reason: string): void {
    this.count('refusals');
    this.#events.emit('counter', `leasehold.refused.${reason}`, 1);
  }

  failed(code: string): void {
    this.count('failures');
    this.#events.emit('counter', `leasehold.failed.${code}`, 1);
  }

  pushed(push: Push): void {
    this.#events.emit('counter', pushedName(push), 1);
  }

  late(push: 'expired' | 'expiring', ms: number): void {
    this.#events.emit('histogram', lateName(push), ms);
  }
}
