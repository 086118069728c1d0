/**
 * Acquires: asked, waited for, given up.
 *
 * Invariant: no grant without somebody who uses it. What nobody here waits for is given back: what comes after its
 * request was given up, what is more than was asked for, what `welcome` lists and nobody knows.
 */
import { forgetOldest } from './bounded.ts';
import type { AcquireManyOptions, AcquireOptions } from './client-api.ts';
import { type Clocks, type Moment, remainingMs } from './client-clock.ts';
import { LeaseholdError, RefusedError } from './client-errors.ts';
import { answered, grantsOf, present, termsOf } from './client-frames.ts';
import type { HeldLease } from './client-lease.ts';
import { deadlineOf, type Leases } from './client-leases.ts';
import type { Abandoned, Requests } from './client-requests.ts';
import type { CoordinatorFrame, GrantedFrame, Held, QueuedFrame, WelcomeFrame } from './frames.ts';

/** Requests with a key that were given up and may still be answered; the oldest is forgotten. */
const ABANDONED_KEYS_MAX = 1_024;

export interface AcquirePort {
  readonly requests: Requests;
  readonly leases: Leases;
  readonly clocks: Clocks;
  /** From a request to its answer, its time in line aside. */
  readonly timeoutMs: number;
  session(): string;
  /** Takes a request out of the line. Where it can't be told now, `welcome` will list it, and it is told then. */
  cancel(request: number): void;
}

/** What a grant is read for. */
interface Asked {
  readonly count: number;
  readonly key: string | undefined;
  readonly autoRenewTtlMs: number | undefined;
}

export class Acquires {
  readonly #port: AcquirePort;
  /** By an id that may still be answered on this connection. Bound: ABANDONED_KEYS_MAX. */
  readonly #abandonedKeys = new Map<number, string>();
  /**
   * Leases that nobody holds while a request with their key is under way, by token: it will be answered with them or
   * fail. Bound: what the pending requests can be granted.
   */
  readonly #leftToKey = new Map<number, string>();

  constructor(port: AcquirePort) {
    this.#port = port;
  }

  // ---- asking

  async acquire(options: AcquireOptions): Promise<HeldLease> {
    const [lease] = await this.#acquire(options, undefined);
    return lease!;
  }

  acquireMany(options: AcquireManyOptions): Promise<HeldLease[]> {
    return this.#acquire(options, options.count);
  }

