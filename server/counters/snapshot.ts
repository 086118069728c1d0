/**
 * The durable state as a stream of small values, and back: `counter` records, then `key` records, the oldest first. Each
 * begins with its kind and the version of its fields. A later version of a kind only adds fields at its end.
 */
import { NewerDataError } from '../coordinator/domain.ts';
import { setValue } from './apply.ts';
import type { CounterState } from './state.ts';

export type StateRecord =
  | readonly [kind: 'counter', version: 1, counter: string, value: number]
  | readonly [
      kind: 'key',
      version: 1,
      holder: string,
      key: string,
      counter: string,
      by: number,
      value: number,
      atMs: number,
    ];

/** The latest version of each kind: the one that is written. */
export const VERSIONS = { counter: 1, key: 1 } as const satisfies Record<StateRecord[0], number>;

export function* encodeState({ values, keys }: CounterState): Generator<StateRecord> {
  for (const [counter, value] of values) yield ['counter', VERSIONS.counter, counter, value];
  for (const { holder, key, counter, by, value, atMs } of keys) {
    yield ['key', VERSIONS.key, holder, key, counter, by, value, atMs];
  }
}

export function restoreState(state: CounterState, value: unknown): void {
  const record = knownRecord(value);
  if (record[0] === 'counter') return setValue(state, record[2], record[3]);
  const [, , holder, key, counter, by, answered, atMs] = record;
  state.keys.add({ holder, key, counter, by, value: answered, atMs });
}

/** Throws on what this build doesn't know. */
export function knownRecord(value: unknown): StateRecord {
  const record = value as StateRecord;
  const latest = Object.hasOwn(VERSIONS, record[0]) ? VERSIONS[record[0]] : 0;
  if (record[1] >= 1 && record[1] <= latest) return record;
  throw new NewerDataError(`record ${String(record[0])} version ${String(record[1])} in a snapshot`);
}
