import { setTimeout as sleep } from 'node:timers/promises';
import { assertNever } from '../../../protocol/assert.ts';
import { EtcdSession } from './etcd-session.ts';
import { Histogram } from './histogram.ts';
import type { KeyRange } from './lane-keys.ts';
import { LeaseholdSession } from './leasehold-session.ts';
import { RedisSession } from './redis-session.ts';
import type { Load, Session } from './session.ts';
import { IN_FLIGHT_MAX, type LoadResult, type LoadTask } from './task.ts';

/** Sessions that connect at the same time. */
const CONNECTING_MAX = 100;
/** Lanes that come to their end, and no longer: a lane that waits on is an answer that was lost. */
const END_MS_MAX = 10_000;
/** For so many sessions at a time to connect and be greeted. */
const GREETING_MS_MAX = 10_000;
const KEYS = 10_000;

/** Acquires and releases in turn on every lane. `onWindow` hears where the window begins and ends. Throws where anything fails. */
export async function runLoad(task: LoadTask, onWindow: (edge: 'begun' | 'ended') => void): Promise<LoadResult> {
  let onFailed: ((error: Error) => void) | undefined;
  const failed = new Promise<never>((_, reject) => {
    onFailed = reject;
  });
  const load: Load = {
    acquired: new Histogram(),
    released: new Histogram(),
    nowMs: 0,
    isCounting: false,
    isEnding: false,
    busyLanes: 0,
    fail: (error) => onFailed!(error),
  };
  if (task.inFlight < 1 || task.inFlight > IN_FLIGHT_MAX) throw new Error(`${task.inFlight} requests in flight`);
  const sessions = Array.from({ length: task.sessions }, (_, index) => session(load, task, index));
  try {
    return await Promise.race([failed, measured(load, task, sessions, onWindow)]);
  } finally {
    for (const each of sessions) each.close();
  }
}

function session(load: Load, { speaks, port, sessions, inFlight }: LoadTask, index: number): Session {
  const step = sessions * inFlight;
  const range: KeyRange = { first: index * inFlight, step, size: Math.max(KEYS, step) };
  switch (speaks) {
    case 'leasehold':
      return new LeaseholdSession(load, port, inFlight);
    case 'redis':
      return new RedisSession(load, port, inFlight, range);
    case 'etcd':
      return new EtcdSession(load, port, inFlight, range);
    default:
      return assertNever(speaks);
  }
}

async function measured(
  load: Load,
  { warmUpMs, measureMs }: LoadTask,
  sessions: readonly Session[],
  onWindow: (edge: 'begun' | 'ended') => void,
): Promise<LoadResult> {
  for (let from = 0; from < sessions.length; from += CONNECTING_MAX) {
    const opening = Promise.all(sessions.slice(from, from + CONNECTING_MAX).map((each) => each.open()));
    const silence = sleep(GREETING_MS_MAX, 'silence', { ref: false });
    if ((await Promise.race([opening, silence])) === 'silence') {
      throw new Error(`a peer has not greeted within ${GREETING_MS_MAX / 1_000} s, with ${from} sessions open before`);
    }
  }
  for (const each of sessions) each.start();
  await sleep(warmUpMs);
  onWindow('begun');
  const cpu = process.cpuUsage();
  const beginMs = performance.now();
  load.isCounting = true;
  await sleep(measureMs);
  load.isCounting = false;
  const windowMs = performance.now() - beginMs;
  const { user, system } = process.cpuUsage(cpu);
  onWindow('ended');
  load.isEnding = true;
  for (let waitedMs = 0; load.busyLanes > 0; waitedMs += 10) {
    if (waitedMs >= END_MS_MAX) throw new Error(`${load.busyLanes} requests were never answered`);
    await sleep(10);
  }
  const all = new Histogram();
  all.add(load.acquired);
  all.add(load.released);
  // To be compared with nothing is no comparison: whoever is beside it would win by any measure.
  if (all.total === 0) throw new Error(`nothing was answered in ${Math.round(windowMs)} ms`);
  return {
    operations: all.total,
    windowMs,
    all: all.latencies(),
    acquire: load.acquired.latencies(),
    release: load.released.latencies(),
    generatorCpu: (user + system) / 1_000 / windowMs,
  };
}
