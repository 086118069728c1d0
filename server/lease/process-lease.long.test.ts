import fc from 'fast-check';
import { it } from 'vitest';
import { leavesNothing } from '../testing/process-leases.ts';

it('leaves a journal that comes to the state without leases of this process, in many more histories', () => {
  fc.assert(leavesNothing(), { numRuns: 10_000 });
});
