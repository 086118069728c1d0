/** Coordinators that go with the test that started them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import {
  type CoordinatorProcess,
  type CoordinatorRun,
  type CoordinatorRunOptions,
  readyCoordinator,
  spawnCoordinator,
} from './coordinator-run.ts';

export { type CoordinatorProcess, type Exit, samplePool } from './coordinator-run.ts';

/** A folder that goes with the test, and a pool file in it. */
export async function dataFolder(pool?: readonly unknown[]): Promise<{ dir: string; poolFile: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'leasehold-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const poolFile = join(folder, 'pool.json');
  if (pool) await writeFile(poolFile, JSON.stringify(pool));
  return { dir: join(folder, 'data'), poolFile };
}

/**
 * A free port for a coordinator that is to be started there again. Below those that the system gives to outgoing
 * connections: a client that reconnects in a loop would sooner or later be given the very port it knocks at.
 */
export async function reusablePort(): Promise<number> {
  while (true) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((done) => {
      server.once('error', () => done(false));
      server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
    });
    if (isFree) return port;
  }
}

/** Runs the built coordinator with `flags` until it ends. Ports are free ones unless the flags say otherwise. */
export function runCoordinator(
  flags: readonly string[],
  env: NodeJS.ProcessEnv = {},
  options: Omit<CoordinatorRunOptions, 'env'> = {},
): CoordinatorRun {
  const run = spawnCoordinator(flags, { env, ...options });
  onTestFinished(async () => {
    run.child.kill('SIGKILL');
    await run.exited;
  });
  return run;
}

/** Starts the built coordinator and waits until it is ready. Throws its output where it isn't. */
export function startCoordinator(
  flags: readonly string[],
  env?: NodeJS.ProcessEnv,
  options?: Omit<CoordinatorRunOptions, 'env'>,
): Promise<CoordinatorProcess> {
  return readyCoordinator(runCoordinator(flags, env, options));
}
