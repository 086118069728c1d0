/**
 * uWebSockets.js behind the socket port. What the library does that the port's user should know:
 *
 * - A handshake may take ten seconds from the moment of connecting, rounded up to the library's tick of four; single
 *   bytes in between don't prolong it. That is fixed: `handshakeTimeoutMs` has no say here.
 * - Headers of a handshake may have 4 KB where they come in more than one read.
 * - `end` doesn't wait for the peer's close frame: `close` is called once ours has been written or queued. The library
 *   itself cuts the connection if the peer leaves it open for 16 s after that.
 * - A frame without a mask, which no client may send, is not refused but waited for or misread.
 * - A port that was chosen by the system (port 0) may not be listened on again for a minute; a given one may, at once.
 * - Under TLS it forgets what it has read and not yet passed on as soon as it writes to anybody from within one of its
 *   callbacks; the peer's connection breaks then. It has something left only where a peer sends more than a megabyte in
 *   one go. So whatever we are told under TLS we pass on in a turn of its own. What it writes there itself is beyond us:
 *   a pong, and the rest of earlier messages that a slow peer hasn't taken. Hence `auto` takes ws for TLS.
 * - Messages sent inside a message callback leave in one system call, the library corks them; any other `send` is one.
 */
import { lookup } from 'node:dns/promises';
import { STATUS_CODES } from 'node:http';
import { createServer } from 'node:net';
import { PROBLEM_CONTENT_TYPE, problemText } from '../../protocol/problems.ts';
import type { Accepted, Socket, SocketHandlers } from '../sessions/socket.ts';
import { closeReason, listenError, offeredSubprotocols, PENDING_PONGS_MAX, plainAddress } from './handshake.ts';
import type { OpenTransport, TlsFiles, Transport, TransportOptions } from './transport.ts';
import {
  loadUws,
  type UwsApp,
  type UwsModule,
  type UwsRequest,
  type UwsResponse,
  type UwsWebSocket,
} from './uws-module.ts';

/**
 * The longest that the library takes. Heartbeats find a dead peer long before (they must be closer together than this);
 * it is here for connections that are closed for us but that a hostile peer keeps open, draining them byte by byte.
 */
const IDLE_TIMEOUT_S = 960;
/** Zero: the library drops nothing. The session bounds what is queued, by `bufferedAmount`. */
const NO_BACKPRESSURE_LIMIT = 0;
/** What the library's `send` returns where it left nothing queued. */
const ALL_TAKEN = 1;
/** LIBUS_LISTEN_DEFAULT, which the library doesn't export. */
const SHARED_PORT = 0;

interface UserData {
  readonly socket: UwsSocket;
}

/** Ours is a property from `open` on: read as one it costs nothing, and `getUserData` a call into the library. */
type OwnWebSocket = UwsWebSocket<UserData> & { socket: UwsSocket };

export const openUws: OpenTransport = async (options) => openUwsWith(loadUws(), options);

export async function openUwsWith(uws: UwsModule, options: TransportOptions): Promise<Transport> {
  // Looked up here: the library would take an IPv6 address where there is one, Node takes the first.
  const { address } = await lookup(options.host).catch((cause: unknown) => {
    throw listenError(options.host, options.port, cause);
  });
  /**
   * The last one listens. The others had other certificates and may still have connections; each takes 30 KB, which the
   * library never gives back. They are as many as there were certificates.
   */
  const apps = [makeApp(uws, options, options.tls)];
  let listenSocket = await listen(uws, apps[0]!, address, options);
  const port = uws.us_socket_local_port(listenSocket);
  let isClosed = false;
  const reloadTls = (tls: TlsFiles) => {
    if (isClosed) return;
    const app = makeApp(uws, options, tls);
    const next = listenAt(app, address, port, SHARED_PORT);
    if (next === false) throw new Error(`can't listen on ${options.host} port ${port} with a new certificate`);
    uws.us_listen_socket_close(listenSocket);
    listenSocket = next;
    apps.push(app);
  };
  return {
    name: 'uws',
    port,
    ...(options.tls && { reloadTls }),
    async close() {
      isClosed = true;
      for (const app of apps) app.close();
      if (options.tls) await new Promise<void>((resolve) => options.defer(resolve));
    },
  };
}

