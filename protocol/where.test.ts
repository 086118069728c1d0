import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { parseCollectorFrame } from './frames.ts';
import {
  WHERE_DEPTH_MAX,
  WHERE_LIST_MAX,
  WHERE_OPERATORS_MAX,
  WHERE_TEXT_LENGTH_MAX,
  WHERE_VALUES_MAX,
} from './limits.ts';
import { type Where, whereFault, whereSchema } from './where.ts';

/** What an acquire under this condition is answered. */
const acquire = (where: unknown) => parseCollectorFrame({ type: 'acquire', id: 1, resource: 7, ttl_ms: 1_000, where });

describe('a condition', () => {
  test.each<[string, Where]>([
    ['nothing', {}],
    [
      'several fields',
      { address: { ne: 'a:1' }, country: { in: ['US', 'CA'] }, rpw: { lt: 500 }, resource_ids: { has: 9 } },
    ],
    ['several operators on one field', { rpw: { gte: 0, lte: 9, ne: 5, nin: [6], in: [7], eq: 7, gt: -1, lt: 10 } }],
    ['a range', { rpw: { between: [0, 0] } }],
    ['a set', { resource_ids: { has: 1, has_all: [1], has_any: [2, 3], has_none: [] } }],
    ['labels', { labels: { kind: { eq: 'mobile' }, tier: { exists: false }, 'a.b': { nin: ['x'] }, '': {} } }],
    ['and, or, not', { and: [{ rpw: { lt: 1 } }, { not: {} }], or: [{}], not: { or: [{ country: { eq: '' } }] } }],
    ['an empty and', { and: [] }],
    ['the longest text', { address: { eq: 'x'.repeat(WHERE_TEXT_LENGTH_MAX) } }],
    ['the longest list', { rpw: { in: Array(WHERE_LIST_MAX).fill(1) } }],
  ])('of %s is taken as it is', (_, where) => {
    expect(acquire(where)).toMatchObject({ ok: true, frame: { where } });
  });

  test.each<[where: unknown, path: string, message: string]>([
    [5, 'where', 'Invalid type: Expected Object but received 5'],
    [null, 'where', 'Invalid type: Expected Object but received null'],
    ['rpw < 5', 'where', 'Invalid type: Expected Object but received "rpw < 5"'],
    [{ contry: { eq: 'US' } }, 'where.contry', 'unknown field'],
    [{ toString: { eq: 'US' } }, 'where.toString', 'unknown field'],
    [{ country: 'US' }, 'where.country', 'Invalid type: Expected Object but received "US"'],
    [{ country: { equals: 'US' } }, 'where.country.equals', 'unknown field'],
    [{ country: { lt: 'US' } }, 'where.country.lt', 'unknown field'],
    [{ country: { eq: null } }, 'where.country.eq', 'Invalid type: Expected string but received null'],
    [{ country: { in: 'US' } }, 'where.country.in', 'Invalid type: Expected Array but received "US"'],
    [{ country: { in: ['US', 3] } }, 'where.country.in[1]', 'Invalid type: Expected string but received 3'],
    [{ rpw: { lt: '5' } }, 'where.rpw.lt', 'Invalid type: Expected number but received "5"'],
    [{ rpw: { lt: 1.5 } }, 'where.rpw.lt', 'Invalid integer: Received 1.5'],
    [{ rpw: { between: [1] } }, 'where.rpw.between[1]', 'Invalid type: Expected number but received undefined'],
    [{ rpw: { between: [1, 2, 3] } }, 'where.rpw.between[2]', 'between takes two integers'],
    [{ rpw: { between: 5 } }, 'where.rpw.between', 'between takes two integers'],
    [{ resource_ids: { has: [1] } }, 'where.resource_ids.has', 'Invalid type: Expected number but received Array'],
    [{ resource_ids: { eq: 1 } }, 'where.resource_ids.eq', 'unknown field'],
    [{ labels: { kind: 'mobile' } }, 'where.labels.kind', 'Invalid type: Expected Object but received "mobile"'],
    [{ labels: { 'a.b': { exists: 1 } } }, 'where.labels.a.b.exists', 'Invalid type: Expected boolean but received 1'],
    [{ or: [] }, 'where.or', 'or needs at least one condition'],
    [{ and: {} }, 'where.and', 'Invalid type: Expected Array but received Object'],
    [{ and: [{}, { rpw: { lt: 'x' } }] }, 'where.and[1].rpw.lt', 'Invalid type: Expected number but received "x"'],
    [{ or: [{ not: { and: [{ x: 1 }] } }] }, 'where.or[0].not.and[0].x', 'unknown field'],
    [
      { address: { eq: 'x'.repeat(WHERE_TEXT_LENGTH_MAX + 1) } },
      'where.address.eq',
      'Invalid length: Expected <=2048 but received 2049',
    ],
    [
      { rpw: { in: Array(WHERE_LIST_MAX + 1).fill(1) } },
      'where.rpw.in',
      'Invalid length: Expected <=1000 but received 1001',
    ],
  ])('%j is refused at %s', (where, path, message) => {
    const fault = { code: 'bad_field', path, message: `${path}: ${message}`, id: 1 };
    expect(acquire(where)).toEqual({ ok: false, fault });
  });
});

