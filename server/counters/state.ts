import type { StorageLevel } from '../coordinator/domain.ts';
import { CountKeys } from './count-keys.ts';

export interface CounterState {
  /** Invariants: COUNTERS_MAX at most; values are safe integers. */
  readonly values: Map<string, number>;
  /** Those of `values`, sorted, for whoever lists them; undefined while history is replayed, which nobody lists. */
  names: string[] | undefined;
  readonly keys: CountKeys;
  /** As the coordinator last said; not durable. */
  storage: StorageLevel;
}

export function createCounterState(): CounterState {
  return { values: new Map(), names: [], keys: new CountKeys(), storage: 'ample' };
}

export function beginReplay(state: CounterState): void {
  state.names = undefined;
}

export function endReplay(state: CounterState): void {
  // Without a comparison it is by UTF-16 code units, as `<` has it.
  state.names = [...state.values.keys()].toSorted();
}

export interface NamedValue {
  readonly counter: string;
  readonly value: number;
}

/** Up to `limit` counters in the order of their names, from behind `after` on. */
export function countersAfter({ values, names }: CounterState, after: string, limit: number): NamedValue[] {
  if (!names) throw new Error('counters are listed amid a replay');
  let first = placeOf(names, after);
  if (names[first] === after) first += 1;
  return names.slice(first, first + limit).map((counter) => ({ counter, value: values.get(counter)! }));
}

/** Where `name` stands in the sorted `names`, or belongs. */
export function placeOf(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (names[middle]! < name) low = middle + 1;
    else high = middle;
  }
  return low;
}
