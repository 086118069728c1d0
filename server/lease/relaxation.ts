import type { PoolAddress, SlotColumns } from './slot-columns.ts';
import { narrow } from './where-columns.ts';
import { type Plan, rpwTestsOf } from './where-plan.ts';

export interface Relaxing {
  /** Slots to be had, a bit each, 32 to a word; not kept. */
  readonly candidates: Uint32Array;
  /** What isn't to be dropped. */
  readonly fixed: Plan;
  readonly plans: readonly Plan[];
}

/**
 * Place of the first plan but for which a candidate would meet everything; -1 where there is none. Looks at each plan twice,
 * however many there are: a candidate that fails two of them is out.
 */
export function firstRelaxation<A extends PoolAddress>(columns: SlotColumns<A>, relaxing: Relaxing): number {
  const { candidates, fixed, plans } = relaxing;
  if ([fixed, ...plans].some((plan) => rpwTestsOf(plan).length > 0)) columns.refreshRpw();
  narrow(fixed, columns, candidates);
  const failsNone = candidates;
  const failsOne = new Uint32Array(candidates.length);
  for (const plan of plans) {
    const meets = candidates.map((bits, word) => bits | failsOne[word]!);
    narrow(plan, columns, meets);
    for (let word = 0; word < candidates.length; word += 1) {
      const newlyFails = failsNone[word]! & ~meets[word]!;
      failsNone[word]! &= meets[word]!;
      failsOne[word] = (failsOne[word]! & meets[word]!) | newlyFails;
    }
  }
  return plans.findIndex((plan) => {
    const meets = failsOne.slice();
    narrow(plan, columns, meets);
    return failsOne.some((bits, word) => (bits & ~meets[word]!) !== 0) || failsNone.some((bits) => bits !== 0);
  });
}
