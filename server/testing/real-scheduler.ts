import type { Scheduler } from '../coordinator/scheduler.ts';

/** Timers and turns of Node itself. */
export const realScheduler: Scheduler = {
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  defer: (callback) => void setImmediate(callback),
};
