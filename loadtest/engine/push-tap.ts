/** The socket of a session, and what the coordinator says there of its own accord, as it arrives. */
import { WebSocket } from 'ws';
import type { WebSocketConstructor, WebSocketLike } from '../../protocol/client-socket.ts';
import { msgpackCodec } from '../../protocol/codec.ts';
import { type CoordinatorFrame, parseCoordinatorFrame, type WelcomeFrame } from '../../protocol/frames.ts';

export type PushFrame = Extract<CoordinatorFrame, { type: 'expired' | 'expiring' | 'revoking' | 'revoked' | 'goaway' }>;

const HEARD = new Set(['welcome', 'expired', 'expiring', 'revoking', 'revoked', 'goaway']);

export interface PushTap {
  readonly WebSocket: WebSocketConstructor;
  /** Cuts the connection as a crash of the collector would: nothing is said, not even a close frame. */
  cut(): void;
}

/**
 * The client library ends a lease by its own deadline, so a push that comes behind it is nothing that the library would
 * tell. Frames come here before the library reads them.
 */
export function tapPushes(onFrame: (frame: PushFrame | WelcomeFrame) => void): PushTap {
  /** The last one, if any: a session has one at a time. */
  const sockets: WebSocket[] = [];
  class TappedSocket extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols, { perMessageDeflate: false });
      sockets.splice(0, sockets.length, this);
      this.on('message', (data) => {
        if (!(data instanceof ArrayBuffer)) return;
        const decoded = msgpackCodec.decode(new Uint8Array(data));
        if (!decoded.ok || !HEARD.has((decoded.value as { type?: string } | null)?.type ?? '')) return;
        const parsed = parseCoordinatorFrame(decoded.value);
        if (parsed.ok) onFrame(parsed.frame as PushFrame | WelcomeFrame);
      });
    }
  }
  return {
    WebSocket: TappedSocket as unknown as new (url: string, protocols: string[]) => WebSocketLike,
    cut() {
      for (const socket of sockets) socket.terminate();
    },
  };
}
