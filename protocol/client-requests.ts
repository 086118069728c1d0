/** Requests that wait: for a connection to be sent on, or for their answer. */
import { type Clocks, type Moment, momentOf, startTimer } from './client-clock.ts';
import { abortedError, LeaseholdError } from './client-errors.ts';
import type { SendOutcome } from './client-socket.ts';
import type {
  AcquireFrame,
  CollectorFrame,
  CoordinatorFrame,
  ReleaseFrame,
  RenewFrame,
  ReportFrame,
} from './frames.ts';

type WithoutId<Frame> = Frame extends unknown ? Omit<Frame, 'id'> : never;
export type RequestBody = WithoutId<AcquireFrame | RenewFrame | ReleaseFrame | ReportFrame> | { type: 'ping' };

/** Unsent and unanswered ones together; a further request is refused with `too_many`. */
export const REQUESTS_PENDING_MAX = 10_000;

export interface RequestOptions<Answer> {
  readonly body: RequestBody;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** May be sent once more where the connection broke before the answer: the second time changes nothing. */
  readonly repeatable: boolean;
  /** The answer as the caller gets it. Runs as the frame arrives, so that the next frame finds its lease; may throw. */
  readonly read: (frame: CoordinatorFrame, sentAt: Moment) => Answer;
}

interface Pending {
  /** Of the last sending; a repeated request has a new one. */
  id: number;
  readonly body: RequestBody;
  readonly repeatable: boolean;
  repeated: boolean;
  /** From just before the frame was handed to the socket, so never later than the coordinator saw it. */
  sentAt: Moment | undefined;
  readonly settle: (frame: CoordinatorFrame, sentAt: Moment) => void;
  readonly fail: (error: LeaseholdError) => void;
}

export interface RequestPort {
  readonly clocks: Clocks;
  /** Unique within the session. */
  takeId(): number;
  /** Undefined: not connected. */
  send(frame: CollectorFrame): SendOutcome | undefined;
  /** A request that was sent has been given up: by its caller's signal or for want of an answer. */
  abandoned(id: number, body: RequestBody): void;
}

export class Requests {
  readonly #port: RequestPort;
  /** By id, in the order of sending. Bound: REQUESTS_PENDING_MAX. */
  readonly #pending = new Map<number, Pending>();

  constructor(port: RequestPort) {
    this.#port = port;
  }

  start<Answer>({ body, timeoutMs, signal, repeatable, read }: RequestOptions<Answer>): Promise<Answer> {
    if (signal?.aborted) return Promise.reject(abortedError(signal));
    if (this.#pending.size >= REQUESTS_PENDING_MAX) {
      return Promise.reject(new LeaseholdError('too_many', `more than ${REQUESTS_PENDING_MAX} requests wait already`));
    }
    return new Promise<Answer>((resolve, reject) => {
      const giveUp = (error: LeaseholdError) => {
        pending.fail(error);
        if (pending.sentAt) this.#port.abandoned(pending.id, body);
      };
      const onAbort = () => giveUp(abortedError(signal!));
      const cancelTimer = startTimer(timeoutMs, () =>
        giveUp(new LeaseholdError('timeout', `no answer to ${body.type} within ${timeoutMs} ms`)),
      );
      const finish = () => {
        cancelTimer();
        signal?.removeEventListener('abort', onAbort);
        this.#pending.delete(pending.id);
      };
      const pending: Pending = {
        id: this.#port.takeId(),
        body,
        repeatable,
        repeated: false,
        sentAt: undefined,
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

  /** What was sent and can't be repeated fails; the rest waits for the next connection. */
  connectionLost(): void {
    for (const pending of this.#pending.values()) {
      if (!pending.sentAt) continue;
      if (pending.repeatable && !pending.repeated) {
        this.#pending.delete(pending.id);
        pending.id = this.#port.takeId();
        pending.repeated = true;
        pending.sentAt = undefined;
        this.#pending.set(pending.id, pending);
      } else {
        pending.fail(
          new LeaseholdError('disconnected', `the connection broke before ${pending.body.type} was answered`),
        );
      }
    }
  }

  sendWaiting(): void {
    for (const pending of this.#pending.values()) if (!pending.sentAt) this.#send(pending);
  }

  /** Those that fit, failed with `error`. */
  fail(error: LeaseholdError, fits: (body: RequestBody) => boolean = () => true): void {
    for (const pending of this.#pending.values()) if (fits(pending.body)) pending.fail(error);
  }

  *bodies(): Generator<RequestBody> {
    for (const { body } of this.#pending.values()) yield body;
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
