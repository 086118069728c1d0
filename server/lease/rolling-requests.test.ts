import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RollingRequests, utcDay } from './rolling-requests.ts';

const DAY = 20_000;

describe('RollingRequests', () => {
  it('agrees with a list of what was counted on which day', () => {
    const step = fc.record({
      daysOn: fc.constantFrom(0, 0, 0, 1, 1, 2, 6, 7, 8, 30),
      daysBack: fc.constantFrom(0, 0, 1, 6, 7, 20),
      requests: fc.integer({ min: -3, max: 20 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.nat({ max: 9 }), (steps, idleDays) => {
        let rolling = RollingRequests.starting(DAY, 5);
        const counted = new Map([[DAY, 5]]);
        let today = DAY;
        for (const { daysOn, daysBack, requests } of steps) {
          today += daysOn;
          const day = Math.max(DAY, today - daysBack);
          rolling.add(day, requests);
          counted.set(day, Math.max(0, (counted.get(day) ?? 0) + requests));
          rolling = RollingRequests.decode(rolling.encode());
          expect(rolling.total(today)).toBe(sumOfWeek(counted, today));
        }
        expect(rolling.total(today + idleDays)).toBe(sumOfWeek(counted, today + idleDays));
      }),
    );
  });

  it('counts a figure for seven days, the day of its import included', () => {
    const rolling = RollingRequests.starting(DAY, 100);
    expect(rolling.total(DAY + 6)).toBe(100);
    expect(rolling.total(DAY + 7)).toBe(0);
    rolling.add(DAY + 6, 3);
    expect(rolling.total(DAY + 6)).toBe(103);
    expect(rolling.total(DAY + 7)).toBe(3);
    expect(rolling.total(DAY + 12)).toBe(3);
    expect(rolling.total(DAY + 13)).toBe(0);
  });

  it('takes nothing back from a day that has gone', () => {
    const rolling = RollingRequests.starting(DAY, 100);
    rolling.add(DAY + 7, 2);
    rolling.add(DAY, -1);
    expect(rolling.total(DAY + 7)).toBe(2);
  });

  it('knows the UTC day of a moment', () => {
    expect(utcDay(Date.UTC(1970, 0, 2))).toBe(1);
    expect(utcDay(Date.UTC(2026, 0, 5, 23, 59, 59, 999))).toBe(utcDay(Date.UTC(2026, 0, 5)));
    expect(utcDay(Date.UTC(2026, 0, 6))).toBe(utcDay(Date.UTC(2026, 0, 5)) + 1);
  });
});

function sumOfWeek(counted: ReadonlyMap<number, number>, today: number): number {
  let sum = 0;
  for (const [day, requests] of counted) if (day > today - 7) sum += requests;
  return sum;
}
