import fc from 'fast-check';
import type { IntegerOperators, Where } from '../../protocol/where.ts';
import type { Attributes } from '../lease/where.ts';

/** Few values, so that conditions and addresses meet often. */
export const COUNTRIES = ['US', 'us', 'CA', 'de', 'FR'] as const;
export const RPW_FIGURES = [0, 1, 2, 10, 600] as const;
const LABELS = ['pool', 'tier'] as const;
const LABEL_TEXTS = ['a', 'A', 'b', ''] as const;

const few = <Value>(...values: readonly Value[]) => fc.array(fc.constantFrom(...values), { maxLength: 3 });
const maybe = { requiredKeys: [] };

function textOperators(texts: readonly string[]) {
  const text = fc.constantFrom(...texts);
  return fc.record({ eq: text, ne: text, in: few(...texts), nin: few(...texts) }, maybe);
}

const figure = fc.constantFrom(...RPW_FIGURES);
const integerOperators: fc.Arbitrary<IntegerOperators> = fc.record(
  {
    eq: figure,
    ne: figure,
    in: few(...RPW_FIGURES),
    nin: few(...RPW_FIGURES),
    lt: figure,
    lte: figure,
    gt: figure,
    gte: figure,
    between: fc.tuple(figure, figure),
  },
  maybe,
);
const resource = fc.constantFrom(1, 2, 3, 4);
const setOperators = fc.record(
  { has: resource, has_all: few(1, 2, 3), has_any: few(1, 2, 3), has_none: few(1, 2, 3) },
  maybe,
);
const labelOperators = fc
  .tuple(textOperators(LABEL_TEXTS), fc.option(fc.boolean(), { nil: undefined }))
  .map(([operators, exists]) => (exists === undefined ? operators : { ...operators, exists }));

export const { where: whereArbitrary } = fc.letrec<{ where: Where }>((tie) => ({
  where: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.record(
      {
        address: textOperators(['p1', 'p2', 'P1']),
        country: textOperators(COUNTRIES),
        rpw: integerOperators,
        resource_ids: setOperators,
        labels: fc.dictionary(fc.constantFrom(...LABELS), labelOperators, { maxKeys: 2 }),
      },
      maybe,
    ) as fc.Arbitrary<Where>,
    fc.record({ country: textOperators(COUNTRIES), rpw: integerOperators }, maybe) as fc.Arbitrary<Where>,
    fc.record(
      {
        and: fc.array(tie('where'), { maxLength: 2 }),
        or: fc.array(tie('where'), { minLength: 1, maxLength: 2 }),
        not: tie('where'),
      },
      maybe,
    ) as fc.Arbitrary<Where>,
  ),
}));

export const attributesArbitrary: fc.Arbitrary<Attributes> = fc.record({
  address: fc.constantFrom('p1', 'p2', 'p3'),
  country: fc.constantFrom(...COUNTRIES),
  rpw: figure,
  resourceIds: fc.uniqueArray(fc.constantFrom(1, 2, 3, 4), { maxLength: 3 }),
  labels: fc.option(fc.dictionary(fc.constantFrom(...LABELS), fc.constantFrom(...LABEL_TEXTS)), { nil: undefined }),
});
