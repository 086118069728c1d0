/**
 * All leases of a client: what the coordinator grants, pushes and says at a resume, turned into Lease objects and events.
 *
 * Invariant: `live` holds exactly the leases that have not ended here, though a deadline may have passed unnoticed until
 * the lease is next looked at.
 */
import { assertNever } from './assert.ts';
import { forgetOldest } from './bounded.ts';
import type { ClientEvents, Revocation } from './client-api.ts';
import { type Moment, shift, withClockMargin } from './client-clock.ts';
import type { LeaseEnding } from './client-errors.ts';
import type { Emitter } from './client-events.ts';
import { HeldLease, type Holding, type LeaseKeeper } from './client-lease.ts';
import type { CoordinatorFrame, Grant, Held, WelcomeFrame } from './frames.ts';

export type LeasePush = Extract<CoordinatorFrame, { type: 'expiring' | 'expired' | 'revoking' | 'revoked' }>;
type RevocationPush = Extract<LeasePush, { type: 'revoking' | 'revoked' }>;

/** Leases that ended here at an announced revocation and whose substitute may still come; the oldest is forgotten. */
const REVOKED_REMEMBERED_MAX = 1_024;
/** Tokens that are over here, while an answer from before may still name them; the oldest is forgotten. */
const OVER_REMEMBERED_MAX = 10_000;

/** When a holder stops believing in what was granted in answer to a frame sent at `sentAt`. */
export function deadlineOf(sentAt: Moment, ttlMs: number, waitedMs = 0): Moment {
  return shift(sentAt, withClockMargin(waitedMs + ttlMs));
}

export class Leases {
  readonly live = new Map<number, HeldLease>();
  readonly #keeper: LeaseKeeper;
  readonly #events: Emitter<ClientEvents>;
  readonly #revoked = new Map<number, HeldLease>();
  readonly #over = new Set<number>();

  constructor(keeper: LeaseKeeper, events: Emitter<ClientEvents>) {
    this.#keeper = keeper;
    this.#events = events;
  }

  /** The lease of a grant that isn't over: a new one, or the one that the same key was answered with before. */
  adopt(grant: Grant, holding: Holding): HeldLease {
    const known = this.live.get(grant.lease);
    if (known?.live) {
      known.extend(holding.deadline, known.ttlMs);
      return known;
    }
    const { lease: token, resource, address, ttl_ms: ttlMs } = grant;
    const lease = new HeldLease({ token, resource, address, ttlMs, ...holding }, this.#keeper);
    this.live.set(token, lease);
    return lease;
  }

  /** Whether it has ended here or was given back, and so can't be believed in again, whatever an answer says of it. */
  isOver(token: number): boolean {
    return this.#over.has(token) || this.live.get(token)?.live === false;
  }

  holdsKey(key: string): boolean {
    for (const lease of this.live.values()) if (lease.key === key) return true;
    return false;
  }

  /** Tells the coordinator that nobody here holds this token. No effect where somebody does. */
  giveBack(token: number): void {
    if (this.live.has(token)) return;
    this.#markOver(token);
    this.#keeper.discard(token);
  }

  push(frame: LeasePush): void {
    const lease = this.live.get(frame.lease);
    switch (frame.type) {
      case 'expiring':
        if (!lease?.live) return;
        return this.#emit('expiring', lease, { lease, remainingMs: lease.remainingMs() });
      case 'expired':
        return lease?.end({ end: 'expired' });
      case 'revoking':
        return this.#onRevoking(frame, lease);
      case 'revoked':
        return this.#onRevoked(frame, lease);
      default:
        assertNever(frame);
    }
  }

  /** The end of a lease, whoever found it: out of `live`, and told. */
  onEnd(lease: HeldLease, ending: LeaseEnding, substitute: HeldLease | undefined): void {
    this.live.delete(lease.token);
    this.#markOver(lease.token);
    switch (ending.end) {
      case 'released':
        return;
      case 'expired':
        return this.#events.emit('expired', { lease });
      case 'revoked':
        if (lease.revocation && !substitute) this.#remember(lease);
        return this.#tellRevoked(lease, ending.reason ?? 'operator', substitute);
      default:
        // `session_lost`, or an end that only a later version knows.
        return this.#events.emit('lost', { lease, ...(ending.reason === undefined ? {} : { reason: ending.reason }) });
    }
  }

  endAll(ending: LeaseEnding): void {
    for (const lease of this.live.values()) lease.end(ending);
  }

  /**
   * `welcome` decides: what isn't in its `leases` has ended, and what remains of the others counts from when `hello` was
   * sent. What is there and not live here is given back: a lease that ended here never revives, and a grant whose answer
   * was lost has nobody to use it, unless `isClaimed` by a request that will see to it.
   */
  reconcile(welcome: WelcomeFrame, helloSentAt: Moment, isClaimed: (held: Held) => boolean): void {
    if (!welcome.resumed) this.endAll({ end: 'session_lost', reason: 'not resumed' });
    const held = new Map(welcome.leases.map((entry) => [entry.lease, entry]));
    const ended = new Map(welcome.ended.map((entry) => [entry.lease, entry]));
    for (const lease of this.live.values()) {
      const entry = held.get(lease.token);
      if (!entry) {
        const { end = 'session_lost', reason } = ended.get(lease.token) ?? {};
        lease.end(reason === undefined ? { end } : { end, reason });
        continue;
      }
      lease.extend(deadlineOf(helloSentAt, entry.ttl_ms), lease.ttlMs);
      if (entry.revoking && !lease.revocation) this.#announce(lease, revocationOf(entry.revoking), undefined);
    }
    for (const entry of welcome.leases) {
      if (!this.live.has(entry.lease) && !isClaimed(entry)) this.giveBack(entry.lease);
    }
  }

  // ---- revocations

  #onRevoking(frame: RevocationPush, lease: HeldLease | undefined): void {
    const substitute = this.#substituteFor(lease, frame);
    if (lease) this.#announce(lease, revocationOf(frame), substitute);
  }

