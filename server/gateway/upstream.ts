/** Connections through a leased address: to it, and through it to where a request is to go. */
import { request as httpRequest } from 'node:http';
import { connect, isIP, isIPv6, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Scheduler } from '../coordinator/scheduler.ts';
import { onAbort } from './abort.ts';
import type { Destination } from './destination.ts';
import type { ForwardError } from './forward-errors.ts';
import { socksConnect } from './upstream-socks.ts';

/** A pool record's `address`, taken apart. */
export interface Upstream {
  readonly kind: 'http' | 'https' | 'socks4' | 'socks5';
  /** IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Undefined: it asks for none. */
  readonly credentials: { readonly user: string; readonly password: string } | undefined;
  /** For people: without credentials. */
  readonly shown: string;
}

/** Why an address didn't get us through. */
export interface UpstreamFault {
  readonly reason: Extract<ForwardError, `upstream_${string}`>;
  readonly message: string;
  /** It is the address itself that refuses or stays silent, and not what lies behind it. */
  readonly isOfAddress: boolean;
  /** Another address may do better. */
  readonly mayRetry: boolean;
}

/** `aborted`: by the signal. */
export type Opened =
  | { readonly type: 'open'; readonly socket: Socket }
  | { readonly type: 'failed'; readonly fault: UpstreamFault }
  | { readonly type: 'aborted' };

export interface OpenOptions {
  /** For all of it. */
  readonly timeoutMs: number;
  readonly scheduler: Scheduler;
  readonly signal: AbortSignal;
  /** PEM: whom upstreams over TLS are trusted by, beside whom Node trusts. */
  readonly ca?: string | undefined;
}

const KINDS: Readonly<Record<string, readonly [kind: Upstream['kind'], port: number]>> = {
  'http:': ['http', 80],
  'https:': ['https', 443],
  'socks4:': ['socks4', 1_080],
  'socks4a:': ['socks4', 1_080],
  'socks5:': ['socks5', 1_080],
  'socks5h:': ['socks5', 1_080],
};

/** Undefined: no proxy can be made of it. */
export function readUpstream(address: string): Upstream | undefined {
  const text = address.includes('://') ? address : `http://${address}`;
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const [kind, usualPort] = KINDS[url.protocol] ?? [];
  if (kind === undefined || usualPort === undefined || url.hostname === '') return undefined;
  const port = url.port === '' ? usualPort : Number(url.port);
  const credentials = { user: decoded(url.username), password: decoded(url.password) };
  return {
    kind,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port,
    credentials: url.username === '' && url.password === '' ? undefined : credentials,
    shown: `${kind}://${url.hostname}:${port}`,
  };
}

export function proxyAuthorization({ credentials }: Upstream): Record<string, string> {
  if (credentials === undefined) return {};
  const basic = Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64');
  return { 'Proxy-Authorization': `Basic ${basic}` };
}

/**
 * A socket on which `destination` listens, or, where there is none, the upstream itself. It has a listener for errors, behind
 * each of which `close` follows.
 */
export function openThrough(
  upstream: Upstream,
  destination: Destination | undefined,
  { timeoutMs, scheduler, signal, ca }: OpenOptions,
): Promise<Opened> {
  return new Promise((resolve) => {
    let isSettled = false;
    const socket = dial(upstream, ca);
    const settle = (opened: Opened) => {
      if (isSettled) return;
      isSettled = true;
      cancel();
      off();
      if (opened.type !== 'open') socket.destroy();
      resolve(opened);
    };
    const cancel = scheduler.setTimer(timeoutMs, () => settle(failed('upstream_timeout', 'the address stayed silent')));
    const off = onAbort(signal, () => settle({ type: 'aborted' }));
    const unreachable = failed('upstream_unreachable', 'the address could not be connected to');
    socket.on('error', () => settle(unreachable));
    socket.once('close', () => settle(unreachable));
    socket.once(upstream.kind === 'https' ? 'secureConnect' : 'connect', () => {
      if (isSettled) return;
      socket.setNoDelay(true);
      if (destination === undefined) settle({ type: 'open', socket });
      else if (upstream.kind === 'http' || upstream.kind === 'https') {
        httpConnect(socket, upstream, destination, settle);
      } else void socksConnect(socket, upstream, destination, { timeoutMs, scheduler }).then(settle);
    });
  });
}

function dial({ kind, host, port }: Upstream, ca: string | undefined): Socket {
  // Either side may be done first, and the other still have something to say.
  const options = { host, port, allowHalfOpen: true };
  if (kind !== 'https') return connect(options);
  const trust = ca === undefined ? {} : { ca };
  return connectTls({ ...options, ...trust, ...(isIP(host) === 0 ? { servername: host } : {}) });
}

function httpConnect(
  socket: Socket,
  upstream: Upstream,
  { host, port }: Destination,
  settle: (opened: Opened) => void,
): void {
  const authority = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const request = httpRequest({
    method: 'CONNECT',
    path: authority,
    headers: { Host: authority, Connection: 'keep-alive', ...proxyAuthorization(upstream) },
    createConnection: () => socket,
  });
  request.once('error', () => settle(failed('upstream_broken', 'the address gave no HTTP answer')));
  request.once('connect', ({ statusCode = 0 }, _socket, head) => {
    if (statusCode >= 200 && statusCode < 300) {
      if (head.length > 0) socket.unshift(head);
      settle({ type: 'open', socket });
    } else settle(connectRefused(statusCode));
  });
  // Some answer as if it were any request.
  request.once('response', ({ statusCode = 0 }) => settle(connectRefused(statusCode)));
  request.end();
}

function connectRefused(status: number): Opened {
  if (status === 407) return authFailed();
  // Busy, or in trouble with the destination: what another address may not be.
  const mayRetry = status === 429 || status >= 500;
  const message = `the address refused to connect to the destination: ${status}`;
  return { type: 'failed', fault: { reason: 'upstream_refused', message, isOfAddress: false, mayRetry } };
}

export function authFailed(): Opened & { type: 'failed' } {
  return failed('upstream_auth', 'the address does not take the credentials of its pool record');
}

export function failed(reason: UpstreamFault['reason'], message: string): Opened & { type: 'failed' } {
  return { type: 'failed', fault: { reason, message, isOfAddress: true, mayRetry: true } };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
