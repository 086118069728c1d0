/**
 * When pushes are due, and how late they come.
 *
 * A lease expires by the coordinator's clock one TTL after its decision, which was not before the request was sent. So the
 * lateness here is at most what it says: it counts from the sending, and holds the way there and back as well.
 */
import type { Lease } from '../../protocol/client.ts';
import { CLOCK_RATE_MARGIN } from '../../protocol/limits.ts';
import type { Metrics } from './metrics.ts';
import type { PushFrame } from './push-tap.ts';

/** What PROTOCOL.md says of `expiring` where neither side has set a notice. */
const NOTICE_MS_MAX = 5_000;
const NOTICE_SHARE = 1 / 3;

interface Due {
  readonly expiredAtMs: number;
  readonly expiringAtMs: number;
}

export class DuePushes {
  readonly #metrics: Metrics;
  /** By token; gone with the lease, or with the push of its expiry. */
  readonly #due = new Map<number, Due>();
  /** Of the session; undefined: neither side has set one. */
  noticeMs: number | undefined;

  constructor(metrics: Metrics, noticeMs: number | undefined) {
    this.#metrics = metrics;
    this.noticeMs = noticeMs;
  }

  /** A lease as granted, or as just renewed. */
  expect(lease: Lease): void {
    const { ttlMs } = lease;
    // The holder's own deadline is early by the margin.
    const expiredAtMs = performance.now() + lease.remainingMs() + ttlMs * CLOCK_RATE_MARGIN;
    const noticeMs = this.noticeMs ?? Math.min(NOTICE_MS_MAX, ttlMs * NOTICE_SHARE);
    this.#due.set(lease.token, { expiredAtMs, expiringAtMs: expiredAtMs - (noticeMs < ttlMs ? noticeMs : ttlMs / 2) });
  }

  forget(token: number): void {
    this.#due.delete(token);
  }

  arrived(push: PushFrame): void {
    this.#metrics.pushed(push.type);
    if (push.type === 'goaway') return;
    const due = this.#due.get(push.lease);
    if (due && push.type === 'expired') this.#metrics.late('expired', performance.now() - due.expiredAtMs);
    if (due && push.type === 'expiring') this.#metrics.late('expiring', performance.now() - due.expiringAtMs);
    if (push.type === 'expired' || push.type === 'revoked') this.forget(push.lease);
  }
}
