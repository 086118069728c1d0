/**
 * Leasehold as a proxy: any HTTP client sends its requests and tunnels here and says in its user what address it wants. Each
 * has a lease while it runs, alone or with the others of its session, and is cut the moment the lease ends: what goes over
 * an address is what its lease covers.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Outcome } from '../../protocol/codes.ts';
import type { ConnectionBounds } from '../admin/connections.ts';
import { rawProblem } from '../admin/unreadable.ts';
import type { Clock, Scheduler } from '../coordinator/scheduler.ts';
import type { Upstream } from '../health/upstream.ts';
import type { Family } from '../metrics/family.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { onAbort } from './abort.ts';
import { type Destination, Destinations, type DestinationsOptions } from './destination.ts';
import { type ForwardAccess, ForwardAdmission, Work } from './forward-admission.ts';
import { ForwardCounts } from './forward-counts.ts';
import { ERROR_HEADER, type ForwardError, problemOf, type Refusal, refusal } from './forward-errors.ts';
import { type AddressReports, ForwardRoute, type Leg, type RouteTools } from './forward-route.ts';
import { type ForwardTarget, readRequestTarget, readTunnelTarget } from './forward-target.ts';
import { answerProblem, openGatewayListener } from './gateway-listener.ts';
import { HeldLeases } from './held-leases.ts';
import type { LeaseEndReason, LeaseSource } from './lease-source.ts';
import { type Exchanged, exchange, isRepeatable } from './plain-request.ts';
import { CLIENT_GONE, type GatewayLog, logRequest } from './request-line.ts';
import { tunnel, WaitingClient } from './tunnel.ts';
import { isHttp, proxyHeaders } from './upstream.ts';

const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n';
/** A client that was refused a tunnel is given so long to read why. */
const REFUSED_LINGER_MS = 5_000;

export interface ForwardProxyOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly connections: ConnectionBounds;
  readonly leases: LeaseSource;
  readonly access: ForwardAccess;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly metrics: Pick<Metrics, 'rateLimited'>;
  readonly log: GatewayLog;
  readonly reports: AddressReports;
  /** An address without its credentials. */
  readonly mask: (address: string) => string;
  /** What this proxy doesn't know by itself. */
  readonly destinations: Omit<DestinationsOptions, 'scheduler'>;
  readonly settings: ForwardProxySettings;
  /** PEM: whom upstreams over TLS are trusted by, in place of whom Node trusts. */
  readonly ca?: string | undefined;
}

export interface ForwardProxySettings {
  /** Of users that name none; undefined: it must be named. */
  readonly resource: number | undefined;
  /** Times that a request is tried again on another address. */
  readonly retries: number;
  /** For a connection through an address. */
  readonly connectTimeoutMs: number;
  /** From a request's end to the head of its answer. */
  readonly responseTimeoutMs: number;
  readonly tunnelIdleMs: number;
  readonly sessionIdleMs: number;
  readonly sessionsMax: number;
  readonly sessionsPerClientMax: number;
  /** Requests and tunnels of one client at one time. */
  readonly perClientMax: number;
  /** What a site answers where it has banned an address. */
  readonly banStatuses: readonly number[];
}

export interface ForwardProxy {
  readonly port: number;
  readonly families: readonly Family[];
  /** Cuts whatever came with this API key, by its id. */
  closeKey(key: string): void;
  drain(withinMs: number): Promise<void>;
  close(): Promise<void>;
}

/** Rejects where the address can't be listened on. */
export async function openForwardProxy(options: ForwardProxyOptions): Promise<ForwardProxy> {
  const { host, port, connections, scheduler, log } = options;
  const server = new ForwardServer(options);
  const guarded = (served: Promise<void>, socket: Duplex) =>
    void served.catch((error: Error) => {
      log.error({ via: 'forward', error: error.stack }, 'a request could not be served');
      socket.destroy();
    });
  const listener = await openGatewayListener({
    via: 'forward',
    log,
    host,
    port,
    connections,
    onRequest: (request, response) => guarded(server.request(request, response), request.socket),
    onConnect: (request, socket, head) => guarded(server.tunnel(request, socket, head), socket),
    refusalHeaders: { [ERROR_HEADER]: 'bad_request' satisfies ForwardError },
    onUnreadable: (status) => server.counts.request('request', status),
  });
  return {
    port: listener.port,
    families: server.counts.families(() => server.held.sessionCount),
    closeKey: (key) => server.admission.closeKey(key),
    async drain(withinMs) {
      listener.stopAccepting();
      let cancel = () => {};
      const time = new Promise<void>((resolve) => {
        cancel = scheduler.setTimer(withinMs, resolve);
      });
      await Promise.race([server.admission.drained(), time]);
      cancel();
    },
    async close() {
      server.admission.cutAll();
      await listener.close();
      server.held.close();
    },
  };
}

/** What is known of a request when it is over. */
interface Ending {
  readonly status: number;
  readonly reason?: string | undefined;
  readonly bytesSent?: number;
  readonly bytesReceived?: number;
}

