/** Bounds of the wire. Every one of them is stated in PROTOCOL.md; a peer that exceeds one gets an error that names it. */

/** The only version of the protocol so far; `hello.protocol`. */
export const PROTOCOL_VERSION = 1;

export const SUBPROTOCOL_MSGPACK = 'leasehold.v1.msgpack';
export const SUBPROTOCOL_JSON = 'leasehold.v1.json';

/** One frame, encoded. A longer one is answered with `bad_frame` and the session goes on. */
export const FRAME_BYTES_MAX = 65_536;
/** One WebSocket message: a frame, or an array of frames where the session asked for `batch`. */
export const MESSAGE_BYTES_MAX = 1_048_576;
/** Frames in one message of a `batch` session. */
export const BATCH_FRAMES_MAX = 1_024;
/** Maps and arrays inside one another, in any frame. */
export const NESTING_DEPTH_MAX = 32;
/** Keys, values and elements in one message, all levels counted. */
export const MESSAGE_VALUES_MAX = 131_072;
/** The same in what a client takes from its coordinator: `welcome` lists all that a session holds. */
export const COORDINATOR_VALUES_MAX = 67_108_864;

/** `and`, `or` and `not` inside one another in a condition. */
export const WHERE_DEPTH_MAX = 8;
/** Operators in one condition, all levels counted. */
export const WHERE_OPERATORS_MAX = 64;
/** Values in one list of a condition (`in`, `has_any`, …). */
export const WHERE_LIST_MAX = 1_000;
/** Values in all lists of one condition together, the parts of `and` and `or` among them. */
export const WHERE_VALUES_MAX = 2_000;

/** Leases named by one `renew`. */
export const RENEW_LEASES_MAX = 1_000;
/** Leases asked for by one `acquire`: all of them, with their conditions, have to fit one commit. */
export const COUNT_MAX = 100;
/**
 * Characters of an acquire's condition as JSON, times its count: each lease is written with its condition, and all of
 * them in one commit (1 MB, and a character may take three bytes).
 */
export const COUNT_WHERE_CHARACTERS_MAX = 250_000;
/** `requests` of one lease, and `rpw` of a pool record: a year at seventy a second. */
export const REQUESTS_MAX = 2_147_483_647;
/** Characters in `key`, `sticky`, `client`, `counter`, `api_key`, a label's name, a session's id and secret. */
export const NAME_LENGTH_MAX = 256;
/** Characters in a text that a condition compares with. */
export const WHERE_TEXT_LENGTH_MAX = 2_048;
/** Characters in `error.message` and in `error.path`; a longer one is cut and ends in `…`. */
export const ERROR_TEXT_MAX = 512;

/** The shortest TTL granted; a shorter positive one is raised to it and the grant says `clamped`. */
export const TTL_MIN_MS = 200;
/** The longest TTL granted unless a resource's policy says less; a longer one is cut and the grant says `clamped`. */
export const TTL_MAX_MS = 7 * 24 * 3_600_000;
/** The longest that a request may wait in line: a day. */
export const WAIT_MS_MAX = 24 * 3_600_000;
/** Waiting requests of one session, … */
export const WAITERS_PER_SESSION_MAX = 1_000;
/** … of one resource, … */
export const WAITERS_PER_RESOURCE_MAX = 10_000;
/** … those with a `count` among them, each of which is looked at whenever something comes free, … */
export const WAITING_COUNTS_MAX = 256;
/** … and the different conditions among them, each of which follows every change of the pool. Beyond: `too_many`. */
export const WAITING_CONDITIONS_MAX = 128;
/** The foremost of a line, who are told when their place has changed. */
export const QUEUE_NOTICES_MAX = 1_000;
/** Ids under which one waiter is answered, where its key was repeated; beyond it the oldest gets no answer. */
export const WAITER_REQUESTS_MAX = 16;
/** A key is kept while a lease of it lives or its request waits, and this long after. */
export const ENDED_KEYS_MS = 600_000;
/** Keys whose leases have all ended, of one session; beyond it the oldest is forgotten. */
export const ENDED_KEYS_MAX = 1_024;
/** Counters at most; one more is refused with `too_many`. */
export const COUNTERS_MAX = 100_000;
/** The key of a count is kept this long after it, … */
export const COUNT_KEYS_MS = 600_000;
/** … the last so many of one session or client, … */
export const COUNT_KEYS_PER_HOLDER_MAX = 1_024;
/** … and the last so many of all. */
export const COUNT_KEYS_MAX = 250_000;
/** Addresses that a refusal looks at one by one; beyond it `why` says `approximate`. */
export const WHY_EXACT_MAX = 10_000;
/** Rate of clocks that a holder allows for: its own deadline is this share of the TTL early. */
export const CLOCK_RATE_MARGIN = 0.001;
