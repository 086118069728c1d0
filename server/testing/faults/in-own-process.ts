import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PROJECT_DIR } from '../project.ts';
import { NODE_FLAGS } from '../simulation/seeds.ts';
import type { FaultRun, FaultRunResult } from './fault-run.ts';

export interface OwnProcess {
  /** The folder that holds `dist/`; absent: the project's. */
  readonly build?: string;
  /** The Node that runs it, and the coordinators that it starts; absent: this one. */
  readonly node?: string;
}

/**
 * The same run in a process of its own, compiled: several times as fast as within a test runner, and with a heap of its own
 * to look at. `file` is the compiled module in this folder, `name` its export. Rejects where the process ends without a
 * result.
 */
export function inOwnProcess(file: string, name: string, options: OwnProcess = {}): FaultRun {
  const { build = PROJECT_DIR, node = process.execPath } = options;
  return ({ seed, cases, onProgress }) => {
    const runner = join(build, 'dist/server/testing/faults/run-fault.js');
    const flags = ['--seed', String(seed), '--cases', String(cases)];
    const child = spawn(node, [...NODE_FLAGS, runner, file, name, ...flags], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let last = '';
    createInterface({ input: child.stdout }).on('line', (line) => {
      last = line;
      if (/^\d+$/.test(line)) onProgress?.(Number(line));
    });
    return new Promise((done, fail) => {
      child.on('error', fail).on('close', (code, signal) => {
        if (code === 0) done(JSON.parse(last) as FaultRunResult);
        else fail(new Error(`${name}, seed ${seed}, has ended with ${signal ?? code}`));
      });
    });
  };
}
