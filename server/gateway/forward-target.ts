/**
 * Where a request of the forward proxy is to go: a URL in a request line (absolute form, RFC 9112 §3.2.2), `host:port` of
 * `CONNECT` (authority form, §3.2.3). What names another host in a `Host` header is passed over: the request line counts.
 */

export interface ForwardTarget {
  /** Lower case; IPv6 without brackets; whatever stands for an IPv4 address (0x7f.1, 2130706433) as that address. */
  readonly host: string;
  readonly port: number;
  /** What `Host` says to the destination: without port 80. */
  readonly authority: string;
  /** For the request line of the destination; empty of a tunnel. */
  readonly path: string;
}

export type ReadTarget =
  | { readonly type: 'target'; readonly target: ForwardTarget }
  | { readonly type: 'bad'; readonly reason: TargetFault; readonly message: string };

export type TargetFault = 'not_a_proxy_request' | 'https_needs_connect' | 'bad_target';

const HTTP_PORT = 80;
const HOST_LENGTH_MAX = 253;
const ABSOLUTE = /^http:\/\/([^/?#]*)([^#]*)$/i;
/** What a request line can't be made of. */
const UNWRITABLE = /[^\u0021-\u00ff]/;

/** Of any request but `CONNECT`. */
export function readRequestTarget(method: string, url: string): ReadTarget {
  if (url.startsWith('/') || url === '*') {
    return { type: 'bad', reason: 'not_a_proxy_request', message: 'this is a proxy: it takes whole URLs, and CONNECT' };
  }
  if (/^https:/i.test(url)) {
    return { type: 'bad', reason: 'https_needs_connect', message: 'https goes through a tunnel: CONNECT host:443' };
  }
  const [, authority, rest = ''] = ABSOLUTE.exec(url) ?? [];
  if (authority === undefined || UNWRITABLE.test(url)) return bad('the request line has no URL of http in it');
  if (authority.includes('@')) return bad('the URL has credentials in it: they belong into Authorization');
  const parsed = readAuthority(authority);
  if (parsed === undefined) return bad('the URL has no valid host, or no valid port');
  const isWholeServer = method === 'OPTIONS' && rest === '';
  const path = isWholeServer ? '*' : rest.startsWith('/') ? rest : `/${rest}`;
  return { type: 'target', target: { ...parsed, path } };
}

export function readTunnelTarget(url: string): ReadTarget {
  const parsed = /:\d{1,5}$/.test(url) && !/[/?#@\\]/.test(url) ? readAuthority(url) : undefined;
  return parsed ? { type: 'target', target: { ...parsed, path: '' } } : bad('CONNECT takes host:port');
}

function bad(message: string): ReadTarget {
  return { type: 'bad', reason: 'bad_target', message };
}

function readAuthority(authority: string): Omit<ForwardTarget, 'path'> | undefined {
  const text = `http://${authority}/`;
  if (authority === '' || /[\s\\]/.test(authority) || !URL.canParse(text)) return undefined;
  const { hostname, port, host } = new URL(text);
  const number = port === '' ? HTTP_PORT : Number(port);
  if (hostname === '' || hostname.length > HOST_LENGTH_MAX || number === 0) return undefined;
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: number, authority: host };
}
