/**
 * The redirect balancer's port. `GET /?video=URL` is answered here and at once, since it asks nothing but memory; what is
 * about configurations goes to the operations of the HTTP API, with their guard.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ConnectionBounds } from '../admin/connections.ts';
import type { Clock, Scheduler } from '../coordinator/scheduler.ts';
import { counter, type Family } from '../metrics/family.ts';
import { Tally } from '../metrics/tally.ts';
import type { RedirectRule } from '../redirects/commands.ts';
import { answerProblem, openGatewayListener } from './gateway-listener.ts';
import { Distribution, readVideo } from './redirect-target.ts';
import { type GatewayLog, loggedUrl, logRequest } from './request-line.ts';

export interface RedirectListenerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly connections: ConnectionBounds;
  /** What it goes by at first. Like all that follows: durable. */
  readonly rule: RedirectRule;
  /** Answers, guards and logs what is asked below CONFIG_PATHS. */
  readonly serveConfig: (request: IncomingMessage, response: ServerResponse) => void;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly log: GatewayLog;
}

export interface RedirectListener {
  readonly port: number;
  readonly families: readonly Family[];
  /** Goes by this from the next request on, which is the first that is counted. */
  use(rule: RedirectRule): void;
  drain(withinMs: number): Promise<void>;
  close(): Promise<void>;
}

const CONFIG_PATHS = /^\/configs?(?:[/?]|$)/;
const ALLOW = { Allow: 'GET, HEAD' };

/** Rejects where the address can't be listened on. */
export async function openRedirectListener(options: RedirectListenerOptions): Promise<RedirectListener> {
  const { serveConfig, scheduler, log } = options;
  const redirector = new Redirector(options);
  const underWay = new UnderWay(scheduler);
  let isDraining = false;
  const listener = await openGatewayListener({
    via: 'redirect',
    log,
    host: options.host,
    port: options.port,
    connections: options.connections,
    onRequest(request, response) {
      if (isDraining) response.shouldKeepAlive = false;
      const target = pathAndQueryOf(request.url!);
      if (!CONFIG_PATHS.test(target)) return redirector.answer(request, response, target);
      underWay.add(response);
      serveConfig(request, response);
    },
    onUnreadable: () => {},
  });
  return {
    port: listener.port,
    families: redirector.families,
    use: (rule) => redirector.use(rule),
    async drain(withinMs) {
      isDraining = true;
      listener.stopAccepting();
      await underWay.ended(withinMs);
    },
    close: () => listener.close(),
  };
}

const OF_ABSOLUTE_FORM = /^https?:\/\/[^/?#]*/i;

/** A client may ask for the whole URL (RFC 9112 §3.2.2): whatever name it has for us. */
function pathAndQueryOf(target: string): string {
  if (target.startsWith('/') || !OF_ABSOLUTE_FORM.test(target)) return target;
  const rest = target.replace(OF_ABSOLUTE_FORM, '');
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** What became of a request, for its line in the log. */
interface Outcome {
  readonly status: number;
  readonly target?: string;
  readonly reason?: string;
}

class Redirector {
  readonly #clock: Clock;
  readonly #log: GatewayLog;
  readonly #outcomes = new Tally(['cdn', 'origin', 'invalid']);
  #distribution: Distribution;

  constructor({ rule, clock, log }: RedirectListenerOptions) {
    this.#clock = clock;
    this.#log = log;
    this.#distribution = new Distribution(rule);
  }

  get families(): Family[] {
    const help = 'Requests with a video: sent to the CDN, to the origin, or refused since it is none.';
    return [counter('redirects_total', help, 'outcome', this.#outcomes)];
  }

  use(rule: RedirectRule): void {
    this.#distribution = new Distribution(rule);
  }

  /** `target`: path and query. */
  answer(request: IncomingMessage, response: ServerResponse, target: string): void {
    const startMs = this.#clock.nowMs();
    const outcome = this.#answer(request, response, target);
    const ms = this.#clock.nowMs() - startMs;
    logRequest(this.#log, { via: 'redirect', method: request.method!, url: target, ms, retries: 0, ...outcome });
  }

  #answer({ method }: IncomingMessage, response: ServerResponse, target: string): Outcome {
    if (target !== '/' && !target.startsWith('/?')) {
      answerProblem(response, 404, 'nothing is here but / and /config');
      return { status: 404 };
    }
    if (method !== 'GET' && method !== 'HEAD') {
      answerProblem(response, 405, 'one of GET, HEAD', {}, ALLOW);
      return { status: 405 };
    }
    const video = readVideo(target.slice('/?'.length));
    if (typeof video === 'string') {
      if (method === 'GET') this.#outcomes.add('invalid');
      const reason = 'invalid_video';
      answerProblem(response, 422, `video: ${video}`, { reason, path: 'video' });
      return { status: 422, reason };
    }
    // HEAD says what a GET in its place would be told. If it counted, pairs of the two would take every other turn.
    const destination = method === 'GET' ? this.#distribution.take() : this.#distribution.next;
    if (method === 'GET') this.#outcomes.add(destination);
    const location = this.#distribution.locationOf(video, destination);
    response.writeHead(301, ['Location', location, 'Cache-Control', 'no-store', 'Content-Length', '0']);
    response.end();
    return { status: 301, target: loggedUrl(location) };
  }
}

/** Answers that wait for the disk. */
class UnderWay {
  readonly #scheduler: Scheduler;
  readonly #responses = new Set<ServerResponse>();
  #onEnded = () => {};

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  add(response: ServerResponse): void {
    this.#responses.add(response);
    response.once('close', () => {
      this.#responses.delete(response);
      if (this.#responses.size === 0) this.#onEnded();
    });
  }

  ended(withinMs: number): Promise<void> {
    if (this.#responses.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#scheduler.setTimer(withinMs, resolve);
      this.#onEnded = () => {
        cancel();
        resolve();
      };
    });
  }
}
