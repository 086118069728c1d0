import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Bucket,
  bucketOf,
  CAPACITY_MAX,
  exactLimit,
  fullBucket,
  isFull,
  type Limit,
  levelOf,
  RATE_PER_SEC_MAX,
  refilled,
  take,
  tokensIn,
} from './token-bucket.ts';

/**
 * The same with fractions: `over` is the common denominator of all that a decimal rate and whole microseconds can give. No
 * bucket is kept, only a history: what came in since the bucket was last full, less what was taken since then.
 */
class ExactModel {
  static readonly over = 10n ** 15n;
  readonly #capacity: bigint;
  readonly #perUs: bigint;
  #fullAtUs: bigint;
  #taken = 0n;

  /** `rate` in billionths of a token a second. */
  constructor(capacity: number, rate: bigint, nowUs: number) {
    this.#capacity = BigInt(capacity) * ExactModel.over;
    this.#perUs = rate;
    this.#fullAtUs = BigInt(nowUs);
  }

  take(nowUs: number): boolean {
    const level = this.#capacity - this.#taken * ExactModel.over + (BigInt(nowUs) - this.#fullAtUs) * this.#perUs;
    if (level >= this.#capacity) {
      this.#fullAtUs = BigInt(nowUs);
      this.#taken = 0n;
    } else if (level < ExactModel.over) return false;
    this.#taken += 1n;
    return true;
  }
}

const capacities = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: CAPACITY_MAX }));
/** In billionths of a token a second, so that the model knows them exactly. */
const rates = fc.oneof(
  fc.constantFrom(0n, 1n, 333_333_333n, 100_000_000n, 10_000_000_000n, BigInt(RATE_PER_SEC_MAX) * 1_000_000_000n),
  fc.bigInt({ min: 0n, max: BigInt(RATE_PER_SEC_MAX) * 1_000_000_000n }),
);
/** Milliseconds from one take to the next: none, parts of one, days. */
const steps = fc.oneof(
  fc.constant(0),
  fc.double({ min: 0, max: 5, noNaN: true }),
  fc.double({ min: 0, max: 3 * 86_400_000, noNaN: true }),
);

function limitOf(capacity: number, rate: bigint): Limit {
  return { capacity, ratePerSec: Number(rate) / 1e9 };
}

describe('a token bucket', () => {
  it('lets pass what an exact account of rate and time lets pass, take by take', () => {
    fc.assert(
      fc.property(
        capacities,
        rates,
        fc.double({ min: 0, max: 1e10, noNaN: true }),
        fc.array(fc.tuple(steps, fc.integer({ min: 1, max: 30 })), { maxLength: 60 }),
        (capacity, rate, startMs, history) => {
          const limit = exactLimit(limitOf(capacity, rate));
          const model = new ExactModel(capacity, rate, Math.floor(startMs * 1_000));
          let nowMs = startMs;
          let bucket = fullBucket(limit, nowMs);
          for (const [stepMs, takes] of history) {
            nowMs += stepMs;
            for (let one = 0; one < takes; one += 1) {
              const taken = take(bucket, limit, nowMs);
              bucket = taken.bucket;
              expect(taken.take.ok).toBe(model.take(Math.floor(nowMs * 1_000)));
            }
          }
        },
      ),
    );
  });

  it('says the first whole millisecond after which a take passes, and how much is left', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        rates.filter((rate) => rate > 0n),
        fc.double({ min: 0, max: 1e9, noNaN: true }),
        fc.integer({ min: 0, max: 60 }),
        steps,
        (capacity, rate, startMs, takes, stepMs) => {
          const limit = exactLimit(limitOf(capacity, rate));
          let bucket = fullBucket(limit, startMs);
          for (let one = 0; one < takes; one += 1) bucket = take(bucket, limit, startMs).bucket;
          const nowMs = startMs + stepMs;
          const { take: taken, bucket: after } = take(bucket, limit, nowMs);
          expect(taken.remaining).toBe(Math.floor(tokensIn(after)));
          if (taken.ok) return;
          const { retryAfterMs } = taken;
          expect(Number.isSafeInteger(retryAfterMs)).toBe(true);
          expect(take(after, limit, nowMs + retryAfterMs).take.ok).toBe(true);
          if (retryAfterMs > 1) expect(take(after, limit, nowMs + retryAfterMs - 1).take.ok).toBe(false);
        },
      ),
    );
  });

  it('gives ten a second over a day of irregular looks, not one more or less', () => {
    const limit = exactLimit({ capacity: 5, ratePerSec: 10 });
    let bucket: Bucket = fullBucket(limit, 0);
    let passed = 0;
    let refused = 0;
    const dayMs = 86_400_000;
    // Emptied at each look, and never full at the next; by steps that no power of two adds up exactly.
    for (let nowMs = 0; nowMs < dayMs; ) {
      const { bucket: left, take: taken } = take(bucket, limit, nowMs);
      bucket = left;
      if (taken.ok) passed += 1;
      else {
        refused += 1;
        nowMs += 333.3;
      }
    }
    expect(refused).toBe(Math.ceil(dayMs / 333.3));
    expect(passed + tokensIn(refilled(bucket, limit, dayMs))).toBe(5 + (10 * dayMs) / 1_000);
  });

  it('brings nothing while the clock stands still or goes back, and nothing twice afterwards', () => {
    const limit = exactLimit({ capacity: 2, ratePerSec: 1_000 });
    const { bucket } = take(take(fullBucket(limit, 100), limit, 100).bucket, limit, 100);
    expect(take(bucket, limit, 100).take).toMatchObject({ ok: false, retryAfterMs: 1 });
    const back = take(bucket, limit, 50);
    expect(back.take).toMatchObject({ ok: false, retryAfterMs: 51 });
    expect(tokensIn(refilled(back.bucket, limit, 101))).toBe(1);
  });

  it('never refills at a rate of 0, and says so', () => {
    const limit = exactLimit({ capacity: 1, ratePerSec: 0 });
    const { bucket, take: first } = take(fullBucket(limit, 0), limit, 0);
    expect(first).toEqual({ ok: true, remaining: 0, resetMs: Infinity });
    const { take: late } = take(bucket, limit, 1e12);
    expect(late).toEqual({ ok: false, retryAfterMs: Infinity, remaining: 0, resetMs: Infinity });
  });

  it('holds its capacity at most, the lower one once it is lowered', () => {
    const large = exactLimit({ capacity: CAPACITY_MAX, ratePerSec: RATE_PER_SEC_MAX });
    const small = exactLimit({ capacity: 3, ratePerSec: 0.5 });
    const bucket = fullBucket(large, 0);
    expect(tokensIn(refilled(bucket, large, 1e12))).toBe(CAPACITY_MAX);
    const { bucket: left, take: taken } = take(bucket, small, 10);
    expect(taken).toEqual({ ok: true, remaining: 2, resetMs: 2_000 });
    expect(isFull(left, small, 2_009.9)).toBe(false);
    expect(isFull(left, small, 2_010)).toBe(true);
    // And the rest comes at the new rate where it is raised again.
    expect(tokensIn(refilled(left, large, 11))).toBe(1_002);
  });

  it('comes back from its level with less than a millionth of a token lost, and none gained', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 24n }), fc.integer({ min: 0, max: 1e15 }), (units, atUs) => {
        const back = bucketOf(JSON.parse(JSON.stringify(levelOf({ units, atUs }))) as ReturnType<typeof levelOf>);
        expect(back.atUs).toBe(atUs);
        expect(back.units <= units && units - back.units < 10n ** 9n).toBe(true);
      }),
    );
  });
});
