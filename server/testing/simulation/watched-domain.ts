import type { DecisionContext } from '../../coordinator/domain.ts';
import type { LeaseCommand } from '../../lease/commands.ts';
import type { LeaseDecision } from '../../lease/decide.ts';
import type { LeaseEvent } from '../../lease/events.ts';
import { leaseDomain } from '../../lease/lease-domain.ts';
import type { LeaseState } from '../../lease/state.ts';

export interface Decided {
  /** As it was decided on: nothing of the decision is applied yet. */
  readonly state: LeaseState;
  readonly command: LeaseCommand;
  readonly decision: LeaseDecision;
  /** By the coordinator's clock. */
  readonly nowMs: number;
  /** Counts decisions. */
  readonly number: number;
}

export interface Watcher {
  deciding(command: LeaseCommand): void;
  decided(decided: Decided): void;
  /** The event is about to be applied; `durableCount`: of the events of the decision up to it. */
  applying(event: LeaseEvent, decided: Decided, durableCount: number): void;
}

/** The lease domain, with somebody looking on who changes nothing. */
export function watched(watcher: Watcher): typeof leaseDomain {
  let decided: Decided | undefined;
  let number = 0;
  let durableCount = 0;
  return {
    ...leaseDomain,
    decide(state, command, context: DecisionContext) {
      watcher.deciding(command);
      const decision = leaseDomain.decide(state, command, context);
      number += 1;
      durableCount = 0;
      decided = { state, command, decision, nowMs: context.nowMs, number };
      watcher.decided(decided);
      return decision;
    },
    apply(state, event) {
      if (leaseDomain.isDurable(event)) durableCount += 1;
      if (decided) watcher.applying(event, decided, durableCount);
      leaseDomain.apply(state, event);
    },
  };
}