  async #acquire(options: AcquireOptions, count: number | undefined): Promise<HeldLease[]> {
    const { requests, timeoutMs } = this.#port;
    const { ttlMs, waitMs = 0, key, autoRenew = false, onQueued, signal } = options;
    const asked: Asked = { count: count ?? 1, key, autoRenewTtlMs: autoRenew ? ttlMs : undefined };
    try {
      return await requests.start({
        body: { type: 'acquire', ...termsOf(options), ...present({ count, key }) },
        timeoutMs: timeoutMs + waitMs,
        signal,
        onDrop: key === undefined ? 'hold' : 'repeat',
        onQueued,
        read: (frame, sentAt) => this.#granted(frame, sentAt, asked),
      });
    } finally {
      this.#giveBackUnclaimed();
    }
  }

  // ---- what the connection brings

  /** Before the leases are gone through: what was granted while the connection was broken is somebody's from then on. */
  settleInDoubt({ leases, waiting }: WelcomeFrame, helloSentAt: Moment): void {
    this.#abandonedKeys.clear();
    this.#leftToKey.clear();
    const positions = new Map(waiting.map(({ request, position }) => [request, position]));
    const granted = new Map<number, Held[]>();
    for (const held of leases) granted.set(held.request, [...(granted.get(held.request) ?? []), held]);
    this.#port.requests.settleInDoubt((id): GrantedFrame | QueuedFrame | undefined => {
      const held = granted.get(id);
      if (held) return { type: 'granted', id, leases: held.map(asGrantedByHello) };
      const position = positions.get(id);
      return position === undefined ? undefined : { type: 'queued', id, position };
    }, helloSentAt);
  }

  /** Takes out of the line what nobody here waits for. */
  cancelUnclaimed(waiting: WelcomeFrame['waiting']): void {
    for (const { request, key } of waiting) {
      if (this.#port.requests.has(request)) continue;
      // Asked again under another id. Should the old one be answered too, that is known for the same.
      if (key !== undefined && this.#isShared(key)) this.#rememberKey(request, key);
      else this.#port.cancel(request);
    }
  }

  /** Whether what `welcome` lists and nobody holds is left to a request that will be answered with it. */
  claim({ lease, key }: Held): boolean {
    if (key === undefined || !this.#port.requests.hasKey(key) || this.#port.leases.isOver(lease)) return false;
    this.#leftToKey.set(lease, key);
    return true;
  }

  /** An answer to a request that nobody waits for any more. */
  onLateAnswer(id: number, frame: CoordinatorFrame): void {
    const key = this.#abandonedKeys.get(id);
    this.#abandonedKeys.delete(id);
    if (frame.type !== 'granted') return;
    const { requests, leases } = this.#port;
    for (const { lease } of grantsOf(frame)) {
      if (key !== undefined && requests.hasKey(key) && !leases.live.has(lease)) this.#leftToKey.set(lease, key);
      else leases.giveBack(lease);
    }
  }

  /** Given up before it was in line, or its cancel was not taken. */
  onLateQueued({ id }: QueuedFrame): void {
    const key = this.#abandonedKeys.get(id);
    if (key === undefined || !this.#isShared(key)) this.#port.cancel(id);
  }

  /** One that may yet be queued is cancelled when it is, and what it may yet be granted is given back then. */
  onAbandoned({ id, body, isQueued }: Abandoned): void {
    if (body.type !== 'acquire') return;
    const { key } = body;
    if (key !== undefined) this.#rememberKey(id, key);
    if (isQueued && (key === undefined || !this.#isShared(key))) this.#port.cancel(id);
  }

  // ---- grants

  #granted(frame: CoordinatorFrame, sentAt: Moment, { count, key, autoRenewTtlMs }: Asked): HeldLease[] {
    if (frame.type === 'refused') throw new RefusedError(frame.reason, frame.why, frame.retry_after_ms);
    const { clocks, leases } = this.#port;
    const session = this.#port.session();
    const grants = grantsOf(answered(frame, 'granted'));
    // It can't have waited for longer than we have: a replayed answer may tell of a wait that was over before.
    const waitedMaxMs = clocks.monoMs() - sentAt.monoMs;
    const wanted = grants.slice(0, count).map((grant) => {
      const waitedMs = Math.min(grant.waited_ms ?? 0, waitedMaxMs);
      return { grant, deadline: deadlineOf(sentAt, grant.ttl_ms, waitedMs) };
    });
    const isLate = wanted.some(({ deadline }) => remainingMs(deadline, clocks) <= 0);
    const isWhole = wanted.length === count && !wanted.some(({ grant }) => leases.isOver(grant.lease));
    const isTaken = isWhole && !isLate;
    for (const { lease } of isTaken ? grants.slice(count) : grants) this.#giveBack(lease);
    if (isLate) throw new LeaseholdError('timeout', 'the grant arrived when its TTL was over');
    if (!isWhole) throw new LeaseholdError('lease_lost', 'what was granted had ended before it arrived');
    return wanted.map(({ grant, deadline }) => {
      this.#leftToKey.delete(grant.lease);
      return leases.adopt(grant, { deadline, session, autoRenewTtlMs, key });
    });
  }

  #giveBack(token: number): void {
    this.#leftToKey.delete(token);
    this.#port.leases.giveBack(token);
  }

  /** What was left to a key that nobody asks for any more. */
  #giveBackUnclaimed(): void {
    for (const [token, key] of this.#leftToKey) if (!this.#port.requests.hasKey(key)) this.#giveBack(token);
  }

  // ---- keys

  /** All who ask by one key wait together and are granted the same: one of them must not cancel it for the others. */
  #isShared(key: string): boolean {
    return this.#port.requests.hasKey(key) || this.#port.leases.holdsKey(key);
  }

  #rememberKey(id: number, key: string): void {
    this.#abandonedKeys.set(id, key);
    forgetOldest(this.#abandonedKeys, ABANDONED_KEYS_MAX);
  }
}

/** In `welcome` the TTL is what remains from `hello` on, however long the request had waited before. */
function asGrantedByHello(held: Held) {
  return { ...held, waited_ms: 0 };
}
