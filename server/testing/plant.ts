import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

/** A change of the sources; `find` stands there exactly once. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** One way of being wrong, to be built and found out. */
export interface Bug {
  readonly name: string;
  readonly edits: readonly Edit[];
}

const PROJECT = resolve(import.meta.dirname, '../..');
const SOURCES = ['protocol', 'server', 'package.json', 'tsconfig.json', 'tsconfig.build.json'];

export function bug(name: string, ...edits: readonly (readonly [file: string, find: string, replace: string])[]): Bug {
  return { name, edits: edits.map(([file, find, replace]) => ({ file, find, replace })) };
}

/** The edits that can't be made: their text isn't there, or more than once, or wouldn't change. */
export function unplantable({ edits }: Bug): readonly Edit[] {
  return edits.filter(({ file, find, replace }) => {
    const parts = readFileSync(join(PROJECT, file), 'utf8').split(find);
    return parts.length !== 2 || find === replace;
  });
}

/**
 * Copies the sources, changes them, and compiles what `server/testing/tsconfig.json` names, or only `entries`, there:
 * what is compiled lies below `dist/`.
 */
export async function plant(planted: Bug, entries?: readonly string[]) {
  const missing = unplantable(planted).map(({ file, find }) => `${file} doesn't say once: ${find}`);
  if (missing.length > 0) throw new Error(missing.join('\n'));
  const dir = await mkdtemp(join(tmpdir(), 'leasehold-planted-'));
  const remove = () => rm(dir, { recursive: true, force: true });
  try {
    for (const source of SOURCES) await cp(join(PROJECT, source), join(dir, source), { recursive: true });
    await symlink(join(PROJECT, 'node_modules'), join(dir, 'node_modules'));
    for (const { file, find, replace } of planted.edits) {
      const text = readFileSync(join(dir, file), 'utf8');
      await writeFile(
        join(dir, file),
        text.replace(find, () => replace),
      );
    }
    const config = join(dir, 'server/testing/tsconfig.json');
    if (entries) {
      const { files: _, ...rest } = JSON.parse(readFileSync(config, 'utf8')) as Record<string, unknown>;
      await writeFile(config, JSON.stringify({ ...rest, files: entries.map((entry) => join(dir, entry)) }));
    }
    await promisify(execFile)(join(PROJECT, 'node_modules/.bin/tsc'), ['-p', config, '--noCheck']);
    return { dir, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
