import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Program, ROOT, withFolder } from './processes.ts';
import type { RowContext } from './row.ts';

/**
 * Runs a benchmark that is a program of its own, by its place below `dist/`, and returns what it writes with `--json`. Throws
 * where it isn't built, or fails. `argumentsFor` is told of a folder to measure in.
 */
export async function otherBench<Result>(
  program: string,
  argumentsFor: (folder: string) => readonly string[],
  { dir, say }: RowContext,
): Promise<Result> {
  return withFolder(dir, async (folder) => {
    const json = join(folder, 'result.json');
    const all = [join(ROOT, 'dist', program), ...argumentsFor(folder), '--json', json];
    const bench = new Program(process.execPath, all, { cwd: ROOT, onLine: say });
    const code = await bench.ended;
    if (code !== 0) throw new Error(`${bench.commandLine} ended with ${code ?? 'a signal'}:\n${bench.output}`);
    return JSON.parse(await readFile(json, 'utf8')) as Result;
  });
}
