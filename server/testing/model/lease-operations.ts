import fc from 'fast-check';
import { type Outcome, STRATEGIES, type Strategy } from '../../../protocol/codes.ts';
import type { AddressRecord } from '../../../protocol/frames.ts';
import type { Where } from '../../../protocol/where.ts';
import type { ResourcePolicy } from '../../lease/policy.ts';
import { COUNTRIES, RPW_FIGURES, whereArbitrary } from '../where-model.ts';

/** Sessions at one time, so that the bound is reached. */
export const SESSIONS_MAX = 5;
const SLOTS = 4;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Who asks: the session of a slot, a client or a secret over HTTP, or this process. */
export type Asker = { readonly slot: number } | { readonly client: string } | { readonly secret: string };

/**
 * Which lease: counted back from the last that lives, or (beyond LIVE_BACKS) from the last that was granted; `holder` asks
 * for it himself.
 */
export interface Named {
  readonly back: number;
  readonly by: Asker | 'holder';
}

export type Operation =
  | { type: 'open'; slot: number; windowMs: number; noticeMs: number | undefined }
  | { type: 'resume'; slot: number; right: boolean; windowMs: number; noticeMs: number | undefined }
  | { type: 'drop'; slot: number; suspendMs: number }
  | { type: 'bye'; slot: number }
  | {
      type: 'acquire';
      by: Asker;
      resource: number;
      ttlMs: number;
      where: Where | undefined;
      strategy: Strategy | undefined;
      sticky: string | undefined;
      waitMs: number | undefined;
      count: number | undefined;
      key: string | undefined;
      /** Explained first. */
      isExplained: boolean;
    }
  /** The acquire so many before the last one. */
  | { type: 'cancel'; slot: number; back: number }
  | ({ type: 'renew'; more: number[]; ttlMs: number | undefined } & Named)
  | ({ type: 'release' | 'report'; outcome: Outcome | undefined; requests: number | undefined } & Named)
  | { type: 'revoke'; backs: number[]; deadlineMs: number | undefined }
  /** `address` counts through the pool, and one beyond it. */
  | { type: 'quarantine'; address: number; resource: number | undefined; forMs: number | undefined }
  | { type: 'lift'; address: number; resource: number | undefined }
  | { type: 'health'; address: number; isHealthy: boolean }
  | { type: 'drain'; address: number; isDraining: boolean }
  | { type: 'import'; records: AddressRecord[]; replace: boolean }
  | { type: 'configure'; defaults: Partial<ResourcePolicy>; own: Partial<ResourcePolicy> }
  | { type: 'advance'; ms: number }
  | { type: 'pause'; ms: number }
  | { type: 'wall'; ms: number }
  | { type: 'restart'; floorAhead: number; suspendMs: number };

export type OperationOf<Type extends Operation['type']> = Extract<Operation, { type: Type }>;

/** So many of the backs go by the leases that live. */
export const LIVE_BACKS = 5;

