import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import type { Clock } from '../coordinator/scheduler.ts';
import { beginAnswer } from './answer-head.ts';
import { type AttemptFault, attemptFault, isIdempotent } from './attempt-fault.ts';
import { endToEndHeaders } from './end-to-end.ts';
import { answerProblem } from './gateway-listener.ts';
import { hasBody, type KeptBytes, RequestBody } from './request-body.ts';
import { CLIENT_GONE, type GatewayLog, logRequest } from './request-line.ts';
import type { ReverseCounts } from './reverse-counts.ts';
import type { Target } from './target.ts';
import type { TargetPool } from './target-pool.ts';

export interface ForwardContext {
  readonly clock: Clock;
  readonly log: GatewayLog;
  readonly counts: ReverseCounts;
  readonly kept: KeptBytes;
  /** Clients are told to connect elsewhere from now on. */
  readonly isDraining: () => boolean;
}

export interface Forwarded {
  readonly pool: TargetPool;
  /** Path and query. */
  readonly path: string;
  readonly headers: string[];
  /** What `sticky` goes by. */
  readonly key: string;
  readonly client: string;
}

/** No body follows these, whatever length their head speaks of. */
const BODILESS = new Set([204, 304]);

/**
 * One request on its way: to a target, to the next one where that is safe, and the answer back, both bodies as fast as the
 * slower side takes them. Ends in exactly one line of the log.
 */
