import fc from 'fast-check';
import { describe, it } from 'vitest';
import { runHistory } from '../testing/model/lease-history.ts';
import { operationsArbitrary } from '../testing/model/lease-operations.ts';
import { leaseDomain } from './lease-domain.ts';

/** They compute all the time: where others do too, twice as long as usual is nothing. */
const TIMEOUT_MS = 120_000;

describe('lease domain beside the model', { timeout: TIMEOUT_MS }, () => {
  it('agrees in every answer, and its indexes, snapshots and journal with its state', () => {
    fc.assert(
      fc.property(operationsArbitrary(150), (operations) => runHistory(leaseDomain, operations)),
      { numRuns: 60 },
    );
  });
});
