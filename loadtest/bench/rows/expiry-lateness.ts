/**
 * How late collectors learn that a lease has expired, where very many do each second.
 *
 * Leases are granted at an even pace, so they end at the same pace one TTL later, when nothing else is asked. When exactly a
 * lease ends only the coordinator knows: one TTL behind its decision, which lies between the moment its acquire was sent
 * and the moment the grant arrived. Lateness is counted from the first of the two (what the collector itself goes by), so
 * the acquire's way there and this process's own delays are in it; `at least` is counted from the second.
 */
import { existsSync } from 'node:fs';
import type { Measure, Row, RowContext } from '../row.ts';
import {
  type CoordinatorProcess,
  idsTo,
  poolRecords,
  SLOW_COMMIT_MS,
  WITHOUT_SNAPSHOTS,
  withCoordinator,
} from './coordinator-process.ts';
import { Failures, medianOfRounds, quantile } from './figures.ts';
import { type Heard, withFleet } from './fleet.ts';

export interface ExpiryLatenessSize {
  readonly perSecond: number;
  readonly sessions: number;
}

const FULL: ExpiryLatenessSize = { perSecond: 10_000, sessions: 1_000 };
const P99_MS_MAX = 20;
const RESOURCES = 50;
/** Of pairs, beyond those leased. */
const SPARE_SHARE = 1.1;
/** Between the last grant and the first end. */
const QUIET_MS = 1_500;
const WARM_UP_S = 1;
/** A folder of files in memory, where there is one. */
const MEMORY_DIR = '/dev/shm';
const TICK_MS = 1;
/** Notices that come later than this are lost. */
const LATE_MS_MAX = 5_000;
const POLL_MS = 20;
/** Slower than this share of the pace it is another load than the one meant. */
const PACE_SHARE_MIN = 0.95;

export function expiryLateness(size: ExpiryLatenessSize = FULL): Row {
  return {
    name: 'expiry-lateness',
    title: `lateness of an expiry notice at ${size.perSecond} expiries/s`,
    figure: `p99 ≤ ${P99_MS_MAX} ms`,
    async run(context) {
      const failures = new Failures();
      const measures = await rounds(context, size, failures);
      const isReached = p99Of(measures) <= P99_MS_MAX;
      // Was it the disk? Nothing is said before it is there.
      if (!isReached && !context.dir.startsWith(MEMORY_DIR) && existsSync(MEMORY_DIR)) {
        const inMemory = await rounds({ ...context, dir: MEMORY_DIR }, size, failures);
        measures.push(...inMemory.map((measure) => ({ ...measure, name: `${measure.name}, data folder in memory` })));
      }
      return failures.result(context, measures, isReached);
    },
  };
}

function p99Of(measures: readonly Measure[]): number {
  return measures.find(({ name }) => name === 'p99')!.value;
}

async function rounds(context: RowContext, size: ExpiryLatenessSize, failures: Failures): Promise<Measure[]> {
  const addresses = Math.ceil((size.perSecond * context.seconds * SPARE_SHARE) / RESOURCES) + 1;
  const pool = poolRecords(addresses, idsTo(RESOURCES));
  return withCoordinator(context.dir, { flags: WITHOUT_SNAPSHOTS, pool }, async (coordinator) => {
    await round({ ...context, seconds: WARM_UP_S }, coordinator, size, new Failures());
    const measured: Measure[][] = [];
    for (let nth = 1; nth <= context.rounds; nth += 1) {
      context.say(`in ${context.dir}, round ${nth} of ${context.rounds}`);
      const before = await coordinator.commits();
      const measures = await round(context, coordinator, size, failures);
      const { all, slow } = await coordinator.commits();
      const share = (100 * (slow - before.slow)) / (all - before.all);
      measured.push([...measures, { name: `commits over ${SLOW_COMMIT_MS} ms`, value: share, unit: '%' }]);
    }
    return medianOfRounds(measured);
  });
}

async function round(
  { seconds }: Pick<RowContext, 'seconds'>,
  { port }: CoordinatorProcess,
  { perSecond, sessions: count }: ExpiryLatenessSize,
  failures: Failures,
): Promise<Measure[]> {
  const total = Math.floor(perSecond * seconds);
  const ttlMs = Math.round(seconds * 1_000) + QUIET_MS;
  const leases = new Map<number, { sentMs: number; grantedMs: number }>();
  const lateness: number[] = [];
  const latenessAtLeast: number[] = [];
  let lastSentMs = 0;
  const onFrame = (frame: Heard) => {
    if (frame.type !== 'expired') {
      if (frame.type !== 'expiring') failures.add(`instead of a notice: ${frame.type}`);
      return;
    }
    const lease = leases.get(frame.lease);
    if (!lease) return failures.add('expired before it was granted');
    leases.delete(frame.lease);
    const nowMs = performance.now();
    lateness.push(nowMs - lease.sentMs - ttlMs);
    latenessAtLeast.push(nowMs - lease.grantedMs - ttlMs);
  };
  return withFleet({ port, sessions: count, failures, onFrame }, async (sessions) => {
    let answered = 0;
    const acquire = async (nth: number) => {
      const sentMs = performance.now();
      lastSentMs = sentMs;
      const request = { type: 'acquire', resource: 1 + (nth % RESOURCES), ttl_ms: ttlMs } as const;
      const answer = await sessions[nth % count]!.request(request);
      answered += 1;
      if (answer.type === 'granted' && 'lease' in answer && !answer.clamped) {
        leases.set(answer.lease, { sentMs, grantedMs: performance.now() });
      } else failures.add(`an acquire is answered ${answer.type}`);
    };
    const startMs = performance.now();
    await new Promise<void>((done) => {
      let sent = 0;
      const timer = setInterval(() => {
        const due = Math.min(total, ((performance.now() - startMs) / 1_000) * perSecond);
        for (; sent < due; sent += 1) void acquire(sent);
        if (sent < total) return;
        clearInterval(timer);
        done();
      }, TICK_MS);
    });
    const endMs = performance.now() + ttlMs + LATE_MS_MAX;
    await new Promise<void>((done) => {
      const timer = setInterval(() => {
        if ((answered < total || leases.size > 0) && performance.now() < endMs) return;
        clearInterval(timer);
        done();
      }, POLL_MS);
    });
    failures.add('acquires never answered', total - answered);
    failures.add('notices that never came', leases.size);
    failures.add('notices before the end', lateness.filter((lateMs) => lateMs < 0).length);
    // Ends come at the pace of the grants.
    const pace = (total * 1_000) / (lastSentMs - startMs);
    if (pace < perSecond * PACE_SHARE_MIN) failures.add(`only ${Math.round(pace)} expiries/s`);
    return [
      { name: 'p99', value: quantile(lateness, 0.99), unit: 'ms' },
      { name: 'p50', value: quantile(lateness, 0.5), unit: 'ms' },
      { name: 'most', value: quantile(lateness, 1), unit: 'ms' },
      { name: 'p99 at least', value: quantile(latenessAtLeast, 0.99), unit: 'ms' },
      { name: 'expiries', value: pace, unit: '/s' },
    ];
  });
}
