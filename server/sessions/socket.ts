import type { Caller } from '../clients/access.ts';

/**
 * The port between sessions and a WebSocket library. The core knows a socket as these methods and callbacks only;
 * `transports/` has the adapters, and one contract suite holds them all to this page.
 */
export interface Socket {
  /** IP of the peer as text, IPv4-mapped IPv6 as plain IPv4. */
  readonly remoteAddress: string;
  /** The subprotocol agreed on. */
  readonly subprotocol: string;
  /** Who the decision on the upgrade says it is. */
  readonly caller: Caller | undefined;
  /**
   * Queues one message: bytes as binary, a string as text. The bytes are lent: they may be altered once this returns. Does
   * nothing once the socket is closing or closed. Returns what `bufferedAmount` is then.
   */
  send(message: Uint8Array | string): number;
  /** Bytes queued and not yet taken by the kernel. */
  bufferedAmount(): number;
  /** A WebSocket ping; the answer comes to `pong`. */
  ping(): void;
  /**
   * Closing handshake with `code`, behind all that is queued; a reason too long for a close frame is cut. From now on
   * only `close` is called, never from within this call: once the handshake is over, or with 1006 when it took too long
   * (a library may not wait for the peer's answer and give our own code). Does nothing once closing.
   */
  close(code: number, reason: string): void;
  /** Ends the connection without a handshake; only `close` is called, afterwards, with 1006. */
  terminate(): void;
}

/** What a socket calls. After `close` it calls nothing any more, and `close` comes exactly once. */
export interface SocketHandlers {
  /** Bytes are lent: they are good until this returns. */
  message(message: Uint8Array | string): void;
  pong(): void;
  /** All that was queued has been taken; called where `bufferedAmount` was above zero after a `send`. */
  drain(): void;
  /** `code` as the peer gave it; 1005: it gave none; 1006: no closing handshake took place. */
  close(code: number): void;
}

/** A socket that has been opened by a peer. */
export type SocketAcceptor = (socket: Socket) => SocketHandlers;

/** What is known of a peer before the upgrade. */
export interface UpgradeRequest {
  readonly remoteAddress: string;
  readonly origin: string | undefined;
  readonly host: string | undefined;
  /** As offered, in the peer's order. */
  readonly subprotocols: readonly string[];
  /** The header of that name, with a key in it: not to be kept or shown. */
  readonly authorization: string | undefined;
}

/** The decision before any state exists: the subprotocol to use (empty: none was offered), or an HTTP refusal. */
export type UpgradeDecision = Accepted | { readonly accept: false; readonly status: number; readonly message: string };
export interface Accepted {
  readonly accept: true;
  readonly subprotocol: string;
  /** Where it came with a key. */
  readonly caller?: Caller | undefined;
}
