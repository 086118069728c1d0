/**
 * The benchmarks: ours beside its peers, each figure of DESIGN §10 a row.
 *
 *     npm run bench [-- --rows a,b] [--seconds N] [--rounds N] [--dir FOLDER] [--json FILE] [--plot FOLDER]
 *
 * `--rows` takes names, `all` for those of the default run, `list` to see what there is. `--seconds` is a contestant's
 * turn, of which there are `--rounds`. Data folders are made in `--dir` and removed. `--plot` runs what its pictures need, too. Ends with 0 unless something failed to
 * run: a figure that isn't reached is said, and no failure.
 */
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { plot } from './plot.ts';
import type { Row } from './row.ts';
import { ROWS, ROWS_FOR_PLOT } from './rows.ts';
import { details, type Finished, table } from './table.ts';

const USAGE_EXIT = 64;

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: 'all' },
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '5' },
    dir: { type: 'string', default: tmpdir() },
    json: { type: 'string' },
    plot: { type: 'string' },
  },
});

process.exitCode = await main();

async function main(): Promise<number> {
  const all = [...ROWS, ...ROWS_FOR_PLOT];
  if (values.rows === 'list') {
    for (const { name, title, figure } of all) print(`${name.padEnd(20)} ${title}${figure ? ` (${figure})` : ''}`);
    return 0;
  }
  const asked = values.rows.split(',').flatMap((name) => (name === 'all' ? ROWS.map((row) => row.name) : [name]));
  const forPlot = values.plot === undefined ? [] : ROWS_FOR_PLOT.map(({ name }) => name);
  const names = [...new Set([...asked, ...forPlot])];
  const rows = names.map((name) => all.find((row) => row.name === name));
  const [seconds, rounds] = [Number(values.seconds), Number(values.rounds)];
  if (rows.includes(undefined)) return refuse(`--rows: there are ${all.map(({ name }) => name).join(', ')}`);
  if (!(seconds > 0)) return refuse('--seconds: a number above 0');
  if (!(Number.isInteger(rounds) && rounds > 0)) return refuse('--rounds: an integer above 0');

  const loads = [loadavg()[0]!];
  const finished: Finished[] = [];
  for (const row of rows as Row[]) {
    const say = (line: string) => process.stderr.write(`${row.name}: ${line}\n`);
    say(row.title);
    try {
      const result = await row.run({ dir: resolve(values.dir), seconds, rounds, say });
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
  if (values.json !== undefined)
    await writeFile(values.json, `${JSON.stringify(report(finished, loads), undefined, 2)}\n`);
  if (values.plot !== undefined) {
    const points = finished.flatMap(({ result }) => result?.points ?? []);
    for (const file of await plot(points, values.plot, machine())) print(file);
  }
  return finished.some(({ error }) => error !== undefined) ? 1 : 0;
}

function machine(): string {
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} cores (${cpus()[0]?.model}), ${gigabytes} GB, Linux ${release()}, Node ${process.version}`;
}

function report(finished: readonly Finished[], loads: readonly number[]): object {
  return {
    machine: machine(),
    loads,
    seconds: Number(values.seconds),
    rounds: Number(values.rounds),
    rows: finished.map(({ row: { name, title, figure }, result, error }) => ({
      name,
      title,
      figure,
      ...result,
      error,
    })),
  };
}

function refuse(why: string): number {
  process.stderr.write(`${why}\n`);
  return USAGE_EXIT;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