const slot = fc.nat({ max: SLOTS - 1 });
const asker: fc.Arbitrary<Asker> = fc.oneof(
  { weight: 12, arbitrary: slot.map((number) => ({ slot: number })) },
  { weight: 1, arbitrary: fc.constant({ client: 'anna' }) },
  { weight: 1, arbitrary: fc.constantFrom({ secret: 'x' }, { secret: 'y' }) },
  { weight: 1, arbitrary: fc.constant({ client: 'berta' }) },
);
/** Mostly one that lives; now and then one that has ended, is long forgotten, or never was. */
const back = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: LIVE_BACKS - 1 }) },
  { weight: 2, arbitrary: fc.integer({ min: LIVE_BACKS, max: LIVE_BACKS + 4 }) },
  { weight: 1, arbitrary: fc.integer({ min: LIVE_BACKS, max: 30 }) },
);
const named = {
  back,
  by: fc.oneof({ weight: 5, arbitrary: fc.constant('holder' as const) }, { weight: 1, arbitrary: asker }),
};
const windowMs = fc.constantFrom(0, MINUTE_MS, 10 * MINUTE_MS, 10 * MINUTE_MS);
const noticeMs = fc.constantFrom(undefined, undefined, 0, 1_000, 20_000);
const ttlMs = fc.constantFrom(1, 2_000, 10_000, 30_000, 3_600_000, 3_600_000, 3_600_000, 30 * DAY_MS);
const requests = fc.option(fc.nat({ max: 9 }), { nil: undefined });
const outcome = fc.constantFrom(undefined, 'ok', 'failed', 'banned' as const);
/** Eighths, so that the clock stands between milliseconds and sums stay exact. */
const eighths = (maxMs: number) => fc.nat({ max: maxMs * 8 }).map((count) => count / 8);
const ms = fc.oneof(
  { weight: 24, arbitrary: eighths(1_000) },
  { weight: 8, arbitrary: eighths(12_000) },
  { weight: 2, arbitrary: eighths(60_000) },
  { weight: 1, arbitrary: eighths(15 * MINUTE_MS) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 8 }).map((days) => days * DAY_MS) },
);
const record: fc.Arbitrary<AddressRecord> = fc
  .record({
    address: fc.constantFrom('p1', 'p2', 'p3', 'p4', 'p5'),
    country: fc.constantFrom(...COUNTRIES),
    rpw: fc.constantFrom(...RPW_FIGURES),
    resource_ids: fc.oneof(
      { weight: 4, arbitrary: fc.constant<number[]>([1, 2]) },
      { weight: 1, arbitrary: fc.uniqueArray(fc.constantFrom(1, 2, 3), { maxLength: 3 }) },
    ),
    weight: fc.constantFrom(undefined, undefined, 0, 1, 5),
  })
  .map(({ weight, ...fields }) => (weight === undefined ? fields : { ...fields, weight }));
const recordsOf = (least: number) =>
  fc.uniqueArray(record, { minLength: least, maxLength: 5, selector: ({ address }) => address, size: 'max' });

/** Mostly none: where every wish were a rare one, nobody would be served. */
const rarely = <Value>(weight: number, ...values: readonly Value[]) =>
  fc.oneof({ weight, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constantFrom(...values) });
const maybe = <Value>(...values: readonly Value[]) => fc.constantFrom(undefined, ...values);
/** What is undefined is left out. */
const policy: fc.Arbitrary<Partial<ResourcePolicy>> = fc
  .record({
    ttlMaxMs: rarely(3, 10_000),
    maxLeases: rarely(3, 1, 2, 3),
    where: rarely(5, { country: { ne: 'FR' } }, { rpw: { lt: 10 } }),
    strategy: maybe(...STRATEGIES),
    cooldownMs: rarely(3, { released: 2_000, expired: 3_000 }, { revoked: 5_000, session_lost: 1_500, released: 500 }),
    handover: maybe<'safe' | 'fast'>('safe', 'fast'),
    banMs: maybe(2_000, 2_000),
    banMaxMs: maybe(5_000),
    banDecayMs: maybe(1_000, 30_000),
    banAddressAfter: maybe(1, 2, 2),
    slowShare: rarely(3, 0.1, 0.3),
    slowIntervalMs: maybe(3_000),
    revokeDeadlineMs: maybe(4_000),
  })
  .map((fields) => JSON.parse(JSON.stringify(fields)) as Partial<ResourcePolicy>);

/** Those that are asked for often make lines and rings; the rest shows that any condition is understood. */
const where: fc.Arbitrary<Where | undefined> = fc.oneof(
  { weight: 8, arbitrary: fc.constant(undefined) },
  { weight: 6, arbitrary: fc.constantFrom<Where[]>({ country: { eq: 'US' } }, { country: { in: ['CA', 'de'] } }) },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Where[]>({ rpw: { lt: 2 } }, { country: { ne: 'us' }, rpw: { lte: 10 } }, {}),
  },
  { weight: 1, arbitrary: whereArbitrary },
);

