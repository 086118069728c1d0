import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';

const BUILT = pathToFileURL(resolve(import.meta.dirname, '../../dist/loadtest/bench/processes.js')).href;
/** As many as take a while to remove. */
const FILES = 20_000;
const PROGRAM = `
  import { writeFileSync } from 'node:fs';
  import { join } from 'node:path';
  import { withFolder } from '${BUILT}';
  await withFolder(process.argv[1], async (folder) => {
    for (let file = 0; file < ${FILES}; file += 1) writeFileSync(join(folder, String(file)), '');
    process.stdout.write('ready');
    await new Promise((done) => setTimeout(done, 60_000));
  });`;

it('leaves no folder behind, however often it is interrupted', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'processes-test-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const child = spawn(process.execPath, ['--input-type=module', '--eval', PROGRAM, dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  await once(child.stdout, 'data');
  for (let time = 0; time < 3 && child.exitCode === null; time += 1) {
    child.kill('SIGINT');
    await sleep(20);
  }
  expect(await exited).toEqual([130, null]);
  expect(await readdir(dir)).toEqual([]);
});
