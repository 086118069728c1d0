/** Bytes both ways between two sockets, as fast as the slower one takes them; each side may be done before the other. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** What a client may say before there is anybody to hear it: the beginning of a TLS handshake and more. */
const EARLY_BYTES_MAX = 65_536;

/** Why a tunnel is over; `done`: both sides were. */
export type TunnelEnd = 'done' | 'idle' | 'cut';

export interface TunnelTraffic {
  readonly end: TunnelEnd;
  /** From the client. */
  readonly bytesSent: number;
  /** To the client. */
  readonly bytesReceived: number;
}

/** A client that waits for its tunnel: what it says meanwhile is kept, and it is noticed where it goes. */
export class WaitingClient {
  readonly #socket: Duplex;
  readonly #onGone: () => void;
  readonly #early: Buffer[] = [];
  #earlyBytes = 0;

  /** `head`: what came behind the request. */
  constructor(socket: Duplex, head: Buffer, onGone: () => void) {
    this.#socket = socket;
    this.#onGone = onGone;
    this.#keep(head);
    // Behind an error comes the close.
    socket.on('error', () => socket.destroy());
    socket.on('data', this.#keep);
    // Who is done before it began wants nothing; without an eye on this an address would be leased for nobody.
    socket.once('end', onGone);
    socket.once('close', onGone);
  }

  /** All that it said; from now on others listen. */
  taken(): Buffer {
    this.#socket.off('data', this.#keep);
    this.#socket.off('end', this.#onGone);
    this.#socket.off('close', this.#onGone);
    this.#socket.pause();
    return Buffer.concat(this.#early);
  }

  readonly #keep = (chunk: Buffer): void => {
    if (chunk.length > 0) this.#early.push(chunk);
    this.#earlyBytes += chunk.length;
    if (this.#earlyBytes > EARLY_BYTES_MAX) this.#socket.pause();
  };
}

/** `cut` is called with what cuts both sides at once. */
export function tunnel(
  client: Socket,
  upstream: Socket,
  early: Buffer,
  { idleMs, cut }: { readonly idleMs: number; readonly cut: (cutNow: () => void) => void },
): Promise<TunnelTraffic> {
  return new Promise((resolve) => {
    const sentBefore = client.bytesRead - early.length;
    const receivedBefore = client.bytesWritten;
    let end: TunnelEnd = 'done';
    const close = (why: TunnelEnd) => {
      end = why;
      // A reset: nobody may take for an end what has been cut.
      client.resetAndDestroy();
      upstream.destroy();
    };
    let open = 2;
    const onClose = (isBroken: boolean) => {
      if (isBroken) {
        if (!client.destroyed) client.resetAndDestroy();
        upstream.destroy();
      } else {
        client.destroySoon();
        upstream.destroySoon();
      }
      open -= 1;
      if (open > 0) return;
      const { bytesRead, bytesWritten } = client;
      resolve({ end, bytesSent: bytesRead - sentBefore, bytesReceived: bytesWritten - receivedBefore });
    };
    client.once('close', onClose);
    upstream.once('close', onClose);
    // All that goes through goes over the client's socket, one way or the other.
    client.setTimeout(idleMs, () => close('idle'));
    cut(() => close('cut'));
    if (early.length > 0) upstream.write(early);
    client.pipe(upstream);
    upstream.pipe(client);
  });
}
