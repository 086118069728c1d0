/** Which route a request takes: the most specific one for its host, then for its path. */
import type { Route } from './route.ts';

interface Placed<Item> {
  readonly route: Route;
  readonly item: Item;
}

/** Where a request is for: its host without port, in small letters ('': it names none), and its path. */
export interface Destination {
  readonly host: string;
  readonly path: string;
}

/**
 * A host of its own comes before a wildcard, the longer wildcard before the shorter, and what names no host last; of one host
 * the longest path that matches. Where a host's own routes have no path that matches, the less specific ones are asked.
 */
export class RouteTable<Item extends { readonly route: Route }> {
  /** By host (`a.example`, `*.example`, ''), the longest path first. */
  readonly #byHost = new Map<string, Placed<Item>[]>();

  constructor(items: readonly Item[]) {
    for (const item of items) {
      const host = item.route.host ?? '';
      const placed = this.#byHost.get(host) ?? [];
      placed.push({ route: item.route, item });
      this.#byHost.set(host, placed);
    }
    for (const placed of this.#byHost.values()) placed.sort((a, b) => b.route.path.length - a.route.path.length);
  }

  find({ host, path }: Destination): Item | undefined {
    const normal = normalPath(path);
    if (host !== '') {
      const own = this.#of(host, normal);
      if (own) return own;
      for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) {
        const wild = this.#of(`*${host.slice(dot)}`, normal);
        if (wild) return wild;
      }
    }
    return this.#of('', normal);
  }

  #of(host: string, path: string): Item | undefined {
    return this.#byHost.get(host)?.find(({ route }) => isBelow(path, route.path))?.item;
  }
}

function isBelow(path: string, base: string): boolean {
  if (!path.startsWith(base)) return false;
  return path.length === base.length || base.endsWith('/') || path[base.length] === '/';
}

/**
 * The path as a target may understand it: without query, escapes of plain characters undone, `.` and `..` resolved. What goes to
 * the target stays as it came; nobody reaches another route's target by spelling its path differently.
 */
function normalPath(path: string): string {
  const end = path.search(/[?#]/);
  const bare = end < 0 ? path : path.slice(0, end);
  if (!/%|\\|\/\./.test(bare)) return bare;
  const plain = bare.replace(/%[0-9a-f]{2}/gi, (escape) => {
    const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
    return /[A-Za-z0-9._~-]/.test(character) ? character : escape;
  });
  return URL.canParse(`http://host${plain}`) ? new URL(`http://host${plain}`).pathname : plain;
}

/** As in RFC 3986, `reg-name` and IP literals. */
const AUTHORITY = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._~%!$&'()*+,;=-]*)(?::\d{0,5})?$/i;

/** `rest` goes to the target: path and query. `authority` is the host as it was said, to be passed on. */
export type ReadTarget =
  | {
      readonly ok: true;
      readonly destination: Destination;
      readonly rest: string;
      readonly authority: string | undefined;
    }
  | { readonly ok: false; readonly fault: string };

/** Reads what a request asks for, of its first line and `Host`. In absolute form the URL counts (RFC 9112 §3.2.2). */
export function readDestination(url: string, hostHeader: string | undefined): ReadTarget {
  let rest = url;
  let authority = hostHeader;
  if (!url.startsWith('/')) {
    const [, said, behind] = /^https?:\/\/([^/?#@]+)((?:[/?#][^]*)?)$/i.exec(url) ?? [];
    if (said === undefined || behind === undefined) {
      return { ok: false, fault: 'the request must be for a path, or a URL of http' };
    }
    authority = said;
    rest = behind.startsWith('/') ? behind : `/${behind}`;
  }
  const hash = rest.indexOf('#');
  if (hash >= 0) rest = rest.slice(0, hash);
  if (authority !== undefined && !AUTHORITY.test(authority)) return { ok: false, fault: 'Host: not a host' };
  const host = (authority ?? '').replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
  return { ok: true, destination: { host: host.replace(/^\[(.*)\]$/, '$1'), path: rest }, rest, authority };
}
