/** The ws library behind the socket port: plain JavaScript, the one that loads everywhere. */
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket as TcpSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type RawData, type ServerOptions, WebSocket, WebSocketServer } from 'ws';
import { PROBLEM_CONTENT_TYPE, problemText } from '../../protocol/problems.ts';
import type { Accepted, Socket, SocketHandlers } from '../sessions/socket.ts';
import { closeReason, listenError, offeredSubprotocols, PENDING_PONGS_MAX, plainAddress } from './handshake.ts';
import type { OpenTransport, TlsFiles, TransportOptions } from './transport.ts';

/** Headers of one handshake. */
const HANDSHAKE_BYTES_MAX = 8_192;
/** Connections that have not upgraded yet; one more is cut off at once. */
export const PENDING_HANDSHAKES_MAX = 4_096;

export const openWs: OpenTransport = async (options) => {
  // Its own timeouts are looked at every 30 s only; watchHandshakes holds every connection to one exact deadline.
  const limits = { maxHeaderSize: HANDSHAKE_BYTES_MAX, headersTimeout: 0, requestTimeout: 0 };
  const https = options.tls && createTlsServer({ ...limits, ...secureContext(options.tls) });
  const http = https ?? createServer(limits);
  const connections = watchHandshakes(http, options);
  const webSockets = new WebSocketServer(webSocketOptions(options));
  http.on('request', (_request, response) => {
    const headers = { Upgrade: 'websocket', Connection: 'close', 'Content-Type': PROBLEM_CONTENT_TYPE };
    response.writeHead(426, headers).end(problemText(426, 'This port speaks WebSocket only.'));
  });
  http.on('upgrade', (request: IncomingMessage, socket: TcpSocket, head: Buffer) => {
    upgrade(options, webSockets, connections, request, socket, head);
  });
  await listen(http, options);
  return {
    name: 'ws',
    port: (http.address() as AddressInfo).port,
    ...(https && { reloadTls: (tls: TlsFiles) => https.setSecureContext(secureContext(tls)) }),
    async close() {
      const closed = [
        new Promise((resolve) => webSockets.close(resolve)),
        new Promise((resolve) => http.close(resolve)),
      ];
      for (const socket of connections.all) socket.destroy();
      await Promise.all(closed);
    },
  };
};

function secureContext({ cert, key }: TlsFiles) {
  return { cert, key, minVersion: 'TLSv1.2' } as const;
}

function webSocketOptions({ messageBytesMax, closeTimeoutMs }: TransportOptions): ServerOptions {
  const options = {
    noServer: true,
    perMessageDeflate: false,
    maxPayload: messageBytesMax,
    closeTimeout: closeTimeoutMs,
    maxPendingAutoPongs: PENDING_PONGS_MAX,
    // Called only where the peer offered some, and from within `handleUpgrade`.
    handleProtocols: (_offered: Set<string>, request: IncomingMessage) => agreedSubprotocols.get(request) || false,
  };
  return options;
}

/** Between our decision and the answer that the library writes. */
const agreedSubprotocols = new WeakMap<IncomingMessage, string>();

function listen(http: Server | TlsServer, { host, port }: TransportOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = (error: Error) => reject(listenError(host, port, error));
    http.once('error', refused);
    http.listen({ host, port, exclusive: true }, () => {
      http.off('error', refused);
      // From here on an error is a connection that could not be taken (no file descriptor left, say): its loss only.
      http.on('error', () => {});
      resolve();
    });
  });
}

interface Connections {
  readonly all: ReadonlySet<TcpSocket>;
  /** The handshake of this connection is over, or its connection is. */
  handshakeOver(socket: TcpSocket): void;
}

