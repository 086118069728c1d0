import { assertNever } from '../../protocol/assert.ts';
import { COUNT_KEYS_MS, COUNTERS_MAX } from '../../protocol/limits.ts';
import { type Decision, type DecisionContext, EVENTS_PER_DECISION_MAX } from '../coordinator/domain.ts';
import type { AddToCounter, CounterAnswer, CounterCommand, Rejected } from './commands.ts';
import type { CounterEvent } from './events.ts';
import type { CounterState } from './state.ts';

export type CounterDecision = Decision<CounterCommand, CounterEvent, CounterAnswer, never>;

/** Keys whose time is over stay so much longer, unseen, so that one event forgets many. */
const FORGET_LATE_MS = 10_000;
/** So often the clock is on disk while a key is kept: a tenth of its time is what a restart adds at most. */
const CLOCK_MARK_MS = COUNT_KEYS_MS / 10;
const RETRY_AFTER_MS = 1_000;

const DONE = { type: 'done' } as const;

/** The answer to every command: what happens, and what is said of it. Changes nothing. */
export function decide(state: CounterState, command: CounterCommand, { nowMs }: DecisionContext): CounterDecision {
  switch (command.type) {
    case 'AddToCounter':
      return addToCounter(state, command, nowMs);
    case 'DeleteCounter': {
      const { counter } = command;
      if (!state.values.has(counter)) return { events: [], answer: { type: 'unknown' } };
      return { events: [{ type: 'CounterDeleted', counter }], answer: { type: 'deleted' } };
    }
    case 'SetStorage': {
      const { level } = command;
      return { events: level === state.storage ? [] : [{ type: 'StorageChanged', level }], answer: DONE };
    }
    case 'Due':
      return forgetKeys(state, nowMs);
    default:
      return assertNever(command);
  }
}

function addToCounter(state: CounterState, command: AddToCounter, nowMs: number): CounterDecision {
  const { holder, counter, by, key } = command;
  const former = key === undefined ? undefined : state.keys.find(holder, key, nowMs);
  if (former) {
    if (former.counter !== counter || former.by !== by) {
      return rejected({ code: 'key_reused', message: 'key: was used for another request', path: 'key' });
    }
    return { events: [], answer: { type: 'counted', counter, value: former.value } };
  }
  if (counter === '.' || counter === '..') {
    return rejected({ code: 'bad_field', message: `counter: ${counter} can't stand in a URL`, path: 'counter' });
  }
  const before = state.values.get(counter);
  // Nobody needs an event that changes nothing.
  if (by === 0 && key === undefined) return { events: [], answer: { type: 'counted', counter, value: before ?? 0 } };
  if (state.storage !== 'ample') {
    const message = 'the disk is nearly full: nothing new is taken; try again later';
    return rejected({ code: 'storage_full', message, retryAfterMs: RETRY_AFTER_MS });
  }
  if (before === undefined && state.values.size >= COUNTERS_MAX) {
    const message = `counter: there are ${COUNTERS_MAX} counters already`;
    return rejected({ code: 'too_many', message, path: 'counter' });
  }
  const value = (before ?? 0) + by;
  if (!Number.isSafeInteger(value)) {
    const message = `by: the counter would be beyond ±${Number.MAX_SAFE_INTEGER}`;
    return rejected({ code: 'bad_field', message, path: 'by' });
  }
  // No earlier than it is: a key is kept for its time at least.
  const keyed = key === undefined ? {} : { holder, key, atMs: Math.ceil(nowMs) };
  return {
    events: [{ type: 'CounterAdded', counter, by, value, ...keyed }],
    answer: { type: 'counted', counter, value },
  };
}

function rejected(why: Omit<Rejected, 'type'>): CounterDecision {
  return { events: [], answer: { type: 'rejected', ...why } };
}

/** When `Due` has something to do. While the disk is nearly full nothing is written for it: no key is added then, either. */
export function dueMs({ keys, storage }: CounterState): number | undefined {
  const { oldestAtMs } = keys;
  if (oldestAtMs === undefined || storage !== 'ample') return undefined;
  return oldestAtMs + COUNT_KEYS_MS + FORGET_LATE_MS;
}

/** One slice of what is over; the rest is due at once. */
function forgetKeys({ keys, storage }: CounterState, nowMs: number): CounterDecision {
  const upToMs = storage === 'ample' ? keys.overUpToMs(nowMs, EVENTS_PER_DECISION_MAX) : undefined;
  return { events: upToMs === undefined ? [] : [{ type: 'KeysForgotten', upToMs }], answer: DONE };
}

export function clockMarkMs({ keys }: CounterState): number | undefined {
  return keys.size > 0 ? CLOCK_MARK_MS : undefined;
}
