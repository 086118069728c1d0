/**
 * The node server below each part of the gateway. What two readers could understand in two ways is refused here, before
 * anybody looks at it: two Host headers, a length beside a transfer coding, folded header lines (RFC 9112 §3.2, §5.2, §6.1;
 * the last two are node's own parser's doing).
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { PROBLEM_CONTENT_TYPE, type ProblemExtras, problemText } from '../../protocol/problems.ts';
import { boundConnections, type ConnectionBounds } from '../admin/connections.ts';
import { makeListener } from '../admin/listener.ts';
import { type Answered, answerUnreadable, PendingAnswers, rawProblem, refuseTunnels } from '../admin/unreadable.ts';
import { type GatewayLog, type GatewayRequest, logRequest } from './request-line.ts';

const HEADERS_TIMEOUT_MS = 10_000;
/** How often connections are held to it. */
const TIMEOUTS_CHECK_MS = 1_000;
/** A connection on which nothing has moved for so long, in either direction, is cut. */
const IDLE_TIMEOUT_MS = 120_000;
/** Between requests: longer than what usually stands in front of a proxy keeps its own, so that it closes first. */
const KEEP_ALIVE_MS = 75_000;
/** Requests on a connection that wait for the one before them to be answered. */
const PIPELINED_MAX = 100;
/** As in messages. */
const NAMES = { forward: 'forward proxy', reverse: 'reverse proxy', redirect: 'redirect balancer' } as const;
/** Connections that wait to be accepted; the kernel has a bound of its own. */
const BACKLOG = 4_096;

/** `head`: what came behind the request already. The socket has no listener for errors yet. */
export type TakeConnection = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

export interface GatewayListenerOptions {
  readonly via: GatewayRequest['via'];
  readonly log: GatewayLog;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly connections: ConnectionBounds;
  /** For tests. */
  readonly idleTimeoutMs?: number;
  /** The request's body has not been read. */
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void;
  /** `CONNECT`; absent: answered 405. */
  readonly onConnect?: TakeConnection;
  /** Absent: served like a request without `Upgrade`. */
  readonly onUpgrade?: TakeConnection;
  /** Of what is refused here: two Host headers, what can't be read. */
  readonly refusalHeaders?: Readonly<Record<string, string>>;
  /** What could not be read as a request was answered so. */
  readonly onUnreadable: (status: number) => void;
}

export interface GatewayListener {
  readonly port: number;
  /** No new connections; those that are idle are closed. */
  stopAccepting(): void;
  /** Stops listening and cuts what is still connected. */
  close(): Promise<void>;
}

/** Rejects where the address can't be listened on. */
export async function openGatewayListener(options: GatewayListenerOptions): Promise<GatewayListener> {
  const { via, host, port, onRequest, onConnect, onUpgrade, onUnreadable, log, refusalHeaders = {} } = options;
  const bounds = {
    headersTimeout: HEADERS_TIMEOUT_MS,
    // A body may take as long as it likes, as long as it moves.
    requestTimeout: 0,
    connectionsCheckingInterval: TIMEOUTS_CHECK_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Node refuses it, too, but with nothing that says why.
    requireHostHeader: false,
  };
  const listener = makeListener(bounds, undefined);
  const { server } = listener;
  server.timeout = options.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
  const inTurn = answerInTurn();
  const refused: Answered = (status, request) => {
    onUnreadable(status);
    if (!request) return log.debug({ via, status }, 'unreadable request');
    const { method = '', url = '', socket } = request;
    logRequest(log, {
      via,
      method,
      url,
      status,
      ms: 0,
      retries: 0,
      client: socket.remoteAddress,
      reason: 'bad_request',
    });
  };
  server.on('request', (request, response) => {
    const fault = headFault(request);
    if (fault === undefined) return inTurn(request, response, onRequest);
    refused(400, request);
    // Where its body ends isn't sure: nothing behind it is taken for a request.
    answerProblem(response, 400, fault, {}, { ...refusalHeaders, Connection: 'close' });
  });
  const pending = new PendingAnswers(server);
  answerUnreadable(server, pending, refused, refusalHeaders);
  /** What a request becomes that takes its whole connection. */
  const taken = (take: TakeConnection) => (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const fault = headFault(request);
    if (pending.isCut(socket)) return refused(400, request);
    if (fault === undefined) return take(request, socket, head);
    refused(400, request);
    socket.on('error', () => socket.destroy());
    socket.end(rawProblem(400, fault, {}, refusalHeaders));
  };
  if (onConnect) server.on('connect', taken(onConnect));
  else refuseTunnels(server, pending, refused);
  if (onUpgrade) server.on('upgrade', taken(onUpgrade));
  boundConnections(server, options.connections);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new Error(`${NAMES[via]}: can't listen on ${host}:${port}: ${error.message}`)),
    );
    server.listen({ port, host, backlog: BACKLOG }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    stopAccepting: () => {
      server.close();
      server.closeIdleConnections();
    },
    close: () => listener.close(),
  };
}

/**
 * Requests that a client sends ahead of their turn (pipelining) are begun one after the other, as they are answered: begun at
 * once, those behind one whose client goes away would never be told of it. More than a few of them cut the connection.
 */
function answerInTurn() {
  const waiting = new WeakMap<Socket, number>();
  return (request: IncomingMessage, response: ServerResponse, begin: GatewayListenerOptions['onRequest']): void => {
    const { socket } = request;
    if (response.socket) return begin(request, response);
    const count = (waiting.get(socket) ?? 0) + 1;
    if (count > PIPELINED_MAX) {
      socket.destroy();
      return;
    }
    waiting.set(socket, count);
    response.once('socket', () => {
      waiting.set(socket, waiting.get(socket)! - 1);
      begin(request, response);
    });
  };
}

function headFault({ rawHeaders, method, httpVersion }: IncomingMessage): string | undefined {
  let hosts = 0;
  let codings = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const { length } = rawHeaders[index]!;
    if (length === 'host'.length) hosts += Number(rawHeaders[index]!.toLowerCase() === 'host');
    if (length !== 'transfer-encoding'.length || rawHeaders[index]!.toLowerCase() !== 'transfer-encoding') continue;
    codings += 1;
    if (codings > 1 || rawHeaders[index + 1]!.toLowerCase() !== 'chunked') return 'Transfer-Encoding: only chunked';
  }
  if (hosts > 1) return 'Host: given twice';
  if (codings > 0 && httpVersion === '1.0') return 'Transfer-Encoding: not in HTTP/1.0';
  // Older clients open tunnels without one; it would say nothing new.
  return hosts === 0 && httpVersion === '1.1' && method !== 'CONNECT' ? 'Host: missing' : undefined;
}

/** Where the head has left already there is nothing more to say: the connection is cut, so that nobody takes it for whole. */
export function answerProblem(
  response: ServerResponse,
  status: number,
  message: string,
  { retryAfterS, ...extras }: ProblemExtras = {},
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const body = problemText(status, message, extras);
  // By name: an answer that could not be begun may have left another one.
  response.writeHead(status, STATUS_CODES[status] ?? 'Error', {
    'Content-Type': PROBLEM_CONTENT_TYPE,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    ...(retryAfterS === undefined ? {} : { 'Retry-After': String(retryAfterS) }),
    ...headers,
  });
  response.end(body);
}
