/**
 * The benchmarks: ours beside its peers, each figure of DESIGN §10 a row.
 *
 *     npm run bench [-- --rows a,b] [--seconds N] [--rounds N] [--dir FOLDER] [--json [FILE]] [--plot [FOLDER]]
 *
 * `--rows` takes names, `all` for those of the default run, `list` to see what there is. `--seconds` is a contestant's
 * turn, of which there are `--rounds`. Data folders are made in `--dir` and removed. `--json` without a file writes to
 * standard output, and the table to standard error. `--plot` draws pictures into FOLDER (bench-plots) and runs what they
 * need: beside `--rows`, or nothing else.
 *
 * Ends with 0 unless something failed to run (1) or the call is wrong (64): a figure that isn't reached is said, and no failure.
 */
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { type BenchOptions, readOptions, STANDARD_OUTPUT, UsageError } from './options.ts';
import { plot } from './plot.ts';
import type { Row } from './row.ts';
import { OTHER_ROWS, PICTURED_ROWS, ROWS } from './rows.ts';
import { subtitleOf } from './subtitle.ts';
import { details, type Finished, table } from './table.ts';

const USAGE_EXIT = 64;

try {
  process.exitCode = await main(readOptions(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = USAGE_EXIT;
}

async function main(options: BenchOptions): Promise<number> {
  if (options.rows?.includes('list')) {
    for (const { name, title, figure } of [...ROWS, ...OTHER_ROWS])
      process.stdout.write(`${name.padEnd(20)} ${title}${figure ? ` (${figure})` : ''}\n`);
    return 0;
  }
  const { dir, seconds, rounds } = options;
  const rows = rowsOf(options);
  const print = (text: string) =>
    (options.json === STANDARD_OUTPUT ? process.stderr : process.stdout).write(`${text}\n`);
  const loads = [loadavg()[0]!];
  const finished: Finished[] = [];
  for (const row of rows) {
    const say = (line: string) => process.stderr.write(`${row.name}: ${line}\n`);
    say(row.title);
    try {
      const result = await row.run({ dir, seconds, rounds, say });
      finished.push({ row, result });
    } catch (error) {
      say((error as Error).message);
      finished.push({ row, error: (error as Error).message });
    }
  }
  loads.push(loadavg()[0]!);
  print(machine());
  // Whoever else was at work is in all figures.
  print(`load before and after: ${loads.map((load) => load.toFixed(2)).join(', ')}`);
  print(`\n${table(finished)}\n${details(finished)}`);
  if (options.json !== undefined) {
    const text = `${JSON.stringify(report(options, finished, loads), undefined, 2)}\n`;
    if (options.json === STANDARD_OUTPUT) process.stdout.write(text);
    else await writeFile(options.json, text);
  }
  if (options.plot !== undefined) {
    const points = finished.flatMap(({ result }) => result?.points ?? []);
    for (const file of await plot(points, options.plot, await subtitleOf(dir))) print(file);
  }
  return finished.some(({ error }) => error !== undefined) ? 1 : 0;
}

/** Those that were asked for, in that order and once each, and what the pictures need. Throws a UsageError. */
function rowsOf({ rows: asked, plot: folder }: BenchOptions): readonly Row[] {
  const all = [...ROWS, ...OTHER_ROWS];
  const pictured = folder === undefined ? [] : PICTURED_ROWS;
  if (asked === undefined) return folder === undefined ? ROWS : pictured;
  const rows = asked.flatMap((name) => (name === 'all' ? ROWS : all.filter((row) => row.name === name)));
  if (!asked.every((name) => name === 'all' || all.some((row) => row.name === name))) {
    throw new UsageError(`--rows: there are ${all.map(({ name }) => name).join(', ')}`);
  }
  return [...new Set([...rows, ...pictured])];
}

function machine(): string {
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} cores (${cpus()[0]?.model}), ${gigabytes} GB, Linux ${release()}, Node ${process.version}`;
}

function report({ seconds, rounds }: BenchOptions, finished: readonly Finished[], loads: readonly number[]): object {
  return {
    machine: machine(),
    loads,
    seconds,
    rounds,
    rows: finished.map(({ row: { name, title, figure }, result, error }) => ({
      name,
      title,
      figure,
      ...result,
      error,
    })),
  };
}
