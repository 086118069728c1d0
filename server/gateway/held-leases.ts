/**
 * Leases of the forward proxy while they are used: one for each request and tunnel, or one for all of a session, shared by
 * those that come at one time and kept until it has been idle for as long as it may be.
 */
import type { Outcome } from '../../protocol/codes.ts';
import type { Clock, Scheduler } from '../coordinator/scheduler.ts';
import { onAbort } from './abort.ts';
import type { LeaseAsk, LeaseAsked, LeaseEndReason, LeaseSource, ProcessLease } from './lease-source.ts';
import type { WantedSession } from './proxy-parameters.ts';

/** A lease in use by one request or tunnel. */
export interface Held {
  readonly lease: ProcessLease;
  /** Calls back when somebody else ends the lease, at once where that has happened; returns how to call it off. */
  onEnded(callback: (reason: LeaseEndReason) => void): () => void;
  /** Once. `isSpent`: the session's next request is to have another address. */
  done(report: { readonly outcome?: Outcome | undefined; readonly requests: number; readonly isSpent?: boolean }): void;
}

export interface NotHeld {
  readonly type: 'too_many_sessions';
  readonly message: string;
  readonly retryAfterS: number;
}
export type Holding =
  | { readonly type: 'held'; readonly held: Held }
  | Exclude<LeaseAsked, { readonly type: 'granted' }>
  | NotHeld;

export interface HeldLeasesOptions {
  readonly leases: LeaseSource;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly sessionsMax: number;
  readonly sessionsPerClientMax: number;
}

/** How long the coordinator may not know yet what a lease was used for. */
const REPORT_AFTER_MS = 1_000;

/** A lease, and who uses it. */
class SharedLease {
  readonly lease: ProcessLease;
  readonly #scheduler: Scheduler;
  /** Of those that use it, what cuts each. */
  readonly #cuts = new Set<(reason: LeaseEndReason) => void>();
  #requests = 0;
  #outcome: Outcome | undefined;
  #cancelReport: (() => void) | undefined;
  users = 0;
  isSpent = false;
  isReleased = false;

