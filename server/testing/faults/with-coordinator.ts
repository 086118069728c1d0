import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CoordinatorProcess, readyCoordinator, spawnCoordinator } from '../coordinator-run.ts';

export interface Served {
  readonly pool: readonly unknown[];
  readonly flags?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs `run` with a coordinator on a folder of its own; both go when that is done, however it ends. */
export async function withCoordinator<Result>(
  { pool, flags = [], env = {} }: Served,
  run: (coordinator: CoordinatorProcess, folder: string) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-fault-'));
  try {
    const poolFile = join(folder, 'pool.json');
    await writeFile(poolFile, JSON.stringify(pool));
    const spawned = spawnCoordinator(['--data-dir', join(folder, 'data'), '--pool', poolFile, ...flags], { env });
    try {
      return await run(await readyCoordinator(spawned), folder);
    } finally {
      spawned.child.kill('SIGKILL');
      await spawned.exited;
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
