/**
 * A lease as its holder sees it.
 *
 * Invariants:
 * - It ends once, and never revives: whatever the coordinator still says of it, it is over.
 * - While it is live, neither its own deadline nor that of an announced revocation has passed, by either clock: both are
 *   looked at by a timer and at every use.
 * - Its own deadline never comes nearer.
 */
import type { Lease, LeaseEvents, Revocation, Settlement } from './client-api.ts';
import { type Clocks, type Moment, momentOf, remainingMs, shift, startTimer, withClockMargin } from './client-clock.ts';
import { LeaseEndedError, type LeaseEnding, LeaseholdError } from './client-errors.ts';
import { Emitter } from './client-events.ts';
import type { AddressRecord } from './frames.ts';

/** What a lease needs of its client. */
export interface LeaseKeeper {
  readonly clocks: Clocks;
  /** Uniform in [0, 1). */
  random(): number;
  /** May end the lease. */
  checkSilence(): void;
  /** Resolves once the lease has been extended; ends it where the coordinator knows it no more. */
  renew(lease: HeldLease, ttlMs: number | undefined): Promise<void>;
  settle(type: 'release' | 'report', lease: HeldLease, settlement: Settlement): Promise<void>;
  /** Tells the coordinator, if it can be told, that nobody holds this token any more. */
  discard(token: number): void;
  /** Called once, when the lease has ended; `substitute` is what came in its place. */
  onEnd(lease: HeldLease, ending: LeaseEnding, substitute: HeldLease | undefined): void;
}

export interface LeaseTerms extends Holding {
  readonly token: number;
  readonly resource: number;
  readonly address: AddressRecord;
  readonly ttlMs: number;
}

/** How a lease is held, beside what its grant says. */
export interface Holding {
  readonly deadline: Moment;
  /** The session that holds it. */
  readonly session: string;
  /** The TTL to renew with; undefined: its user renews. */
  readonly autoRenewTtlMs: number | undefined;
  /** Of the acquire that it was granted for. */
  readonly key: string | undefined;
}

/** Timers stand still while the machine sleeps and the wall clock doesn't: no longer than this until both are asked. */
const DEADLINE_CHECK_MS = 5_000;
/** More monotonic time than this left at the end means that the wall clock ended the lease. */
const CLOCK_STEP_MS = 1_000;
/** Automatic renewal: with this share of the TTL left at the latest, earlier by up to RENEW_JITTER. */
const RENEW_AT_SHARE = 0.5;
const RENEW_JITTER = 0.1;
/** After a renewal that failed, as a share of the TTL. */
const RENEW_RETRY_SHARE = 0.1;
/** A lease whose end is announced is renewed where that gains more than this share of its TTL. */
const RENEW_GAIN_SHARE = 0.1;
/** Between renewals, whatever the coordinator makes of the TTL: never a tight loop. */
const RENEW_INTERVAL_MIN_MS = 50;

export class HeldLease implements Lease {
  readonly token: number;
  readonly resource: number;
  readonly address: AddressRecord;
  readonly session: string;
  readonly autoRenewTtlMs: number | undefined;
  readonly key: string | undefined;
  readonly ended: Promise<LeaseEnding>;
  readonly #keeper: LeaseKeeper;
  readonly #events = new Emitter<LeaseEvents>();
  readonly #abort = new AbortController();
  readonly #resolveEnded: (ending: LeaseEnding) => void;
  #ttlMs: number;
  #deadline: Moment;
  #revocation: Revocation | undefined;
  #revocationDeadline: Moment | undefined;
  #ending: LeaseEnding | undefined;
  #releasing: Promise<void> | undefined;
  #cancelDeadlineTimer = () => {};
  #cancelRenewTimer = () => {};

  constructor(terms: LeaseTerms, keeper: LeaseKeeper) {
    this.token = terms.token;
    this.resource = terms.resource;
    this.address = terms.address;
    this.session = terms.session;
    this.autoRenewTtlMs = terms.autoRenewTtlMs;
    this.key = terms.key;
    this.#ttlMs = terms.ttlMs;
    this.#deadline = terms.deadline;
    this.#keeper = keeper;
    let resolveEnded: (ending: LeaseEnding) => void;
    this.ended = new Promise((resolve) => {
      resolveEnded = resolve;
    });
    this.#resolveEnded = resolveEnded!;
    this.#watchDeadline();
    this.#planRenewal();
  }

  // ---- what its user sees

  get ttlMs() {
    return this.#ttlMs;
  }

  get live() {
    this.#check();
    return this.#ending === undefined;
  }

  get revocation() {
    return this.#revocation;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  remainingMs(): number {
    this.#check();
    return this.#ending ? 0 : Math.max(0, this.#remainingMs());
  }

  async renew(ttlMs?: number): Promise<void> {
    if (!this.live) throw this.lostError();
    await this.#keeper.renew(this, ttlMs);
  }

  async report(settlement: Settlement): Promise<void> {
    this.#check();
    await this.#keeper.settle('report', this, settlement);
  }

  async release(settlement: Settlement = {}): Promise<void> {
    if (!this.#releasing) {
      // Before the frame leaves: from then on the address may be somebody else's.
      this.#check();
      this.end({ end: 'released' });
      const releasing = this.#keeper.settle('release', this, settlement);
      this.#releasing = releasing;
      releasing.catch(() => {
        this.#releasing = undefined;
      });
    }
    await this.#releasing;
  }

