import { createRequire } from 'node:module';
import { join } from 'node:path';
import { freePort, Server } from '../processes.ts';
import type { Contestant } from './contestant.ts';

/** The null peer: what it is given, the load generator could give anybody. */
export const NOBODY: Contestant = {
  name: 'null peer',
  speaks: 'leasehold',
  missing() {
    try {
      createRequire(import.meta.url)('uWebSockets.js');
      return Promise.resolve(undefined);
    } catch {
      return Promise.resolve("uWebSockets.js isn't installed, or has no binary for this machine (npm ci)");
    }
  },
  async start() {
    const port = await freePort();
    const server = new Server(process.execPath, [join(import.meta.dirname, 'null-peer.js'), String(port)], {});
    await server.listening(port);
    return { server, port };
  },
};
