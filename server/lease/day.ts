import type { LeaseEvent } from './events.ts';
import { utcDay } from './rolling-requests.ts';
import type { LeaseState } from './state.ts';

/** What turns the day, where a new one has come: before anything that counts requests, or asks how many there were. */
export function dayEvents(state: LeaseState, utcMs: number): LeaseEvent[] {
  const day = utcDay(utcMs);
  return day > state.today.day ? [{ type: 'DayTurned', day }] : [];
}
