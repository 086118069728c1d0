/** A forward proxy with real upstream proxies and a real site, all of which go with the test. */
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { Server as ProxyServer, type ServerOptions } from 'proxy-chain';
import { onTestFinished } from 'vitest';
import type { ForwardAccess } from '../gateway/forward-admission.ts';
import {
  type ForwardProxy,
  type ForwardProxyOptions,
  type ForwardProxySettings,
  openForwardProxy,
} from '../gateway/forward-proxy.ts';
import { maskAddress } from '../lease/masking.ts';
import type { TestCertificate } from './certificates.ts';
import { FixedLeases } from './fixed-leases.ts';
import { openAccess } from './open-access.ts';
import { realScheduler } from './real-scheduler.ts';

export const realClock = { nowMs: () => performance.now(), utcMs: () => Date.now() };

export interface Logged {
  readonly level: 'info' | 'warn' | 'error';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export interface ForwardRun {
  readonly proxy: ForwardProxy;
  readonly leases: FixedLeases;
  readonly logged: readonly Logged[];
  /** `address id reason`, and `address id ok`. */
  readonly reports: readonly string[];
  /** Said of those that are ok. */
  readonly latencies: readonly number[];
  /** With `user`, if it is given, and without a password. */
  readonly proxyUrl: (user?: string, password?: string) => string;
}

export interface ForwardRunOptions {
  readonly settings?: Partial<ForwardProxySettings>;
  readonly destinations?: Partial<ForwardProxyOptions['destinations']>;
  readonly access?: ForwardAccess;
  readonly ca?: string;
  readonly onRateLimited?: () => void;
}

export async function runForwardProxy(
  addresses: readonly string[],
  options: ForwardRunOptions = {},
): Promise<ForwardRun> {
  const leases = new FixedLeases(addresses);
  const logged: Logged[] = [];
  const reports: string[] = [];
  const latencies: number[] = [];
  const log = (level: Logged['level']) => (fields: object, message: string) => {
    logged.push({ level, fields: { ...fields }, message });
  };
  const proxy = await openForwardProxy({
    host: '127.0.0.1',
    port: 0,
    connections: { connectionsMax: 1_000, connectionsPerIpMax: 1_000, peerOf: (ip) => ip },
    leases,
    access: options.access ?? openAccess(realClock),
    clock: realClock,
    scheduler: realScheduler,
    metrics: { rateLimited: () => options.onRateLimited?.() },
    log: { debug() {}, info: log('info'), warn: log('warn'), error: log('error') },
    reports: {
      onAddressFailure: (id, reason) => reports.push(`${id} ${reason}`),
      onAddressSuccess: (id, latencyMs) => {
        reports.push(`${id} ok`);
        if (latencyMs !== undefined) latencies.push(latencyMs);
      },
    },
    destinations: {
      allow: ['127.0.0.1'],
      deniedPorts: [25],
      resolve: 'here',
      lookup: (name) => Promise.resolve(name.endsWith('.test') ? [{ address: '127.0.0.1' }] : []),
      ownPorts: () => new Set(),
      ownAddresses: () => [],
      ...options.destinations,
    },
    settings: {
      resource: undefined,
      retries: 2,
      connectTimeoutMs: 5_000,
      responseTimeoutMs: 5_000,
      tunnelIdleMs: 30_000,
      sessionIdleMs: 30_000,
      sessionsMax: 100,
      sessionsPerClientMax: 50,
      perClientMax: 100,
      banStatuses: [],
      ...options.settings,
    },
    mask: maskAddress,
    ca: options.ca,
  });
  onTestFinished(() => proxy.close());
  const proxyUrl = (user = 'user-resource-7', password = '') => {
    const credentials = user === '' ? '' : `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`;
    return `http://${credentials}127.0.0.1:${proxy.port}`;
  };
  return { proxy, leases, logged, reports, latencies, proxyUrl };
}

// ---- sites

/** The port of a site. */
export async function openSite(listener: RequestListener, tls?: TestCertificate): Promise<number> {
  const server = tls ? createTlsServer({ cert: tls.cert, key: tls.key }, listener) : createServer(listener);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

export async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}

// ---- upstream proxies

export interface Upstreams {
  /** As in a pool record. */
  readonly address: string;
  /** `CONNECT host:port` and `GET url` that it was asked for. */
  readonly asked: readonly string[];
}

export async function openUpstream({
  user,
  password = '',
  tls,
}: {
  readonly user?: string;
  readonly password?: string;
  readonly tls?: TestCertificate;
} = {}): Promise<Upstreams> {
  const asked: string[] = [];
  const options: ServerOptions = {
    host: '127.0.0.1',
    port: 0,
    prepareRequestFunction: ({ request, username, password: given }) => {
      asked.push(`${request.method} ${request.url}`);
      return { requestAuthentication: user !== undefined && !(username === user && given === password) };
    },
  };
  const secure = tls && { serverType: 'https' as const, httpsOptions: { cert: tls.cert, key: tls.key } };
  const server = new ProxyServer(secure ? { ...options, ...secure } : options);
  await server.listen();
  onTestFinished(() => server.close(true));
  const credentials = user === undefined ? '' : `${user}:${encodeURIComponent(password)}@`;
  const host = `127.0.0.1:${server.port}`;
  return { address: credentials === '' && !tls ? host : `http${tls ? 's' : ''}://${credentials}${host}`, asked };
}

let deadPort = 0;

/** Another address each time at which nobody listens: a port that the system would give away could be the next server's. */
export function deadAddress(): string {
  deadPort += 1;
  return `127.0.0.1:${deadPort}`;
}

// ---- clients

export interface RawAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** What is answered to `text`, until the other side closes. */
export async function rawAnswer(port: number, text: string): Promise<RawAnswer> {
  const answer = await new Promise<string>((resolve, reject) => {
    let all = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text, 'latin1'));
    socket.on('data', (chunk) => {
      all += chunk.toString('latin1');
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(all));
    onTestFinished(() => void socket.destroy());
  });
  const [head = '', ...body] = answer.split('\r\n\r\n');
  return { status: Number(head.split(' ')[1]), head, body: body.join('\r\n\r\n') };
}

export function basic(user: string, password = ''): string {
  return `Proxy-Authorization: Basic ${Buffer.from(`${user}:${password}`).toString('base64')}\r\n`;
}
