/** What a redirect is asked for, and where it leads. */
import type { RedirectRule } from '../redirects/commands.ts';

/** What `GET /?video=URL` names. */
export interface Video {
  /** Itself, as URLs are written: all ASCII, no control characters, so that it can stand in a header. */
  readonly url: string;
  /** At the CDN: `/s1/path?query` of `http://s1.origin.example/path?query`. */
  readonly cdnPath: string;
}

/** `http:///host` and `http:host` are read as URLs, too, but nobody writes one like that who means well. */
const SCHEME_AND_AUTHORITY = /^https?:\/\/([^/\\?#]+)/i;
/** As URL has written it: in lower case, international names in their ASCII form. */
const TWO_LABELS = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)+\.?$/;
/** Whatever ends in a number is an IPv4 address to URL, and written as one. */
const IPV4 = /^[\d.]+$/;

const NO_URL = 'expected an http or https URL';

/** `query` as it came, behind the `?`. A text: what is wrong with it. */
export function readVideo(query: string): Video | string {
  const given = valueOf(query, 'video');
  if (!given.ok) return given.fault;
  // URL drops these three without a word, wherever they stand.
  const text = given.value.replace(/[\t\r\n]/g, encodeURIComponent);
  const authority = SCHEME_AND_AUTHORITY.exec(text)?.[1];
  if (authority === undefined) return NO_URL;
  if (authority.includes('@')) return 'expected a URL without user information';
  const parsed = parseUrl(text);
  if (!parsed) return NO_URL;
  const { hostname, origin, href } = parsed;
  if (!TWO_LABELS.test(hostname) || IPV4.test(hostname)) return 'expected a host name of two labels or more';
  const firstLabel = hostname.slice(0, hostname.indexOf('.'));
  return { url: href, cdnPath: `/${firstLabel}${href.slice(origin.length)}` };
}

/** Undefined: it is none. */
function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/**
 * The value of the only parameter `name`; others are passed over. A plus sign stands for itself: nothing that is a URL
 * has a space in it, and who writes one by hand doesn't encode it.
 */
function valueOf(
  query: string,
  name: string,
): { readonly ok: true; readonly value: string } | { readonly ok: false; readonly fault: string } {
  let found: string | undefined;
  for (const part of query.split('&')) {
    const end = part.indexOf('=');
    if ((end < 0 ? part : part.slice(0, end)) !== name) continue;
    if (found !== undefined) return { ok: false, fault: 'given twice' };
    found = end < 0 ? '' : part.slice(end + 1);
  }
  if (found === undefined) return { ok: false, fault: 'missing' };
  try {
    return { ok: true, value: decodeURIComponent(found) };
  } catch {
    return { ok: false, fault: 'not percent-encoded UTF-8' };
  }
}

export type Destination = 'cdn' | 'origin';

/** Whose turn it is under one version of a configuration: of N requests exactly floor(N / rate) go to the origin. */
export class Distribution {
  readonly #prefix: string;
  readonly #rate: number;
  /** Requests since the last one that went to the origin. Invariant: less than the rate. */
  #count = 0;

  constructor({ cdnHost, distributionRate }: RedirectRule) {
    this.#prefix = `http://${cdnHost}`;
    this.#rate = distributionRate;
  }

  /** Where the next request goes. */
  get next(): Destination {
    return this.#count + 1 < this.#rate ? 'cdn' : 'origin';
  }

  /** The same, and counts it. Within one turn of the loop, so no two requests have the same place. */
  take(): Destination {
    const { next } = this;
    this.#count = next === 'origin' ? 0 : this.#count + 1;
    return next;
  }

  locationOf({ url, cdnPath }: Video, destination: Destination): string {
    return destination === 'origin' ? url : this.#prefix + cdnPath;
  }
}
