/**
 * Real forward proxies on loopback. Each reaches out from a source address of its own, 127.0.1.N: that is how a site tells
 * one from the other, as it does with proxies elsewhere. Every other one asks for a password.
 */
import { createServer } from 'node:net';
import { Server } from 'proxy-chain';

export interface Proxy {
  /** The address that a site sees. */
  readonly source: string;
  /** `127.0.0.1:PORT`, as it shows in logs. */
  readonly host: string;
  /** What goes into a pool: `host`, or a URL with credentials. */
  readonly address: string;
}

export interface Proxies {
  readonly list: readonly Proxy[];
  readonly close: () => Promise<void>;
}

/** A whole block of loopback's 127.0.0.0/8. */
const PROXIES_MAX = 254;
const USER = 'demo';
const PASSWORD = 'p@ss word';

export async function openProxies(count: number): Promise<Proxies> {
  if (count > PROXIES_MAX) throw new Error(`at most ${PROXIES_MAX} proxies`);
  const servers: Server[] = [];
  const close = async () => {
    await Promise.all(servers.map((server) => server.close(true)));
  };
  try {
    const list: Proxy[] = [];
    for (let index = 1; index <= count; index += 1) {
      const source = `127.0.1.${index}`;
      await assertUsable(source);
      const asksPassword = index % 2 === 0;
      const server = new Server({
        host: '127.0.0.1',
        port: 0,
        prepareRequestFunction: ({ username, password }) => ({
          requestAuthentication: asksPassword && !(username === USER && password === PASSWORD),
          localAddress: source,
        }),
      });
      await server.listen();
      servers.push(server);
      const host = `127.0.0.1:${server.port}`;
      const address = asksPassword ? `http://${USER}:${encodeURIComponent(PASSWORD)}@${host}` : host;
      list.push({ source, host, address });
    }
    return { list, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Fails here, with a reason, and not in each request: not every system has all of 127.0.0.0/8. */
async function assertUsable(source: string): Promise<void> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', (error) =>
      reject(new Error(`${source} can't be used here as a source address`, { cause: error })),
    );
    probe.listen(0, source, resolve);
  });
  await new Promise((resolve) => probe.close(resolve));
}
