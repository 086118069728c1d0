import type { SocketAcceptor, UpgradeDecision, UpgradeRequest } from '../sessions/socket.ts';

export interface TransportOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** A longer message closes its socket (1009, or 1006 where the library says so). */
  readonly messageBytesMax: number;
  /** A handshake that isn't complete by then is cut off. */
  readonly handshakeTimeoutMs: number;
  decideUpgrade(request: UpgradeRequest): UpgradeDecision;
  readonly accept: SocketAcceptor;
}

/** A listening WebSocket server. */
export interface Transport {
  /** `uws` or `ws`. */
  readonly name: string;
  readonly port: number;
  /** Stops listening and terminates what is still connected. */
  close(): Promise<void>;
}

/** Rejects with the library's error where the address can't be listened on. */
export type OpenTransport = (options: TransportOptions) => Promise<Transport>;
