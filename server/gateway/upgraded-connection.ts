import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import type { Scheduler } from '../coordinator/scheduler.ts';
import { beginAnswer } from './answer-head.ts';
import { attemptFault, isIdempotent } from './attempt-fault.ts';
import { endToEndHeaders } from './end-to-end.ts';
import { type ForwardContext, type Forwarded, noteEnd } from './forwarded-request.ts';
import { answerProblem } from './gateway-listener.ts';
import { CLIENT_GONE } from './request-line.ts';
import type { Target } from './target.ts';

/** What node hands over. `response` writes on `socket` as long as nothing was upgraded. */
export interface UpgradeRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** Of an answer's head. */
const RESPONSE_HEAD_BYTES_MAX = 16_384;

/**
 * A connection that wants to become something else, a WebSocket most often: asked of one target after the other like a
 * request, and from its 101 on passed through in both directions, each of which ends for itself.
 */
export class UpgradedConnection {
  readonly #of: UpgradeRequest;
  readonly #forwarded: Forwarded;
  readonly #context: ForwardContext & { readonly scheduler: Scheduler };
  readonly #startMs: number;
  readonly #tried = new Set<Target>();
  #target: Target | undefined;
  #retries = 0;
  #outgoing: http.ClientRequest | undefined;
  #status: number | undefined;
  #reason: string | undefined;
  #isOver = false;

  constructor(of: UpgradeRequest, forwarded: Forwarded, context: ForwardContext & { readonly scheduler: Scheduler }) {
    this.#of = of;
    this.#forwarded = forwarded;
    this.#context = context;
    this.#startMs = context.clock.nowMs();
  }

  start(): void {
    const { pool, key } = this.#forwarded;
    const isFull = pool.inFlight >= pool.route.policy.inFlightMax;
    pool.inFlight += 1;
    this.#of.socket.once('close', () => this.#over());
    if (isFull) this.#refuse(503, 'overloaded', 'too many requests under way');
    else this.#ask(pool.choose(undefined, key));
  }

