import { parseJson } from './parse-json.ts';
import { POOL_RECORDS_MAX, type PoolBounds, PoolIntake, type PoolProblem } from './pool-intake.ts';
import type { PoolRecord } from './pool-record.ts';

export type ParsedPool =
  | { readonly ok: true; readonly records: PoolRecord[] }
  | { readonly ok: false; readonly problems: string[] };

/** A pool file, a JSON array of records: its text, or the value that it holds. Every record is good or none is taken. */
export function parsePool(input: unknown, bounds: PoolBounds): ParsedPool {
  let pool = input;
  if (typeof input === 'string') {
    const parsed = parseJson(input);
    if (!parsed.ok) return { ok: false, problems: [parsed.message] };
    pool = parsed.value;
  }
  if (!Array.isArray(pool)) return { ok: false, problems: ['a pool is a JSON array of records'] };
  if (pool.length > POOL_RECORDS_MAX) {
    return { ok: false, problems: [`${pool.length} records are more than ${POOL_RECORDS_MAX}`] };
  }
  const intake = new PoolIntake(bounds, 'record');
  for (const [index, value] of pool.entries()) intake.take(index, value);
  const { problemCount, problems, records } = intake;
  return problemCount === 0 ? { ok: true, records } : { ok: false, problems: listed(problems, problemCount) };
}

function listed(problems: readonly PoolProblem[], count: number): string[] {
  const lines = problems.map(({ at, message }, index) => {
    return `record ${at}: ${message}${index === 0 ? ' (records are counted from 0)' : ''}`;
  });
  const more = count - lines.length;
  return more === 0 ? lines : [...lines, `and ${more} more`];
}
