import { describe, expect, it } from 'vitest';
import { VirtualClock, VirtualScheduler } from './virtual-time.ts';

describe('virtual time', () => {
  it('fires timers at their times and in their order, those set on the way included', async () => {
    const clock = new VirtualClock({ nowMs: 0, utcMs: 0 });
    const scheduler = new VirtualScheduler(clock);
    const fired: string[] = [];
    const note = (name: string) => () => fired.push(`${name} at ${clock.nowMs()}`);
    scheduler.setTimer(20, note('second'));
    scheduler.setTimer(10, () => {
      note('first')();
      scheduler.setTimer(5, note('set on the way'));
      scheduler.defer(note('deferred'));
      void Promise.resolve().then(note('promised'));
    });
    const cancel = scheduler.setTimer(12, note('cancelled'));
    cancel();
    scheduler.setTimer(31, note('later'));
    await scheduler.advance(30);
    expect(fired).toEqual(['first at 10', 'promised at 10', 'deferred at 10', 'set on the way at 15', 'second at 20']);
    expect([clock.nowMs(), clock.utcMs(), scheduler.timerCount]).toEqual([30, 30, 1]);
  });

  it('fires after a pause what was missed, once, and late', async () => {
    const clock = new VirtualClock({ nowMs: 0 });
    const scheduler = new VirtualScheduler(clock);
    const fired: number[] = [];
    const again = () => {
      fired.push(clock.nowMs());
      scheduler.setTimer(10, again);
    };
    again();
    clock.move(95);
    await scheduler.advance(0);
    expect(fired).toEqual([0, 95]);
    await scheduler.advance(10);
    expect(fired).toEqual([0, 95, 105]);
  });

  it('runs deferred callbacks a turn at a time', async () => {
    const scheduler = new VirtualScheduler(new VirtualClock());
    const ran: string[] = [];
    scheduler.defer(() => {
      ran.push('one');
      scheduler.defer(() => ran.push('two'));
    });
    expect(await scheduler.runTurn()).toBe(true);
    expect(ran).toEqual(['one']);
    await scheduler.runTurns();
    expect(ran).toEqual(['one', 'two']);
    expect(await scheduler.runTurn()).toBe(false);
  });

  it('takes no timer that a real one could not be', () => {
    const scheduler = new VirtualScheduler(new VirtualClock());
    expect(() => scheduler.setTimer(2 ** 31, () => {})).toThrow('ahead');
    expect(() => scheduler.setTimer(Number.NaN, () => {})).toThrow('ahead');
  });
});
