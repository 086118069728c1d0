/** Requests that wait: for a connection to be sent on, for their answer, or for `welcome` to say what became of them. */
import { type Clocks, type Moment, momentOf, startTimer } from './client-clock.ts';
import { abortedError, LeaseholdError } from './client-errors.ts';
import { callListener } from './client-events.ts';
import type { SendOutcome } from './client-socket.ts';
import type {
  AcquireFrame,
  CollectorFrame,
  CoordinatorFrame,
  CountFrame,
  ExplainFrame,
  GrantedFrame,
  QueuedFrame,
  ReleaseFrame,
  RenewFrame,
  ReportFrame,
} from './frames.ts';
import { COUNT_KEYS_PER_HOLDER_MAX } from './limits.ts';

type WithoutId<Frame> = Frame extends unknown ? Omit<Frame, 'id'> : never;
export type RequestBody =
  | WithoutId<AcquireFrame | CountFrame | ExplainFrame | RenewFrame | ReleaseFrame | ReportFrame>
  | { type: 'ping' };

/** Unsent and unanswered ones together; a further request is refused with `too_many`. */
export const REQUESTS_PENDING_MAX = 10_000;
/** Counts among them: as many as the coordinator remembers keys of, so that each may be sent again. */
export const COUNTS_PENDING_MAX = COUNT_KEYS_PER_HOLDER_MAX;

export interface RequestOptions<Answer> {
  readonly body: RequestBody;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /**
   * What becomes of it where the connection breaks before the answer:
   * - `fail`: it fails.
   * - `repeat`: it is sent again under a new id, since a second time changes nothing; only once, unless it was queued.
   * - `hold`: it keeps its id. The next welcome tells whether it was granted, waits on, or came to nothing.
   */
  readonly onDrop: 'fail' | 'repeat' | 'hold';
  /** It stands in line. */
  readonly onQueued?: ((position: number, estimateMs: number | undefined) => void) | undefined;
  /** The answer as the caller gets it. Runs as the frame arrives, so that the next frame finds its lease; may throw. */
  readonly read: (frame: CoordinatorFrame, sentAt: Moment) => Answer;
}

interface Pending {
  /** Of the last sending; a repeated request has a new one. */
  id: number;
  readonly body: RequestBody;
  readonly onDrop: 'fail' | 'repeat' | 'hold';
  isRepeated: boolean;
  isQueued: boolean;
  /** Sent on a connection that broke, and kept under its id. */
  isInDoubt: boolean;
  /** From just before the frame was handed to the socket, so never later than the coordinator saw it. */
  sentAt: Moment | undefined;
  readonly onQueued: ((position: number, estimateMs: number | undefined) => void) | undefined;
  readonly settle: (frame: CoordinatorFrame, sentAt: Moment) => void;
  readonly fail: (error: LeaseholdError) => void;
}

/** A request that was sent and has been given up: by its caller's signal or for want of an answer. */
export interface Abandoned {
  readonly id: number;
  readonly body: RequestBody;
  /** It stands in line, as far as is known. */
  readonly isQueued: boolean;
}

export interface RequestPort {
  readonly clocks: Clocks;
  /** Unique within the session. */
  takeId(): number;
  /** Undefined: not connected. */
  send(frame: CollectorFrame): SendOutcome | undefined;
  abandoned(request: Abandoned): void;
}

export class Requests {
  readonly #port: RequestPort;
  /** By id, in the order of sending. Bound: REQUESTS_PENDING_MAX. */
  readonly #pending = new Map<number, Pending>();
  /** How many pending ones have each key. */
  readonly #keys = new Map<string, number>();
  /** Of the pending ones. */
  #counts = 0;
  #isClosed = false;

  constructor(port: RequestPort) {
    this.#port = port;
  }

