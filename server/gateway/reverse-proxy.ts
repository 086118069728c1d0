/** The reverse proxy: requests of any HTTP client to the targets of the route that they match. */
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { BlockList, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ConnectionBounds } from '../admin/connections.ts';
import type { Clock, Scheduler } from '../coordinator/scheduler.ts';
import type { Family } from '../metrics/family.ts';
import { cookieOf, headerOf, headersForTarget } from './forwarded-headers.ts';
import { type ForwardContext, type Forwarded, ForwardedRequest } from './forwarded-request.ts';
import { answerProblem, openGatewayListener } from './gateway-listener.ts';
import { hasBody, KeptBytes } from './request-body.ts';
import { type GatewayLog, logRequest } from './request-line.ts';
import { ReverseCounts } from './reverse-counts.ts';
import type { Route } from './route.ts';
import { RouteTable, readDestination } from './route-table.ts';
import { TargetPool } from './target-pool.ts';
import { UpgradedConnection } from './upgraded-connection.ts';

export interface ReverseProxyOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly routes: readonly Route[];
  readonly connections: ConnectionBounds;
  /** Whose `X-Forwarded-*` are believed. */
  readonly trustedProxies: BlockList;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: GatewayLog;
}

export interface ReverseProxy {
  readonly port: number;
  readonly families: readonly Family[];
  /** Takes no new connections, and waits for the requests under way as long as it is given. */
  drain(withinMs: number): Promise<void>;
  /** Cuts what is left. */
  close(): Promise<void>;
}

/** Clients are given a little longer than targets, so that it is known who was late. */
const IDLE_MARGIN_MS = 5_000;
const IDLE_MIN_MS = 120_000;

type Read =
  | { readonly ok: true; readonly forwarded: Forwarded }
  | { readonly ok: false; readonly status: number; readonly fault: string };

/** Rejects where the port can't be had. */
export async function openReverseProxy(options: ReverseProxyOptions): Promise<ReverseProxy> {
  const { routes, clock, scheduler, random, log } = options;
  const counts = new ReverseCounts();
  const pools = routes.map(
    (route) => new TargetPool({ route, clock, scheduler, random, log, onOut: ({ cause }) => counts.out(cause) }),
  );
  let isDraining = false;
  const context: ForwardContext = { clock, log, counts, kept: new KeptBytes(), isDraining: () => isDraining };
  const read = requestReader(new RouteTable(pools), options);

  const refuse = (request: IncomingMessage, response: ServerResponse, status: number, fault: string) => {
    counts.answered(status);
    const line = { method: request.method ?? '', url: request.url ?? '', client: ipOf(request) };
    logRequest(log, { via: 'reverse', ...line, status, ms: 0, retries: 0, reason: fault });
    answerProblem(response, status, fault, {}, isDraining ? { Connection: 'close' } : {});
  };

  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    const asked = read(request);
    if (asked.ok) new ForwardedRequest(request, response, asked.forwarded, context).start();
    else refuse(request, response, asked.status, asked.fault);
  };

  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const response = responseOn(request, socket);
    // An answer comes before any upgrade, and HTTP/2 on the connection would pass by routes and limits.
    if (/(?:^|[\s,])h2c?\b/i.test(request.headers.upgrade ?? '') && !hasBody(request))
      return onRequest(request, response);
    if (hasBody(request)) return refuse(request, response, 400, 'an upgrade with a body');
    const asked = read(request);
    if (!asked.ok) return refuse(request, response, asked.status, asked.fault);
    new UpgradedConnection({ request, response, socket, head }, asked.forwarded, { ...context, scheduler }).start();
  };

  const idleMs = routes.flatMap(({ policy }) => [policy.responseTimeoutMs, policy.idleTimeoutMs]);
  const listening = openGatewayListener({
    via: 'reverse',
    log,
    host: options.host,
    port: options.port,
    connections: options.connections,
    idleTimeoutMs: Math.max(IDLE_MIN_MS, ...idleMs) + IDLE_MARGIN_MS,
    onRequest,
    onUpgrade,
    onUnreadable: (status) => counts.answered(status),
  });
  const closePools = () => Promise.all(pools.map((pool) => pool.close()));
  const listener = await listening.catch(async (error: unknown) => {
    await closePools();
    throw error;
  });
  return {
    port: listener.port,
    families: counts.families(pools),
    drain: async (withinMs) => {
      isDraining = true;
      listener.stopAccepting();
      await whenIdle(pools, withinMs, { clock, scheduler });
    },
    close: async () => {
      await listener.close();
      await closePools();
    },
  };
}

/** Where a request goes and with what, before anybody is asked. */
function requestReader(
  table: RouteTable<TargetPool>,
  { trustedProxies, random }: Pick<ReverseProxyOptions, 'trustedProxies' | 'random'>,
): (request: IncomingMessage) => Read {
  // Known again when a request comes back to where it was: a target that is this proxy itself.
  const pseudonym = `leasehold-${Math.floor(random() * 2 ** 32).toString(16)}`;
  const trustsAnybody = trustedProxies.rules.length > 0;
  const isTrusted = (ip: string) => trustsAnybody && trustedProxies.check(ip, ip.includes(':') ? 'ipv6' : 'ipv4');

  return (request) => {
    const { rawHeaders, headers } = request;
    const asked = readDestination(request.url ?? '', headers.host);
    if (!asked.ok) return { ok: false, status: 400, fault: asked.fault };
    const pool = table.find(asked.destination);
    if (!pool) return { ok: false, status: 404, fault: 'no route' };
    if (headers.via?.includes(pseudonym)) return { ok: false, status: 508, fault: 'the request has been here before' };
    const ip = ipOf(request);
    const { rewriteHost, stickyHeader, stickyCookie, strategy } = pool.route.policy;
    const peer = { ip, isTrusted: isTrusted(ip) };
    const sent = { authority: asked.authority, httpVersion: request.httpVersion, pseudonym, rewriteHost };
    const key = () =>
      (stickyHeader !== undefined ? headerOf(rawHeaders, stickyHeader) : undefined) ??
      (stickyCookie !== undefined ? cookieOf(headers.cookie, stickyCookie) : undefined) ??
      ip;
    const forwarded: Forwarded = {
      pool,
      path: asked.rest,
      headers: headersForTarget(rawHeaders, peer, sent),
      key: strategy === 'sticky' ? key() : '',
      client: ip,
    };
    return { ok: true, forwarded };
  };
}

const IDLE_CHECK_MS = 20;

/** Resolves when no request is under way any more, or the time is over. */
function whenIdle(
  pools: readonly TargetPool[],
  withinMs: number,
  { clock, scheduler }: Pick<ReverseProxyOptions, 'clock' | 'scheduler'>,
): Promise<void> {
  const endMs = clock.nowMs() + withinMs;
  return new Promise((resolve) => {
    const look = () => {
      if (pools.every((pool) => pool.inFlight === 0) || clock.nowMs() >= endMs) resolve();
      else scheduler.setTimer(IDLE_CHECK_MS, look);
    };
    look();
  });
}

/** Without what IPv6 puts before an IPv4 address. */
function ipOf({ socket }: IncomingMessage): string {
  return (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/i, '');
}

/** Writes an answer on a connection that node has handed over; it is closed behind it. */
function responseOn(request: IncomingMessage, duplex: Duplex): ServerResponse {
  const socket = duplex as Socket;
  socket.on('error', () => socket.destroy());
  // Node doesn't look at it any more.
  socket.setTimeout(IDLE_MIN_MS, () => socket.destroy());
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', () => socket.destroySoon());
  return response;
}