  #onRevoked(frame: RevocationPush, lease: HeldLease | undefined): void {
    const former = lease ?? this.#revoked.get(frame.lease);
    this.#revoked.delete(frame.lease);
    const substitute = this.#substituteFor(former, frame);
    if (lease) lease.end({ end: 'revoked', reason: frame.reason }, substitute);
    else if (former && substitute) this.#tellRevoked(former, frame.reason, substitute);
  }

  #announce(lease: HeldLease, revocation: Revocation, substitute: HeldLease | undefined): void {
    lease.announceRevocation(revocation);
    this.#emit('revoking', lease, { lease, ...revocation, ...(substitute ? { substitute } : {}) });
  }

  #tellRevoked(lease: HeldLease, reason: string, substitute: HeldLease | undefined): void {
    this.#emit('revoked', lease, { lease, reason, ...(substitute ? { substitute } : {}) });
  }

  /** It inherits its predecessor's deadline: a push answers no frame of ours, so nothing else could date it. */
  #substituteFor(lease: HeldLease | undefined, { type, substitute }: RevocationPush): HeldLease | undefined {
    if (!substitute) return undefined;
    if (lease && (lease.hasListeners(type) || this.#events.hasListeners(type))) {
      // Without its key: that stands for the lease that was granted for it.
      const { deadline, session, autoRenewTtlMs } = lease;
      return this.adopt(substitute, { deadline, session, autoRenewTtlMs, key: undefined });
    }
    this.giveBack(substitute.lease);
    return undefined;
  }

  #remember(lease: HeldLease): void {
    this.#revoked.set(lease.token, lease);
    forgetOldest(this.#revoked, REVOKED_REMEMBERED_MAX);
  }

  #markOver(token: number): void {
    this.#over.add(token);
    forgetOldest(this.#over, OVER_REMEMBERED_MAX);
  }

  #emit<Name extends LeasePush['type'] & ('expiring' | 'revoking' | 'revoked')>(
    name: Name,
    lease: HeldLease,
    event: ClientEvents[Name],
  ): void {
    lease.emit(name, event);
    this.#events.emit(name, event);
  }
}

function revocationOf({ reason, deadline_ms: deadlineMs }: { reason: string; deadline_ms?: number }): Revocation {
  return deadlineMs === undefined ? { reason } : { reason, deadlineMs };
}
