import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { dataFolder, runCoordinator, startCoordinator } from './testing/coordinator-process.ts';

it('a coordinator ends though one of its threads hangs in a call to the file system', async () => {
  const { dir } = await dataFolder();
  // A pipe that nobody writes to: opening it for reading hangs, as on a disk that answers no more.
  const pipe = join(dirname(dir), 'pipe');
  expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
  mkdirSync(dir);
  writeFileSync(join(dir, 'room.snapshot.tmp'), '');
  const run = runCoordinator(['--data-dir', dir, '--pool', pipe]);
  // The last that recovery does is to remove it; then the pool file is opened.
  await expect.poll(() => readdirSync(dir), { timeout: 10_000 }).toEqual([]);
  await new Promise((resolve) => setTimeout(resolve, 300));
  run.child.kill('SIGTERM');
  const { output, signal } = await run.exited;
  expect(output.join('\n')).toContain('"stopped"');
  expect(signal).toBe('SIGKILL');
});

it('a coordinator ends with its own exit code where the programs that watch over it are missing', async () => {
  const { dir } = await dataFolder();
  const bin = join(dirname(dir), 'bin');
  mkdirSync(bin);
  for (const program of ['sh', 'flock']) {
    symlinkSync(spawnSync('which', [program], { encoding: 'utf8' }).stdout.trim(), join(bin, program));
  }
  const coordinator = await startCoordinator(['--data-dir', dir], { PATH: bin });
  expect(await coordinator.kill('SIGTERM')).toMatchObject({ code: 0, signal: null });
});
