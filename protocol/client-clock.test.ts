import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { elapsedMs, type Moment, remainingMs, shift, startTimer, withClockMargin } from './client-clock.ts';

const DAY_MS = 24 * 3_600_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const clocksAt = ({ monoMs, wallMs }: Moment) => ({ monoMs: () => monoMs, wallMs: () => wallMs });

test('a deadline is over as soon as either clock says so', () => {
  const deadline = shift({ monoMs: 0, wallMs: 1_000 }, 500);
  expect(remainingMs(deadline, clocksAt({ monoMs: 100, wallMs: 1_100 }))).toBe(400);
  // The machine slept: the monotonic clock stood still.
  expect(remainingMs(deadline, clocksAt({ monoMs: 100, wallMs: 1_600 }))).toBe(-100);
  // The wall clock was set back.
  expect(remainingMs(deadline, clocksAt({ monoMs: 600, wallMs: 0 }))).toBe(-100);
});

test('as much time has passed as the clock says that went further', () => {
  const since = { monoMs: 0, wallMs: 1_000 };
  expect(elapsedMs(since, clocksAt({ monoMs: 10, wallMs: 4_000 }))).toBe(3_000);
  expect(elapsedMs(since, clocksAt({ monoMs: 10, wallMs: 0 }))).toBe(10);
});

test('a holder uses a thousandth less of a TTL than it was granted', () => {
  expect(withClockMargin(30_000)).toBe(29_970);
});

test('a timer longer than setTimeout can take fires at its time, not at once', () => {
  const callback = vi.fn();
  startTimer(60 * DAY_MS, callback);
  vi.advanceTimersByTime(60 * DAY_MS - 1);
  expect(callback).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(callback).toHaveBeenCalledTimes(1);
});

test('a long timer can be called off in any of its stretches', () => {
  const callback = vi.fn();
  const cancel = startTimer(60 * DAY_MS, callback);
  vi.advanceTimersByTime(59 * DAY_MS);
  cancel();
  vi.advanceTimersByTime(60 * DAY_MS);
  expect(callback).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});
