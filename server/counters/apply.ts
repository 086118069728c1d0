import { assertNever } from '../../protocol/assert.ts';
import type { CounterEvent } from './events.ts';
import { type CounterState, placeOf } from './state.ts';

/** The only way in which the state changes: live, at recovery and on a standby alike. Throws on an impossible event. */
export function applyEvent(state: CounterState, event: CounterEvent): void {
  switch (event.type) {
    case 'CounterAdded': {
      const { counter, by, value, holder, key, atMs } = event;
      const before = state.values.get(counter) ?? 0;
      if (before + by !== value) throw new Error(`a counter at ${before} and ${by} don't make ${value}`);
      setValue(state, counter, value);
      if (holder !== undefined && key !== undefined && atMs !== undefined) {
        state.keys.add({ holder, key, counter, by, value, atMs });
      }
      return;
    }
    case 'CounterDeleted': {
      if (!state.values.delete(event.counter)) throw new Error('a counter is deleted that is not there');
      const { names } = state;
      names?.splice(placeOf(names, event.counter), 1);
      return;
    }
    case 'KeysForgotten':
      return state.keys.forgetUpTo(event.upToMs);
    case 'StorageChanged':
      state.storage = event.level;
      return;
    default:
      assertNever(event);
  }
}

export function setValue({ values, names }: CounterState, counter: string, value: number): void {
  if (names && !values.has(counter)) names.splice(placeOf(names, counter), 0, counter);
  values.set(counter, value);
}
