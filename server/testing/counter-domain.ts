import type { Domain } from '../coordinator/domain.ts';

/** The smallest domain that shows a lost, repeated or misplaced event: counters that also count their events. */
export interface CounterState {
  readonly counters: Map<string, { value: number; events: number }>;
}
export interface AddToCounter {
  readonly type: 'AddToCounter';
  readonly counter: string;
  readonly by: number;
}
export interface CounterAdded {
  readonly counter: string;
  readonly by: number;
}

export const counterDomain: Domain<CounterState, AddToCounter, CounterAdded, { AddToCounter: number }, never> = {
  name: 'test-counter',
  create: () => ({ counters: new Map() }),
  decide: ({ counters }, { counter, by }) => ({
    events: [{ counter, by }],
    answer: (counters.get(counter)?.value ?? 0) + by,
  }),
  apply({ counters }, { counter, by }) {
    const { value, events } = counters.get(counter) ?? { value: 0, events: 0 };
    counters.set(counter, { value: value + by, events: events + 1 });
  },
  isDurable: () => true,
  dueMs: () => undefined,
  dueCommand: { type: 'AddToCounter', counter: 'none', by: 0 },
  clockMarkMs: () => undefined,
  liveCount: () => 0,
  encodeEvent: ({ counter, by }) => [counterDomain.name, 'CounterAdded', 1, counter, by],
  decodeEvent([, event, version, counter, by]) {
    if (event !== 'CounterAdded' || version !== 1) throw new Error(`unknown event ${event} version ${version}`);
    return { counter: counter as string, by: by as number };
  },
  *encode({ counters }) {
    for (const [counter, { value, events }] of counters) yield [counter, value, events];
  },
  restore({ counters }, record) {
    const [counter, value, events] = record as [string, number, number];
    counters.set(counter, { value, events });
  },
};
