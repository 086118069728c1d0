import { freePort } from '../../free-port.ts';
import { isInstalled, Program } from '../processes.ts';
import type { Contestant } from './contestant.ts';

const PROGRAM = 'redis-server';

/** Everything on disk before it is answered, and nothing that would hinder it: no snapshots, no rewriting of its log. */
const SETTINGS = {
  bind: '127.0.0.1',
  appendonly: 'yes',
  appendfsync: 'always',
  save: '',
  'auto-aof-rewrite-percentage': '0',
};

export const REDIS: Contestant = {
  name: 'Redis',
  speaks: 'redis',
  missing() {
    return isInstalled(PROGRAM) ? undefined : `${PROGRAM} isn't installed (Debian: apt-get install redis-server)`;
  },
  async start(folder) {
    const port = await freePort();
    const flags = { port: String(port), dir: folder, ...SETTINGS };
    const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
    const server = new Program(PROGRAM, args, { cwd: folder });
    await server.listening(port);
    return { server, port };
  },
};
