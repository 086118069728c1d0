/**
 * The client library: a collector's session and its leases, for Node and the browser. No Node built-ins.
 *
 *   const client = await connect({ url: 'ws://127.0.0.1:7400' });
 *   await using lease = await client.acquire({ resource: 7, ttlMs: 30_000, autoRenew: true });
 *   await fetchPages(lease.address, lease.signal);
 *
 * How far a holder may believe. A lease ends here, at the latest, at its own deadline (the moment its acquire or renew
 * was sent, plus what was granted, less a margin for clock rates), or once nothing has been heard of the coordinator for
 * twice the heartbeat, whichever is first. While the connection is broken and neither has come, the lease still counts
 * as live: with a resume window, or after a crash of the coordinator, it really is. Without a resume window the
 * coordinator may have released it the moment it saw the connection break, and granted the address anew: for up to two
 * heartbeats two holders may then believe. Resources that can't have that are configured with `handover: safe`.
 */
import { assertNever } from './assert.ts';
import type {
  AcquireManyOptions,
  AcquireOptions,
  Client,
  ClientEvents,
  ConnectOptions,
  CountOptions,
  ExplainOptions,
  Explanation,
  Lease,
} from './client-api.ts';
import { Calls } from './client-calls.ts';
import type { Clocks, Moment } from './client-clock.ts';
import { Connection } from './client-connection.ts';
import { abortedError, LeaseholdError } from './client-errors.ts';
import { Emitter } from './client-events.ts';
import { present } from './client-frames.ts';
import { Leases } from './client-leases.ts';
import { type Loss, type OpenSocket, socketOpener } from './client-socket.ts';
import { jsonCodec, msgpackCodec } from './codec.ts';
import type { CoordinatorFrame, WelcomeFrame } from './frames.ts';

export type * from './client-api.ts';
export {
  type ClientErrorCode,
  LeaseEndedError,
  type LeaseEnding,
  LeaseholdError,
  RefusedError,
} from './client-errors.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 10_000;
const RECONNECT = { minMs: 200, maxMs: 10_000, attemptsMax: Number.POSITIVE_INFINITY } as const;

/**
 * Resolves once the coordinator has welcomed the session; tries again for as long as `signal` and `reconnect` let it.
 * Rejects at once where another attempt would meet the same answer: a refused key, protocol or upgrade, a close code
 * that says so, an impossible URL.
 */
export async function connect(options: ConnectOptions): Promise<Client> {
  const client = new LeaseholdClient(options, await socketOpener(options.WebSocket));
  await client.open(options.signal);
  return client;
}

