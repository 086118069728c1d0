/** A request through a proxy to somewhere else: whether the proxy does what it is leased for. */
import http from 'node:http';
import https from 'node:https';
import { connect, isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { SocksClient } from 'socks';
import type { ProbeResult } from './prober.ts';
import { badStatus, failedBy, probeHttp, statusOf } from './probes.ts';
import { proxyAuthorization, type Upstream } from './upstream.ts';

export interface ProxiedProbe {
  /** http or https, without credentials. */
  readonly url: URL;
  /** Statuses that are good. */
  readonly expect: readonly number[];
}

/** Asks for the URL the way in which clients of such a proxy do: absolute form for http, a tunnel for https. */
export function probeThrough(upstream: Upstream, probe: ProxiedProbe, signal: AbortSignal): Promise<ProbeResult> {
  if (upstream.scheme === 'socks4' || upstream.scheme === 'socks5') return probeThroughSocks(upstream, probe, signal);
  return probe.url.protocol === 'https:'
    ? probeThroughTunnel(upstream, probe, signal)
    : statusOf(toProxy(upstream, 'GET', probe.url.href, probe.url.host, signal), probe.expect, signal);
}

function probeThroughTunnel(upstream: Upstream, probe: ProxiedProbe, signal: AbortSignal): Promise<ProbeResult> {
  const { host, port } = destinationOf(probe.url);
  const authority = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  return new Promise((resolve) => {
    const request = toProxy(upstream, 'CONNECT', authority, authority, signal);
    request.once('connect', ({ statusCode = 0 }, socket) => {
      if (statusCode >= 200 && statusCode < 300) return resolve(probeOver(socket, probe, signal));
      socket.destroy();
      return resolve(badStatus(statusCode));
    });
    // No tunnel: a proxy may answer a CONNECT as if it were any request.
    request.once('response', ({ statusCode }) => {
      resolve(badStatus(statusCode));
      request.destroy();
    });
    request.on('error', (error) => resolve(failedBy(error, signal)));
    request.once('close', () => resolve({ ok: false, reason: 'reset' }));
    request.end();
  });
}

async function probeThroughSocks(upstream: Upstream, probe: ProxiedProbe, signal: AbortSignal): Promise<ProbeResult> {
  const { host, port, credentials, scheme } = upstream;
  const socket = connect({ host, port, signal });
  let fault: unknown;
  socket.on('error', (error) => (fault ??= error));
  try {
    await connected(socket);
    await SocksClient.createConnection({
      command: 'connect',
      proxy: {
        host,
        port,
        type: scheme === 'socks4' ? 4 : 5,
        ...(credentials ? { userId: credentials.user, password: credentials.password } : {}),
      },
      destination: destinationOf(probe.url),
      existing_socket: socket,
    });
    return await probeOver(socket, probe, signal);
  } catch {
    // What isn't the connection's own fault is the proxy's refusal.
    return fault === undefined && !signal.aborted ? { ok: false, reason: 'proxy' } : failedBy(fault, signal);
  } finally {
    socket.destroy();
  }
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
}

/** The request proper, on a connection that leads to the URL's host already. */
async function probeOver(socket: Duplex, { url, expect }: ProxiedProbe, signal: AbortSignal): Promise<ProbeResult> {
  const { host } = destinationOf(url);
  const createConnection = () =>
    url.protocol === 'https:'
      ? connectTls({ socket, ...(isIP(host) === 0 ? { servername: host } : { host }) })
      : socket;
  try {
    return await probeHttp({ url, expect, options: { createConnection } }, signal);
  } finally {
    socket.destroy();
  }
}

/** A request that the proxy itself is to read. */
function toProxy(
  upstream: Upstream,
  method: string,
  path: string,
  hostHeader: string,
  signal: AbortSignal,
): http.ClientRequest {
  const { request } = upstream.scheme === 'https' ? https : http;
  const authorization = proxyAuthorization(upstream);
  const headers = { host: hostHeader, ...(authorization ? { 'proxy-authorization': authorization } : {}) };
  return request({ host: upstream.host, port: upstream.port, method, path, headers, agent: false, signal });
}

function destinationOf({ hostname, port, protocol }: URL): { host: string; port: number } {
  const defaultPort = protocol === 'https:' ? 443 : 80;
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port === '' ? defaultPort : Number(port) };
}
