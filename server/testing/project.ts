import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The project's root: this file runs as it is and, for long runs without a test runner, from `dist/`. */
export const PROJECT_DIR = rootAbove(import.meta.dirname);

function rootAbove(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  if (dirname(folder) === folder) throw new Error(`no package.json above ${import.meta.dirname}`);
  return rootAbove(dirname(folder));
}