  constructor(lease: ProcessLease, scheduler: Scheduler) {
    this.lease = lease;
    this.#scheduler = scheduler;
    onAbort(lease.ended, () => {
      this.#cancelReport?.();
      for (const cut of this.#cuts) cut(lease.ended.reason as LeaseEndReason);
    });
  }

  use(onUnused: () => void): Held {
    const { lease } = this;
    this.users += 1;
    return {
      lease,
      onEnded: (callback) => {
        if (lease.ended.aborted) callback(lease.ended.reason as LeaseEndReason);
        this.#cuts.add(callback);
        return () => void this.#cuts.delete(callback);
      },
      done: ({ outcome, requests, isSpent = false }) => {
        this.#requests += requests;
        // A ban is of the address, whatever went well beside it.
        if (outcome !== undefined && this.#outcome !== 'banned') this.#outcome = outcome;
        this.isSpent ||= isSpent;
        this.users -= 1;
        if (this.users === 0) onUnused();
        if (!this.isReleased) this.#reportSoon();
      },
    };
  }

  /** A ban at once, the count of requests with those that come meanwhile: the lease may go on for days. */
  #reportSoon(): void {
    if (this.#outcome === 'banned') {
      this.lease.report({ outcome: 'banned', requests: this.#requests });
      return;
    }
    this.#cancelReport ??= this.#scheduler.setTimer(REPORT_AFTER_MS, () => {
      this.#cancelReport = undefined;
      this.lease.report({ requests: this.#requests });
    });
  }

  release(): void {
    this.isReleased = true;
    this.#cancelReport?.();
    const outcome = this.#outcome === undefined ? {} : { outcome: this.#outcome };
    this.lease.release({ ...outcome, requests: this.#requests });
  }
}

interface Session {
  readonly client: string;
  readonly sinceMs: number;
  /** Undefined until `asked` has been granted. */
  shared: SharedLease | undefined;
  /** What all who came meanwhile wait for. */
  readonly asked: Promise<LeaseAsked>;
  cancelIdle: (() => void) | undefined;
}

export class HeldLeases {
  readonly #options: HeldLeasesOptions;
  readonly #sessions = new Map<string, Session>();
  readonly #perClient = new Map<string, number>();

  constructor(options: HeldLeasesOptions) {
    this.#options = options;
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** For one request or tunnel. */
  async hold(ask: LeaseAsk): Promise<Holding> {
    const asked = await this.#options.leases.acquire(ask);
    if (asked.type !== 'granted') return asked;
    const shared = new SharedLease(asked.lease, this.#options.scheduler);
    return { type: 'held', held: shared.use(() => shared.release()) };
  }

  /**
   * For one of a session of `client`. A session is known by its name and by all else that is asked for: who asks for another
   * country has another session. `besides`: what this one must not have, of an address that has just failed it.
   */
  async holdOf(session: WantedSession, client: string, ask: LeaseAsk, besides: LeaseAsk = ask): Promise<Holding> {
    const { resource, where, strategy, sticky } = ask;
    const key = JSON.stringify([client, session.name, resource, where, strategy, sticky]);
    for (;;) {
      const known = this.#usable(key, session);
      const entry = known ?? this.#open(key, client, besides);
      if ('type' in entry) return entry;
      const asked = await entry.asked;
      if (asked.type !== 'granted') return asked;
      const shared = entry.shared!;
      // The session came to its end before its first request had the turn: it begins anew.
      if (shared.isReleased) continue;
      entry.cancelIdle?.();
      entry.cancelIdle = undefined;
      return { type: 'held', held: shared.use(() => this.#idle(key, entry, shared, session.idleMs)) };
    }
  }

  /** Hands back whatever nobody uses; the rest follows when it is done. */
  close(): void {
    for (const [key, session] of this.#sessions) this.#end(key, session);
  }

  #usable(key: string, { durationMs = Infinity }: WantedSession): Session | undefined {
    const session = this.#sessions.get(key);
    if (!session) return undefined;
    const isOld = this.#options.clock.nowMs() - session.sinceMs >= durationMs;
    const isSpent = session.shared?.isSpent === true || session.shared?.lease.isRevoking() === true;
    if (!isOld && !isSpent) return session;
    this.#end(key, session);
    return undefined;
  }

  #open(key: string, client: string, ask: LeaseAsk): Session | NotHeld {
    const { sessionsMax, sessionsPerClientMax, leases, clock } = this.#options;
    const ofClient = this.#perClient.get(client) ?? 0;
    const tooMany = (message: string) => ({ type: 'too_many_sessions', message, retryAfterS: 1 }) as const;
    if (ofClient >= sessionsPerClientMax) return tooMany(`the client has ${ofClient} sessions already`);
    if (this.#sessions.size >= sessionsMax) return tooMany('there are too many sessions');
    const session: Session = {
      client,
      sinceMs: clock.nowMs(),
      shared: undefined,
      cancelIdle: undefined,
      asked: leases.acquire(ask).then((asked) => {
        if (asked.type === 'granted') this.#granted(key, session, asked.lease);
        else this.#forget(key, session);
        return asked;
      }),
    };
    this.#sessions.set(key, session);
    this.#perClient.set(client, ofClient + 1);
    return session;
  }

  #granted(key: string, session: Session, lease: ProcessLease): void {
    const shared = new SharedLease(lease, this.#options.scheduler);
    session.shared = shared;
    // It ended while it was being asked for: nobody will use it.
    if (this.#sessions.get(key) !== session) shared.release();
    else onAbort(lease.ended, () => this.#end(key, session));
  }

  #idle(key: string, session: Session, shared: SharedLease, idleMs: number): void {
    if (this.#sessions.get(key) !== session) return shared.release();
    if (shared.isSpent) return this.#end(key, session);
    session.cancelIdle = this.#options.scheduler.setTimer(idleMs, () => this.#end(key, session));
  }

  /** Whoever uses its lease goes on, and hands it back in the end. */
  #end(key: string, session: Session): void {
    this.#forget(key, session);
    session.cancelIdle?.();
    if (session.shared?.users === 0) session.shared.release();
  }

  #forget(key: string, session: Session): void {
    if (this.#sessions.get(key) !== session) return;
    this.#sessions.delete(key);
    const left = this.#perClient.get(session.client)! - 1;
    if (left === 0) this.#perClient.delete(session.client);
    else this.#perClient.set(session.client, left);
  }
}
