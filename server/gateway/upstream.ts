/** Connections through a leased address: to it, and through it to where a request is to go. */
import { request as httpRequest } from 'node:http';
import { connect, isIP, isIPv6, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Clock, Scheduler } from '../coordinator/scheduler.ts';
import { type Fault, faultOf } from '../health/probes.ts';
import { proxyAuthorization, type Upstream } from '../health/upstream.ts';
import { onAbort } from './abort.ts';
import { isOurs } from './attempt-fault.ts';
import type { Destination } from './destination.ts';
import type { ForwardError } from './forward-errors.ts';
import { socksConnect } from './upstream-socks.ts';

/** Why an address didn't get us through. */
export interface UpstreamFault {
  readonly reason: Extract<ForwardError, `upstream_${string}` | 'overloaded'>;
  readonly message: string;
  /** What it says of the address; undefined: nothing, since it is about what lies behind it. */
  readonly fault: Fault | undefined;
  /** Another address may do better. */
  readonly mayRetry: boolean;
}

/** `connectMs`: until the upstream itself was there. `aborted`: by the signal. */
export type Opened =
  | { readonly type: 'open'; readonly socket: Socket; readonly connectMs: number }
  | { readonly type: 'failed'; readonly fault: UpstreamFault }
  | { readonly type: 'aborted' };

/** How asking for the destination went. */
export type Handshake = { readonly type: 'done' } | Exclude<Opened, { readonly type: 'open' }>;

export interface OpenOptions {
  /** For all of it. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly signal: AbortSignal;
  /** PEM: whom upstreams over TLS are trusted by, beside whom Node trusts. */
  readonly ca?: string | undefined;
}

/** A timer that is later than this says more of this process than of whom it waits for. */
const LATE_MS = 1_000;
/** What is the upstream's own doing even where it was asked for a destination: it speaks wrongly itself. */
const OWN_FAULTS: ReadonlySet<Fault> = new Set(['tls', 'protocol', 'proxy']);

/**
 * A socket on which `destination` listens, or, where there is none, the upstream itself. It has a listener for errors, behind
 * each of which `close` follows.
 */
export function openThrough(
  upstream: Upstream,
  destination: Destination | undefined,
  { timeoutMs, clock, scheduler, signal, ca }: OpenOptions,
): Promise<Opened> {
  return new Promise((resolve) => {
    const startMs = clock.nowMs();
    let isResolved = isIP(upstream.host) !== 0;
    let connectMs: number | undefined;
    let isSettled = false;
    const socket = dial(upstream, ca);
    const settle = (handshake: Handshake) => {
      if (isSettled) return;
      isSettled = true;
      cancel();
      off();
      if (handshake.type !== 'done') socket.destroy();
      resolve(handshake.type === 'done' ? { type: 'open', socket, connectMs: connectMs! } : handshake);
    };
    const cancel = scheduler.setTimer(timeoutMs, () => {
      // Behind a pause of the process, timers come before what has happened to sockets: that is looked at first.
      scheduler.defer(() => settle(failed('upstream_timeout', 'the address stayed silent', silence())));
    });
    const silence = (): Fault | undefined => {
      if (connectMs !== undefined) return behind('failed', isAsked(upstream, socket));
      // Names are resolved by somebody else.
      if (!isResolved) return 'dns';
      return clock.nowMs() - startMs > timeoutMs + LATE_MS ? 'failed' : 'timeout';
    };
    const off = onAbort(signal, () => settle({ type: 'aborted' }));
    const broken = (fault: Fault) => {
      if (connectMs === undefined)
        settle(failed('upstream_unreachable', 'the address could not be connected to', fault));
      else settle(failed('upstream_broken', 'the connection broke off', behind(fault, isAsked(upstream, socket))));
    };
    socket.once('lookup', (error: Error | null) => {
      isResolved = error === null;
    });
    socket.on('error', (error) => {
      if (connectMs === undefined && isOurs(error)) settle(overloaded());
      else broken(faultOf(error));
    });
    socket.once('close', () => broken('reset'));
    socket.once(upstream.scheme === 'https' ? 'secureConnect' : 'connect', () => {
      if (isSettled) return;
      connectMs = clock.nowMs() - startMs;
      socket.setNoDelay(true);
      if (destination === undefined) settle({ type: 'done' });
      else if (isHttp(upstream)) {
        httpConnect(socket, upstream, destination, settle);
      } else void socksConnect(socket, upstream, destination, { timeoutMs, scheduler }).then(settle);
    });
  });
}

/** Whether the upstream, which is connected to, knows already where it is to go: any client may choose a place that is dead. */
export function isAsked({ scheme }: Upstream, socket: Socket): boolean {
  // Of SOCKS5, a greeting comes first, which it answers by itself.
  return scheme !== 'socks5' || socket.bytesRead > 0;
}

/** What `fault` says of an upstream that stands between us and the destination. */
export function behind(fault: Fault, isDestinationAsked: boolean): Fault | undefined {
  return isDestinationAsked && !OWN_FAULTS.has(fault) ? undefined : fault;
}

/** Whether it is asked by HTTP, with TLS or without. */
export function isHttp({ scheme }: Upstream): boolean {
  return scheme === 'http' || scheme === 'https';
}

function dial({ scheme, host, port }: Upstream, ca: string | undefined): Socket {
  // Either side may be done first, and the other still have something to say.
  const options = { host, port, allowHalfOpen: true };
  if (scheme !== 'https') return connect(options);
  const trust = ca === undefined ? {} : { ca };
  return connectTls({ ...options, ...trust, ...(isIP(host) === 0 ? { servername: host } : {}) });
}

function httpConnect(
  socket: Socket,
  upstream: Upstream,
  { host, port }: Destination,
  settle: (handshake: Handshake) => void,
): void {
  const authority = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const request = httpRequest({
    method: 'CONNECT',
    path: authority,
    headers: { Host: authority, Connection: 'keep-alive', ...proxyHeaders(upstream) },
    createConnection: () => socket,
  });
  request.once('error', (error) => {
    settle(failed('upstream_broken', 'the address gave no HTTP answer', behind(faultOf(error), true)));
  });
  request.once('connect', ({ statusCode = 0 }, _socket, head) => {
    if (statusCode >= 200 && statusCode < 300) {
      if (head.length > 0) socket.unshift(head);
      settle({ type: 'done' });
    } else settle(connectRefused(statusCode));
  });
  // Some answer as if it were any request.
  request.once('response', ({ statusCode = 0 }) => settle(connectRefused(statusCode)));
  request.end();
}

function connectRefused(status: number): Handshake {
  if (status === 407) return authFailed();
  // Busy, or in trouble with the destination: what another address may not be.
  const mayRetry = status === 429 || status >= 500;
  const message = `the address refused to connect to the destination: ${status}`;
  return { type: 'failed', fault: { reason: 'upstream_refused', message, fault: undefined, mayRetry } };
}

/** What an HTTP proxy is told beside the request. */
export function proxyHeaders(upstream: Upstream): Record<string, string> {
  const authorization = proxyAuthorization(upstream);
  return authorization === undefined ? {} : { 'Proxy-Authorization': authorization };
}

function overloaded() {
  return failed('overloaded', 'this machine has no room for another connection', undefined);
}

export function authFailed(): Opened & { type: 'failed' } {
  return failed('upstream_auth', 'the address does not take the credentials of its pool record', 'proxy');
}

export function failed(
  reason: UpstreamFault['reason'],
  message: string,
  fault: Fault | undefined,
): Opened & { readonly type: 'failed' } {
  return { type: 'failed', fault: { reason, message, fault, mayRetry: true } };
}
