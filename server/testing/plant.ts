/**
 * Deliberately broken builds: a change of the source on its way to the compiler, never a switch in what ships. Tests plant
 * a bug, and find it; what isn't found there would not be found where somebody makes it by mistake.
 */
import { execFile } from 'node:child_process';
import { copyFile, link, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { PROJECT_DIR } from './project.ts';

/** A change of the sources; `find` stands in `file` (from the project's root) exactly once. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Bug {
  readonly name: string;
  readonly edits: readonly Edit[];
}

/** A bug as it is written down: what it is, and each change as file, what stands there, and what is to. */
export function bug(name: string, ...edits: readonly (readonly [file: string, find: string, replace: string])[]): Bug {
  return { name, edits: edits.map(([file, find, replace]) => ({ file, find, replace })) };
}

/** Runs `run` with `build`, a folder whose `dist/` is the project's with a bug in it, and which goes when that is done. */
export type Plant = <Result>(planted: Bug, run: (build: string) => Promise<Result>) => Promise<Result>;

/**
 * What plants each of `bugs`. The changed files of all of them are compiled at the first call, by one start of the compiler;
 * all others are the project's own, so its build has to be there and of the sources as they are now (`testing/build.ts`).
 * Throws where an edit of the bug that is planted doesn't fit its file.
 */
export function planter(bugs: readonly Bug[]): Plant {
  let compiling: Promise<readonly Compiled[]> | undefined;
  return async (planted, run) => {
    compiling ??= compile(bugs);
    const compiled = (await compiling)[bugs.indexOf(planted)];
    if (!compiled) throw new Error(`not one of the bugs: ${planted.name}`);
    if (compiled.error !== undefined) throw compiled.error;
    const build = await mkdtemp(join(tmpdir(), 'leasehold-planted-'));
    try {
      await linkCode(join(PROJECT_DIR, 'dist'), join(build, 'dist'));
      for (const [file, code] of compiled.code) {
        const path = join(build, 'dist', file);
        // Never into it: it is the project's own file.
        await rm(path);
        await writeFile(path, code);
      }
      await copyFile(join(PROJECT_DIR, 'package.json'), join(build, 'package.json'));
      await symlink(join(PROJECT_DIR, 'node_modules'), join(build, 'node_modules'));
      return await run(build);
    } finally {
      await rm(build, { recursive: true, force: true });
    }
  };
}

/** The sources that `edits` change, as they are then, by file. Throws where an edit doesn't fit its file. */
export async function edited(edits: readonly Edit[]): Promise<ReadonlyMap<string, string>> {
  const sources = new Map<string, string>();
  for (const { file, find, replace } of edits) {
    const parts = (sources.get(file) ?? (await readFile(join(PROJECT_DIR, file), 'utf8'))).split(find);
    if (parts.length !== 2) throw new Error(`${file} says ${parts.length - 1} times instead of once: ${find}`);
    sources.set(file, parts.join(replace));
  }
  return sources;
}

/** What became of one bug's files: their code by name below `dist/`, or why it isn't there. */
interface Compiled {
  readonly code: ReadonlyMap<string, string>;
  readonly error?: unknown;
}

/** File by file: what they import is compiled already, and types are left out of account. */
async function compile(bugs: readonly Bug[]): Promise<readonly Compiled[]> {
  const dir = await mkdtemp(join(tmpdir(), 'leasehold-compiled-'));
  try {
    const files: string[] = [];
    const compiled = await Promise.all(
      bugs.map(async ({ edits }, index) => {
        const below = join(dir, String(index));
        try {
          const sources = await edited(edits);
          for (const [file, text] of sources) {
            const path = join(below, file);
            await mkdir(dirname(path), { recursive: true });
            await writeFile(path, text);
            files.push(path);
          }
          return { below, names: [...sources.keys()].map((file) => file.replace(/\.ts$/, '.js')) };
        } catch (error) {
          return { error };
        }
      }),
    );
    await runCompiler(dir, files);
    return await Promise.all(
      compiled.map(async (one) => {
        if ('error' in one) return { code: new Map(), error: one.error };
        const codeOf = async (name: string) => [name, await readFile(join(one.below, name), 'utf8')] as const;
        return { code: new Map(await Promise.all(one.names.map(codeOf))) };
      }),
    );
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Puts the code beside each source. */
async function runCompiler(dir: string, files: readonly string[]): Promise<void> {
  const config = {
    extends: join(PROJECT_DIR, 'tsconfig.build.json'),
    compilerOptions: {
      rootDir: dir,
      outDir: dir,
      declaration: false,
      sourceMap: false,
      noCheck: true,
      noResolve: true,
      types: [] as string[],
    },
    include: [] as string[],
    files,
  };
  await writeFile(join(dir, 'tsconfig.json'), JSON.stringify(config));
  // It says that they are modules.
  await copyFile(join(PROJECT_DIR, 'package.json'), join(dir, 'package.json'));
  await promisify(execFile)(join(PROJECT_DIR, 'node_modules/.bin/tsc'), ['-p', dir]);
}

/** The compiled code of a folder in another one, linked where one file system holds both: copies take far longer. */
async function linkCode(from: string, to: string): Promise<void> {
  await mkdir(to);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await linkCode(source, target);
    else if (entry.name.endsWith('.js')) await link(source, target).catch(() => copyFile(source, target));
  }
}
