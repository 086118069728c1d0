/**
 * A session's connection: opened, greeted, watched for silence, and opened again with backoff until closed.
 *
 *   connecting ──welcome──▶ connected ──drop──▶ connecting …        closed: by `close`, or for good by the coordinator
 *
 * Invariants:
 * - At most one link at a time; `connected` means that it has been welcomed.
 * - Silence is counted from the last message of a welcomed link, over drops and attempts, and reported once.
 */
import { type BackoffBounds, backoffMs } from './backoff.ts';
import { type Clocks, elapsedMs, type Moment, momentOf, remainingMs, shift, startTimer } from './client-clock.ts';
import { LeaseholdError } from './client-errors.ts';
import { Link, type Loss, type OpenSocket, type SendOutcome } from './client-socket.ts';
import type { Codec } from './codec.ts';
import { CLOSE, shouldReconnect } from './codes.ts';
import type { CollectorFrame, CoordinatorFrame, ErrorFrame, HelloFrame, WelcomeFrame } from './frames.ts';
import { PROTOCOL_VERSION } from './limits.ts';

export interface ConnectionOptions {
  readonly url: string;
  readonly codec: Codec;
  readonly openSocket: OpenSocket;
  readonly hello: Pick<HelloFrame, 'client' | 'api_key' | 'resume_window_ms' | 'notice_ms'>;
  /** False: one attempt, none after a drop. */
  readonly reconnect: (BackoffBounds & { readonly attemptsMax: number }) | false;
  readonly connectTimeoutMs: number;
  readonly clocks: Clocks;
  readonly random: () => number;
}

export interface ConnectionHandlers {
  /** `helloSentAt`: what remains of the leases in `welcome` counts from then. */
  welcomed(welcome: WelcomeFrame, helloSentAt: Moment): void;
  frame(frame: CoordinatorFrame): void;
  /** A welcomed link is gone; the next attempt is on its way. */
  dropped(loss: Loss): void;
  /** Nothing was heard for twice the heartbeat: the coordinator may have given up on the session. */
  silent(): void;
  /** No further attempt will be made. */
  failed(error: LeaseholdError, loss: Loss): void;
}

