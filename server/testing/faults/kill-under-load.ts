import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CrashResult, crashUnderLoad } from '../crash-load.ts';
import { startForCrash } from '../crash-start.ts';
import { seededRandom } from '../seeded-random.ts';
import type { FaultRun } from './fault-run.ts';
import { finding } from './finding.ts';

const NAME = 'kill-under-load';
const TRANSPORTS = ['uws', 'ws'];
/** The longest let a snapshot be made and what it replaces be removed. */
const LOAD_MS = [50, 1_500] as const;

/** `kill -9` while collectors are served: what they were told is so after the next start, over each transport. */
export const killUnderLoad: FaultRun = async ({ seed, cases, onProgress }) => {
  let doneCount = 0;
  const runs = await Promise.all(
    TRANSPORTS.map((transport, index) => {
      const crashes = Math.ceil((cases - index) / TRANSPORTS.length);
      return killed(transport, seed * TRANSPORTS.length + index, crashes, () => {
        doneCount += 1;
        onProgress?.(doneCount);
      });
    }),
  );
  return {
    cases: runs.reduce((sum, { crashes }) => sum + crashes, 0),
    findings: runs.flatMap(({ findings }, index) =>
      findings.map((what) => finding(NAME, seed, `${TRANSPORTS[index]}: ${what}`)),
    ),
  };
};

async function killed(transport: string, seed: number, crashes: number, onCrash: () => void): Promise<CrashResult> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-kill-'));
  try {
    const at = { dir: join(folder, 'data'), poolFile: join(folder, 'pool.json'), transport };
    const random = seededRandom(seed);
    return await crashUnderLoad({
      random,
      crashes,
      loadMs: LOAD_MS,
      start: () => startForCrash({ ...at, random }),
      crash: async (coordinator) => void (await coordinator.kill('SIGKILL')),
      onCrash,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
