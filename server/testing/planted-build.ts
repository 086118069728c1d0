import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PROJECT_DIR } from './project.ts';

const SOURCES = ['protocol', 'server', 'examples', 'package.json', 'tsconfig.json', 'tsconfig.build.json'];

/** A change of the sources; `find` stands in the file exactly once. */
export interface SourceEdit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** Builds a coordinator that is deliberately broken: copies the sources, changes them, compiles what ships. */
export async function plantedBuild(
  edits: readonly SourceEdit[],
): Promise<{ readonly build: string; remove(): Promise<void> }> {
  const build = await mkdtemp(join(tmpdir(), 'leasehold-planted-'));
  const remove = () => rm(build, { recursive: true, force: true });
  try {
    for (const source of SOURCES) await cp(join(PROJECT_DIR, source), join(build, source), { recursive: true });
    await symlink(join(PROJECT_DIR, 'node_modules'), join(build, 'node_modules'));
    for (const { file, find, replace } of edits) {
      const parts = (await readFile(join(build, file), 'utf8')).split(find);
      if (parts.length !== 2) throw new Error(`${file} says ${parts.length - 1} times, not once: ${find}`);
      await writeFile(join(build, file), parts.join(replace));
    }
    const tsc = join(PROJECT_DIR, 'node_modules/.bin/tsc');
    await promisify(execFile)(tsc, ['-p', join(build, 'tsconfig.build.json'), '--noCheck']);
    return { build, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
