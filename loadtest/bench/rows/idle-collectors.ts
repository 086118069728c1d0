/** Collectors that do nothing: `node idle-collectors.js PORT SESSIONS`, told what to do by the process that started it. */
import { Failures, inFlight, within } from './figures.ts';
import { FleetSession } from './fleet.ts';

/** Open them all; ask each whether it is there. */
export type IdleTask = 'open' | 'ping';

export interface IdleReport {
  /** Of each session that did it. */
  readonly tookMs: number[];
  /** What went wrong since the last report, and how often. */
  readonly failed: [what: string, count: number][];
}

const AT_ONCE = 50;
const PONG_MS_MAX = 10_000;

const port = Number(process.argv[2]);
const count = Number(process.argv[3]);
const failures = new Failures();
const sessions: FleetSession[] = [];

process.once('disconnect', () => process.exit(0));
process.on('message', (task: IdleTask) => {
  void run(task).then((report) => process.send!(report));
});

async function run(task: IdleTask): Promise<IdleReport> {
  const tookMs: number[] = [];
  await inFlight(count, AT_ONCE, async (index) => {
    const startMs = performance.now();
    try {
      if (task === 'open') sessions[index] = await FleetSession.open(index, { port, sessions: count, failures });
      else await ping(sessions[index]);
      tookMs.push(performance.now() - startMs);
    } catch (error) {
      failures.add((error as Error).message);
    }
  });
  return { tookMs, failed: failures.take() };
}

async function ping(session: FleetSession | undefined): Promise<void> {
  if (!session) throw new Error('a session that was never opened');
  const { type } = await within('a pong', PONG_MS_MAX, session.request({ type: 'ping' }));
  if (type !== 'pong') throw new Error(`a ping is answered ${type}`);
}