  start<Answer>(options: RequestOptions<Answer>): Promise<Answer> {
    const { body, timeoutMs, signal, onDrop, onQueued, read } = options;
    if (this.#isClosed) return Promise.reject(new LeaseholdError('closed', 'the client is closed'));
    if (signal?.aborted) return Promise.reject(abortedError(signal));
    if (this.#pending.size >= REQUESTS_PENDING_MAX) {
      return Promise.reject(new LeaseholdError('too_many', `more than ${REQUESTS_PENDING_MAX} requests wait already`));
    }
    if (body.type === 'count' && this.#counts >= COUNTS_PENDING_MAX) {
      return Promise.reject(new LeaseholdError('too_many', `more than ${COUNTS_PENDING_MAX} counts wait already`));
    }
    return new Promise<Answer>((resolve, reject) => {
      const giveUp = (error: LeaseholdError) => {
        pending.fail(error);
        if (pending.sentAt) this.#port.abandoned(pending);
      };
      const onAbort = () => giveUp(abortedError(signal!));
      const cancelTimer = startTimer(timeoutMs, () =>
        giveUp(new LeaseholdError('timeout', `no answer to ${body.type} within ${timeoutMs} ms`)),
      );
      const finish = () => {
        cancelTimer();
        signal?.removeEventListener('abort', onAbort);
        this.#pending.delete(pending.id);
        this.#tally(body, -1);
      };
      const pending: Pending = {
        id: this.#port.takeId(),
        body,
        onDrop,
        isRepeated: false,
        isQueued: false,
        isInDoubt: false,
        sentAt: undefined,
        onQueued,
        settle: (frame, sentAt) => {
          finish();
          try {
            resolve(read(frame, sentAt));
          } catch (error) {
            reject(error as Error);
          }
        },
        fail: (error) => {
          finish();
          reject(error);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#pending.set(pending.id, pending);
      this.#tally(body, 1);
      this.#send(pending);
    });
  }

  /** False: nobody waits for this answer. */
  answer(id: number, frame: CoordinatorFrame): boolean {
    const pending = this.#pending.get(id);
    if (!pending?.sentAt) return false;
    pending.settle(frame, pending.sentAt);
    return true;
  }

  /** Where a request stands in line; its answer is still to come. False: nobody waits for it. */
  queued({ id, position, estimate_ms: estimateMs }: QueuedFrame): boolean {
    const pending = this.#pending.get(id);
    if (!pending) return false;
    pending.isQueued = true;
    if (pending.onQueued) callListener(pending.onQueued, position, estimateMs);
    return true;
  }

  /** The connection broke, and with it what can't be held or repeated. The rest waits for the next one. */
  connectionLost(): void {
    for (const pending of this.#pending.values()) {
      if (!pending.sentAt) continue;
      if (pending.onDrop === 'hold') pending.isInDoubt = true;
      // One that was queued had got through: it isn't what breaks the connection.
      else if (pending.onDrop === 'repeat' && (pending.isQueued || !pending.isRepeated)) {
        this.#pending.delete(pending.id);
        pending.id = this.#port.takeId();
        pending.isRepeated = true;
        pending.isQueued = false;
        pending.sentAt = undefined;
        this.#pending.set(pending.id, pending);
      } else pending.fail(disconnectedError(pending.body));
    }
  }

  /** `welcome` tells what became of each request that was held: answered, still in line, or nothing. */
  settleInDoubt(told: (id: number) => GrantedFrame | QueuedFrame | undefined, helloSentAt: Moment): void {
    for (const pending of this.#pending.values()) {
      if (!pending.isInDoubt) continue;
      pending.isInDoubt = false;
      const frame = told(pending.id);
      if (frame?.type === 'queued') this.queued(frame);
      else if (frame) pending.settle(frame, helloSentAt);
      else pending.fail(disconnectedError(pending.body));
    }
  }

  sendWaiting(): void {
    for (const pending of this.#pending.values()) if (!pending.sentAt) this.#send(pending);
  }

  /** Those that fit, failed with `error`. `isRepeated`: it was sent on a connection that broke. */
  fail(error: LeaseholdError, fits: (body: RequestBody, isRepeated: boolean) => boolean = () => true): void {
    for (const pending of this.#pending.values()) if (fits(pending.body, pending.isRepeated)) pending.fail(error);
  }

  /** Nothing can be asked any more. */
  close(error: LeaseholdError): void {
    this.#isClosed = true;
    this.fail(error);
  }

  has(id: number): boolean {
    return this.#pending.has(id);
  }

  /** Whether an acquire with this key is under way. */
  hasKey(key: string): boolean {
    return this.#keys.has(key);
  }

  *bodies(): Generator<RequestBody> {
    for (const { body } of this.#pending.values()) yield body;
  }

  #tally(body: RequestBody, by: 1 | -1): void {
    if (body.type === 'count') this.#counts += by;
    if (body.type !== 'acquire' || body.key === undefined) return;
    const count = (this.#keys.get(body.key) ?? 0) + by;
    if (count === 0) this.#keys.delete(body.key);
    else this.#keys.set(body.key, count);
  }

  #send(pending: Pending): void {
    const sentAt = momentOf(this.#port.clocks);
    const outcome = this.#port.send({ ...pending.body, id: pending.id });
    if (outcome === undefined) return;
    pending.sentAt = sentAt;
    if (outcome === 'sent') return;
    const code = outcome === 'buffer_full' ? 'too_many' : 'bad_frame';
    pending.fail(new LeaseholdError(code, `${pending.body.type} was not sent: ${outcome.replaceAll('_', ' ')}`));
  }
}

function disconnectedError({ type }: RequestBody): LeaseholdError {
  return new LeaseholdError('disconnected', `the connection broke before ${type} was answered`);
}
