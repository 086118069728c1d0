import fc from 'fast-check';
import { describe, it } from 'vitest';
import { runHistory } from '../testing/model/lease-history.ts';
import { operationsArbitrary } from '../testing/model/lease-operations.ts';
import { leaseDomain } from './lease-domain.ts';

describe('lease domain beside the model, many and long histories', () => {
  it('agrees in every answer, and its indexes, snapshots and journal with its state', () => {
    fc.assert(
      fc.property(operationsArbitrary(400), (operations) => runHistory(leaseDomain, operations)),
      { numRuns: 250 },
    );
  });
});