export class ForwardedRequest implements Dispatcher.DispatchHandler {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #forwarded: Forwarded;
  readonly #context: ForwardContext;
  readonly #startMs: number;
  readonly #body: RequestBody | undefined;
  #target: Target | undefined;
  /** Asked already; undefined while there is at most one. */
  #tried: Set<Target> | undefined;
  #retries = 0;
  #attemptMs = 0;
  /** It was asked although it is out. */
  #isLastResort = false;
  /** The request is on its way to the target, as undici says. */
  #controller: Dispatcher.DispatchController | undefined;
  #isGone = false;
  /** The client has the whole answer: what comes from the target now changes nothing. */
  #isAnswered = false;
  #reason: string | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, forwarded: Forwarded, context: ForwardContext) {
    this.#request = request;
    this.#response = response;
    this.#forwarded = forwarded;
    this.#context = context;
    this.#startMs = context.clock.nowMs();
    this.#body = hasBody(request) ? new RequestBody(request, context.kept) : undefined;
  }

  start(): void {
    const { pool } = this.#forwarded;
    this.#response.once('close', () => this.#closed());
    if (pool.inFlight >= pool.route.policy.inFlightMax) {
      pool.inFlight += 1;
      this.#refuse(503, 'overloaded', 'too many requests under way', 1);
      return;
    }
    pool.inFlight += 1;
    this.#ask(pool.choose(undefined, this.#forwarded.key));
  }

  // ---- what undici calls

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isGone) controller.abort(new Error('the client is gone'));
  }

  /** Interim answers (1xx) go no further: `Expect` has been answered here. */
  onResponseStart(controller: Dispatcher.DispatchController, status: number, _: unknown, message?: string): void {
    if (status >= 100 && status < 200) return;
    const target = this.#target!;
    const { pool } = this.#forwarded;
    const headers = endToEndHeaders(rawTexts(controller.rawHeaders as readonly Buffer[]));
    if (this.#context.isDraining()) headers.push('Connection', 'close');
    const response = this.#response;
    if (!beginAnswer(response, status, message ?? '', headers)) {
      controller.abort(new Error('the answer has no status that there is'));
      return;
    }
    pool.health.answered(target, status, this.#context.clock.nowMs() - this.#attemptMs, this.#isLastResort);
    this.#body?.forget();
    if (BODILESS.has(status)) {
      this.#isAnswered = true;
      response.end();
    } else {
      // Where the body isn't there yet, the head goes alone; most often it is, and both leave in one write.
      queueMicrotask(() => {
        if (!response.writableEnded && !this.#hasData) response.flushHeaders();
      });
    }
  }

  #hasData = false;

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#hasData = true;
    if (this.#isAnswered || this.#response.write(chunk)) return;
    controller.pause();
    this.#response.once('drain', () => controller.resume());
  }

  /** Trailers are dropped. */
  onResponseEnd(): void {
    this.#leaveTarget();
    if (!this.#isAnswered) this.#response.end();
    this.#isAnswered = true;
  }

  onResponseError(_: unknown, error: Error): void {
    const target = this.#target!;
    const wasSent = this.#controller !== undefined;
    this.#controller = undefined;
    this.#leaveTarget();
    if (this.#isGone || this.#isAnswered) return;
    const fault = attemptFault(error, wasSent);
    const { health } = this.#forwarded.pool;
    if (this.#response.headersSent) {
      // The client must not take for whole what broke off.
      this.#reason = fault.reason;
      health.broke(target, fault.reason);
      this.#response.destroy();
      return;
    }
    if (fault.kind === 'unfit') return this.#refuse(400, 'unfit', 'the request can not be passed on');
    if (fault.kind === 'oversize') return this.#refuse(502, fault.reason, 'the head of the answer is too long');
    if (fault.kind === 'ours') return this.#refuse(503, fault.reason, 'no room for another connection', 1);
    if (fault.kind === 'refused') health.refused(target, fault.reason);
    else if (fault.kind === 'silent') health.silent(target);
    // One request that is answered nowhere is no fault of them all.
    else if (!this.#tried) health.broke(target, fault.reason);
    this.#moveOn(target, fault, wasSent);
  }

  // ----

  #ask(target: Target | undefined): void {
    if (!target) return this.#allDown();
    const { path, headers, pool } = this.#forwarded;
    const { method = 'GET' } = this.#request;
    this.#target = target;
    this.#isLastResort = pool.health.outOf(target) !== undefined;
    this.#attemptMs = this.#context.clock.nowMs();
    this.#controller = undefined;
    target.inFlight += 1;
    target.dispatch({ path, method, headers, body: this.#body?.open() ?? null }, this);
  }

  #moveOn(from: Target, { kind, reason }: AttemptFault, wasSent: boolean): void {
    const { pool, key } = this.#forwarded;
    const { method = 'GET' } = this.#request;
    const canRepeat = isIdempotent(method) && (this.#body?.canReplay ?? true);
    if (wasSent && !canRepeat) {
      if (kind === 'silent') return this.#refuse(504, reason, 'the target did not answer in time');
      return this.#refuse(502, reason, 'the target broke off before it answered');
    }
    this.#tried = (this.#tried ?? new Set()).add(from);
    const to = pool.choose(this.#tried, key);
    if (!to) return this.#allDown(reason);
    this.#retries += 1;
    this.#context.counts.retried();
    this.#context.log.warn(
      { route: pool.route.name, from: from.name, to: to.name, reason },
      'request moved to another target',
    );
    this.#ask(to);
  }

  #allDown(reason = 'all_down'): void {
    const { allDownStatus, allDownText } = this.#forwarded.pool.route.policy;
    if (allDownText === undefined) {
      return this.#refuse(allDownStatus, 'all_down', 'no target is left', 1);
    }
    this.#reason = reason;
    this.#response.writeHead(allDownStatus, {
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Length': Buffer.byteLength(allDownText),
      'Cache-Control': 'no-store',
      ...this.#closing(),
    });
    this.#response.end(allDownText);
    this.#isAnswered = true;
  }

  #refuse(status: number, reason: string, message: string, retryAfterS?: number): void {
    this.#reason = reason;
    this.#isAnswered = true;
    const extras = retryAfterS === undefined ? { reason } : { reason, retryAfterS };
    answerProblem(this.#response, status, message, extras, this.#closing());
  }

  #closing(): Record<string, string> {
    return this.#context.isDraining() ? { Connection: 'close' } : {};
  }

  /** The target is done with it. */
  #leaveTarget(): void {
    this.#target!.inFlight -= 1;
  }

  /** The answer has left, or the client has. */
  #closed(): void {
    const response = this.#response;
    this.#forwarded.pool.inFlight -= 1;
    this.#body?.discard();
    const isCut = !response.writableFinished;
    if (isCut) {
      this.#isGone = true;
      this.#controller?.abort(new Error('the client is gone'));
    }
    const status = response.headersSent ? response.statusCode : CLIENT_GONE;
    noteEnd(this.#context, this.#request, this.#forwarded, {
      target: this.#target,
      status,
      startMs: this.#startMs,
      retries: this.#retries,
      reason: this.#reason ?? (isCut ? 'client_gone' : undefined),
    });
  }
}

/** How a request has ended. */
export interface End {
  /** The last that was asked; undefined: nobody was. */
  readonly target: Target | undefined;
  readonly status: number;
  readonly startMs: number;
  readonly retries: number;
  readonly reason: string | undefined;
}

/** The one count and the one line of each request. */
export function noteEnd(
  { counts, log, clock }: ForwardContext,
  { method = '', url = '' }: IncomingMessage,
  { client }: Forwarded,
  { target, status, startMs, retries, reason }: End,
): void {
  counts.answered(status);
  const ms = clock.nowMs() - startMs;
  logRequest(log, { via: 'reverse', method, url, target: target?.name, status, ms, retries, client, reason });
}

function rawTexts(raw: readonly Buffer[]): string[] {
  return raw.map((text) => text.toString('latin1'));
}