/** A request or tunnel that has been let in, to a place that it may go to. */
interface Passage {
  readonly work: Work;
  readonly route: ForwardRoute;
  readonly target: ForwardTarget;
  readonly destination: Destination;
}

class ForwardServer {
  readonly counts = new ForwardCounts();
  readonly held: HeldLeases;
  readonly admission: ForwardAdmission;
  readonly #options: ForwardProxyOptions;
  readonly #destinations: Destinations;
  readonly #tools: RouteTools;
  readonly #banStatuses: ReadonlySet<number>;

  constructor(options: ForwardProxyOptions) {
    const { settings, scheduler, access, metrics } = options;
    this.#options = options;
    this.held = new HeldLeases({ ...options, ...settings });
    this.admission = new ForwardAdmission({ ...settings, access, metrics });
    this.#destinations = new Destinations({ ...options.destinations, scheduler });
    this.#banStatuses = new Set(settings.banStatuses);
    this.#tools = {
      held: this.held,
      clock: options.clock,
      scheduler,
      log: options.log,
      reports: options.reports,
      retriesMax: settings.retries,
      connectTimeoutMs: settings.connectTimeoutMs,
      mask: options.mask,
      ca: options.ca,
      onRetry: this.counts.retry,
    };
  }

  // ---- requests

  async request(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const say = this.#line('request', request);
    const refuse = (why: Refusal, passage?: Passage, client = passage?.work.caller.client) => {
      const { status, message, extras, headers } = problemOf(why);
      answerProblem(response, status, message, extras, headers);
      say({ status, reason: why.reason }, client, passage?.route);
    };
    const read = readRequestTarget(request.method ?? '', request.url ?? '');
    // Of a web page, or a probe: nobody who would have credentials.
    if (read.type === 'bad' && read.reason === 'not_a_proxy_request') return refuse(refusal(read.reason, read.message));
    const work = this.admission.admit(request, () => request.socket.destroy());
    if (!(work instanceof Work)) return refuse(work, undefined, work.client);
    response.once('close', work.leave);
    const { client } = work.caller;
    try {
      if (read.type === 'bad') return refuse(refusal(read.reason, read.message), undefined, client);
      if (/websocket/i.test(request.headers.upgrade ?? '')) {
        return refuse(refusal('upgrade_needs_connect', 'WebSockets go through a tunnel: CONNECT'), undefined, client);
      }
      const passage = await this.#passage(work, read.target, (upstream) => !this.#isTold(upstream));
      if ('reason' in passage) return refuse(passage, undefined, client);
      const ended = await this.#repeated(passage, request, response);
      if ('message' in ended) return refuse(ended, passage);
      say(ended, client, passage.route);
    } finally {
      // What has been handed to the socket may still be on its way.
      if (response.closed) work.end();
      else response.once('close', work.end);
    }
  }

  /** Until there is an answer, or nothing more may be done about it. */
  async #repeated(passage: Passage, request: IncomingMessage, response: ServerResponse): Promise<Ending | Refusal> {
    const { route, work } = passage;
    for (;;) {
      const reached = await route.reach();
      if (reached.type === 'gone') return { status: CLIENT_GONE };
      if (reached.type === 'not_reached') return reached.refusal;
      const { leg } = reached;
      const exchanged = await this.#exchange(passage, leg, request, response);
      if (exchanged.type === 'answered') {
        return { status: exchanged.status, reason: exchanged.isWhole ? undefined : 'cut' };
      }
      if (work.gone.aborted) return { status: CLIENT_GONE };
      const { refusal: why } = route.failedBy(leg.held, refusalOf(exchanged.type));
      const isAgain = exchanged.type === 'broken' || exchanged.type === 'proxy_auth';
      if (!isAgain || !isRepeatable(request) || !route.mayRetry) return why;
    }
  }

  async #exchange(
    { target, work }: Passage,
    { held, upstream, socket }: Leg,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<Exchanged> {
    const { scheduler, settings, reports } = this.#options;
    const isTold = this.#isTold(upstream);
    const abort = new AbortController();
    const offEnded = held.onEnded(() => abort.abort());
    const offGone = onAbort(work.gone, () => abort.abort());
    const exchanged = await exchange({
      request,
      response,
      socket,
      path: isTold ? `http://${target.authority}${target.path === '*' ? '' : target.path}` : target.path,
      authority: target.authority,
      proxyHeaders: isTold ? proxyHeaders(upstream) : {},
      responseTimeoutMs: settings.responseTimeoutMs,
      scheduler,
      signal: abort.signal,
    });
    offEnded();
    offGone();
    const { type } = exchanged;
    const { addressId } = held.lease;
    if (isTold && type === 'answered') reports.onAddressSuccess(addressId);
    // Whatever else went wrong may be the destination's doing, which any client may choose.
    else if (type === 'proxy_auth') reports.onAddressFailure(addressId, 'proxy');
    const outcome = this.#outcomeOf(exchanged, abort.signal.aborted);
    held.done({ outcome, requests: 1, isSpent: outcome === 'banned' || type === 'broken' || type === 'proxy_auth' });
    return exchanged;
  }

  #outcomeOf(exchanged: Exchanged, isCut: boolean): Outcome | undefined {
    if (exchanged.type === 'aborted') return undefined;
    if (exchanged.type !== 'answered') return 'failed';
    const { status, isWhole } = exchanged;
    if (this.#banStatuses.has(status)) return 'banned';
    if (!isWhole && !isCut) return 'failed';
    // A site in trouble says nothing of the address.
    return status < 500 ? 'ok' : undefined;
  }

  /** Whether the address is sent the request itself, and not just asked for a tunnel to where it goes. */
  #isTold(upstream: Upstream): boolean {
    return this.#options.destinations.resolve === 'upstream' && isHttp(upstream);
  }

  // ---- tunnels

  async tunnel(request: IncomingMessage, duplex: Duplex, head: Buffer): Promise<void> {
    // Sockets of a server without TLS.
    const socket = duplex as Socket;
    const say = this.#line('tunnel', request);
    let onGone = () => {};
    const waiting = new WaitingClient(socket, head, () => onGone());
    const refuse = (why: Refusal, passage?: Passage, client = passage?.work.caller.client) => {
      const { status, message, extras, headers } = problemOf(why);
      waiting.taken();
      socket.setTimeout(REFUSED_LINGER_MS, () => socket.destroy());
      socket.resume();
      socket.end(rawProblem(status, message, extras, headers));
      say({ status, reason: why.reason }, client, passage?.route);
    };
    const work = this.admission.admit(request, () => socket.destroy());
    if (!(work instanceof Work)) return refuse(work, undefined, work.client);
    onGone = work.leave;
    const { client } = work.caller;
    try {
      const read = readTunnelTarget(request.url ?? '');
      if (read.type === 'bad') return refuse(refusal(read.reason, read.message), undefined, client);
      const passage = await this.#passage(work, read.target, () => true);
      if ('reason' in passage) return refuse(passage, undefined, client);
      const { route } = passage;
      const reached = await route.reach();
      if (reached.type === 'gone') return say({ status: CLIENT_GONE }, client, route);
      if (reached.type === 'not_reached') return refuse(reached.refusal, passage);
      socket.setNoDelay(true);
      const early = waiting.taken();
      socket.write(ESTABLISHED);
      say(await this.#carry(passage, reached.leg, socket, early), client, route);
    } finally {
      work.end();
    }
  }

  async #carry({ work }: Passage, { held, socket: upstream }: Leg, socket: Socket, early: Buffer): Promise<Ending> {
    this.counts.tunnelsOpen += 1;
    let endedBy: LeaseEndReason | undefined;
    const offs: (() => void)[] = [];
    const traffic = await tunnel(socket, upstream, early, {
      idleMs: this.#options.settings.tunnelIdleMs,
      cut: (cutNow) => {
        offs.push(onAbort(work.gone, cutNow));
        offs.push(
          held.onEnded((reason) => {
            endedBy = reason;
            cutNow();
          }),
        );
      },
    });
    for (const off of offs) off();
    this.counts.tunnelsOpen -= 1;
    const { end, bytesSent, bytesReceived } = traffic;
    held.done({ outcome: bytesReceived > 0 ? 'ok' : undefined, requests: 1 });
    const reason = endedBy ?? (end === 'done' ? undefined : end);
    return { status: 200, reason, bytesSent, bytesReceived };
  }

  // ---- both

  /** `isThrough`: whether that upstream is asked for a connection to the destination. */
  async #passage(
    work: Work,
    target: ForwardTarget,
    isThrough: (upstream: Upstream) => boolean,
  ): Promise<Passage | Refusal> {
    const { owner, wanted, caller, gone } = work;
    const found = await this.#destinations.find(target, caller.client);
    if (found.type === 'refused') return refusal(found.reason, found.message);
    const { destination } = found;
    const destinationFor = (upstream: Upstream) => (isThrough(upstream) ? destination : undefined);
    const route = new ForwardRoute(this.#tools, { owner, client: caller.client, wanted, destinationFor, gone });
    return { work, route, target, destination };
  }

  /** Says once what became of it. */
  #line(kind: 'request' | 'tunnel', { method = '', url = '' }: IncomingMessage) {
    const { clock, log } = this.#options;
    const startMs = clock.nowMs();
    return (ending: Ending, client: string | undefined, route?: ForwardRoute): void => {
      const ms = clock.nowMs() - startMs;
      this.counts.request(kind, ending.status);
      const { target, retries = 0 } = route ?? {};
      logRequest(log, { via: 'forward', method, url, target, ms, retries, client, ...ending });
    };
  }
}

function refusalOf(type: Exclude<Exchanged['type'], 'answered'>): Refusal {
  switch (type) {
    case 'aborted':
      return refusal('lease_revoked', 'the lease was taken back while the request ran');
    case 'broken':
      return refusal('upstream_broken', 'the connection broke before there was an answer');
    case 'silent':
      return refusal('upstream_timeout', 'there was no answer in time');
    case 'proxy_auth':
      return refusal('upstream_auth', 'the address does not take the credentials of its pool record');
  }
}
