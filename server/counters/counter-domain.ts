import type { Domain } from '../coordinator/domain.ts';
import { applyEvent } from './apply.ts';
import type { CounterAnswers, CounterCommand } from './commands.ts';
import { clockMarkMs, decide, dueMs } from './decide.ts';
import { COUNTER_DOMAIN, type CounterEvent, decodeEvent, encodeEvent, isDurable } from './events.ts';
import { encodeState, restoreState } from './snapshot.ts';
import { beginReplay, type CounterState, createCounterState, endReplay } from './state.ts';

/** Named sums that survive everything, added to in one step each. */
export const counterDomain: Domain<CounterState, CounterCommand, CounterEvent, CounterAnswers, never> = {
  name: COUNTER_DOMAIN,
  create: createCounterState,
  decide,
  apply: applyEvent,
  isDurable,
  dueMs,
  dueCommand: { type: 'Due' },
  clockMarkMs,
  // Nothing of it has to end.
  liveCount: () => 0,
  encodeEvent,
  decodeEvent,
  encode: encodeState,
  restore: restoreState,
  beginReplay,
  endReplay,
};
