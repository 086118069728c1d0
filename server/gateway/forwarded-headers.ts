/**
 * The headers that a target gets: those of the request that go through, and what says by which way it came. From a proxy that
 * is trusted, `X-Forwarded-*` and `Forwarded` are gone on with; what anybody else says there is replaced, since a client could
 * say anything.
 */
import { endToEndHeaders } from './end-to-end.ts';

export interface Peer {
  readonly ip: string;
  readonly isTrusted: boolean;
}

export interface Sent {
  /** As in the request, or of its URL; undefined: it names none. */
  readonly authority: string | undefined;
  readonly httpVersion: string;
  /** What we are called in `Via`. */
  readonly pseudonym: string;
  /** `Host` is left out: whoever sends names the target. */
  readonly rewriteHost: boolean;
}

const FORWARDED = /^(?:x-forwarded-(?:for|proto|host|port|prefix|server|ssl)|forwarded|x-real-ip)$/;
const NAME_LENGTHS = new Set(['host', 'via', 'expect', 'forwarded', 'x-real-ip'].map((name) => name.length));

/** Names and values in turn. */
export function headersForTarget(rawHeaders: readonly string[], { ip, isTrusted }: Peer, sent: Sent): string[] {
  const headers: string[] = [];
  let chain: string | undefined;
  let proto: string | undefined;
  let saidHost: string | undefined;
  let via: string | undefined;
  const given = endToEndHeaders(rawHeaders);
  for (let index = 0; index < given.length; index += 2) {
    const value = given[index + 1]!;
    const { length } = given[index]!;
    if (!NAME_LENGTHS.has(length) && (length < 'x-forwarded-for'.length || !isX(given[index]!))) {
      headers.push(given[index]!, value);
      continue;
    }
    const name = given[index]!.toLowerCase();
    // `Expect` has been answered: the body comes anyhow.
    if (name === 'host' || name === 'expect') continue;
    if (name === 'via') via = joined(via, value);
    else if (!FORWARDED.test(name)) headers.push(given[index]!, value);
    else if (!isTrusted) continue;
    else if (name === 'x-forwarded-for') chain = joined(chain, value);
    else if (name === 'x-forwarded-proto') proto ??= value;
    else if (name === 'x-forwarded-host') saidHost ??= value;
    else headers.push(given[index]!, value);
  }
  if (!sent.rewriteHost && sent.authority !== undefined) headers.push('Host', sent.authority);
  headers.push('X-Forwarded-For', joined(chain, ip), 'X-Forwarded-Proto', proto ?? 'http');
  const host = saidHost ?? sent.authority;
  if (host !== undefined && host !== '') headers.push('X-Forwarded-Host', host);
  headers.push('Via', joined(via, `${sent.httpVersion} ${sent.pseudonym}`));
  return headers;
}

function isX(name: string): boolean {
  return name[1] === '-' && (name[0] === 'x' || name[0] === 'X');
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}

/** The one value of a header; undefined: it isn't there. */
export function headerOf(rawHeaders: readonly string[], name: string): string | undefined {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]!.length === name.length && rawHeaders[index]!.toLowerCase() === name) {
      return rawHeaders[index + 1];
    }
  }
  return undefined;
}

export function cookieOf(header: string | undefined, name: string): string | undefined {
  for (const part of header?.split(';') ?? []) {
    const equals = part.indexOf('=');
    if (equals > 0 && part.slice(0, equals).trim() === name) return part.slice(equals + 1).trim();
  }
  return undefined;
}
