/** The HTTP listener: who may ask, one log line a request, errors as problem+json, and the routes that main hands it. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Server } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { problemResponse } from '../../protocol/problems.ts';
import type { Clock } from '../coordinator/scheduler.ts';

/** Headers must have come by then, and the whole request. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const HEALTH_PATH = '/healthz';

export interface AdminLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface AdminOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Asked for as `Authorization: Bearer …` everywhere but on /healthz; undefined only on loopback. */
  readonly adminKey: string | undefined;
  readonly routes: readonly Hono[];
  /** What /healthz says beside `status`. */
  readonly health: () => object;
  readonly clock: Clock;
  readonly log: AdminLog;
}

export interface AdminServer {
  readonly port: number;
  /** Stops listening and cuts what is still connected: whatever was going to be answered has been. */
  close(): Promise<void>;
}

/** Rejects where the address can't be listened on. */
export async function openAdmin(options: AdminOptions): Promise<AdminServer> {
  const server = createAdaptorServer({ fetch: adminApp(options).fetch }) as Server;
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new Error(`admin port: can't listen on ${options.host}:${options.port}: ${error.message}`)),
    );
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function adminApp({ adminKey, routes, health, clock, log }: AdminOptions): Hono {
  const app = new Hono();
  app.use(async (context, next) => {
    const startMs = clock.nowMs();
    await next();
    const { method, path } = context.req;
    const ms = Math.round((clock.nowMs() - startMs) * 10) / 10;
    const entry = { method, path, status: context.res.status, ms };
    // Asked every few seconds by whatever watches us.
    if (path === HEALTH_PATH) log.debug(entry, 'request');
    else log.info(entry, 'request');
  });
  app.use(async (context, next) => {
    const { req } = context;
    const { host, origin, 'sec-fetch-site': site } = req.header();
    if (!isOurs({ host, origin, site }, adminKey !== undefined)) {
      return problemResponse(403, 'foreign host or origin');
    }
    if (adminKey !== undefined && req.path !== HEALTH_PATH && !isKey(req.header('authorization'), adminKey)) {
      const response = problemResponse(401, 'an operator key is needed', { reason: 'unauthorized' });
      response.headers.set('WWW-Authenticate', 'Bearer');
      return response;
    }
    return next();
  });
  app.get(HEALTH_PATH, (context) => context.json({ status: 'ok', ...health() }));
  for (const route of routes) app.route('/', route);
  app.notFound((context) => problemResponse(404, `nothing is at ${context.req.path}`));
  app.onError((error, context) => {
    log.error({ err: error, path: context.req.path }, 'request failed');
    return problemResponse(500, 'internal error');
  });
  return app;
}

interface Asking {
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** `Sec-Fetch-Site`. */
  readonly site: string | undefined;
}

/**
 * Whether a browser's page may be behind the request: a page of another origin never, and where no key guards us, no
 * request by a host name that somebody made to point here.
 */
function isOurs({ host, origin, site }: Asking, isGuarded: boolean): boolean {
  // Browsers name no origin in a plain GET, an image's say, but they say that it comes from another site.
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false;
  if (origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== host)) return false;
  if (isGuarded || host === undefined) return true;
  const name = host.replace(/:\d+$/, '');
  return name === 'localhost' || isIP(name.replace(/^\[|\]$/g, '')) !== 0;
}

function isKey(authorization: string | undefined, adminKey: string): boolean {
  const given = /^Bearer +(.+)$/i.exec(authorization ?? '')?.[1] ?? '';
  return timingSafeEqual(digest(given), digest(adminKey));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
