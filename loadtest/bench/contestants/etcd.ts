import { join } from 'node:path';
import { freePort } from '../../free-port.ts';
import { isInstalled, Program } from '../processes.ts';
import type { Contestant } from './contestant.ts';

const PROGRAM = 'etcd';

/** One member, its defaults; each proposal is on disk before it is applied. */
export const ETCD: Contestant = {
  name: 'etcd',
  speaks: 'etcd',
  missing() {
    return isInstalled(PROGRAM) ? undefined : `${PROGRAM} isn't installed (Debian: apt-get install etcd-server)`;
  },
  async start(folder) {
    const [port, peerPort] = [await freePort(), await freePort()];
    const [clientUrl, peerUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`];
    const flags = {
      name: 'bench',
      'data-dir': join(folder, 'data'),
      'listen-client-urls': clientUrl,
      'advertise-client-urls': clientUrl,
      'listen-peer-urls': peerUrl,
      'initial-advertise-peer-urls': peerUrl,
      'initial-cluster': `bench=${peerUrl}`,
    };
    const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
    const server = new Program(PROGRAM, args, { cwd: folder });
    await server.until('be ready', async () => {
      const answer = await fetch(`${clientUrl}/health`).catch(() => undefined);
      return (await answer?.text().catch(() => ''))?.includes('"true"') || undefined;
    });
    return { server, port };
  },
};
