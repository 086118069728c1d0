/** What a program sees of the client library; client.ts has `connect`, which gives a `Client`. */
import type { BackoffBounds } from './backoff.ts';
import type { LeaseEnding } from './client-errors.ts';
import type { WebSocketConstructor } from './client-socket.ts';
import type { Outcome, Strategy } from './codes.ts';
import type { AddressRecord, Why } from './frames.ts';
import type { Where } from './where.ts';

export interface ReconnectOptions extends Partial<BackoffBounds> {
  /** Attempts in a row, none of which gave a connection that held, before the client gives up. Default: no bound. */
  readonly attemptsMax?: number;
}

export interface ConnectOptions {
  /**
   * `ws://127.0.0.1:7400`, or `wss://…` where the coordinator has TLS. In Node an authority of one's own is trusted by
   * the variable NODE_EXTRA_CA_CERTS, or by a `WebSocket` that extends the one of `ws` and gives it `ca`.
   */
  readonly url: string;
  /** A name for people and logs. */
  readonly client?: string;
  /**
   * `lh_…`, where the coordinator asks for one. Beyond the limit of its client an `acquire` fails with `rate_limited` and
   * `retryAfterMs`; automatic renewals are repeated then.
   */
  readonly apiKey?: string;
  /** Default: msgpack. */
  readonly encoding?: 'msgpack' | 'json';
  /** How long the coordinator keeps the session and its leases after the connection broke. Default: not at all. */
  readonly resumeWindowMs?: number;
  /** How long ahead of its expiry a lease's `expiring` comes. Default: a third of the TTL, at most 5 s. */
  readonly noticeMs?: number;
  /** Default: waits of up to 200 ms, doubling to 10 s, without end. `false`: one attempt, and none after a drop. */
  readonly reconnect?: ReconnectOptions | false;
  /** From opening a socket to the coordinator's `welcome`, for each attempt. Default: 10 s. */
  readonly connectTimeoutMs?: number;
  /** From a request to its answer, reconnecting included; an acquire's `waitMs` comes on top. Default: 10 s. */
  readonly requestTimeoutMs?: number;
  /**
   * Default: the global one, or `ws` where there is none (Node 20). Only `ws` can tell an upgrade that was refused from
   * a coordinator that can't be reached.
   */
  readonly WebSocket?: WebSocketConstructor;
  /** Gives up connecting for the first time. Afterwards it has no effect: `close` the client instead. */
  readonly signal?: AbortSignal;
  /** Uniform in [0, 1). Default: Math.random. */
  readonly random?: () => number;
  /** Monotonic clock, ms. Default: performance.now. */
  readonly now?: () => number;
  /** Wall clock, ms since 1970. Default: Date.now. */
  readonly wallNow?: () => number;
}

/** What is asked for. */
export interface AcquireTerms {
  readonly resource: number;
  readonly ttlMs: number;
  readonly where?: Where;
  readonly strategy?: Strategy;
  /** The same text gets the same address while that is free. Stands for `strategy: 'sticky'`. */
  readonly sticky?: string;
  /** How long to stand in line where nothing can be granted at once, at most a day. Default: not at all. */
  readonly waitMs?: number;
}

export interface AcquireOptions extends AcquireTerms {
  /**
   * Makes the acquire idempotent for the session: the same key gives the same lease. Only an acquire with a key can be
   * sent again where a broken connection left nothing of it; without one it fails then, with `disconnected`.
   */
  readonly key?: string;
  /** Renews at about half of the TTL until the lease ends. */
  readonly autoRenew?: boolean;
  /** The place in line, from 1 on, and how long it may take where that is known: when it is taken and when it changes. */
  readonly onQueued?: (position: number, estimateMs: number | undefined) => void;
  /** Gives up: a request that waits is cancelled, a grant that comes too late is released. */
  readonly signal?: AbortSignal;
}

export interface AcquireManyOptions extends AcquireOptions {
  readonly count: number;
}

export interface ExplainOptions extends AcquireTerms {
  readonly count?: number;
  readonly signal?: AbortSignal;
}

/** What an acquire would be answered at this moment, and how things stand. */
export interface Explanation {
  readonly would: 'grant' | 'queue' | 'refuse';
  readonly why: Why;
}

export interface CountOptions {
  readonly counter: string;
  /** May be negative; 0 reads, unless a key is given. */
  readonly by: number;
  /**
   * Makes the count idempotent for the session and 10 minutes: the same key gives the same value and counts nothing. By
   * default each count has a key of its own, so that it is sent again where a broken connection left no answer.
   */
  readonly key?: string;
  /** Gives up waiting; the count may have been made. */
  readonly signal?: AbortSignal;
}

/** What the holder says of its work through the address. */
export interface Settlement {
  readonly outcome?: Outcome;
  /** The lease's total so far, not a difference. */
  readonly requests?: number;
}