/** Silent heartbeats after which the session's leases can't be believed in any more. */
const SILENT_HEARTBEATS_MAX = 2;

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #handlers: ConnectionHandlers;
  #state: 'connecting' | 'connected' | 'closed' = 'connecting';
  #link: Link | undefined;
  #nextId = 1;
  #helloId = 0;
  #helloSentAt: Moment | undefined;
  #session: { readonly session: string; readonly secret: string } | undefined;
  #heartbeatMs = 0;
  #connectedAt: Moment | undefined;
  /** Undefined: no session yet, or its silence has been reported. */
  #heardAt: Moment | undefined;
  /** Attempts in a row whose connection didn't hold for a heartbeat: what breaks at once isn't retried at once. */
  #attempts = 0;
  /** Before then the coordinator doesn't want us back. */
  #notBefore: Moment | undefined;
  #cancelConnectTimer = () => {};
  #cancelRetryTimer = () => {};
  #cancelHeartbeat = () => {};

  constructor(options: ConnectionOptions, handlers: ConnectionHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  get state() {
    return this.#state;
  }

  /** For the first time; the connection sees to the rest itself. */
  open(): void {
    const { url, codec, openSocket, connectTimeoutMs } = this.#options;
    try {
      const link: Link = new Link(url, codec, openSocket, {
        opened: () => this.#greet(link),
        heard: () => this.#hear(link),
        frame: (frame) => this.#onFrame(frame),
        lost: (loss) => this.#onLost(loss),
      });
      this.#link = link;
    } catch (error) {
      const loss = { code: 1006, reason: (error as Error).message };
      return this.#fail(new LeaseholdError('closed', loss.reason, { cause: error }), loss);
    }
    this.#cancelConnectTimer = startTimer(connectTimeoutMs, () =>
      this.#lose({ code: 1006, reason: `no welcome within ${connectTimeoutMs} ms` }),
    );
  }

  takeId(): number {
    return this.#nextId++;
  }

  /** Undefined: not connected. */
  send(frame: CollectorFrame): SendOutcome | undefined {
    return this.#state === 'connected' ? this.#link?.send(frame) : undefined;
  }

  /**
   * Looks whether the session has gone silent. Called by a timer, with each message before it counts, and wherever a
   * lease is used: a process that was stopped must not find its leases alive in the moment before its timers run.
   */
  checkSilence(): void {
    if (!this.#heardAt) return;
    if (elapsedMs(this.#heardAt, this.#options.clocks) < SILENT_HEARTBEATS_MAX * this.#heartbeatMs) return;
    this.#heardAt = undefined;
    this.#handlers.silent();
    if (this.#state === 'connected') this.#lose({ code: 1006, reason: 'silence' });
  }

  /** Ends the session where it can be told, and the connection. */
  async close(): Promise<void> {
    const link = this.#link;
    const connected = this.#state === 'connected';
    if (connected) link?.send({ type: 'bye', id: this.takeId() });
    this.#stop();
    if (connected) await link?.close(CLOSE.normal);
    else link?.drop();
  }

  // ---- one attempt

  #greet(link: Link): void {
    this.#helloId = this.takeId();
    this.#helloSentAt = momentOf(this.#options.clocks);
    const resume = this.#session ? { resume: this.#session } : {};
    const hello = { type: 'hello', id: this.#helloId, protocol: PROTOCOL_VERSION, ...this.#options.hello, ...resume };
    const outcome = link.send(hello as HelloFrame);
    if (outcome === 'sent') return;
    const loss = { code: 1006, reason: `hello was not sent: ${outcome}` };
    link.drop();
    this.#fail(new LeaseholdError('bad_frame', loss.reason), loss);
  }

  #hear(link: Link): boolean {
    this.checkSilence();
    if (this.#link !== link) return false;
    if (this.#state === 'connected') this.#heardAt = momentOf(this.#options.clocks);
    return true;
  }

  #onFrame(frame: CoordinatorFrame): void {
    if (this.#state === 'connected') {
      if (frame.type === 'goaway') this.#stayAway(frame.reconnect_after_ms);
      this.#handlers.frame(frame);
    } else if (frame.type === 'welcome' && frame.id === this.#helloId) this.#onWelcome(frame);
    else if (frame.type === 'error' && (frame.id ?? this.#helloId) === this.#helloId) this.#onHelloError(frame);
    else this.#lose({ code: 1006, reason: `${frame.type} before welcome` });
  }

  #onWelcome(welcome: WelcomeFrame): void {
    this.#cancelConnectTimer();
    this.#state = 'connected';
    this.#session = { session: welcome.session, secret: welcome.secret };
    this.#heartbeatMs = welcome.heartbeat_ms;
    this.#notBefore = undefined;
    this.#connectedAt = momentOf(this.#options.clocks);
    this.#heardAt = this.#connectedAt;
    this.#watchForSilence();
    this.#handlers.welcomed(welcome, this.#helloSentAt!);
  }

  #onHelloError({ code, message, path, retry_after_ms: retryAfterMs }: ErrorFrame): void {
    this.#stayAway(retryAfterMs ?? 0);
    const loss = { code: 1006, reason: `${code}: ${message}` };
    const passing = code === 'overloaded' || code === 'storage_full' || code === 'rate_limited' || code === 'too_many';
    if (passing) return this.#lose(loss);
    this.#link?.drop();
    this.#fail(new LeaseholdError(code, message, { path, retryAfterMs }), loss);
  }

  #stayAway(ms: number): void {
    this.#notBefore = shift(momentOf(this.#options.clocks), ms);
  }

  // ---- silence

  /** A ping after one silent heartbeat, the end after the second. */
  #watchForSilence(): void {
    this.#cancelHeartbeat();
    const tick = () => {
      this.checkSilence();
      if (!this.#heardAt || this.#state === 'closed') return;
      const silentMs = elapsedMs(this.#heardAt, this.#options.clocks);
      const oneOver = silentMs >= this.#heartbeatMs;
      if (oneOver) this.send({ type: 'ping', id: this.takeId() });
      const nextMs = (oneOver ? SILENT_HEARTBEATS_MAX : 1) * this.#heartbeatMs - silentMs;
      this.#cancelHeartbeat = startTimer(Math.max(1, nextMs), tick);
    };
    this.#cancelHeartbeat = startTimer(this.#heartbeatMs, tick);
  }

  // ---- the end of a link

  /** We give it up. */
  #lose(loss: Loss): void {
    this.#link?.drop();
    this.#onLost(loss);
  }

  #onLost(loss: Loss): void {
    const { reconnect, clocks, random } = this.#options;
    const wasConnected = this.#state === 'connected';
    this.#cancelConnectTimer();
    this.#link = undefined;
    const held = wasConnected && elapsedMs(this.#connectedAt!, clocks) >= this.#heartbeatMs;
    this.#attempts = held ? 0 : this.#attempts + 1;
    const final = finalError(loss);
    if (final) return this.#fail(final, loss);
    if (!reconnect || this.#attempts >= reconnect.attemptsMax) {
      return this.#fail(new LeaseholdError('disconnected', describe(loss), { closeCode: loss.code }), loss);
    }
    this.#state = 'connecting';
    const backMs = backoffMs(Math.max(0, this.#attempts - 1), reconnect, random);
    const awayMs = this.#notBefore ? remainingMs(this.#notBefore, clocks) : 0;
    this.#cancelRetryTimer = startTimer(Math.max(backMs, awayMs), () => this.open());
    if (wasConnected) this.#handlers.dropped(loss);
  }

  #fail(error: LeaseholdError, loss: Loss): void {
    this.#stop();
    this.#handlers.failed(error, loss);
  }

  #stop(): void {
    this.#state = 'closed';
    this.#link = undefined;
    this.#heardAt = undefined;
    this.#cancelConnectTimer();
    this.#cancelRetryTimer();
    this.#cancelHeartbeat();
  }
}

/** What another attempt would only meet again, as an error; undefined: worth another attempt. */
function finalError(loss: Loss): LeaseholdError | undefined {
  const { code, httpStatus } = loss;
  if (httpStatus !== undefined) {
    if (httpStatus >= 500 || httpStatus === 408 || httpStatus === 429) return undefined;
    const word = httpStatus === 401 || httpStatus === 403 ? 'unauthorized' : 'closed';
    return new LeaseholdError(word, `the upgrade was refused: HTTP ${httpStatus}`);
  }
  if (shouldReconnect(code)) return undefined;
  const word =
    code === CLOSE.unauthorized
      ? 'unauthorized'
      : code === CLOSE.unsupportedProtocol
        ? 'unsupported_protocol'
        : 'closed';
  return new LeaseholdError(word, describe(loss), { closeCode: code });
}

function describe({ code, reason }: Loss): string {
  return reason === '' ? `the connection was closed (${code})` : `the connection was closed (${code}): ${reason}`;
}
