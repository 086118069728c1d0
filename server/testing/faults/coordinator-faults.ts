import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT } from '../../exit.ts';
import type { CoordinatorProcess } from '../coordinator-run.ts';
import { type CrashResult, crashUnderLoad } from '../crash-load.ts';
import { startForCrash } from '../crash-start.ts';
import { seededRandom } from '../seeded-random.ts';
import type { FaultRun } from './fault-run.ts';
import { finding } from './finding.ts';
import { attachStrace, ONE_FILE_THREAD, parseTrace } from './strace.ts';

const NAME = 'coordinator-faults';
const TRANSPORTS = ['uws', 'ws'];
const LOAD_MS = [50, 500] as const;
/** A write to the journal comes within milliseconds under load. */
const FAULT_WAIT_MS = 10_000;
const FAULTS = ['error=EIO', 'error=ENOSPC', 'signal=KILL'];
/** One of so many writes from the moment of the fault on. */
const WRITES = 8;

/**
 * The whole coordinator under load while one of its writes fails or is its last: what it could not make durable ends it,
 * no collector was told of it, and all that they were told of is there after the next start.
 */
export const coordinatorFaults: FaultRun = async ({ seed, cases, onProgress }) => {
  let doneCount = 0;
  const onCrash = () => {
    doneCount += 1;
    onProgress?.(doneCount);
  };
  const runs = await Promise.all(
    TRANSPORTS.map((transport, index) => {
      const crashes = Math.ceil((cases - index) / TRANSPORTS.length);
      return faultAgainAndAgain(transport, seededRandom(seed * TRANSPORTS.length + index), crashes, onCrash);
    }),
  );
  return {
    cases: runs.reduce((sum, { crashes }) => sum + crashes, 0),
    findings: runs.flatMap(({ findings }, index) =>
      findings.map((what) => finding(NAME, seed, `${TRANSPORTS[index]}: ${what}`)),
    ),
  };
};

async function faultAgainAndAgain(
  transport: string,
  random: () => number,
  crashes: number,
  onCrash: () => void,
): Promise<CrashResult> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-faults-'));
  const at = { dir: join(folder, 'data'), poolFile: join(folder, 'pool.json'), transport, env: ONE_FILE_THREAD };
  let count = 0;
  try {
    return await crashUnderLoad({
      random,
      crashes,
      loadMs: LOAD_MS,
      mayBeFull: true,
      start: () => startForCrash({ ...at, random }),
      async crash(coordinator) {
        const fault = FAULTS[count % FAULTS.length]!;
        count += 1;
        await failWrite(coordinator, join(folder, 'trace'), fault, 1 + Math.floor(random() * WRITES));
      },
      onCrash,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Lets one write fail, and throws where the process doesn't end as it must. */
async function failWrite(coordinator: CoordinatorProcess, trace: string, fault: string, nth: number): Promise<void> {
  const inject = `pwrite64:${fault}:when=${nth}`;
  const tracer = await attachStrace(coordinator.pid, { trace, calls: ['pwrite64'], inject });
  const hit = await hitBy(trace, coordinator);
  if (hit === undefined) throw new Error(`no write was hit by ${inject} in ${FAULT_WAIT_MS} ms`);
  // Room that is not there ahead of its need ends nothing.
  const isFatal = fault !== 'error=ENOSPC' || /\d{20}\.delta$/.test(hit);
  if (!isFatal) await coordinator.kill('SIGKILL');
  const late = new Promise<undefined>((resolve) => void setTimeout(resolve, FAULT_WAIT_MS, undefined).unref());
  const exit = await Promise.race([coordinator.exited, late]);
  tracer.kill('SIGKILL');
  if (!isFatal) return;
  if (!exit) {
    await coordinator.kill('SIGKILL');
    throw new Error(`it went on after ${inject} at ${hit}`);
  }
  const isRight = fault === 'signal=KILL' ? exit.signal === 'SIGKILL' : exit.code === EXIT.storage;
  if (!isRight) throw new Error(`it ended with ${exit.signal ?? exit.code} after ${inject} at ${hit}`);
}

/** The file of the write that was hit; undefined: none was. */
async function hitBy(trace: string, coordinator: CoordinatorProcess): Promise<string | undefined> {
  let hasExited = false;
  void coordinator.exited.then(() => {
    hasExited = true;
  });
  for (const endMs = Date.now() + FAULT_WAIT_MS; Date.now() < endMs; ) {
    const wasOver = hasExited;
    const calls = parseTrace(await readFile(trace, 'utf8'));
    const hit = calls.find(({ result }) => result?.includes('(INJECTED)')) ?? (wasOver ? calls.at(-1) : undefined);
    // The file that it was written to.
    if (hit) return /<([^>]*)>/.exec(hit.arguments)?.[1];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return undefined;
}
