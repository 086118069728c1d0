/**
 * A token bucket without a timer: what came in since is computed from the time that passed, at each take. Pure.
 *
 * Exact: levels are integers of 10⁻¹⁵ token, time is whole microseconds and a rate whole billionths of a token a second,
 * so a product of rate and time needs no rounding. Hence over any history no more passes than
 * `capacity + ratePerSec × elapsed`, no less either, and nothing drifts, however long and in however small steps.
 */

/** How many requests may come at once, and how many come back each second; 0: none ever. */
export interface Limit {
  /** An integer from 1 to CAPACITY_MAX. */
  readonly capacity: number;
  /** From 0 to RATE_PER_SEC_MAX; what is behind the ninth decimal is rounded away. */
  readonly ratePerSec: number;
}

export const CAPACITY_MAX = 1_000_000_000;
export const RATE_PER_SEC_MAX = 1_000_000;

const US_PER_MS = 1_000;
const NANOS = 1_000_000_000;
const UNITS_PER_TOKEN = 1_000_000_000_000_000n;
const UNITS_PER_MICRO_TOKEN = 1_000_000_000n;
const MICRO_TOKENS = 1_000_000;

/** A limit in the units of buckets: made once, not at each take. */
export interface ExactLimit {
  readonly capacity: number;
  readonly capacityUnits: bigint;
  /** A billionth of a token a second is one unit a microsecond. */
  readonly unitsPerUs: bigint;
}

export function exactLimit({ capacity, ratePerSec }: Limit): ExactLimit {
  return {
    capacity,
    capacityUnits: BigInt(capacity) * UNITS_PER_TOKEN,
    unitsPerUs: BigInt(Math.round(ratePerSec * NANOS)),
  };
}

/** Invariant: 0 ≤ units. A bucket that is full needn't be kept. */
export interface Bucket {
  readonly units: bigint;
  /** When it held them, by the coordinator's clock. */
  readonly atUs: number;
}

export function fullBucket({ capacityUnits }: ExactLimit, nowMs: number): Bucket {
  return { units: capacityUnits, atUs: wholeUs(nowMs) };
}

/** A bucket as numbers that can be kept: with millionths of a token, rounded down. */
export interface Level {
  readonly tokens: number;
  /** By the coordinator's clock. */
  readonly atMs: number;
}

export function levelOf(bucket: Bucket): Level {
  return { tokens: tokensIn(bucket), atMs: bucket.atUs / US_PER_MS };
}

/** The bucket of a level. */
export function bucketOf({ tokens, atMs }: Level): Bucket {
  const microTokens = BigInt(Math.round(tokens * MICRO_TOKENS));
  return { units: microTokens * UNITS_PER_MICRO_TOKEN, atUs: Math.round(atMs * US_PER_MS) };
}

/** As it is at `nowMs`, at most full. A clock that stands still or goes back brings nothing. */
export function refilled(bucket: Bucket, { capacityUnits, unitsPerUs }: ExactLimit, nowMs: number): Bucket {
  const atUs = Math.max(bucket.atUs, wholeUs(nowMs));
  const units = bucket.units + BigInt(atUs - bucket.atUs) * unitsPerUs;
  return { units: units < capacityUnits ? units : capacityUnits, atUs };
}

export function isFull(bucket: Bucket, limit: ExactLimit, nowMs: number): boolean {
  return refilled(bucket, limit, nowMs).units === limit.capacityUnits;
}

/** Rounded down to millionths. */
export function tokensIn({ units }: Bucket): number {
  return Number(units / UNITS_PER_MICRO_TOKEN) / MICRO_TOKENS;
}

/** What whoever asked for a token is told. */
export type Take = (
  | { readonly ok: true }
  /** `retryAfterMs`: whole ms after which a take would pass, and not one earlier; Infinity: never by itself. */
  | { readonly ok: false; readonly retryAfterMs: number }
) & {
  /** Whole tokens left. */
  readonly remaining: number;
  /** Until it is full again; Infinity: never by itself. */
  readonly resetMs: number;
};

/** One token, and what is left in the bucket. */
export function take(
  before: Bucket,
  limit: ExactLimit,
  nowMs: number,
): { readonly bucket: Bucket; readonly take: Take } {
  const bucket = refilled(before, limit, nowMs);
  if (bucket.units < UNITS_PER_TOKEN) {
    const retryAfterMs = msUntil(bucket, limit, UNITS_PER_TOKEN, nowMs);
    return { bucket, take: { ok: false, retryAfterMs, remaining: 0, resetMs: msUntilFull(bucket, limit) } };
  }
  const left = { units: bucket.units - UNITS_PER_TOKEN, atUs: bucket.atUs };
  const remaining = Number(left.units / UNITS_PER_TOKEN);
  return { bucket: left, take: { ok: true, remaining, resetMs: msUntilFull(left, limit) } };
}

function msUntilFull({ units }: Bucket, { capacityUnits, unitsPerUs }: ExactLimit): number {
  if (units === capacityUnits) return 0;
  return unitsPerUs === 0n ? Infinity : Number(dividedUp(capacityUnits - units, unitsPerUs * BigInt(US_PER_MS)));
}

/** The clock has fractions of a millisecond: the first whole number of them behind which it shows the time that is meant. */
function msUntil({ units, atUs }: Bucket, { unitsPerUs }: ExactLimit, wanted: bigint, nowMs: number): number {
  if (unitsPerUs === 0n) return Infinity;
  const dueUs = atUs + Number(dividedUp(wanted - units, unitsPerUs));
  let ms = Math.max(1, Math.ceil((dueUs - wholeUs(nowMs)) / US_PER_MS));
  while (wholeUs(nowMs + ms) < dueUs) ms += 1;
  while (ms > 1 && wholeUs(nowMs + ms - 1) >= dueUs) ms -= 1;
  return ms;
}

function wholeUs(ms: number): number {
  return Math.floor(ms * US_PER_MS);
}

function dividedUp(units: bigint, by: bigint): bigint {
  return (units + by - 1n) / by;
}