  on<Name extends keyof LeaseEvents>(name: Name, listener: (event: LeaseEvents[Name]) => void): () => void {
    return this.#events.on(name, listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.release();
    } catch (error) {
      const nothingLeftToDo = ['lease_lost', 'unknown_lease', 'disconnected', 'closed'];
      if (!(error instanceof LeaseholdError) || !nothingLeftToDo.includes(error.code)) throw error;
    }
  }

  // ---- what its client does

  /** By its own TTL, an announced revocation left aside: what a substitute inherits. */
  get deadline() {
    return this.#deadline;
  }

  emit<Name extends keyof LeaseEvents>(name: Name, event: LeaseEvents[Name]): void {
    this.#events.emit(name, event);
  }

  hasListeners(name: keyof LeaseEvents): boolean {
    return this.#events.hasListeners(name);
  }

  lostError(): LeaseholdError {
    return new LeaseholdError('lease_lost', new LeaseEndedError(this.#ending ?? { end: 'session_lost' }).message);
  }

  /** To the new deadline where it is the later one. No effect once ended. */
  extend(deadline: Moment, ttlMs: number): void {
    if (!this.live) return;
    const { clocks } = this.#keeper;
    // As a whole, not clock by clock: a wall clock set back must not leave a deadline behind that it takes hours to reach.
    if (remainingMs(deadline, clocks) >= remainingMs(this.#deadline, clocks)) this.#deadline = deadline;
    this.#ttlMs = ttlMs;
    this.#watchDeadline();
    this.#planRenewal();
  }

  /**
   * From now on the lease ends `deadlineMs` from when this was heard, if not before. How long the notice was on its way
   * can't be known; the coordinator's own `revoked` follows anyway, and this holds where it can't come through.
   */
  announceRevocation(revocation: Revocation): void {
    this.#revocation = revocation;
    if (revocation.deadlineMs === undefined) return;
    this.#revocationDeadline = shift(momentOf(this.#keeper.clocks), withClockMargin(revocation.deadlineMs));
    this.#watchDeadline();
    this.#planRenewal();
  }

  /** No effect where it has ended already. */
  end(ending: LeaseEnding, substitute?: HeldLease): void {
    if (this.#ending) return;
    this.#ending = ending;
    this.#cancelDeadlineTimer();
    this.#cancelRenewTimer();
    this.#resolveEnded(ending);
    this.#abort.abort(new LeaseEndedError(ending));
    this.#keeper.onEnd(this, ending, substitute);
  }

  // ---- time

  #remainingMs(): number {
    const { clocks } = this.#keeper;
    const ownMs = remainingMs(this.#deadline, clocks);
    return this.#revocationDeadline ? Math.min(ownMs, remainingMs(this.#revocationDeadline, clocks)) : ownMs;
  }

  #check(): void {
    if (this.#ending) return;
    this.#keeper.checkSilence();
    if (this.#ending || this.#remainingMs() > 0) return;
    if (this.#isBoundByRevocation()) return this.end({ end: 'revoked', reason: this.#revocation!.reason });
    this.end({ end: 'expired' });
    const { clocks } = this.#keeper;
    // Set forward, the wall clock has ended what the coordinator would hold for long.
    if (this.#deadline.monoMs - clocks.monoMs() > CLOCK_STEP_MS) this.#keeper.discard(this.token);
  }

  #watchDeadline(): void {
    this.#cancelDeadlineTimer();
    if (this.#ending) return;
    this.#cancelDeadlineTimer = startTimer(Math.min(Math.max(1, this.#remainingMs()), DEADLINE_CHECK_MS), () => {
      this.#check();
      this.#watchDeadline();
    });
  }

  #planRenewal(): void {
    this.#cancelRenewTimer();
    if (this.autoRenewTtlMs === undefined || this.#ending || this.#isBoundByRevocation()) return;
    const share = RENEW_AT_SHARE + RENEW_JITTER * this.#keeper.random();
    this.#renewIn(this.#remainingMs() - this.#ttlMs * share);
  }

  /** Whether an announced revocation, and not its TTL, is what ends it: a renewal reaches hardly further, or not at all. */
  #isBoundByRevocation(): boolean {
    if (!this.#revocationDeadline) return false;
    const { clocks } = this.#keeper;
    const gainMs = remainingMs(this.#revocationDeadline, clocks) - remainingMs(this.#deadline, clocks);
    return gainMs <= this.#ttlMs * RENEW_GAIN_SHARE;
  }

  #renewIn(delayMs: number): void {
    this.#cancelRenewTimer = startTimer(Math.max(RENEW_INTERVAL_MIN_MS, delayMs), () => {
      // What succeeds plans the next one in `extend`.
      this.renew(this.autoRenewTtlMs).catch((error: unknown) => {
        if (this.#ending || this.#isBoundByRevocation()) return;
        const askedMs = error instanceof LeaseholdError ? error.retryAfterMs : undefined;
        this.#renewIn(askedMs ?? this.#ttlMs * RENEW_RETRY_SHARE);
      });
    });
  }
}
