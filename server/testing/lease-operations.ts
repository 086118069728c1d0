import fc from 'fast-check';
import type { Outcome } from '../../protocol/codes.ts';
import type { AddressRecord } from '../../protocol/frames.ts';
import type { Where } from '../../protocol/where.ts';
import { COUNTRIES, RPW_FIGURES, whereArbitrary } from './where-model.ts';

/** Sessions at one time, so that the bound is reached. */
export const SESSIONS_MAX = 5;
const SLOTS = 4;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Who asks: the session of a slot, a client or a secret over HTTP, or this process. */
export type Asker = { readonly slot: number } | { readonly client: string } | { readonly secret: string } | 'process';

/** Which lease: counted back from the last one granted, so that most of them live; `holder` asks for it himself. */
export interface Named {
  readonly back: number;
  readonly by: Asker | 'holder';
}

export type Operation =
  | { type: 'open'; slot: number; windowMs: number; noticeMs: number | undefined }
  | { type: 'resume'; slot: number; right: boolean; windowMs: number; noticeMs: number | undefined }
  | { type: 'drop'; slot: number; suspendMs: number }
  | { type: 'bye'; slot: number }
  | { type: 'acquire'; by: Asker; resource: number; ttlMs: number; where: Where | undefined }
  | ({ type: 'renew'; more: number[]; ttlMs: number | undefined } & Named)
  | ({ type: 'release' | 'report'; outcome: Outcome | undefined; requests: number | undefined } & Named)
  | { type: 'revoke'; backs: number[] }
  | { type: 'import'; records: AddressRecord[]; replace: boolean }
  | { type: 'configure'; defaultMax: number | undefined; ownMax: number; ownTtlMaxMs: number }
  | { type: 'advance'; ms: number }
  | { type: 'pause'; ms: number }
  | { type: 'wall'; ms: number }
  | { type: 'reload' }
  | { type: 'restart'; floorAhead: number; suspendMs: number };

const slot = fc.nat({ max: SLOTS - 1 });
const asker: fc.Arbitrary<Asker> = fc.oneof(
  { weight: 6, arbitrary: slot.map((number) => ({ slot: number })) },
  { weight: 1, arbitrary: fc.constant({ client: 'anna' }) },
  { weight: 2, arbitrary: fc.constantFrom({ secret: 'x' }, { secret: 'y' }) },
  { weight: 1, arbitrary: fc.constant('process' as const) },
);
/** Mostly one of the last few leases; now and then one that is long forgotten, or never was. */
const back = fc.oneof({ weight: 8, arbitrary: fc.nat({ max: 4 }) }, { weight: 1, arbitrary: fc.nat({ max: 30 }) });
const named = {
  back,
  by: fc.oneof({ weight: 5, arbitrary: fc.constant('holder' as const) }, { weight: 1, arbitrary: asker }),
};
const windowMs = fc.constantFrom(0, 0, 5_000, MINUTE_MS);
const noticeMs = fc.constantFrom(undefined, undefined, 0, 1_000, 20_000);
const ttlMs = fc.constantFrom(1, 2_000, 10_000, 30_000, 30_000, 3_600_000, 3_600_000, 30 * DAY_MS);
const requests = fc.option(fc.nat({ max: 9 }), { nil: undefined });
const outcome = fc.constantFrom(undefined, 'ok', 'failed', 'banned' as const);
/** Eighths, so that the clock stands between milliseconds and sums stay exact. */
const eighths = (maxMs: number) => fc.nat({ max: maxMs * 8 }).map((count) => count / 8);
const ms = fc.oneof(
  { weight: 12, arbitrary: eighths(1_000) },
  { weight: 6, arbitrary: eighths(12_000) },
  { weight: 2, arbitrary: eighths(60_000) },
  { weight: 1, arbitrary: eighths(15 * MINUTE_MS) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 8 }).map((days) => days * DAY_MS) },
);
const record: fc.Arbitrary<AddressRecord> = fc.record({
  address: fc.constantFrom('p1', 'p2', 'p3', 'p4', 'p5'),
  country: fc.constantFrom(...COUNTRIES),
  rpw: fc.constantFrom(...RPW_FIGURES),
  resource_ids: fc.oneof(
    { weight: 4, arbitrary: fc.constant<number[]>([1, 2]) },
    { weight: 1, arbitrary: fc.uniqueArray(fc.constantFrom(1, 2, 3), { maxLength: 3 }) },
  ),
});
const recordsOf = (least: number) =>
  fc.uniqueArray(record, { minLength: least, maxLength: 5, selector: ({ address }) => address, size: 'max' });

const weighted = <Type extends Operation['type']>(
  weight: number,
  type: Type,
  fields: { [Field in Exclude<keyof Extract<Operation, { type: Type }>, 'type'>]: fc.Arbitrary<unknown> },
) => ({ weight, arbitrary: fc.record({ type: fc.constant(type), ...fields }) as unknown as fc.Arbitrary<Operation> });

const operation = fc.oneof(
  weighted(5, 'open', { slot, windowMs, noticeMs }),
  weighted(3, 'resume', { slot, right: fc.constantFrom(true, true, false), windowMs, noticeMs }),
  weighted(3, 'drop', { slot, suspendMs: fc.constantFrom(0, 0, 3_000) }),
  weighted(1, 'bye', { slot }),
  weighted(24, 'acquire', {
    by: asker,
    resource: fc.constantFrom(1, 1, 1, 1, 2, 2, 2, 3, 4),
    ttlMs,
    where: fc.option(whereArbitrary, { nil: undefined, freq: 1 }),
  }),
  weighted(8, 'renew', {
    ...named,
    more: fc.array(back, { maxLength: 2 }),
    ttlMs: fc.option(ttlMs, { nil: undefined }),
  }),
  weighted(8, 'release', { ...named, outcome, requests }),
  weighted(6, 'report', { ...named, outcome, requests }),
  weighted(2, 'revoke', { backs: fc.array(back, { maxLength: 3 }) }),
  weighted(3, 'import', { records: recordsOf(1), replace: fc.constantFrom(true, false, false) }),
  weighted(1, 'configure', {
    defaultMax: fc.constantFrom(undefined, undefined, 1),
    ownMax: fc.integer({ min: 1, max: 3 }),
    ownTtlMaxMs: fc.constantFrom(1_000, 10_000),
  }),
  weighted(12, 'advance', { ms }),
  weighted(4, 'pause', { ms }),
  weighted(1, 'wall', { ms: fc.constantFrom(-3_600_000, 3_600_000, -DAY_MS) }),
  weighted(1, 'reload', {}),
  weighted(1, 'restart', { floorAhead: fc.constantFrom(0, 5, 3_000_000), suspendMs: fc.constantFrom(0, 3_000) }),
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
