import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Where } from '../../protocol/where.ts';
import { whereArbitrary } from '../testing/where-model.ts';
import { type Plan, planOf } from './where-plan.ts';

/** Tests in a plan; constants that stand inside another plan are faults. */
function testsOf(plan: Plan): number {
  if (typeof plan === 'boolean') return 0;
  if (plan.kind === 'not') return inner([plan.part]);
  return plan.kind === 'all' || plan.kind === 'any' ? inner(plan.parts) : 1;
}

function inner(parts: readonly Plan[]): number {
  for (const part of parts) expect(typeof part).toBe('object');
  return parts.map(testsOf).reduce((sum, tests) => sum + tests, 0);
}

function operatorsIn(where: Where): number {
  const fields = [where.address, where.country, where.rpw, where.resource_ids, ...Object.values(where.labels ?? {})];
  const own = fields.flatMap((operators) => Object.keys(operators ?? {})).length;
  const parts = [...(where.and ?? []), ...(where.or ?? []), ...(where.not ? [where.not] : [])];
  return parts.map(operatorsIn).reduce((sum, operators) => sum + operators, own);
}

describe('the plan of a condition', () => {
  it('has no more tests than the condition has operators, and no constant inside', () => {
    fc.assert(
      fc.property(whereArbitrary, (where) => {
        expect(testsOf(planOf(where))).toBeLessThanOrEqual(operatorsIn(where));
      }),
      { numRuns: 2_000 },
    );
  });

  it('is a constant where thousands of parts ask nothing', () => {
    const empty: Where = { and: Array<Where>(1_000).fill({ country: {}, labels: { tier: {} } }) };
    expect(planOf(empty)).toBe(true);
    expect(planOf({ or: Array<Where>(1_000).fill({ not: empty }) })).toBe(false);
    const rpw: Where = { rpw: { lt: 5 } };
    expect(planOf({ and: [rpw, empty, { not: { not: empty } }] })).toEqual({
      ...(planOf(rpw) as object),
      holds: expect.any(Function),
    });
    expect(planOf({ or: [rpw, empty] })).toBe(true);
    expect(planOf({ and: [rpw, { not: empty }] })).toBe(false);
    expect(planOf({ not: { not: rpw } })).toMatchObject({ kind: 'rpw', lt: 5 });
  });
});
