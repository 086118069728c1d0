/**
 * What a session that does nothing takes of the coordinator's memory, and whether very many of them stay alive. The
 * collectors are processes of their own, since each of the sockets is an open file at both ends.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { keepTrack } from '../processes.ts';
import type { Row } from '../row.ts';
import { type CoordinatorProcess, WITHOUT_SNAPSHOTS, withCoordinator } from './coordinator-process.ts';
import { Failures, quantile, within } from './figures.ts';
import type { IdleReport, IdleTask } from './idle-collectors.ts';

export interface IdleSessionsSize {
  readonly sessions: number;
  /** Opened and closed before memory is read: code is compiled. */
  readonly warmUp: number;
  /** How long they are left alone before each is asked whether it is there. */
  readonly idleMs: number;
}

/** Two heartbeats of the coordinator and a half. */
const FULL: IdleSessionsSize = { sessions: 20_000, warmUp: 1_000, idleMs: 25_000 };
const KILOBYTES_EACH_MAX = 10;
const COLLECTORS = join(import.meta.dirname, 'idle-collectors.js');
const PROCESSES = 2;
/** Open files of a coordinator that are no sessions; it has some thirty. */
const FILES_BESIDE = 60;
const ANSWER_MS_MAX = 120_000;

export function idleSessions(size: IdleSessionsSize = FULL): Row {
  return {
    name: 'idle-sessions',
    title: 'idle sessions on uWS',
    figure: `≥ ${size.sessions}, ≤ ${KILOBYTES_EACH_MAX} KB each`,
    async run(context) {
      const filesMax = await openFilesMax();
      const count = Math.min(size.sessions, filesMax - FILES_BESIDE);
      const missing =
        count < size.sessions
          ? `${count} sessions instead of ${size.sessions}: a process may have ${filesMax} files open here (ulimit -Hn)`
          : undefined;
      const failures = new Failures();
      return withCoordinator(context.dir, { flags: WITHOUT_SNAPSHOTS }, async (coordinator) => {
        await withCollectors(coordinator, Math.min(size.warmUp, count), (collectors) => open(collectors, failures));
        // Their leases and places are given back.
        await sleep(1_000);
        const before = await coordinator.settledMemory();
        return withCollectors(coordinator, count, async (collectors) => {
          const startMs = performance.now();
          await open(collectors, failures);
          const openMs = performance.now() - startMs;
          context.say(`${count} open`);
          const after = await coordinator.settledMemory();
          await sleep(size.idleMs);
          const pongs = await ask(collectors, 'ping', failures);
          const settled = await coordinator.settledMemory();
          const kilobytes = (bytes: number) => bytes / count / 1_000;
          const each = kilobytes(settled.residentBytes - before.residentBytes);
          const measures = [
            { name: 'resident, garbage collected', value: each, unit: 'KB/session' },
            { name: 'sessions', value: count, unit: '' },
            {
              name: 'the same before the first heartbeat',
              value: kilobytes(after.residentBytes - before.residentBytes),
              unit: 'KB/session',
            },
            {
              name: 'heap and buffers',
              value: kilobytes(settled.heapBytes - before.heapBytes),
              unit: 'KB/session',
            },
            { name: 'opened', value: (count * 1_000) / openMs, unit: '/s' },
            { name: 'answering a ping', value: pongs.length, unit: '' },
            { name: 'ping p99', value: quantile(pongs, 0.99), unit: 'ms' },
          ];
          failures.add('sessions that answer no ping', count - pongs.length);
          return failures.result(context, measures, each <= KILOBYTES_EACH_MAX, missing);
        });
      });
    },
  };
}

type Collectors = readonly ChildProcess[];

/** So many collectors over several processes, which end behind `use`. */
async function withCollectors<Value>(
  { port }: CoordinatorProcess,
  count: number,
  use: (collectors: Collectors) => Promise<Value>,
): Promise<Value> {
  const collectors = Array.from({ length: PROCESSES }, (_, nth) => {
    const own = Math.floor(((nth + 1) * count) / PROCESSES) - Math.floor((nth * count) / PROCESSES);
    const collector = fork(COLLECTORS, [String(port), String(own)], { execArgv: [] });
    keepTrack(collector);
    return collector;
  });
  try {
    return await use(collectors);
  } finally {
    for (const collector of collectors) {
      if (collector.exitCode !== null || collector.signalCode !== null) continue;
      const ended = new Promise((done) => collector.once('close', done));
      collector.kill('SIGKILL');
      await ended;
    }
  }
}

function open(collectors: Collectors, failures: Failures): Promise<number[]> {
  return ask(collectors, 'open', failures);
}

async function ask(collectors: Collectors, task: IdleTask, failures: Failures): Promise<number[]> {
  const reports = await Promise.all(
    collectors.map((collector) => {
      const report = new Promise<IdleReport>((done, fail) => {
        collector.once('message', (message) => done(message as IdleReport));
        collector.once('close', () => fail(new Error('a process of collectors has ended')));
      });
      collector.send(task);
      return within(`collectors to ${task}`, ANSWER_MS_MAX, report);
    }),
  );
  for (const { failed } of reports) for (const [what, count] of failed) failures.add(what, count);
  return reports.flatMap(({ tookMs }) => tookMs);
}

/** Of a process that this one starts: Node raises the soft limit to the hard one. */
async function openFilesMax(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8');
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1];
  return hard === 'unlimited' ? Infinity : Number(hard);
}
