/**
 * What the forward proxy answers where a request doesn't get through: `X-Leasehold-Error` says the word, problem+json the
 * rest. A destination can't send that header: it is dropped from what it answers.
 */
import type { ProblemExtras } from '../../protocol/problems.ts';
import type { NotHeld } from './held-leases.ts';
import type { LeaseAsked } from './lease-source.ts';

export const ERROR_HEADER = 'X-Leasehold-Error';

/**
 * Each word and its status. As with commercial proxies: 407 for who one is, 502 to 504 for what may go better next time. A
 * resource that isn't there is no 404, which a program would take for a page that is gone.
 */
export const FORWARD_ERRORS = {
  /** Of the listener, which answers some of these with 408, 417 or 431. */
  bad_request: 400,
  not_a_proxy_request: 400,
  https_needs_connect: 400,
  bad_target: 400,
  bad_parameter: 400,
  unknown_resource: 400,
  destination_forbidden: 403,
  credentials_missing: 407,
  credentials_wrong: 407,
  rate_limited: 429,
  too_many_requests: 429,
  too_many_sessions: 429,
  upgrade_needs_connect: 501,
  upstream_unreachable: 502,
  upstream_auth: 502,
  upstream_refused: 502,
  upstream_broken: 502,
  lease_revoked: 502,
  destination_unresolved: 502,
  none_available: 503,
  max_leases: 503,
  slowed: 503,
  overloaded: 503,
  storage_full: 503,
  draining: 503,
  upstream_timeout: 504,
} as const;
export type ForwardError = keyof typeof FORWARD_ERRORS;

/** How a request was turned away. */
export interface Refusal {
  readonly reason: ForwardError;
  readonly message: string;
  readonly extras?: ProblemExtras;
}

export function refusal(reason: ForwardError, message: string, extras: ProblemExtras = {}): Refusal {
  return { reason, message, extras };
}

/** For `answerProblem` and `rawProblem`. */
export function problemOf({ reason, message, extras }: Refusal) {
  const headers: Record<string, string> = { [ERROR_HEADER]: reason };
  const status = FORWARD_ERRORS[reason];
  if (status === 407) headers['Proxy-Authenticate'] = 'Basic realm="Leasehold", charset="UTF-8"';
  return { status, message, extras: { reason, ...extras }, headers };
}

/** Where nobody knows when something may come free. */
const RETRY_S = 60;

const REFUSED: Readonly<Record<string, string>> = {
  none_available: 'no address is free',
  max_leases: 'the resource has all the leases it may have',
  slowed: 'too much of the pool is in quarantine: grants are kept apart',
};

/** Why there was no lease. */
export function leaseRefusal(answer: Exclude<LeaseAsked, { type: 'granted' }> | NotHeld): Refusal {
  if (answer.type === 'too_many_sessions') {
    return refusal('too_many_sessions', answer.message, { retryAfterS: answer.retryAfterS });
  }
  if (answer.type === 'refused') {
    const { reason, why, retryAfterMs } = answer;
    const isOwnBound = reason === 'max_leases' && why.max_leases_per_client !== undefined;
    const message = isOwnBound ? 'the client has all the leases of this resource that it may have' : REFUSED[reason];
    const word = reason === 'wait_timeout' ? 'none_available' : reason;
    return refusal(word, message ?? 'no address is free', { why, retryAfterS: seconds(retryAfterMs) });
  }
  const { code, message, path, retryAfterMs } = answer;
  if (code === 'overloaded' || code === 'storage_full') {
    return refusal(code, message, { retryAfterS: seconds(retryAfterMs) });
  }
  const where = path === undefined ? {} : { path };
  return refusal(code === 'unknown_resource' ? code : 'bad_parameter', message, where);
}

export function seconds(ms: number | undefined): number {
  return ms === undefined ? RETRY_S : Math.max(1, Math.ceil(ms / 1_000));
}
