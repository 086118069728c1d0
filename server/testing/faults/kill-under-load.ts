import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readyCoordinator, samplePool, spawnCoordinator } from '../coordinator-run.ts';
import { CRASH_POOL, type CrashResult, crashUnderLoad } from '../crash-load.ts';
import { seededRandom } from '../seeded-random.ts';
import type { FaultRun } from './fault-run.ts';
import { finding } from './finding.ts';

const NAME = 'kill-under-load';
const TRANSPORTS = ['uws', 'ws'];
const LOAD_MS = [50, 400] as const;
/** Fills a segment in a few of these runs, so that rotations and snapshots are among what is killed. */
const PADDING_CHARS = 1_500;

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
    const pool = join(folder, 'pool.json');
    await writeFile(pool, JSON.stringify(samplePool(CRASH_POOL.count, CRASH_POOL.resourceIds)));
    const flags = ['--data-dir', join(folder, 'data'), '--pool', pool, '--transport', transport];
    const sizes = ['--segment-bytes', '4194304', '--snapshot-bytes', '1048576'];
    return await crashUnderLoad({
      random: seededRandom(seed),
      crashes,
      loadMs: LOAD_MS,
      paddingChars: PADDING_CHARS,
      start: () => readyCoordinator(spawnCoordinator([...flags, ...sizes])),
      crash: async (coordinator) => void (await coordinator.kill('SIGKILL')),
      onCrash,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
