/** One WebSocket as a line of frames: whichever library it comes from, and whatever it does after we are through with it. */
import type { Codec } from './codec.ts';
import { exceedsFrameBytes } from './codec.ts';
import type { CollectorFrame, CoordinatorFrame } from './frames.ts';
import { parseCoordinatorFrame } from './frames.ts';
import { BATCH_FRAMES_MAX, COORDINATOR_VALUES_MAX } from './limits.ts';

/** The part of the browsers' WebSocket that is used. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  send(data: Uint8Array | string): void;
  close(code?: number, reason?: string): void;
  /** Where the library can end a connection without a handshake. */
  terminate?(): void;
  // oxlint-disable-next-line typescript/no-explicit-any -- each library has event types of its own.
  addEventListener(type: 'open' | 'message' | 'close' | 'error', listener: (event: any) => void): void;
}
export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

/** Opens a socket; `refused` is called with the HTTP status where the library can tell. Throws on an impossible URL. */
export type OpenSocket = (url: string, protocols: string[], refused: (status: number) => void) => WebSocketLike;

/** One message from the coordinator: `welcome` is the longest and grows with the leases held. */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;
/** Bytes waiting to be sent; what would go beyond is not taken. */
const SEND_BUFFER_BYTES_MAX = 16 * 1024 * 1024;
/** How long the peer may take over its part of the closing handshake. */
const CLOSE_TIMEOUT_MS = 2_000;

/** The constructor given, else the global one, else `ws`. */
export async function socketOpener(given: WebSocketConstructor | undefined): Promise<OpenSocket> {
  const Constructor = given ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  if (Constructor) return (url, protocols) => new Constructor(url, protocols);
  const { WebSocket } = await import('ws');
  return (url, protocols, refused) => {
    const socket = new WebSocket(url, protocols, { perMessageDeflate: false, maxPayload: MESSAGE_BYTES_MAX });
    socket.on('unexpected-response', (_request, response) => {
      refused(response.statusCode ?? 0);
      socket.terminate();
    });
    return socket as unknown as WebSocketLike;
  };
}

/** Why a link is gone. */
export interface Loss {
  /** WebSocket close code; 1006 where there was no closing handshake. */
  readonly code: number;
  readonly reason: string;
  /** The upgrade was refused with this status. */
  readonly httpStatus?: number;
}

export interface LinkHandlers {
  opened(): void;
  /** Something has arrived; before its frames. False: it is not wanted any more. */
  heard(): boolean;
  frame(frame: CoordinatorFrame): void;
  lost(loss: Loss): void;
}

export type SendOutcome = 'sent' | 'not_encodable' | 'frame_too_long' | 'buffer_full';

/** Invariant: after `lost`, `drop` or `close` no handler is called any more. */
export class Link {
  readonly #socket: WebSocketLike;
  readonly #codec: Codec;
  #handlers: LinkHandlers | undefined;
  #httpStatus: number | undefined;
  #lastError = '';
  readonly #closed: Promise<void>;

  /** Throws where the URL is none. */
  constructor(url: string, codec: Codec, open: OpenSocket, handlers: LinkHandlers) {
    this.#codec = codec;
    this.#handlers = handlers;
    this.#socket = open(url, [codec.subprotocol], (status) => {
      this.#httpStatus = status;
    });
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.addEventListener('open', () => this.#handlers?.opened());
    this.#socket.addEventListener('message', (event: { data: unknown }) => this.#onMessage(event.data));
    // Every error is followed by a close. The listener must be there: an error that nobody hears would be thrown.
    this.#socket.addEventListener('error', (event: { message?: string }) => {
      this.#lastError = event.message ?? '';
    });
    this.#closed = new Promise((resolve) => {
      this.#socket.addEventListener('close', (event: { code: number; reason: string }) => {
        resolve();
        this.#lose({
          code: event.code,
          reason: event.reason || this.#lastError,
          ...(this.#httpStatus === undefined ? {} : { httpStatus: this.#httpStatus }),
        });
      });
    });
  }

  send(frame: CollectorFrame): SendOutcome {
    let message: Uint8Array | string;
    try {
      message = this.#codec.encode(frame);
    } catch {
      // A condition that contains itself, for one.
      return 'not_encodable';
    }
    if (exceedsFrameBytes(message)) return 'frame_too_long';
    if (this.#socket.bufferedAmount > SEND_BUFFER_BYTES_MAX) return 'buffer_full';
    this.#socket.send(message);
    return 'sent';
  }

  /** Ends the connection as if the network had: the coordinator must not take it for a `bye`. */
  drop(): void {
    this.#handlers = undefined;
    if (this.#socket.terminate) this.#socket.terminate();
    else this.#socket.close();
  }

  /** Closing handshake; resolves once it is over or has taken too long. */
  async close(code: number): Promise<void> {
    this.#handlers = undefined;
    this.#socket.close(code);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
    });
    await Promise.race([this.#closed, timeout]);
    clearTimeout(timer);
    this.drop();
  }

  #lose(loss: Loss): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    handlers?.lost(loss);
  }

  /** What can't be understood can't be answered either: a new connection and its `welcome` put things right. */
  #fail(reason: string): void {
    const handlers = this.#handlers;
    this.drop();
    handlers?.lost({ code: 1006, reason });
  }

  #onMessage(data: unknown): void {
    if (this.#handlers?.heard() !== true) return;
    if (typeof data !== 'string' && !(data instanceof ArrayBuffer)) return this.#fail('a message of an unknown kind');
    const decoded = this.#codec.decode(typeof data === 'string' ? data : new Uint8Array(data), COORDINATOR_VALUES_MAX);
    if (!decoded.ok) return this.#fail(`undecodable message: ${decoded.message}`);
    const values: readonly unknown[] = Array.isArray(decoded.value) ? decoded.value : [decoded.value];
    if (values.length > BATCH_FRAMES_MAX) return this.#fail(`more than ${BATCH_FRAMES_MAX} frames in one message`);
    for (const value of values) {
      const parsed = parseCoordinatorFrame(value);
      if (parsed.ok) this.#handlers?.frame(parsed.frame);
      // A newer coordinator may say what this client doesn't know.
      else if (parsed.fault.code !== 'unknown_type') return this.#fail(`faulty frame: ${parsed.fault.message}`);
    }
  }
}
