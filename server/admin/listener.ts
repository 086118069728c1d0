/** The node server below the HTTP API, with TLS or without. */
import { createServer, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** From connecting on, however busy the peer looks. */
const TLS_HANDSHAKE_TIMEOUT_MS = 10_000;

/** PEM. */
export interface TlsPair {
  readonly cert: string;
  readonly key: string;
}

export interface Listener {
  readonly server: Server | TlsServer;
  /** There where TLS is: for connections made from now on. Throws where they can't be used, and changes nothing then. */
  reloadTls?(tls: TlsPair): void;
  /** Stops listening and cuts what is still connected, or about to be. */
  close(): Promise<void>;
}

export function makeListener(
  options: ServerOptions,
  tls: TlsPair | undefined,
  handshakeTimeoutMs = TLS_HANDSHAKE_TIMEOUT_MS,
): Listener {
  const secure = ({ cert, key }: TlsPair) => ({ cert, key, minVersion: 'TLSv1.2' as const });
  const tlsServer = tls && createTlsServer({ ...options, ...secure(tls), handshakeTimeout: handshakeTimeoutMs });
  // In place of node's own listener, which passes it on as a fault of HTTP: nobody is there to be answered.
  tlsServer?.removeAllListeners('tlsClientError');
  tlsServer?.on('tlsClientError', (_error, socket: TLSSocket) => socket.destroy());
  const server = tlsServer ?? createServer(options);
  // Node would pass over what comes behind the thousandth, a length or a second Host; their bytes are bounded anyhow.
  server.maxHeadersCount = 0;
  // Node's own list of connections has none whose TLS handshake isn't over.
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return {
    server,
    ...(tlsServer && { reloadTls: (next: TlsPair) => tlsServer.setSecureContext(secure(next)) }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
