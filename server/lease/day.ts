import type { LeaseEvent } from './events.ts';
import { DAY_MS, utcDay } from './rolling-requests.ts';
import type { LeaseState } from './state.ts';
import { usageEvents } from './unwritten-usage.ts';

/** What turns the day, where a new one has come: before anything that counts requests, or asks how many there were. */
export function dayEvents(state: LeaseState, utcMs: number): readonly LeaseEvent[] {
  const day = utcDay(utcMs);
  // What isn't written yet was used on the day that is over.
  return day > state.today.day ? [...usageEvents(state), { type: 'DayTurned', day }] : NO_EVENTS;
}

const NO_EVENTS: readonly LeaseEvent[] = [];

/** When the next day begins, by the coordinator's clock and as far as the wall clock now says. */
export function nextDayMs(nowMs: number, utcMs: number): number {
  return nowMs + DAY_MS - (utcMs % DAY_MS);
}
