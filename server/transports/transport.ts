import type { SocketAcceptor, UpgradeDecision, UpgradeRequest } from '../sessions/socket.ts';

/** A certificate chain and its key as PEM, and the files they were read from, which uWebSockets.js reads for itself. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

export interface TransportOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Absent: no TLS. They have been checked. */
  readonly tls?: TlsFiles | undefined;
  /** A longer message closes its socket (1009, or 1006 where the library says so). */
  readonly messageBytesMax: number;
  /** A handshake, TLS included, that isn't complete by then is cut off. uWS has a limit of its own instead: see uws.ts. */
  readonly handshakeTimeoutMs: number;
  /** How long a close may take, sending what is queued before it included; then the connection is cut. */
  readonly closeTimeoutMs: number;
  /** Calls back once after `delayMs`; returns how to call it off. */
  setTimer(delayMs: number, callback: () => void): () => void;
  /** Calls back soon, in a turn of its own, in the order of the calls. */
  defer(callback: () => void): void;
  /** Asked before any WebSocket state exists. */
  decideUpgrade(request: UpgradeRequest): UpgradeDecision;
  readonly accept: SocketAcceptor;
}

/** A listening WebSocket server. */
export interface Transport {
  /** `uws` or `ws`. */
  readonly name: string;
  readonly port: number;
  /**
   * There where TLS is: connections made from now on get these, what is connected lives on. Throws where they can't be
   * used; then nothing has changed. Does nothing once closed.
   */
  reloadTls?(tls: TlsFiles): void;
  /** Stops listening and terminates what is still connected; every `close` has been called when it resolves. */
  close(): Promise<void>;
}

/** Rejects with an error that names host and port where they can't be listened on; its `cause` is the system's. */
export type OpenTransport = (options: TransportOptions) => Promise<Transport>;
