/** Words and numbers that both sides know by name. */

/** One of the words that we know, or one of a later version's: a reader takes the frame all the same. */
export type OpenWord<Word extends string> = Word | (string & {});

/**
 * `error.code`. The session goes on after each, except where the socket is closed behind it: after `unauthorized` and
 * `unsupported_protocol`, and after a `bad_frame` about bytes that are no frame or that came before `hello`.
 */
export const ERROR_CODES = [
  'bad_frame',
  'bad_field',
  'unknown_type',
  'unknown_resource',
  'unknown_lease',
  'lease_lost',
  'not_holder',
  'key_reused',
  'rate_limited',
  'overloaded',
  'storage_full',
  'unauthorized',
  'unsupported_protocol',
  'too_many',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/** `refused.reason`. */
export const REFUSED_REASONS = ['none_available', 'max_leases', 'slowed', 'wait_timeout'] as const;
export type RefusedReason = (typeof REFUSED_REASONS)[number];

/** How a lease ends. */
export const LEASE_ENDS = ['released', 'expired', 'revoked', 'session_lost'] as const;
export type LeaseEnd = (typeof LEASE_ENDS)[number];

/** `revoked.reason`, and `reason` in `welcome.ended`. */
export const REVOKE_REASONS = [
  'operator',
  'address_removed',
  'resource_withdrawn',
  'unhealthy',
  'quarantined',
] as const;
export type RevokeReason = (typeof REVOKE_REASONS)[number];

/** What a collector says of its work through an address. */
export const OUTCOMES = ['ok', 'failed', 'banned'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export const STRATEGIES = [
  'round_robin',
  'least_used',
  'least_leased',
  'least_connections',
  'least_recently_used',
  'random',
  'two_choices',
  'weighted',
  'sticky',
] as const;
export type Strategy = (typeof STRATEGIES)[number];

/** States of a pair, the first that applies; the order in which people are shown them. */
export const PAIR_STATES = [
  'leased',
  'reserved',
  'quarantined',
  'cooling',
  'unhealthy',
  'draining',
  'probation',
  'free',
] as const;
export type PairState = (typeof PAIR_STATES)[number];

/** WebSocket close codes. 4000–4499: reconnect and resume. 4500–4999: don't, the cause would be the same again. */
export const CLOSE = {
  /** Either side is done: the session ends. */
  normal: 1000,
  /** The coordinator shuts down; resume after `goaway.reconnect_after_ms`. */
  goingAway: 4000,
  /** Too much was waiting to be sent to this peer; resume to get the present state. */
  slowReader: 4001,
  /** No `hello` came in time. */
  helloTimeout: 4002,
  /** The coordinator takes no new session at present, or none of this client or IP. */
  overloaded: 4003,
  /** The bytes of a message were no frame. */
  badFrame: 4500,
  /** A frame before `hello`. */
  helloExpected: 4501,
  unsupportedProtocol: 4502,
  unauthorized: 4503,
  /** A newer socket resumed the session. */
  superseded: 4504,
  /** Too many faulty frames in a row. */
  tooManyErrors: 4505,
} as const;

/** Whether a client that was closed with `code` should connect again. */
export function shouldReconnect(code: number): boolean {
  return code !== CLOSE.normal && !(code >= 4500 && code <= 4999);
}