/** Cuts off each connection that has not become a WebSocket when its time is over, however busy it looks. */
function watchHandshakes(http: Server | TlsServer, options: TransportOptions): Connections {
  const all = new Set<TcpSocket>();
  const pending = new Map<string, { readonly cancelDeadline: () => void }>();
  const over = (name: string) => {
    pending.get(name)?.cancelDeadline();
    pending.delete(name);
  };
  // Under TLS this is the connection below it, from its very beginning.
  http.on('connection', (socket: TcpSocket) => {
    if (pending.size >= PENDING_HANDSHAKES_MAX || socket.remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    all.add(socket);
    const name = nameOf(socket);
    // A peer that reset its last connection may have its port again before we are told.
    over(name);
    const handshake = { cancelDeadline: options.setTimer(options.handshakeTimeoutMs, () => socket.destroy()) };
    pending.set(name, handshake);
    socket.once('close', () => {
      if (pending.get(name) === handshake) over(name);
      all.delete(socket);
    });
  });
  return { all, handshakeOver: (socket) => over(nameOf(socket)) };
}

/** The same of a TLS socket and of the connection below it, which it doesn't give away. */
function nameOf({ remoteAddress, remotePort, localAddress }: TcpSocket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}

function upgrade(
  options: TransportOptions,
  webSockets: WebSocketServer,
  connections: Connections,
  request: IncomingMessage,
  socket: TcpSocket,
  head: Buffer,
): void {
  // Node took its own listener off with the upgrade; without one, a reset here would end the process.
  socket.on('error', () => socket.destroy());
  const { headers } = request;
  if (headers.upgrade?.toLowerCase() !== 'websocket') {
    refuse(socket, 426, 'The Upgrade header is not "websocket".', 'Upgrade: websocket\r\n');
    return;
  }
  if (socket.remoteAddress === undefined) {
    socket.destroy();
    return;
  }
  const remoteAddress = plainAddress(socket.remoteAddress);
  const decision = options.decideUpgrade({
    remoteAddress,
    origin: headers.origin,
    host: headers.host,
    subprotocols: offeredSubprotocols(headers['sec-websocket-protocol']),
    authorization: headers.authorization,
  });
  if (!decision.accept) {
    refuse(socket, decision.status, decision.message);
    return;
  }
  agreedSubprotocols.set(request, decision.subprotocol);
  webSockets.handleUpgrade(request, socket, head, (webSocket) => {
    connections.handshakeOver(socket);
    new WsSocket(webSocket, remoteAddress, decision).start(options);
  });
}

function refuse(socket: Duplex, status: number, message: string, header = ''): void {
  socket.once('finish', () => socket.destroy());
  const body = problemText(status, message);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}\r\n${header}Connection: close\r\n` +
      `Content-Type: ${PROBLEM_CONTENT_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

class WsSocket implements Socket {
  readonly remoteAddress: string;
  readonly subprotocol: string;
  readonly caller: Accepted['caller'];
  readonly #webSocket: WebSocket;
  /** We have begun to close: the peer's answer is awaited, but nothing it says meanwhile is passed on. */
  #closing = false;
  /** Something was left queued, and `drain` is owed when it has gone. */
  #backlogged = false;
  #handlers: SocketHandlers | undefined;

  constructor(webSocket: WebSocket, remoteAddress: string, { subprotocol, caller }: Accepted) {
    this.#webSocket = webSocket;
    this.remoteAddress = remoteAddress;
    this.subprotocol = subprotocol;
    this.caller = caller;
  }

  start(options: TransportOptions): void {
    const webSocket = this.#webSocket;
    // `close` follows each of them; what the peer did wrong is the library's to answer.
    webSocket.on('error', () => {});
    webSocket.on('message', (data, isBinary) => this.#received(data, isBinary));
    webSocket.on('pong', () => {
      if (!this.#closing) this.#handlers?.pong();
    });
    webSocket.once('close', (code) => this.#handlers?.close(code));
    this.#handlers = options.accept(this);
  }

  send(message: Uint8Array | string): number {
    const webSocket = this.#webSocket;
    if (webSocket.readyState !== WebSocket.OPEN) return this.bufferedAmount();
    // The library queues the bytes themselves, and they are only lent.
    webSocket.send(typeof message === 'string' ? message : Buffer.from(message), this.#taken);
    const { bufferedAmount } = webSocket;
    if (bufferedAmount > 0) this.#backlogged = true;
    return bufferedAmount;
  }

  bufferedAmount(): number {
    return this.#webSocket.readyState === WebSocket.CLOSED ? 0 : this.#webSocket.bufferedAmount;
  }

  ping(): void {
    if (this.#webSocket.readyState === WebSocket.OPEN) this.#webSocket.ping();
  }

  close(code: number, reason: string): void {
    if (this.#webSocket.readyState !== WebSocket.OPEN) return;
    this.#closing = true;
    this.#webSocket.close(code, closeReason(reason));
  }

  terminate(): void {
    this.#closing = true;
    this.#webSocket.terminate();
  }

  /** Node's own `drain` comes only for amounts above a mark of its own; this is called for every message. */
  readonly #taken = (error?: Error): void => {
    if (error || !this.#backlogged || this.#webSocket.bufferedAmount > 0) return;
    this.#backlogged = false;
    if (!this.#closing) this.#handlers?.drain();
  };

  /** No copy: each read of the kernel has memory of its own, and the library unmasks in place and lets go. */
  #received(data: RawData, isBinary: boolean): void {
    if (this.#closing) return;
    const bytes = data as Buffer;
    this.#handlers?.message(isBinary ? bytes : bytes.toString('utf8'));
  }
}
