/**
 * The simulation against builds that are deliberately broken, each in one way, by a change of the source on its way to the
 * compiler. What is not found here would not be found there.
 */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { BUGS, type Bug } from './planted-bugs.ts';
import { runSeeds } from './seeds.ts';

const PROJECT = resolve(import.meta.dirname, '../../..');
const SOURCES = ['protocol', 'server', 'package.json', 'tsconfig.json', 'tsconfig.build.json'];
const SEEDS = { first: 1, count: 60, operations: 5_000 };
const TIMEOUT_MS = 300_000;

describe('the simulation', () => {
  it('finds nothing in the sources as they are', { timeout: TIMEOUT_MS }, async () => {
    expect((await runSeeds(SEEDS)).findings).toEqual([]);
  });

  it.each(BUGS)('finds: $name', { timeout: TIMEOUT_MS }, async (bug) => {
    const dir = await mkdtemp(join(tmpdir(), 'leasehold-planted-'));
    try {
      await plant(bug, dir);
      const { findings } = await runSeeds({ ...SEEDS, build: dir });
      expect(findings.join('\n')).toMatch(/^seed \d+: found at /);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});

/** Copies the sources to `dir`, changes them, and compiles the simulation there. */
async function plant({ edits }: Bug, dir: string): Promise<void> {
  for (const source of SOURCES) await cp(join(PROJECT, source), join(dir, source), { recursive: true });
  await symlink(join(PROJECT, 'node_modules'), join(dir, 'node_modules'));
  for (const { file, find, replace } of edits) {
    const parts = (await readFile(join(dir, file), 'utf8')).split(find);
    expect(parts, `${file} says once: ${find}`).toHaveLength(2);
    await writeFile(join(dir, file), parts.join(replace));
  }
  const tsc = join(PROJECT, 'node_modules/.bin/tsc');
  await promisify(execFile)(tsc, ['-p', join(dir, 'server/testing'), '--noCheck']);
}
