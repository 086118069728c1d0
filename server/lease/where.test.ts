import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Where } from '../../protocol/where.ts';
import { meets } from '../testing/where-meets.ts';
import { attributesArbitrary, whereArbitrary } from '../testing/where-model.ts';
import { type Attributes, compileWhere } from './where.ts';

const IT: Attributes = {
  address: 'http://p1:8080',
  country: 'Us',
  rpw: 500,
  resourceIds: [7, 8],
  labels: { tier: 'gold', toString: 'text' },
};

describe('a compiled condition', () => {
  const table: readonly (readonly [Where, boolean])[] = [
    [{}, true],
    [{ address: { eq: 'http://p1:8080' } }, true],
    [{ address: { eq: 'HTTP://p1:8080' } }, false],
    [{ address: { in: [] } }, false],
    [{ address: { nin: [] } }, true],
    [{ country: { eq: 'US' } }, true],
    [{ country: { ne: 'us' } }, false],
    [{ country: { in: ['ca', 'uS'] } }, true],
    [{ country: { nin: ['ca', 'uS'] } }, false],
    [{ country: { eq: '' } }, false],
    [{ rpw: { lt: 500 } }, false],
    [{ rpw: { lte: 500 } }, true],
    [{ rpw: { gt: 500 } }, false],
    [{ rpw: { gte: 500 } }, true],
    [{ rpw: { gt: 499, lt: 501 } }, true],
    [{ rpw: { between: [500, 500] } }, true],
    [{ rpw: { between: [501, 499] } }, false],
    [{ rpw: { eq: 500, ne: 499, in: [500], nin: [1] } }, true],
    [{ rpw: { in: [] } }, false],
    [{ resource_ids: { has: 7 } }, true],
    [{ resource_ids: { has: 9 } }, false],
    [{ resource_ids: { has_all: [] } }, true],
    [{ resource_ids: { has_all: [7, 8] } }, true],
    [{ resource_ids: { has_all: [7, 9] } }, false],
    [{ resource_ids: { has_any: [] } }, false],
    [{ resource_ids: { has_any: [9, 8] } }, true],
    [{ resource_ids: { has_none: [] } }, true],
    [{ resource_ids: { has_none: [9, 8] } }, false],
    [{ labels: { tier: { eq: 'gold' } } }, true],
    [{ labels: { tier: { eq: 'Gold' } } }, false],
    [{ labels: { tier: { exists: false } } }, false],
    [{ labels: { colour: { exists: false } } }, true],
    [{ labels: { colour: { ne: 'red', nin: ['blue'] } } }, true],
    [{ labels: { colour: { eq: 'red' } } }, false],
    [{ labels: { colour: { in: ['red'] } } }, false],
    [{ labels: { hasOwnProperty: { exists: true } } }, false],
    [{ labels: { toString: { eq: 'text' } } }, true],
    [{ country: { eq: 'us' }, rpw: { lt: 100 } }, false],
    [{ and: [] }, true],
    [{ and: [{ country: { eq: 'us' } }, { rpw: { lt: 100 } }] }, false],
    [{ or: [{ country: { eq: 'ca' } }, { rpw: { gt: 100 } }] }, true],
    [{ not: { or: [{ country: { eq: 'ca' } }, { rpw: { gt: 100 } }] } }, false],
    [{ not: {} }, false],
  ];
  for (const [where, expected] of table) {
    it(`${expected ? 'holds' : 'does not hold'}: ${JSON.stringify(where)}`, () => {
      expect(compileWhere(where).holds(IT)).toBe(expected);
      expect(meets(where, IT), 'and the naive reading says the same').toBe(expected);
    });
  }

  it('agrees with a naive reading of any condition', () => {
    fc.assert(
      fc.property(whereArbitrary, fc.array(attributesArbitrary, { minLength: 1, maxLength: 5 }), (where, all) => {
        const { holds } = compileWhere(where);
        for (const it of all) expect(holds(it)).toBe(meets(where, it));
      }),
      { numRuns: 2_000 },
    );
  });

  it('knows which figures of rpw make a difference to it', () => {
    fc.assert(
      fc.property(whereArbitrary, attributesArbitrary, fc.nat(12), (where, it, rpw) => {
        const { holds, mayTurn } = compileWhere(where);
        if (holds(it) !== holds({ ...it, rpw })) expect(mayTurn(it.rpw, rpw)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
    const { mayTurn } = compileWhere({ not: { rpw: { lt: 500 } }, country: { eq: 'US' } });
    expect([mayTurn(499, 500), mayTurn(498, 499), mayTurn(600, 700)]).toEqual([true, false, false]);
  });

  it('says whether it looks at rpw, wherever in it that stands', () => {
    const rpw: Where = { rpw: { lt: 5 } };
    const country: Where = { country: { eq: 'US' } };
    expect(compileWhere(country).readsRpw).toBe(false);
    expect(compileWhere({ and: [country], or: [country], not: country }).readsRpw).toBe(false);
    for (const where of [rpw, { and: [country, rpw] }, { or: [country, { not: rpw }] }, { not: { and: [rpw] } }]) {
      expect(compileWhere(where).readsRpw).toBe(true);
    }
  });
});
