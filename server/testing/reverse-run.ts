/** A reverse proxy and targets that go with the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import * as v from 'valibot';
import { onTestFinished } from 'vitest';
import type { Clock } from '../coordinator/scheduler.ts';
import { openReverseProxy, type ReverseProxy } from '../gateway/reverse-proxy.ts';
import { networkList, routes as routesSchema, wholeRoutes } from '../route-settings.ts';
import { realScheduler } from './real-scheduler.ts';
import { seededRandom } from './seeded-random.ts';

const HOST = '127.0.0.1';

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface ReverseRun {
  readonly proxy: ReverseProxy;
  readonly port: number;
  readonly url: string;
  readonly lines: readonly LogLine[];
  /** Resolves with the first line, of those to come too, that has all of `fields`. */
  readonly line: (fields: Record<string, unknown>) => Promise<LogLine>;
}

export interface ReverseRunOptions {
  readonly routes: readonly object[];
  readonly trusted?: readonly string[];
  readonly connectionsPerIpMax?: number;
}

/** `routes` as the settings have them; probes come every 100 ms where they don't say. */
export async function serveReverse({
  routes,
  trusted = [],
  connectionsPerIpMax = 5_000,
}: ReverseRunOptions): Promise<ReverseRun> {
  const lines: LogLine[] = [];
  let tell = () => {};
  const at = (level: LogLine['level']) => (fields: object, message: string) => {
    lines.push({ level, message, ...fields });
    tell();
  };
  const clock: Clock = { nowMs: () => performance.now(), utcMs: () => Date.now() };
  const proxy = await openReverseProxy({
    host: HOST,
    port: 0,
    routes: wholeRoutes(v.parse(routesSchema, routes), { probeIntervalMs: 100 }, []),
    connections: { connectionsMax: 10_000, connectionsPerIpMax, peerOf: (ip) => ip },
    trustedProxies: networkList(trusted),
    clock,
    scheduler: realScheduler,
    random: seededRandom(1),
    log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
  });
  onTestFinished(() => proxy.close());
  const line = async (fields: Record<string, unknown>): Promise<LogLine> => {
    while (true) {
      const found = lines.find((one) => Object.entries(fields).every(([name, value]) => one[name] === value));
      if (found) return found;
      await new Promise<void>((resolve) => {
        const before = tell;
        tell = () => {
          before();
          resolve();
        };
      });
    }
  };
  return { proxy, port: proxy.port, url: `http://${HOST}:${proxy.port}`, lines, line };
}

export interface TargetRun {
  readonly server: Server;
  readonly port: number;
  /** `127.0.0.1:port`. */
  readonly name: string;
  /** Requests so far. */
  hits: number;
  /** Refuses connections, and cuts those there are. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** What doesn't answer by itself says `Hello, world!`. */
export async function startTarget(
  handler: RequestListener = (_, response) => response.end('Hello, world!'),
): Promise<TargetRun> {
  const server = createServer((request, response) => {
    target.hits += 1;
    handler(request, response);
  });
  const listen = async (port: number) => {
    server.listen(port, HOST);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const port = await listen(0);
  const stop = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  onTestFinished(stop);
  const target: TargetRun = {
    server,
    port,
    name: `${HOST}:${port}`,
    hits: 0,
    stop,
    start: async () => void (await listen(port)),
  };
  return target;
}

/** A port on which nobody listens. */
export async function deadPort(): Promise<string> {
  const server = createServer();
  server.listen(0, HOST);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `${HOST}:${port}`;
}

/** A target of a process of its own, which says `Hello, world!` and can be killed. */
export async function spawnTarget(port: number): Promise<ChildProcess> {
  const code = `require('node:http').createServer((_, r) => r.end('Hello, world!'))
    .listen({ port: ${port}, host: '${HOST}', backlog: 4096 }, () => console.log('ready'))`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout!, 'data');
  return child;
}

/** Somebody listens there and takes nobody: the queue is full, and the kernel answers to no other connection. */
export async function hangingTarget(): Promise<string> {
  const code = `const s = require('node:net').createServer();
    s.listen({ port: 0, host: '${HOST}', backlog: 1 }, () => {
      require('node:fs').writeSync(1, String(s.address().port));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    })`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  const fillers = Array.from({ length: 4 }, () => connect(Number(String(port)), HOST).on('error', () => {}));
  onTestFinished(() => fillers.forEach((socket) => socket.destroy()));
  await Promise.all(fillers.slice(0, 2).map((socket) => once(socket, 'connect')));
  return `${HOST}:${String(port)}`;
}

/** All that is answered to `text` until the other side closes. */
export function answerTo(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, HOST, () => socket.write(text, 'latin1'));
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
  });
}
