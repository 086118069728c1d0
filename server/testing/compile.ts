import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const PROJECT = resolve(import.meta.dirname, '../..');

/**
 * Compiles `entry` (from the project's root) and what it imports, as it is in the working tree now, for a child process
 * that a test can kill. Node 20 runs no TypeScript, and the last build may be older than the sources.
 */
export async function compileForChild(entry: string): Promise<{ readonly file: string; remove(): Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'leasehold-compiled-'));
  await symlink(join(PROJECT, 'node_modules'), join(dir, 'node_modules'));
  await cp(join(PROJECT, 'package.json'), join(dir, 'package.json'));
  const config = {
    extends: join(PROJECT, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      noCheck: true,
      rootDir: PROJECT,
      outDir: dir,
      typeRoots: [] as string[],
      types: [],
    },
    files: [join(PROJECT, entry)],
  };
  await writeFile(join(dir, 'tsconfig.json'), JSON.stringify(config));
  await promisify(execFile)(join(PROJECT, 'node_modules/.bin/tsc'), ['-p', join(dir, 'tsconfig.json')]);
  return { file: join(dir, entry.replace(/\.ts$/, '.js')), remove: () => rm(dir, { recursive: true, force: true }) };
}