/** A revocation that has been announced. The lease is valid until it comes into force. */
export interface Revocation {
  readonly reason: string;
  /** From when it was heard of to when it comes into force, ms; absent: the coordinator gave no time. */
  readonly deadlineMs?: number;
}

export interface LeaseEvents {
  expiring: { readonly lease: Lease; readonly remainingMs: number };
  revoking: Revocation & { readonly lease: Lease; readonly substitute?: Lease };
  /**
   * Comes with a substitute where one was granted: a second time, if the announced deadline had passed here before the
   * coordinator's word and its substitute arrived.
   */
  revoked: { readonly lease: Lease; readonly reason: string; readonly substitute?: Lease };
}

/**
 * The right to use one address for one resource for a time. The holder may go by `live` and `signal` alone: both take
 * the network's silence and the holder's own clocks into account.
 */
export interface Lease extends AsyncDisposable {
  /** The fencing token: greater than that of every earlier lease. */
  readonly token: number;
  readonly resource: number;
  readonly address: AddressRecord;
  /** As granted or last renewed. */
  readonly ttlMs: number;
  readonly live: boolean;
  /** Set once a revocation has been announced. */
  readonly revocation: Revocation | undefined;
  /** Aborts when the lease ends, for whatever reason; its `reason` is a LeaseEndedError. */
  readonly signal: AbortSignal;
  /** Resolves when the lease ends; never rejects. */
  readonly ended: Promise<LeaseEnding>;
  /** Until the holder's own deadline; 0 once the lease has ended. */
  remainingMs(): number;
  /** For `ttlMs` more from now (default: as before), never for less than remained. Rejects with `lease_lost` once ended. */
  renew(ttlMs?: number): Promise<void>;
  /** Taken until 10 minutes after the end, too. */
  report(settlement: Settlement): Promise<void>;
  /** The lease ends at once, whether or not the coordinator can be told. A second release answers like the first. */
  release(settlement?: Settlement): Promise<void>;
  on<Name extends keyof LeaseEvents>(name: Name, listener: (event: LeaseEvents[Name]) => void): () => void;
  /**
   * Releases. Doesn't throw where there is nothing left to release or nobody to tell: the lease was lost, the
   * connection is gone, the client is closed.
   */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ClientEvents extends LeaseEvents {
  /** After each `welcome` but the first, which `connect` itself stands for. */
  connected: { readonly session: string; readonly epoch: number; readonly resumed: boolean };
  /** Right after `connected`, where the session went on. */
  resumed: { readonly session: string; readonly leases: readonly Lease[] };
  /** `reconnecting: false`: for good; the client is closed. */
  disconnected: { readonly code: number; readonly reason: string; readonly reconnecting: boolean };
  /** The coordinator is about to close; the client comes back by itself. */
  goaway: { readonly deadlineMs: number; readonly reconnectAfterMs: number };
  expired: { readonly lease: Lease };
  /** The lease ended with its session: silence, a resume that failed, or a close for good. */
  lost: { readonly lease: Lease; readonly reason?: string };
}

export type ClientState = 'connecting' | 'connected' | 'closed';

/**
 * A collector's session. A substitute that comes with `revoking` or `revoked` is the listener's to use and to release;
 * where nobody listens for the event, it is released at once.
 */
export interface Client extends AsyncDisposable {
  readonly session: string;
  /** The run of the coordinator that the client last connected to. */
  readonly epoch: number;
  readonly state: ClientState;
  /** Live leases by token. */
  readonly leases: ReadonlyMap<number, Lease>;
  /** Rejects with RefusedError where the coordinator can't grant it now, else with LeaseholdError. */
  acquire(options: AcquireOptions): Promise<Lease>;
  /**
   * `count` leases or none. Rejects like `acquire`, and with `lease_lost` where some have ended before they arrived here,
   * as they may over a broken connection: the others are released then.
   */
  acquireMany(options: AcquireManyOptions): Promise<Lease[]>;
  /** What `acquire` would be answered now, without any effect. */
  explain(options: ExplainOptions): Promise<Explanation>;
  /**
   * Adds to a durable counter; resolves to what it came to. Never counts twice: where the connection broke and the
   * session was resumed (as after a crash of the coordinator), the count is sent again with its key. Where the session
   * was lost, it rejects with `disconnected`, and whether it was made isn't known: give `resumeWindowMs` to `connect`. At
   * most 1,024 at once; another one rejects with `too_many`.
   */
  count(options: CountOptions): Promise<number>;
  ping(): Promise<void>;
  /** Returns how to stop listening. */
  on<Name extends keyof ClientEvents>(name: Name, listener: (event: ClientEvents[Name]) => void): () => void;
  /**
   * Says `bye`: the session ends and the coordinator releases what it held. Where there is no connection at the moment
   * it can't be told, and keeps the session for its resume window. Never rejects.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