const weighted = <Type extends Operation['type']>(
  weight: number,
  type: Type,
  fields: { [Field in Exclude<keyof Extract<Operation, { type: Type }>, 'type'>]: fc.Arbitrary<unknown> },
) => ({ weight, arbitrary: fc.record({ type: fc.constant(type), ...fields }) as unknown as fc.Arbitrary<Operation> });

const operation = fc.oneof(
  weighted(8, 'open', { slot, windowMs, noticeMs }),
  weighted(8, 'resume', { slot, right: fc.constantFrom(true, true, true, true, false), windowMs, noticeMs }),
  weighted(5, 'drop', { slot, suspendMs: fc.constantFrom(0, 0, 3_000) }),
  weighted(1, 'bye', { slot }),
  weighted(32, 'acquire', {
    by: asker,
    resource: fc.constantFrom(1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 4),
    ttlMs,
    where,
    strategy: rarely(4, ...STRATEGIES.filter((name) => name !== 'sticky')),
    sticky: rarely(6, 'anna', 'berta'),
    waitMs: fc.constantFrom(undefined, undefined, 1_000, 20_000, 600_000, 600_000, 600_000),
    count: rarely(5, 1, 2, 2, 3),
    key: rarely(4, 'a', 'b'),
    isExplained: fc.constantFrom(true, false, false),
  }),
  weighted(5, 'cancel', { slot, back: fc.nat({ max: 4 }) }),
  weighted(8, 'renew', {
    ...named,
    more: fc.array(back, { maxLength: 2 }),
    ttlMs: fc.option(ttlMs, { nil: undefined }),
  }),
  weighted(16, 'release', { ...named, outcome, requests }),
  weighted(6, 'report', { ...named, outcome, requests }),
  weighted(5, 'revoke', {
    backs: fc.array(back, { minLength: 1, maxLength: 2 }),
    deadlineMs: maybe(3_000, 8_000, 60_000),
  }),
  weighted(2, 'quarantine', {
    address: fc.nat({ max: 5 }),
    resource: maybe(1, 2, 3),
    forMs: fc.constantFrom(undefined, 2_000, 2_000, 6_000, 6_000, 20_000),
  }),
  weighted(3, 'lift', { address: fc.nat({ max: 5 }), resource: maybe(1, 2, 3) }),
  weighted(2, 'health', { address: fc.nat({ max: 5 }), isHealthy: fc.constantFrom(true, true, true, false) }),
  weighted(2, 'drain', { address: fc.nat({ max: 5 }), isDraining: fc.constantFrom(true, false, false, false) }),
  weighted(3, 'import', { records: recordsOf(1), replace: fc.constantFrom(true, false, false, false, false) }),
  weighted(2, 'configure', { defaults: policy, own: policy }),
  weighted(12, 'advance', { ms }),
  weighted(4, 'pause', { ms }),
  weighted(1, 'wall', { ms: fc.constantFrom(-3_600_000, 3_600_000, -DAY_MS, DAY_MS) }),
  weighted(1, 'restart', {
    floorAhead: fc.constantFrom(0, 5, 3_000_000),
    suspendMs: fc.constantFrom(3_000, MINUTE_MS),
  }),
);

/** What may happen to a coordinator. It begins with a pool and the sessions, so that few histories pass in refusals. */
export function operationsArbitrary(lengthMax: number): fc.Arbitrary<Operation[]> {
  const pool = fc.tuple(recordsOf(4)).map(([all]): Operation => ({ type: 'import', records: all, replace: false }));
  const opened = fc.tuple(
    ...Array.from({ length: SLOTS }, (_, index) => index).map((number) => {
      return fc.tuple(windowMs, noticeMs).map(([window, notice]): Operation => {
        return { type: 'open', slot: number, windowMs: window, noticeMs: notice };
      });
    }),
  );
  return fc
    .tuple(pool, opened, fc.array(operation, { maxLength: lengthMax, size: 'max' }))
    .map(([first, sessions, rest]) => [first, ...sessions, ...rest]);
}
