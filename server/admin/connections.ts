import type { Server, Socket } from 'node:net';

export interface ConnectionBounds {
  readonly connectionsMax: number;
  readonly connectionsPerIpMax: number;
  /** What an IP counts as: one peer may have many. */
  readonly peerOf: (ip: string) => string;
}

/** Holds a listener to so many connections in all and from one peer; one more is cut off at once, and the others go on. */
export function boundConnections(server: Server, bounds: ConnectionBounds): void {
  const { connectionsMax, connectionsPerIpMax, peerOf } = bounds;
  server.maxConnections = connectionsMax;
  const counts = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const ip = socket.remoteAddress;
    const peer = ip === undefined ? undefined : peerOf(ip);
    const count = (peer === undefined ? Infinity : (counts.get(peer) ?? 0)) + 1;
    if (peer === undefined || count > connectionsPerIpMax) {
      socket.destroy();
      return;
    }
    counts.set(peer, count);
    socket.once('close', () => {
      const left = counts.get(peer)! - 1;
      if (left === 0) counts.delete(peer);
      else counts.set(peer, left);
    });
  });
}
