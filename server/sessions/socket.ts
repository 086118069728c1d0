/**
 * The port between sessions and a WebSocket library. The core knows a socket as these methods and callbacks only;
 * `transports/` has the adapters, and one contract suite holds them all to this page.
 */
export interface Socket {
  /** IP of the peer as text, IPv4-mapped IPv6 as plain IPv4. */
  readonly remoteAddress: string;
  /** The subprotocol agreed on. */
  readonly subprotocol: string;
  /** Queues one message: bytes as binary, a string as text. Does nothing once the socket is closed. */
  send(message: Uint8Array | string): void;
  /** Bytes queued and not yet taken by the kernel. */
  bufferedAmount(): number;
  /** A WebSocket ping; the answer comes to `pong`. */
  ping(): void;
  /** Closing handshake with `code`; `close` is called once it is over. Does nothing once closing. */
  close(code: number, reason: string): void;
  /** Ends the connection without a handshake; `close` is called. */
  terminate(): void;
}

/** What a socket calls. After `close` it calls nothing any more, and `close` comes exactly once. */
export interface SocketHandlers {
  /** `message` is the receiver's own: it is not touched afterwards. */
  message(message: Uint8Array | string): void;
  pong(): void;
  /** What was queued has been taken. */
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
}

/** The decision before any state exists: the subprotocol to use (empty: none was offered), or an HTTP refusal. */
export type UpgradeDecision =
  | { readonly accept: true; readonly subprotocol: string }
  | { readonly accept: false; readonly status: number; readonly message: string };
