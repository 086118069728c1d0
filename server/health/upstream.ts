/** A pool address as something to connect to. */
export interface Upstream {
  readonly scheme: 'http' | 'https' | 'socks4' | 'socks5';
  /** A name or an IP, IPv6 without its brackets. */
  readonly host: string;
  readonly port: number;
  /** Undefined: it asks for no credentials. */
  readonly credentials: { readonly user: string; readonly password: string } | undefined;
}

/** `socks4a` and `socks5h`: the proxy resolves names. So it does under the others, too: nobody here has to. */
const SCHEMES: Readonly<Record<string, Upstream['scheme']>> = {
  http: 'http',
  https: 'https',
  socks4: 'socks4',
  socks4a: 'socks4',
  socks5: 'socks5',
  socks5h: 'socks5',
};
const DEFAULT_PORTS = { http: 80, https: 443, socks4: 1_080, socks5: 1_080 };

/** The parts of an address as pool records have it: `host:port`, or a URL. Undefined: it is neither. */
export function parseUpstream(address: string): Upstream | undefined {
  const [, schemeName = 'http'] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(address) ?? [];
  const scheme = SCHEMES[schemeName.toLowerCase()];
  if (!scheme) return undefined;
  // Without its scheme, so that all are read by the same rules; `http:` alone would swallow its own default port.
  const rest = address.replace(/^[a-z][a-z0-9+.-]*:\/\//i, '');
  if (!URL.canParse(`http://${rest}`)) return undefined;
  const url = new URL(`http://${rest}`);
  const explicitPort = /:(\d+)(?:\/|$)/.exec(rest.slice(rest.lastIndexOf('@') + 1))?.[1];
  const user = decoded(url.username);
  const password = decoded(url.password);
  return {
    scheme,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: explicitPort === undefined ? DEFAULT_PORTS[scheme] : Number(explicitPort),
    credentials: user === '' && password === '' ? undefined : { user, password },
  };
}

/** Credentials as they are sent to HTTP proxies. */
export function proxyAuthorization({ credentials }: Upstream): string | undefined {
  if (!credentials) return undefined;
  return `Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')}`;
}

/** A stray `%` stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