  #ask(target: Target | undefined): void {
    if (!target) return this.#allDown();
    const { pool, path, headers } = this.#forwarded;
    const { request } = this.#of;
    const { policy } = pool.route;
    const { connectTimeoutMs, responseTimeoutMs, rewriteHost } = policy;
    const wasOut = pool.health.outOf(target) !== undefined;
    const attemptMs = this.#context.clock.nowMs();
    this.#target = target;
    target.inFlight += 1;
    const socket = dial(target);
    let isConnected = false;
    let isDone = false;
    /** Once, with what became of it. */
    const done = () => {
      if (isDone) return false;
      isDone = true;
      cancelTimer();
      return true;
    };
    const fail = (error: Error) => {
      if (!done()) return;
      socket.destroy();
      target.inFlight -= 1;
      if (!this.#isOver) this.#failed(target, error, isConnected);
    };
    const timeout = (code: string) => () => fail(Object.assign(new Error('timeout'), { code }));
    let cancelTimer = this.#context.scheduler.setTimer(connectTimeoutMs, timeout('ETIMEDOUT'));
    socket.once(target.isTls ? 'secureConnect' : 'connect', () => {
      isConnected = true;
      cancelTimer();
      if (!isDone) cancelTimer = this.#context.scheduler.setTimer(responseTimeoutMs, timeout('ETIMEDOUT'));
    });
    const own = rewriteHost || this.#forwarded.headers.every((name, index) => index % 2 === 1 || name !== 'Host');
    const outgoing = (target.isTls ? https : http).request({
      createConnection: () => socket,
      method: request.method,
      path,
      maxHeaderSize: RESPONSE_HEAD_BYTES_MAX,
      headers: [
        ...headers,
        ...(own ? ['Host', target.url.host] : []),
        'Connection',
        'Upgrade',
        'Upgrade',
        request.headers.upgrade ?? '',
      ] as unknown as http.OutgoingHttpHeaders,
    });
    this.#outgoing = outgoing;
    const answered = ({ statusCode = 0 }: IncomingMessage) => {
      const ms = this.#context.clock.nowMs() - attemptMs;
      this.#status = statusCode;
      pool.health.answered(target, statusCode, ms, wasOut);
      socket.once('close', () => (target.inFlight -= 1));
      if (this.#isOver) socket.destroy();
    };
    outgoing.on('error', fail);
    outgoing.once('upgrade', (response, _, head) => {
      if (!done()) return;
      answered(response);
      this.#join(response, socket, head);
    });
    outgoing.once('response', (response) => {
      if (isDone) return;
      if (!this.#passOn(response)) return fail(new Error('the answer has no status that there is'));
      done();
      answered(response);
    });
    outgoing.end();
  }

  #failed(from: Target, error: Error, wasSent: boolean): void {
    const { pool, key } = this.#forwarded;
    const { log, counts } = this.#context;
    const { kind, reason } = attemptFault(error, wasSent);
    if (kind === 'unfit') return this.#refuse(400, 'unfit', 'the request can not be passed on');
    if (kind === 'oversize') return this.#refuse(502, reason, 'the head of the answer is too long');
    if (kind === 'ours') return this.#refuse(503, reason, 'no room for another connection');
    if (kind === 'refused') pool.health.refused(from, reason);
    else if (kind === 'silent') pool.health.silent(from);
    else if (this.#tried.size === 0) pool.health.broke(from, reason);
    if (wasSent && !isIdempotent(this.#of.request.method ?? '')) {
      return this.#refuse(kind === 'silent' ? 504 : 502, reason, 'the target did not answer');
    }
    const to = pool.choose(this.#tried.add(from), key);
    if (!to) return this.#allDown();
    this.#retries += 1;
    counts.retried();
    log.warn({ route: pool.route.name, from: from.name, to: to.name, reason }, 'request moved to another target');
    this.#ask(to);
  }

  /** Both directions, from the 101 on. */
  #join(answer: IncomingMessage, target: Socket, head: Buffer): void {
    const { socket, response, head: sentAhead } = this.#of;
    const { tunnelIdleMs } = this.#forwarded.pool.route.policy;
    response.detachSocket(socket as Socket);
    const headers = [...endToEndHeaders(answer.rawHeaders), 'Connection', 'Upgrade'];
    if (answer.headers.upgrade !== undefined) headers.push('Upgrade', answer.headers.upgrade);
    const lines = [`HTTP/1.1 101 ${answer.statusMessage ?? ''}`];
    for (let index = 0; index < headers.length; index += 2) lines.push(`${headers[index]}: ${headers[index + 1]}`);
    const client = socket as Socket;
    client.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
    client.write(head);
    target.write(sentAhead);
    client.pipe(target);
    target.pipe(client);
    client.removeAllListeners('timeout');
    for (const [one, other] of [
      [client, target],
      [target, client],
    ] as const) {
      one.setTimeout(tunnelIdleMs, () => one.destroy());
      one.setNoDelay(true);
      one.on('error', () => one.destroy());
      // Where both directions ended in order, the other side finishes what it has by itself.
      one.once('close', () => {
        if (!one.readableEnded || !one.writableFinished) other.destroy();
      });
    }
    if (client.destroyed) target.destroy();
  }

  /** It didn't want to: an answer like any other, and the end of the connection. False: no answer can be made of it. */
  #passOn(answer: IncomingMessage): boolean {
    const { response } = this.#of;
    const headers = [...endToEndHeaders(answer.rawHeaders), 'Connection', 'close'];
    if (!beginAnswer(response, answer.statusCode ?? 0, answer.statusMessage ?? '', headers)) return false;
    response.once('close', () => answer.destroy());
    answer.once('error', () => response.destroy());
    answer.once('aborted', () => response.destroy());
    answer.pipe(response);
    return true;
  }

  #allDown(): void {
    const { allDownStatus, allDownText } = this.#forwarded.pool.route.policy;
    if (allDownText === undefined) return this.#refuse(allDownStatus, 'all_down', 'no target is left');
    this.#status = allDownStatus;
    this.#reason = 'all_down';
    const headers = { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': Buffer.byteLength(allDownText) };
    this.#of.response.writeHead(allDownStatus, headers).end(allDownText);
  }

  #refuse(status: number, reason: string, message: string): void {
    this.#status = status;
    this.#reason = reason;
    answerProblem(this.#of.response, status, message, { reason });
  }

  /** The client's connection is closed. */
  #over(): void {
    const status = this.#status ?? CLIENT_GONE;
    this.#isOver = true;
    this.#forwarded.pool.inFlight -= 1;
    if (this.#status === undefined) this.#outgoing?.destroy();
    noteEnd(this.#context, this.#of.request, this.#forwarded, {
      target: this.#target,
      status,
      startMs: this.#startMs,
      retries: this.#retries,
      reason: this.#reason ?? (this.#status === undefined ? 'client_gone' : undefined),
    });
  }
}

/** Half-open: one direction may end before the other. */
function dial({ isTls, hostname, port }: Target): Socket {
  if (!isTls) return connect({ host: hostname, port, allowHalfOpen: true });
  const options = { host: hostname, port, allowHalfOpen: true, ALPNProtocols: ['http/1.1'] };
  return connectTls(options);
}
