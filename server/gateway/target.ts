import { buildConnector, type Dispatcher, Pool } from 'undici';
import type { RoutePolicy, TargetSettings } from './route.ts';
import { textHash } from './target-hash.ts';

/** Shorter than servers usually keep connections that are idle (node's 5 s), so that it is this side that closes them. */
const KEEP_ALIVE_MS = 4_000;

/** Where a route sends requests. For it a lease is a request under way. */
export class Target {
  readonly url: URL;
  readonly isTls: boolean;
  /** As sockets take it: an IPv6 address without brackets. */
  readonly hostname: string;
  readonly port: number;
  /** For log and metrics: `10.0.0.1:8080`, `https://10.0.0.1:8443`. */
  readonly name: string;
  readonly weight: number;
  readonly hash: number;
  /** Of requests and upgraded connections. */
  inFlight = 0;
  /** Requests that it was chosen for. */
  requests = 0;
  /** The same, where one that comes back begins with what the least used one has. */
  used = 0;
  /** The number of the choice that fell on it last. */
  lastChosen = 0;
  /** Of the weighted round: what it is owed. */
  credit = 0;
  readonly #connections: Pool;

  constructor(settings: TargetSettings, policy: RoutePolicy) {
    this.url = new URL(settings.url);
    this.isTls = this.url.protocol === 'https:';
    this.hostname = this.url.hostname.replace(/^\[(.*)\]$/, '$1');
    this.port = Number(this.url.port) || (this.isTls ? 443 : 80);
    const host = `${this.url.hostname}:${this.port}`;
    this.name = this.isTls ? `https://${host}` : host;
    this.weight = settings.weight;
    this.hash = textHash(settings.url);
    const connect = buildConnector({ timeout: policy.connectTimeoutMs });
    this.#connections = new Pool(this.url.origin, {
      // TLS goes by the target's own name, never by the Host of a request.
      connect: (options, callback) => connect({ ...options, servername: '' }, callback),
      // As many as requests are under way: what waited for a connection here could be with another target.
      connections: null,
      pipelining: 1,
      headersTimeout: policy.responseTimeoutMs,
      bodyTimeout: policy.idleTimeoutMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
    });
  }

  /** Calls `handler` back whatever happens, and doesn't throw. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    // Not among its types: where the name changed from one request to the next, undici would connect anew.
    const named = { ...options, servername: this.hostname };
    this.#connections.dispatch(this.isTls ? named : options, handler);
  }

  async close(): Promise<void> {
    await this.#connections.destroy();
  }
}
