/**
 * Deliberately broken builds: a change of the source on its way to the compiler, never a switch in what ships. Tests plant
 * a bug, and find it; what isn't found there would not be found where somebody makes it by mistake.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
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

/**
 * Runs `run` with `build`, a folder whose `dist/` is the project's with `edits` made, and which goes when that is done. Only
 * the changed files are compiled, so the project's own build has to be there and of the sources as they are now
 * (`testing/build.ts`). Throws where an edit doesn't fit its file.
 */
export async function withPlanted<Result>(
  edits: readonly Edit[],
  run: (build: string) => Promise<Result>,
): Promise<Result> {
  const build = await mkdtemp(join(tmpdir(), 'leasehold-planted-'));
  try {
    await cp(join(PROJECT_DIR, 'dist'), join(build, 'dist'), {
      recursive: true,
      filter: (source) => !source.endsWith('.d.ts'),
    });
    await cp(join(PROJECT_DIR, 'package.json'), join(build, 'package.json'));
    await symlink(join(PROJECT_DIR, 'node_modules'), join(build, 'node_modules'));
    await compile(await edited(edits), build);
    return await run(build);
  } finally {
    await rm(build, { recursive: true, force: true });
  }
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

/** File by file: what they import is compiled already, and types are left out of account. */
async function compile(sources: ReadonlyMap<string, string>, build: string): Promise<void> {
  const files: string[] = [];
  for (const [file, text] of sources) {
    const path = join(build, file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    files.push(path);
  }
  const config = {
    extends: join(PROJECT_DIR, 'tsconfig.build.json'),
    compilerOptions: {
      rootDir: build,
      outDir: join(build, 'dist'),
      declaration: false,
      noCheck: true,
      noResolve: true,
      types: [] as string[],
    },
    include: [] as string[],
    files,
  };
  await writeFile(join(build, 'tsconfig.json'), JSON.stringify(config));
  await promisify(execFile)(join(PROJECT_DIR, 'node_modules/.bin/tsc'), ['-p', build]);
}
