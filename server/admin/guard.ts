/** Who may ask the HTTP port what: hosts and origins, keys and roles, and how often. */
import { isIP } from 'node:net';
import { problemResponse } from '../../protocol/problems.ts';
import type { Caller, Operation } from './operation.ts';

/** What became of a token that was asked for. */
export interface Taken {
  readonly ok: boolean;
  /** Undefined: there is no limit. */
  readonly limit?: {
    readonly capacity: number;
    /** Whole tokens left. */
    readonly remaining: number;
    /** Until the bucket is full again; Infinity: never. */
    readonly resetMs: number;
  };
  /** Of one that there was none of: until there is; Infinity: never. */
  readonly retryAfterMs?: number;
}

/** What the guard has to be told of clients, their keys and limits. */
export interface Access {
  /** Undefined: the key is wrong, or one is missing that is needed. */
  identify(given: { readonly key: string | undefined; readonly remoteAddress: string }): Caller | undefined;
  /** Somebody could come with an operator's key; until then whoever reaches the port is one. */
  hasOperatorKey(): boolean;
  take(caller: Caller): Taken;
  /** Whether it is as it was when it was identified: its key may have come to its end since. */
  isStill(caller: Caller): boolean;
  /** What an IP is called as a client. */
  clientOf(remoteAddress: string): string;
}

export interface Asking {
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** `Sec-Fetch-Site`. */
  readonly site: string | undefined;
}

/**
 * Whether a browser's page may be behind the request: a page of another origin never, and where no key guards us, no
 * request by a host name that somebody made to point here.
 */
export function isOurs({ host, origin, site }: Asking, isGuarded: boolean): boolean {
  // Browsers name no origin in a plain GET, an image's say, but they say that it comes from another site.
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false;
  if (origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== host)) return false;
  if (isGuarded || host === undefined) return true;
  const name = host.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '');
  return name === 'localhost' || isIP(name.replace(/^\[|\]$/g, '')) !== 0;
}

export type Admission =
  | { readonly ok: true; readonly caller: Caller; readonly headers: Readonly<Record<string, string>> }
  | { readonly ok: false; readonly response: Response };

/**
 * Lets a request in, or says why not. Where an operator's key exists, every request needs a key, and those of operators an
 * operator's; where none exists yet, whoever reaches the port is an operator, and makes the first key.
 */
export function admit(
  access: Access,
  { role, isCharged }: Pick<Operation, 'role' | 'isCharged'>,
  { authorization, remoteAddress }: { readonly authorization: string | undefined; readonly remoteAddress: string },
): Admission {
  const isGuarded = access.hasOperatorKey();
  const isOpen = !isGuarded && authorization === undefined;
  if (isOpen && role === 'operator') {
    const caller = { client: access.clientOf(remoteAddress), isAuthenticated: false, role, key: undefined };
    return { ok: true, caller, headers: {} };
  }
  const key = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  const isUnreadable = authorization !== undefined && key === undefined;
  const caller = isUnreadable ? undefined : access.identify({ key, remoteAddress });
  if (!caller || (isGuarded && !caller.isAuthenticated)) return { ok: false, response: unauthorized() };
  if (role === 'operator' && caller.role !== 'operator') {
    const response = problemResponse(403, "an operator's key is needed", { reason: 'forbidden' });
    return { ok: false, response };
  }
  const admitted: Caller = isOpen ? { ...caller, role: 'operator' } : caller;
  if (!isCharged) return { ok: true, caller: admitted, headers: {} };
  const taken = access.take(caller);
  const headers = limitHeaders(taken);
  return taken.ok ? { ok: true, caller: admitted, headers } : { ok: false, response: tooOften(taken, headers) };
}

/** Whether a caller that was let in still would be: its key may have ended since, or the first operator's key been made. */
export function isStillAdmitted(access: Access, caller: Caller): boolean {
  return caller.isAuthenticated ? access.isStill(caller) : !access.hasOperatorKey();
}

/** The same whether the key is missing or wrong. */
export function unauthorized(): Response {
  const response = problemResponse(401, 'a key is needed', { reason: 'unauthorized' });
  response.headers.set('WWW-Authenticate', 'Bearer');
  return response;
}

/** Told to a client whose bucket never fills: an operator may have given it another limit by then. */
const RETRY_MAX_MS = 86_400_000;

function tooOften({ retryAfterMs = RETRY_MAX_MS }: Taken, headers: Readonly<Record<string, string>>): Response {
  const waitMs = Math.min(retryAfterMs, RETRY_MAX_MS);
  const response = problemResponse(429, 'Rate limit exceeded', {
    reason: 'rate_limited',
    retry_after_ms: waitMs,
    retryAfterS: Math.max(1, Math.ceil(waitMs / 1_000)),
  });
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return response;
}

/** As in draft-ietf-httpapi-ratelimit-headers-03; whoever has no limit gets none. */
function limitHeaders({ limit }: Taken): Record<string, string> {
  if (!limit) return {};
  return {
    'RateLimit-Limit': String(limit.capacity),
    'RateLimit-Remaining': String(limit.remaining),
    ...(limit.resetMs === Infinity ? {} : { 'RateLimit-Reset': String(Math.ceil(limit.resetMs / 1_000)) }),
  };
}
