import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CrashResult, crashUnderLoad } from '../crash-load.ts';
import { startForCrash } from '../crash-start.ts';
import { seededRandom } from '../seeded-random.ts';
import type { FaultRun } from './fault-run.ts';
import { finding } from './finding.ts';
import { type FileSystem, LoopMount } from './loop-mount.ts';

const TRANSPORTS = ['uws', 'ws'];
/** The longest let a snapshot be made and what it replaces be removed. */
const LOAD_MS = [50, 1_500] as const;

export interface PowerCutsOptions {
  readonly fileSystem: FileSystem;
  /** The folder that holds `dist/`; absent: the project's. */
  readonly build?: string;
}

/**
 * The real coordinator on a file system that loses, again and again, all that isn't on its disk: what collectors were
 * told is so after the next start. Two at a time, one over each transport.
 */
export function powerCuts({ fileSystem, build }: PowerCutsOptions): FaultRun {
  const name = `power-cuts-${fileSystem}`;
  return async ({ seed, cases, onProgress }) => {
    let doneCount = 0;
    const onCrash = () => {
      doneCount += 1;
      onProgress?.(doneCount);
    };
    const runs = await Promise.all(
      TRANSPORTS.map(async (transport, index) => {
        const cuts = { crashes: Math.ceil((cases - index) / TRANSPORTS.length), onCrash };
        const random = seededRandom(seed * TRANSPORTS.length + index);
        return await cutAgainAndAgain(fileSystem, { ...cuts, random, transport, ...(build ? { build } : {}) });
      }),
    );
    return {
      cases: runs.reduce((sum, { crashes }) => sum + crashes, 0),
      findings: runs.flatMap(({ findings }, index) =>
        findings.map((what) => finding(name, seed, `${TRANSPORTS[index]}: ${what}`)),
      ),
    };
  };
}

/** What the gate runs, and the soak too. */
export const powerCutsExt4 = powerCuts({ fileSystem: 'ext4' });
/** For the soak. */
export const powerCutsXfs = powerCuts({ fileSystem: 'xfs' });

interface Cuts {
  readonly random: () => number;
  readonly crashes: number;
  readonly transport: string;
  readonly build?: string;
  onCrash(): void;
}

async function cutAgainAndAgain(fileSystem: FileSystem, { transport, build, ...cuts }: Cuts): Promise<CrashResult> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-power-'));
  const mount = await LoopMount.open(fileSystem);
  try {
    // Outside the mount: what the coordinator is started with isn't what is tested.
    const at = { dir: join(mount.dir, 'data'), poolFile: join(folder, 'pool.json'), transport, build };
    return await crashUnderLoad({
      ...cuts,
      loadMs: LOAD_MS,
      start: () => startForCrash({ ...at, random: cuts.random }),
      async crash(coordinator) {
        process.kill(coordinator.pid, 'SIGSTOP');
        await mount.cutPower();
        await coordinator.kill('SIGKILL');
        await mount.restorePower();
      },
    });
  } finally {
    await mount.close();
    await rm(folder, { recursive: true, force: true });
  }
}
