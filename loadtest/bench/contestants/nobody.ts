import { join } from 'node:path';
import { freePort } from '../../free-port.ts';
import { Program } from '../processes.ts';
import type { Contestant } from './contestant.ts';
import { uwsMissing } from './uws-missing.ts';

/** The null peer: what it is given, the load generator could give anybody. */
export const NOBODY: Contestant = {
  name: 'null peer',
  speaks: 'leasehold',
  missing: uwsMissing,
  async start() {
    const port = await freePort();
    const server = new Program(process.execPath, [join(import.meta.dirname, 'null-peer.js'), String(port)], {});
    await server.listening(port);
    return { server, port };
  },
};
