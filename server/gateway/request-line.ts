/** The one line that is logged of each request of the gateway. */

export interface GatewayRequest {
  readonly via: 'forward' | 'reverse' | 'redirect';
  readonly method: string;
  /** As it was asked for: a path, or a URL or `host:port` of the forward proxy. What may be a secret is left out here. */
  readonly url: string;
  /** Where it was sent last, without credentials; undefined: nowhere. */
  readonly target?: string | undefined;
  /** As answered to the client; 499 where it went away before. */
  readonly status: number;
  readonly ms: number;
  /** How often it was sent again to another target. */
  readonly retries: number;
  readonly client?: string | undefined;
  /** A word for why it failed. */
  readonly reason?: string | undefined;
  /** Through a tunnel, from the client and to it. */
  readonly bytesSent?: number | undefined;
  readonly bytesReceived?: number | undefined;
}

export interface GatewayLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** The client went away before there was an answer: nobody got this status. */
export const CLIENT_GONE = 499;

const LOGGED_URL_MAX = 256;

export function logRequest(log: GatewayLog, request: GatewayRequest): void {
  const { via, method, url, target, status, ms, retries, client, reason, bytesSent, bytesReceived } = request;
  const entry = {
    via,
    method,
    path: loggedUrl(url),
    target,
    status,
    ms: Math.round(ms * 10) / 10,
    retries,
    client,
    reason,
    bytesSent,
    bytesReceived,
  };
  log.info(entry, 'request');
}

/** Without query and user information, and without parts of the path that look like an address or a key. */
export function loggedUrl(url: string): string {
  const path = url.replace(/[?#].*$/s, '').replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@]*@/i, '$1');
  const hidden = path
    .split('/')
    .map((part) => (/@|%40|^lh_[^_]*_/i.test(part) ? '***' : part))
    .join('/');
  return hidden.length > LOGGED_URL_MAX ? `${hidden.slice(0, LOGGED_URL_MAX)}…` : hidden;
}
