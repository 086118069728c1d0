import { describe, expect, it } from 'vitest';
import { parseTime } from './past-time.ts';

describe('a time of the past', () => {
  const nowMs = Date.UTC(2026, 0, 5, 12);

  it.each([
    ['2026-01-05T00:00:30Z', Date.UTC(2026, 0, 5, 0, 0, 30)],
    ['2026-01-05T00:00:30.5', Date.UTC(2026, 0, 5, 0, 0, 30, 500)],
    ['2026-01-05 00:00', Date.UTC(2026, 0, 5)],
    ['2026-01-05', Date.UTC(2026, 0, 5)],
    ['2026-01-05T00:00:30+02:00', Date.UTC(2026, 0, 4, 22, 0, 30)],
    ['2026-01-05T00:00:30-0130', Date.UTC(2026, 0, 5, 1, 30, 30)],
    // As a query gives a `+` that nobody encoded.
    ['2026-01-05T00:00:30 02:00', Date.UTC(2026, 0, 4, 22, 0, 30)],
    ['2026-01-05 00:00 02:00', Date.UTC(2026, 0, 4, 22)],
    ['90s ago', nowMs - 90_000],
    ['-90s', nowMs - 90_000],
    ['-1.5h', nowMs - 5_400_000],
    ['1.5h ago', nowMs - 5_400_000],
    ['250ms ago', nowMs - 250],
  ])('%s is understood', (text, utcMs) => {
    expect(parseTime(text, nowMs)).toBe(utcMs);
  });

  it.each([
    '',
    'yesterday',
    '2026-02-30',
    '2026-13-01',
    '2026-01-05T24:00:00Z',
    '10',
    '1e3s ago',
    '90s',
    '-90s ago',
    '-90',
    '2026-01-05T00:00:30 CET',
  ])('"%s" is not', (text) => {
    expect(parseTime(text, nowMs)).toBeUndefined();
  });
});