/** Each would otherwise hold for any address, though something was meant by it. */
describe('what isn’t a map never passes for an empty one', () => {
  const condition = 'a condition is a map';
  const operators = 'operators are a map';
  test.each<[where: unknown, path: string, message: string]>([
    [[], 'where', condition],
    [new Uint8Array(), 'where', condition],
    [{ not: [] }, 'where.not', condition],
    [{ and: [{}, []] }, 'where.and[1]', condition],
    [{ or: [[]] }, 'where.or[0]', condition],
    [{ address: [] }, 'where.address', operators],
    [{ country: [] }, 'where.country', operators],
    [{ rpw: new Uint8Array() }, 'where.rpw', operators],
    [{ resource_ids: [] }, 'where.resource_ids', operators],
    [{ labels: [] }, 'where.labels', 'labels are a map'],
    [{ labels: { kind: [] } }, 'where.labels.kind', operators],
    [{ labels: { constructor: { eq: 'x' } } }, 'where.labels.constructor', 'a label of this name is not taken'],
    [{ labels: { prototype: { eq: 'x' } } }, 'where.labels.prototype', 'a label of this name is not taken'],
  ])('%j at %s', (where, path, message) => {
    const fault = { code: 'bad_field', path, message: `${path}: ${message}`, id: 1 };
    expect(acquire(where)).toEqual({ ok: false, fault });
  });
});

describe('bounds', () => {
  const nested = (depth: number, wrap: (inner: Where) => Where): Where =>
    depth === 0 ? {} : wrap(nested(depth - 1, wrap));

  test.each<[string, (inner: Where) => Where, string]>([
    ['not', (inner) => ({ not: inner }), '.not'],
    ['and', (inner) => ({ and: [inner] }), '.and[0]'],
    ['or', (inner) => ({ or: [inner] }), '.or[0]'],
  ])('on how deep %s goes', (_, wrap, step) => {
    expect(acquire(nested(WHERE_DEPTH_MAX, wrap)).ok).toBe(true);
    const path = `where${step.repeat(WHERE_DEPTH_MAX + 1)}`;
    expect(acquire(nested(WHERE_DEPTH_MAX + 1, wrap))).toMatchObject({
      ok: false,
      fault: { code: 'bad_field', path, message: `${path}: nested deeper than 8`, id: 1 },
    });
  });

  test('on operators, wherever they stand', () => {
    const two: Where = { rpw: { gte: 1, lt: 9 } };
    const most = Array<Where>(WHERE_OPERATORS_MAX / 2 - 2).fill(two);
    const rest: Where = {
      country: { eq: 'US' },
      address: { ne: 'a' },
      resource_ids: { has: 1 },
      labels: { a: { eq: 'x' } },
    };
    expect(acquire({ and: most, not: rest }).ok).toBe(true);
    expect(acquire({ and: most, not: { ...rest, labels: { a: { eq: 'x' }, b: { exists: true } } } })).toMatchObject({
      ok: false,
      fault: { path: 'where.not', message: 'where.not: more than 64 operators' },
    });
  });

  test('on values, in all lists together', () => {
    const half = Array<number>(WHERE_VALUES_MAX / 2).fill(1);
    expect(half).toHaveLength(WHERE_LIST_MAX);
    const most: Where = { rpw: { in: half, between: [1, 2] }, not: { resource_ids: { has_any: half } } };
    expect(acquire(most).ok).toBe(true);
    const refusedAt = (where: Where, path: string) => {
      const message = `${path}: more than 2000 values in all lists`;
      expect(acquire(where)).toEqual({ ok: false, fault: { code: 'bad_field', path, message, id: 1 } });
    };
    refusedAt({ ...most, country: { nin: ['US'] }, rpw: { in: half } }, 'where.not.resource_ids.has_any');
    refusedAt({ ...most, labels: { 'a.b': { in: ['x'] } } }, 'where.not.resource_ids.has_any');
    refusedAt({ rpw: { in: half, nin: half }, labels: { 'a.b': { in: ['x'] } } }, 'where.labels.a.b.in');
    refusedAt({ rpw: { in: half, nin: half }, and: [{}] }, 'where.and');
    refusedAt({ or: [{ rpw: { in: half } }, { rpw: { in: half } }] }, 'where.or[1].rpw.in');
  });

  test('give paths from the root of the condition', () => {
    expect(whereFault({})).toBeUndefined();
    expect(whereFault([] as Where)).toEqual({ path: '', message: 'a condition is a map' });
    expect(whereFault({ and: [{}, { not: [] as Where }] })).toEqual({
      path: 'and[1].not',
      message: 'a condition is a map',
    });
  });
});

test('the schema alone names the place too, for conditions that come from elsewhere', () => {
  const result = v.safeParse(whereSchema, { and: [{ rpw: { lt: 'x' } }] });
  expect(result.issues?.[0].path?.map((item) => item.key)).toEqual(['and', 0, 'rpw', 'lt']);
});
