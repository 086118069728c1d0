import { createServer } from 'node:net';

/**
 * A free port on loopback, from below those that the system gives to outgoing connections: a client that reconnects in a loop
 * would sooner or later be given the very port it knocks at.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const probe = createServer();
    const isFree = await new Promise<boolean>((done) => {
      probe.once('error', () => done(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => done(true)));
    });
    if (isFree) return port;
  }
}
