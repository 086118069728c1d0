/** The HTTP listener: who may ask, one log line a request, errors as problem+json, and the operations that main hands it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { problemResponse } from '../../protocol/problems.ts';
import type { Clock } from '../coordinator/scheduler.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { boundConnections, type ConnectionBounds } from './connections.ts';
import { type Access, admit, isOurs, isStillAdmitted, unauthorized } from './guard.ts';
import { type Listener, makeListener, type TlsPair } from './listener.ts';
import type { Caller, Operation } from './operation.ts';
import { answerUnreadable, PendingAnswers, refuseTunnels } from './unreadable.ts';

/** Headers must have come by then, and the whole request, an import of a large pool included. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 300_000;
/** How often connections are held to these. */
const TIMEOUTS_CHECK_MS = 1_000;
/** A socket on which nothing has moved for so long is cut: whoever is behind it takes nothing. Longer than any work takes. */
const IDLE_TIMEOUT_MS = 120_000;
/** Connections that wait to be accepted; the kernel has a bound of its own. */
const BACKLOG = 4_096;
/** How long a client that came too early is asked to wait. */
const STARTING_RETRY_S = 1;
/** Paths that are asked all the time: their requests are logged at debug. */
const WATCHED: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);

export interface AdminLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface AdminOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Undefined: no TLS. They have been checked. */
  readonly tls: TlsPair | undefined;
  readonly connections: ConnectionBounds;
  /** Served from the first moment on, to anyone; the rest is mounted when it can be. */
  readonly early: readonly Operation[];
  /** For tests. */
  readonly idleTimeoutMs?: number;
  /** For how long a request took. */
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: AdminLog;
}

/** What is served once the state is there. */
export interface Mounted {
  readonly operations: readonly Operation[];
  readonly access: Access;
  /** Resolves when everything that was decided so far is durable: a refusal may rest on it. */
  readonly settled: () => Promise<void>;
  readonly isOverloaded: () => boolean;
}

/** At `close` whatever was going to be answered has been. */
export interface AdminServer extends Pick<Listener, 'reloadTls' | 'close'> {
  readonly port: number;
  /** Serves this as well from here on; until then it is answered 503. */
  mount(mounted: Mounted): void;
}

/** Rejects where the address can't be listened on. */
export async function openAdmin(options: AdminOptions): Promise<AdminServer> {
  let app = adminApp(options, undefined);
  // A request without Host is answered like any other that can't be read.
  const bounds = {
    requireHostHeader: false,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: TIMEOUTS_CHECK_MS,
  };
  const { server, ...rest } = makeListener(bounds, options.tls);
  server.timeout = options.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
  server.on(
    'request',
    requestListener(() => app),
  );
  const onUnreadable = (status: number) => {
    options.metrics.httpRequest({ operation: undefined, status, seconds: 0 });
    options.log.debug({ status }, 'unreadable request');
  };
  const pending = new PendingAnswers(server);
  answerUnreadable(server, pending, onUnreadable);
  refuseTunnels(server, pending, onUnreadable);
  boundConnections(server, options.connections);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new Error(`admin port: can't listen on ${options.host}:${options.port}: ${error.message}`)),
    );
    server.listen({ port: options.port, host: options.host, backlog: BACKLOG }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    mount(mounted) {
      app = adminApp(options, mounted);
    },
    ...rest,
  };
}

/** The same operations, as guarded, counted and logged as on the admin port, for requests to another one. */
export function serveOperations(parts: Omit<AppParts, 'early'>, mounted: Mounted): NodeListener {
  const app = adminApp({ ...parts, early: [] }, mounted);
  return requestListener(() => app);
}

type NodeListener = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

function requestListener(app: () => Hono<Env>): NodeListener {
  const listener = getRequestListener((request, env) => app().fetch(request, env), {
    overrideGlobalObjects: false,
    errorHandler: (error) => problemResponse(400, error instanceof Error ? error.message : 'not a request'),
  });
  return (incoming, outgoing) => {
    // Older than the header; what asks so is something simple that watches us.
    if (incoming.httpVersion === '1.0') incoming.headers.host ??= 'localhost';
    void listener(incoming, outgoing);
  };
}

type AppParts = Pick<AdminOptions, 'early' | 'clock' | 'metrics' | 'log'>;
type Env = { Bindings: HttpBindings; Variables: { operation: string; client: string; isLimited: boolean } };