function makeApp(uws: UwsModule, options: TransportOptions, tls: TlsFiles | undefined): UwsApp {
  const app = tls === undefined ? uws.App() : makeTlsApp(uws, tls);
  app.ws<UserData>('/*', {
    compression: uws.DISABLED,
    maxPayloadLength: options.messageBytesMax,
    maxBackpressure: NO_BACKPRESSURE_LIMIT,
    idleTimeout: IDLE_TIMEOUT_S,
    sendPingsAutomatically: false,
    upgrade: (response, request, context) => upgrade(options, response, request, context),
    open(ws) {
      const { socket } = ws.getUserData();
      (ws as OwnWebSocket).socket = socket;
      socket.opened(ws);
    },
    message: (ws, message, isBinary) => (ws as OwnWebSocket).socket.received(message, isBinary),
    ping: (ws) => (ws as OwnWebSocket).socket.pinged(),
    pong: (ws) => (ws as OwnWebSocket).socket.ponged(),
    drain: (ws) => (ws as OwnWebSocket).socket.drained(),
    close: (ws, code) => (ws as OwnWebSocket).socket.closed(code),
  });
  // Also where the key of a WebSocket handshake is missing or malformed: then the library takes it for plain HTTP.
  app.any('/*', (response) => {
    refuse(response, 426, 'This port speaks WebSocket only.', [['Upgrade', 'websocket']]);
  });
  return app;
}

function makeTlsApp(uws: UwsModule, { certFile, keyFile }: TlsFiles): UwsApp {
  try {
    return uws.SSLApp({ cert_file_name: certFile, key_file_name: keyFile });
  } catch (cause) {
    throw new Error(`uWebSockets.js can't use ${certFile} with ${keyFile}, and gives no reason`, { cause });
  }
}

/**
 * Exclusive: by default the library lets any number of processes share the port, each getting some of the peers. Under
 * TLS, once it has turned out to be ours alone, we listen on it in a way that lets us listen once more: so the successor
 * listens before its predecessor stops, and where it can't, nothing has changed.
 */
async function listen(uws: UwsModule, app: UwsApp, address: string, { host, port, tls }: TransportOptions) {
  let listenSocket = listenAt(app, address, port, uws.LIBUS_LISTEN_EXCLUSIVE_PORT);
  if (listenSocket !== false && tls !== undefined) {
    const ownPort = uws.us_socket_local_port(listenSocket);
    uws.us_listen_socket_close(listenSocket);
    listenSocket = listenAt(app, address, ownPort, SHARED_PORT);
  }
  if (listenSocket !== false) return listenSocket;
  throw listenError(host, port, await reasonNotToListen(address, port));
}

/** False where it can't. */
function listenAt(app: UwsApp, address: string, port: number, mode: number): unknown {
  let listenSocket: unknown = false;
  app.listen(address, port, mode, (result) => {
    listenSocket = result;
  });
  return listenSocket;
}

/** The library doesn't say why it can't listen; Node, asked for the same, does. */
function reasonNotToListen(address: string, port: number): Promise<Error> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', resolve);
    probe.listen({ host: address, port, exclusive: true }, () => {
      probe.close(() => resolve(new Error('uWebSockets.js was refused, and gave no reason')));
    });
  });
}

/** Everything that is needed of `request` is read before this returns: it lives on the library's stack. */
function upgrade(options: TransportOptions, response: UwsResponse, request: UwsRequest, context: unknown): void {
  if (request.getHeader('upgrade').toLowerCase() !== 'websocket') {
    refuse(response, 426, 'The Upgrade header is not "websocket".', [['Upgrade', 'websocket']]);
    return;
  }
  if (request.getHeader('sec-websocket-version') !== '13') {
    refuse(response, 400, 'Sec-WebSocket-Version is not 13.', [['Sec-WebSocket-Version', '13']]);
    return;
  }
  const offered: string[] = [];
  request.forEach((name, value) => {
    if (name === 'sec-websocket-protocol') offered.push(value);
  });
  const remoteAddress = plainAddress(Buffer.from(response.getRemoteAddressAsText()).toString());
  const decision = options.decideUpgrade({
    remoteAddress,
    origin: request.getHeader('origin') || undefined,
    host: request.getHeader('host') || undefined,
    subprotocols: offeredSubprotocols(offered.join(',')),
    authorization: request.getHeader('authorization') || undefined,
  });
  if (!decision.accept) {
    refuse(response, decision.status, decision.message);
    return;
  }
  const socket = new UwsSocket(remoteAddress, decision, options);
  const noExtensions = '';
  const key = request.getHeader('sec-websocket-key');
  response.upgrade<UserData>({ socket }, key, decision.subprotocol, noExtensions, context);
}

function refuse(
  response: UwsResponse,
  status: number,
  message: string,
  headers: readonly (readonly [name: string, value: string])[] = [],
): void {
  response.writeStatus(`${status} ${STATUS_CODES[status] ?? 'Refused'}`);
  for (const [name, value] of headers) response.writeHeader(name, value);
  response.writeHeader('Content-Type', PROBLEM_CONTENT_TYPE).end(problemText(status, message), true);
}

