import { type ChildProcess, spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { COMPUTING_NODE } from '../computing-node.ts';
import { PROJECT_DIR } from '../project.ts';

/** Short-lived objects are what such runs make, and two at a time share a cache: a larger nursery is slower than this one. */
export const NODE_FLAGS = ['--enable-source-maps', '--min-semi-space-size=8', '--max-semi-space-size=8'];
/** For a run that is over before optimized code would have paid: what compiles it takes more time than the run. */
const SHORT_RUN_FLAGS = ['--max-opt=1', '--single-threaded'];
/** A line for each finding, and how to see it again. */
const FINDING = /^seed \d+: found at |^again: /;

export interface Seeds {
  readonly first: number;
  readonly count: number;
  readonly operations: number;
  /** The folder that holds `dist/`; absent: the project's. */
  readonly build?: string;
  /** A second or so at most. */
  readonly isShort?: boolean;
  /** That runs them; absent: the one for what is only computed. */
  readonly node?: string;
  /** Told of each seed that is through, and of how many are so far. */
  readonly onSeed?: (line: string, doneCount: number) => void;
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
 * fast. The first finding ends them all. Rejects where one ends in another way than with its own word on what it found.
 */
export async function runSeeds(options: Seeds): Promise<SeedsRun> {
  const { first, count, operations, build = PROJECT_DIR, isShort = false, node = COMPUTING_NODE, onSeed } = options;
  const processes = Math.min(availableParallelism(), count);
  const lines: string[] = [];
  let doneCount = 0;
  const file = join(build, 'dist/server/testing/simulation/run-simulation.js');
  const children = Array.from({ length: processes }, (_, index) => {
    const seeds = Math.ceil((count - index) / processes);
    const flags = { seed: first + index, seeds, step: processes, operations };
    return spawn(
      node,
      [
        ...NODE_FLAGS,
        ...(isShort ? SHORT_RUN_FLAGS : []),
        file,
        '--tally',
        ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]),
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
  });
  await Promise.all(
    children.map((child) =>
      linesOf(child, (line) => {
        lines.push(line);
        if (!line.includes(', trace ')) return;
        doneCount += 1;
        onSeed?.(line, doneCount);
      }).then(() => {
        if (lines.some((line) => FINDING.test(line))) for (const other of children) other.kill();
      }),
    ),
  );
  return {
    findings: lines.filter((line) => FINDING.test(line)),
    seeds: lines.filter((line) => line.includes(', trace ')).sort(),
    tally: tallyOf(lines),
  };
}

/** Resolves when the process has ended as it should: through, with a finding, or ended by us. */
function linesOf(child: ChildProcess, take: (line: string) => void): Promise<void> {
  let hasFound = false;
  createInterface({ input: child.stdout! }).on('line', (line) => {
    hasFound ||= FINDING.test(line);
    take(line);
  });
  return new Promise((done, fail) => {
    child.on('error', fail).on('close', (code, signal) => {
      if (code === 0 || hasFound || child.killed) done();
      else fail(new Error(`the simulation has ended with ${signal ?? code}`));
    });
  });
}

function tallyOf(lines: readonly string[]): Map<string, number> {
  const tally = new Map<string, number>();
  for (const line of lines) {
    const [, times, what] = /^(\d+) × (.+)$/.exec(line) ?? [];
    if (what !== undefined) tally.set(what, (tally.get(what) ?? 0) + Number(times));
  }
  return tally;
}