function adminApp({ early, clock, metrics, log }: AppParts, mounted: Mounted | undefined): Hono<Env> {
  const operations = [...early, ...(mounted?.operations ?? [])];
  const earlyPaths = new Set(early.map(({ path }) => path));
  const app = new Hono<Env>();
  app.use(async (context, next) => {
    const startMs = clock.nowMs();
    await next();
    const { method, path } = context.req;
    const tookMs = clock.nowMs() - startMs;
    if (context.get('isLimited')) metrics.rateLimited('http');
    metrics.httpRequest({ operation: context.get('operation'), status: context.res.status, seconds: tookMs / 1_000 });
    const ms = Math.round(tookMs * 10) / 10;
    const client = context.get('client');
    const entry = {
      method,
      path: loggedPath(path),
      status: context.res.status,
      ms,
      ...(client === undefined ? {} : { client }),
    };
    // Asked every few seconds by whatever watches us.
    if (WATCHED.has(path)) log.debug(entry, 'request');
    else log.info(entry, 'request');
  });
  app.use(async (context, next) => {
    const { host, origin, 'sec-fetch-site': site } = context.req.header();
    // What is served early reveals nothing, and whatever watches us may ask by any name; nor is there else anything yet.
    const isGuarded = !mounted || earlyPaths.has(context.req.path) || mounted.access.hasOperatorKey();
    if (isOurs({ host, origin, site }, isGuarded)) return next();
    return problemResponse(403, 'foreign host or origin');
  });
  for (const each of operations) {
    for (const path of [each.path, ...(each.aliases ?? [])]) {
      app.on(each.method.toUpperCase(), honoPath(path), (context, next) => {
        // HEAD comes as the GET that it stands for; of one that changes something nobody would see what.
        return each.isChange && context.env.incoming.method === 'HEAD' ? next() : serve(mounted, each, context);
      });
    }
  }
  for (const [path, methods] of methodsByPath(operations)) {
    const allow = methods.join(', ');
    app.all(honoPath(path), () => withHeaders(problemResponse(405, `one of ${allow}`), { Allow: allow }));
  }
  app.notFound((context) =>
    mounted
      ? problemResponse(404, `nothing is at ${context.req.path}`)
      : problemResponse(503, 'the coordinator is starting', { reason: 'starting', retryAfterS: STARTING_RETRY_S }),
  );
  app.onError((error, context) => {
    if (!context.env.incoming.complete) {
      // Whoever asked went away in the midst of it.
      log.debug({ path: loggedPath(context.req.path) }, 'request aborted');
      return problemResponse(400, 'the request was not whole');
    }
    log.error({ err: error, path: loggedPath(context.req.path) }, 'request failed');
    return problemResponse(500, 'internal error');
  });
  return app;
}

/** Guards one request and has it answered. */
async function serve(mounted: Mounted | undefined, operation: Operation, context: Context<Env>): Promise<Response> {
  const { req, env } = context;
  context.set('operation', operation.id);
  if (!mounted || operation.role === 'anyone') return operation.serve(req, NOBODY, () => undefined);
  const remoteAddress = env.incoming.socket.remoteAddress ?? '';
  const admission = admit(mounted.access, operation, { authorization: req.header('authorization'), remoteAddress });
  if (!admission.ok) {
    context.set('isLimited', admission.response.status === 429);
    await mounted.settled();
    return admission.response;
  }
  const { caller, headers } = admission;
  context.set('client', caller.client);
  const recheck = () => {
    if (!isStillAdmitted(mounted.access, caller)) return mounted.settled().then(unauthorized);
    return operation.isChange && mounted.isOverloaded() ? overloaded() : undefined;
  };
  return withHeaders(await operation.serve(req, caller, recheck), headers);
}

const NOBODY: Caller = { client: '', isAuthenticated: false, role: 'collector', key: undefined };

function overloaded(): Response {
  return problemResponse(503, 'the disk is behind; try again later', { reason: 'overloaded', retryAfterS: 1 });
}

function withHeaders(response: Response, headers: Readonly<Record<string, string>>): Response {
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return response;
}

const LOGGED_PATH_MAX = 256;

/** Without what somebody may have put into it by mistake: a whole address, or an API key. */
function loggedPath(path: string): string {
  const hidden = path
    .split('/')
    .map((part) => (/@|%40|^lh_[^_]*_/i.test(part) ? '***' : part))
    .join('/');
  return hidden.length > LOGGED_PATH_MAX ? `${hidden.slice(0, LOGGED_PATH_MAX)}…` : hidden;
}

/** `/v1/leases/{lease}` as hono writes it. */
function honoPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, ':$1');
}

function methodsByPath(operations: readonly Operation[]): Map<string, string[]> {
  const methods = new Map<string, string[]>();
  for (const { path, aliases = [], method } of operations) {
    for (const each of [path, ...aliases]) {
      methods.set(each, [...(methods.get(each) ?? []), method.toUpperCase()]);
    }
  }
  return methods;
}
