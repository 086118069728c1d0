import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';

const PROJECT = resolve(import.meta.dirname, '../../..');
/** Lines of one process are far fewer bytes. */
const OUTPUT_BYTES_MAX = 16 * 1_048_576;

export interface Seeds {
  readonly first: number;
  readonly count: number;
  readonly operations: number;
}

export interface SeedsRun {
  /** A line for each finding, and how to see it again. */
  readonly findings: readonly string[];
  /** A line for each seed that was run, with the hash of its trace. */
  readonly seeds: readonly string[];
  /** How often each kind of thing happened. */
  readonly tally: ReadonlyMap<string, number>;
}

/**
 * Runs seeds in processes of their own, one a core: compiled code without a test runner around it is several times as
 * fast. Each stops at its first finding. `build` is the folder that holds `dist/`, by default the project's.
 */
export async function runSeeds({ first, count, operations }: Seeds, build = PROJECT): Promise<SeedsRun> {
  const processes = Math.min(availableParallelism(), count);
  const outputs = await Promise.all(
    Array.from({ length: processes }, (_, index) => {
      const seeds = Math.ceil((count - index) / processes);
      return run(build, { seed: first + index, seeds, step: processes, operations });
    }),
  );
  const lines = outputs.flatMap((output) => output.trimEnd().split('\n'));
  const tally = new Map<string, number>();
  for (const line of lines) {
    const [, times, what] = /^(\d+) × (.+)$/.exec(line) ?? [];
    if (what !== undefined) tally.set(what, (tally.get(what) ?? 0) + Number(times));
  }
  return {
    findings: lines.filter((line) => /^seed \d+: found at |^again: /.test(line)),
    seeds: lines.filter((line) => line.includes(', trace ')).sort(),
    tally,
  };
}

/** What it printed. Rejects where it ends in another way than with its own word on what it found. */
function run(build: string, options: Readonly<Record<string, number>>): Promise<string> {
  const file = join(build, 'dist/server/testing/simulation/run-simulation.js');
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return new Promise((done, fail) => {
    execFile(
      process.execPath,
      ['--enable-source-maps', file, '--tally', ...flags],
      { maxBuffer: OUTPUT_BYTES_MAX },
      (error, stdout, stderr) => {
        if (error && !stdout.includes('\nagain: ')) fail(new Error(`${stdout}${stderr}`));
        else done(stdout);
      },
    );
  });
}
