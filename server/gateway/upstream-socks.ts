/** The handshake with a SOCKS proxy, on a connection that is there already. */
import type { Socket } from 'node:net';
import { SocksClient } from 'socks';
import type { Scheduler } from '../coordinator/scheduler.ts';
import type { Upstream } from '../health/upstream.ts';
import type { Destination } from './destination.ts';
import { authFailed, behind, failed, type Handshake, isAsked } from './upstream.ts';

const AUTHENTICATION = /authentication/i;
/** What the proxy itself said of the destination. */
const REJECTED = /rejected connection/i;
/** What it said is no SOCKS. */
const INVALID = /invalid/i;

export async function socksConnect(
  socket: Socket,
  upstream: Upstream,
  { host, port }: Destination,
  { timeoutMs, scheduler }: { readonly timeoutMs: number; readonly scheduler: Scheduler },
): Promise<Handshake> {
  const { user, password } = upstream.credentials ?? {};
  // The library waits for a close, which doesn't follow where our side may stay open.
  const hungUp = () => socket.destroy();
  socket.once('end', hungUp);
  try {
    await SocksClient.createConnection({
      command: 'connect',
      proxy: {
        host: upstream.host,
        port: upstream.port,
        type: upstream.scheme === 'socks4' ? 4 : 5,
        ...(user === undefined ? {} : { userId: user }),
        ...(password === undefined ? {} : { password }),
      },
      destination: { host, port },
      existing_socket: socket,
      // Ours comes first, and says more.
      timeout: 2 * timeoutMs,
    });
  } catch (error) {
    const { message } = error as Error;
    if (AUTHENTICATION.test(message)) return authFailed();
    if (!REJECTED.test(message)) {
      const fault = INVALID.test(message) ? 'protocol' : 'reset';
      return failed('upstream_broken', 'the address gave no SOCKS answer', behind(fault, isAsked(upstream, socket)));
    }
    // The destination's doing as often as the address's.
    const fault = { reason: 'upstream_refused', fault: undefined, mayRetry: true } as const;
    return { type: 'failed', fault: { ...fault, message: 'the address could not connect to the destination' } };
  } finally {
    socket.off('end', hungUp);
  }
  await keptUntilRead(socket, scheduler);
  return { type: 'done' };
}

/**
 * The library hands out what came behind the handshake in the next turn, as if it had just been read, and lets the socket
 * flow: it is caught and put back, for whoever reads it then.
 */
function keptUntilRead(socket: Socket, scheduler: Scheduler): Promise<void> {
  const early: Buffer[] = [];
  const keep = (chunk: Buffer) => void early.push(chunk);
  socket.on('data', keep);
  return new Promise((resolve) => {
    scheduler.defer(() => {
      socket.off('data', keep);
      socket.pause();
      if (early.length > 0) socket.unshift(Buffer.concat(early));
      resolve();
    });
  });
}