class UwsSocket implements Socket {
  readonly remoteAddress: string;
  readonly subprotocol: string;
  readonly caller: Accepted['caller'];
  readonly #options: TransportOptions;
  /** Invariant: set exactly while the library's object may be touched; it throws once the socket is closed. */
  #ws: UwsWebSocket<UserData> | undefined;
  #handlers: SocketHandlers | undefined;
  /** Set once we are closing: what to say when the peer has taken what was queued before, and its deadline. */
  #closing: { readonly code: number; readonly reason: string; readonly cancelDeadline: () => void } | undefined;
  #isTerminated = false;
  /** Pings answered since the peer last took all that was queued. */
  #pendingPongs = 0;

  constructor(remoteAddress: string, { subprotocol, caller }: Accepted, options: TransportOptions) {
    this.remoteAddress = remoteAddress;
    this.subprotocol = subprotocol;
    this.caller = caller;
    this.#options = options;
  }

  // ---- the port

  /** The library copies the bytes. That all was taken it says itself, which spares us the second call. */
  send(message: Uint8Array | string): number {
    if (this.#closing !== undefined || this.#ws === undefined) return this.bufferedAmount();
    const status = this.#ws.send(message, typeof message !== 'string', false);
    return status === ALL_TAKEN ? 0 : this.bufferedAmount();
  }

  bufferedAmount(): number {
    return this.#ws?.getBufferedAmount() ?? 0;
  }

  ping(): void {
    if (this.#closing === undefined) this.#ws?.ping();
  }

  close(code: number, reason: string): void {
    if (this.#closing !== undefined || this.#ws === undefined) return;
    // The library would hold a connection whose peer reads a little now and then, and all that is queued on it, with
    // nothing left to cut it off by. So the close frame is sent only when its way is free, or never.
    const cancelDeadline = this.#options.setTimer(this.#options.closeTimeoutMs, () => this.terminate());
    this.#closing = { code, reason: closeReason(reason), cancelDeadline };
    this.#endIfDrained();
  }

  terminate(): void {
    this.#isTerminated = true;
    this.#ws?.close();
  }

  // ---- what the library calls

  opened(ws: UwsWebSocket<UserData>): void {
    this.#ws = ws;
    this.#handlers = this.#options.accept(this);
  }

  /** Told at once, bytes are passed on as they lie in the library's buffer; told later, they need memory of their own. */
  received(message: ArrayBuffer, isBinary: boolean): void {
    if (this.#closing !== undefined) return;
    if (this.#options.tls === undefined) {
      this.#handlers?.message(isBinary ? new Uint8Array(message) : textOf(message));
      return;
    }
    const own = isBinary ? new Uint8Array(message).slice() : textOf(message);
    this.#tell(() => this.#handlers?.message(own));
  }

  pinged(): void {
    if (this.bufferedAmount() === 0) this.#pendingPongs = 0;
    else if (++this.#pendingPongs > PENDING_PONGS_MAX) this.terminate();
  }

  ponged(): void {
    if (this.#closing === undefined) this.#tell(() => this.#handlers?.pong());
  }

  /** The library calls this after every part taken, the port promises it for the whole. */
  drained(): void {
    if (this.bufferedAmount() > 0) return;
    this.#pendingPongs = 0;
    if (this.#closing === undefined) this.#handlers?.drain();
    else this.#endIfDrained();
  }

  closed(code: number): void {
    this.#ws = undefined;
    this.#closing?.cancelDeadline();
    // In a turn of its own: the library comes here from within our `end` and `close`, and whoever called those must
    // not find its state changed under its hands. Under TLS behind all that is still to be told.
    const tell = () => this.#handlers?.close(code);
    if (this.#options.tls === undefined) queueMicrotask(tell);
    else this.#options.defer(tell);
  }

  /** Under TLS in a turn of its own. What waits there is no more than the library reads in one turn. */
  #tell(event: () => void): void {
    if (this.#options.tls === undefined) {
      event();
      return;
    }
    this.#options.defer(() => {
      if (this.#closing === undefined && !this.#isTerminated) event();
    });
  }

  #endIfDrained(): void {
    if (this.#closing !== undefined && this.bufferedAmount() === 0) {
      this.#ws?.end(this.#closing.code, this.#closing.reason);
    }
  }
}

function textOf(message: ArrayBuffer): string {
  return Buffer.from(message).toString('utf8');
}
