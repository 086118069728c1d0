/** One HTTP request over a connection of its own to where it goes, and the answer back, as they come. */
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Scheduler } from '../coordinator/scheduler.ts';
import { beginAnswer } from './answer-head.ts';
import { isIdempotent } from './attempt-fault.ts';
import { endToEndHeaders } from './end-to-end.ts';
import { ERROR_HEADER } from './forward-errors.ts';

const RESPONSE_HEADERS_BYTES_MAX = 65_536;
/** Ours to say, or said already. */
const NOT_FOR_DESTINATIONS: ReadonlySet<string> = new Set(['host', 'expect']);
const METHODS_WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

export interface PlainRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Socket;
  /** A path, or a whole URL where the socket leads to a proxy. */
  readonly path: string;
  /** Of `Host`. */
  readonly authority: string;
  /** For that proxy. */
  readonly proxyHeaders: Readonly<Record<string, string>>;
  /** From the request's end to the head of its answer. */
  readonly responseTimeoutMs: number;
  readonly scheduler: Scheduler;
  /** Aborted: it is cut at once. */
  readonly signal: AbortSignal;
}

export type Exchanged =
  /** `isWhole`: all of it went through. */
  | { readonly type: 'answered'; readonly status: number; readonly isWhole: boolean }
  /** Nothing of an answer came, and nothing has been said to the client. */
  | { readonly type: 'broken' | 'silent' | 'aborted' }
  /** The proxy on the way wants other credentials. */
  | { readonly type: 'proxy_auth' };

/** Whether it may be sent again without harm: it has nothing that is spent, and twice is as good as once. */
export function isRepeatable({ method = '', headers }: IncomingMessage): boolean {
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  return isIdempotent(method) && !hasBody;
}

/** Resolves when nothing more comes through the socket, which is closed then. */
export function exchange(plain: PlainRequest): Promise<Exchanged> {
  const { request, response, socket, signal, scheduler, responseTimeoutMs } = plain;
  return new Promise((resolve) => {
    let answer: IncomingMessage | undefined;
    let cancelTimeout = () => {};
    const settle = (exchanged: Exchanged) => {
      cancelTimeout();
      signal.removeEventListener('abort', onAborted);
      request.unpipe(outgoing);
      // What is left of it has no reader any more, and the next request comes behind it.
      request.resume();
      socket.destroy();
      resolve(exchanged);
    };
    const onAborted = () => {
      settle(answer ? { type: 'answered', status: answer.statusCode!, isWhole: false } : { type: 'aborted' });
      if (answer) response.destroy();
    };
    const outgoing = httpRequest({
      method: request.method!,
      path: plain.path,
      headers: requestHeaders(plain),
      setHost: false,
      maxHeaderSize: RESPONSE_HEADERS_BYTES_MAX,
      createConnection: () => socket,
    });
    // It may have been paused when it was handed over; now there is who reads it.
    outgoing.once('socket', () => socket.resume());
    // Behind the head of an answer this is about the rest of the request, which nobody wants any more.
    outgoing.on('error', () => {
      if (!answer) settle({ type: 'broken' });
    });
    outgoing.once('finish', () => {
      if (!answer) cancelTimeout = scheduler.setTimer(responseTimeoutMs, () => settle({ type: 'silent' }));
    });
    outgoing.once('response', (incoming) => {
      cancelTimeout();
      const { statusCode: status = 0 } = incoming;
      if (status === 407 && plain.path.startsWith('http')) return settle({ type: 'proxy_auth' });
      if (!passOn(incoming, response)) return settle({ type: 'broken' });
      answer = incoming;
      incoming.once('close', () => settle({ type: 'answered', status, isWhole: incoming.complete }));
    });
    // Nobody asked for another protocol.
    outgoing.once('upgrade', () => settle({ type: 'broken' }));
    signal.addEventListener('abort', onAborted, { once: true });
    if (signal.aborted) onAborted();
    else request.pipe(outgoing);
  });
}

function requestHeaders({ request, authority, proxyHeaders }: PlainRequest): string[] {
  const { method = '', headers } = request;
  const kept = ['Host', authority];
  const given = endToEndHeaders(request.rawHeaders);
  for (let index = 0; index < given.length; index += 2) {
    if (!NOT_FOR_DESTINATIONS.has(given[index]!.toLowerCase())) kept.push(given[index]!, given[index + 1]!);
  }
  for (const [name, value] of Object.entries(proxyHeaders)) kept.push(name, value);
  if (headers['transfer-encoding'] !== undefined) kept.push('Transfer-Encoding', 'chunked');
  else if (headers['content-length'] === undefined && METHODS_WITH_BODY.has(method)) kept.push('Content-Length', '0');
  kept.push('Connection', 'close');
  return kept;
}

/** False: no answer can be made of it. */
function passOn(incoming: IncomingMessage, response: ServerResponse): boolean {
  const { statusCode = 0, statusMessage = '', rawHeaders } = incoming;
  // What is coded otherwise than node decodes it would arrive as something else.
  const coding = incoming.headers['transfer-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') return false;
  const headers: string[] = [];
  const given = endToEndHeaders(rawHeaders);
  for (let index = 0; index < given.length; index += 2) {
    if (given[index]!.toLowerCase() !== ERROR_HEADER.toLowerCase()) headers.push(given[index]!, given[index + 1]!);
  }
  // A site that gives no date keeps it to itself.
  response.sendDate = false;
  if (!beginAnswer(response, statusCode, statusMessage, headers)) return false;
  // A body without an end of its own ends with its connection: what broke off mustn't be taken for whole.
  incoming.on('error', () => response.destroy());
  response.once('close', () => incoming.destroy());
  incoming.pipe(response);
  return true;
}