class LeaseholdClient implements Client {
  readonly #connection: Connection;
  readonly #leases: Leases;
  readonly #calls: Calls;
  readonly #events = new Emitter<ClientEvents>();
  #session = '';
  #epoch = 0;
  /** Until the first welcome. */
  #opening: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: ConnectOptions, openSocket: OpenSocket) {
    const { random = Math.random, now = () => performance.now(), wallNow = Date.now } = options;
    const clocks: Clocks = { monoMs: now, wallMs: wallNow };
    this.#connection = new Connection(
      {
        url: options.url,
        codec: options.encoding === 'json' ? jsonCodec : msgpackCodec,
        openSocket,
        hello: present({
          client: options.client,
          api_key: options.apiKey,
          resume_window_ms: options.resumeWindowMs,
          notice_ms: options.noticeMs,
        }),
        reconnect: options.reconnect === false ? false : { ...RECONNECT, ...options.reconnect },
        connectTimeoutMs: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
        clocks,
        random,
      },
      {
        welcomed: (welcome, helloSentAt) => this.#onWelcome(welcome, helloSentAt),
        frame: (frame) => this.#onFrame(frame),
        dropped: (loss) => this.#onDrop(loss),
        silent: () => this.#leases.endAll({ end: 'session_lost', reason: 'silence' }),
        failed: (error, loss) => this.#onFailure(error, loss),
      },
    );
    this.#leases = new Leases(
      {
        clocks,
        random,
        checkSilence: () => this.#connection.checkSilence(),
        renew: (lease, ttlMs) => this.#calls.renew(lease, ttlMs),
        settle: (type, lease, settlement) => this.#calls.settle(type, lease, settlement),
        discard: (token) => this.#calls.discard(token),
        onEnd: (lease, ending, substitute) => this.#leases.onEnd(lease, ending, substitute),
      },
      this.#events,
    );
    const requestTimeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
    this.#calls = new Calls({
      connection: this.#connection,
      leases: this.#leases,
      clocks,
      timeoutMs: requestTimeoutMs,
      random,
    });
  }

  /** Once. Rejects with the reason why no session came about; the client is closed then. */
  open(signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.reject(abortedError(signal));
    const welcomed = new Promise<void>((resolve, reject) => {
      this.#opening = { resolve, reject };
    });
    const onAbort = () => {
      if (!this.#opening) return;
      this.#opening.reject(abortedError(signal!));
      void this.close();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#connection.open();
    return welcomed.finally(() => signal?.removeEventListener('abort', onAbort));
  }

  get session() {
    return this.#session;
  }

  get epoch() {
    return this.#epoch;
  }

  get state() {
    return this.#connection.state;
  }

  get leases(): ReadonlyMap<number, Lease> {
    return this.#leases.live;
  }

  acquire(options: AcquireOptions): Promise<Lease> {
    return this.#calls.acquire(options);
  }

  acquireMany(options: AcquireManyOptions): Promise<Lease[]> {
    return this.#calls.acquireMany(options);
  }

  explain(options: ExplainOptions): Promise<Explanation> {
    return this.#calls.explain(options);
  }

  count(options: CountOptions): Promise<number> {
    return this.#calls.count(options);
  }

  ping(): Promise<void> {
    return this.#calls.ping();
  }

  on<Name extends keyof ClientEvents>(name: Name, listener: (event: ClientEvents[Name]) => void): () => void {
    return this.#events.on(name, listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    // Leases first: from the moment `bye` leaves, their addresses may be somebody else's.
    this.#leases.endAll({ end: 'released', reason: 'closed' });
    const saysBye = this.state === 'connected';
    const closed = this.#connection.close();
    this.#calls.close(new LeaseholdError('closed', 'the client was closed'), saysBye);
    await closed;
  }

  // ---- what the connection brings

  #onWelcome(welcome: WelcomeFrame, helloSentAt: Moment): void {
    const { session, epoch, resumed } = welcome;
    this.#session = session;
    this.#epoch = epoch;
    this.#calls.onWelcome(welcome, helloSentAt);
    const opening = this.#opening;
    this.#opening = undefined;
    if (opening) return opening.resolve();
    this.#events.emit('connected', { session, epoch, resumed });
    if (resumed) this.#events.emit('resumed', { session, leases: [...this.#leases.live.values()] });
  }

  #onFrame(frame: CoordinatorFrame): void {
    switch (frame.type) {
      case 'granted':
      case 'refused':
      case 'explained':
      case 'released':
      case 'reported':
      case 'renewed':
      case 'counted':
      case 'pong':
        return this.#calls.onAnswer(frame.id, frame);
      case 'error':
        if (frame.id !== undefined) this.#calls.onAnswer(frame.id, frame);
        return;
      case 'expiring':
      case 'expired':
      case 'revoking':
      case 'revoked':
        return this.#leases.push(frame);
      case 'goaway': {
        const { deadline_ms: deadlineMs, reconnect_after_ms: reconnectAfterMs } = frame;
        return this.#events.emit('goaway', { deadlineMs, reconnectAfterMs });
      }
      case 'queued':
        return this.#calls.onQueued(frame);
      case 'cancelled': // Nobody waits for that request any more, and what it released was nobody's.
      case 'welcome': // A second one changes nothing.
        return;
      default:
        assertNever(frame);
    }
  }

  #onDrop({ code, reason }: Loss): void {
    this.#calls.onDrop();
    this.#events.emit('disconnected', { code, reason, reconnecting: true });
  }

  #onFailure(error: LeaseholdError, { code, reason }: Loss): void {
    this.#leases.endAll({ end: 'session_lost', reason: error.message });
    this.#calls.close(new LeaseholdError('closed', error.message, { closeCode: error.closeCode, cause: error }), false);
    const opening = this.#opening;
    this.#opening = undefined;
    if (opening) return opening.reject(error);
    this.#events.emit('disconnected', { code, reason, reconnecting: false });
  }
}
