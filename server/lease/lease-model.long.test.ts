import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runHistory } from '../testing/model/lease-history.ts';
import { operationsArbitrary } from '../testing/model/lease-operations.ts';
import { MUTANTS } from '../testing/model/mutants.ts';
import { leaseDomain } from './lease-domain.ts';

describe('lease domain beside the model, many and long histories', () => {
  it('agrees in every answer, and its indexes, snapshots and journal with its state', () => {
    fc.assert(
      fc.property(operationsArbitrary(400), (operations) => runHistory(leaseDomain, operations)),
      { numRuns: 250 },
    );
  });
});

describe('the model catches a domain that', () => {
  for (const [fault, domain] of Object.entries(MUTANTS)) {
    it(fault, () => {
      const found = fc.check(
        fc.property(operationsArbitrary(150), (operations) => runHistory(domain, operations)),
        { seed: 1, numRuns: 1_000, endOnFailure: true },
      );
      expect(found.failed, `${found.numRuns} histories, and none shows it`).toBe(true);
    });
  }
});
