import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { FaultRunResult } from './fault-run.ts';

const PROJECT = resolve(import.meta.dirname, '../../..');
const SUMMARY = /^(\d+) states, (\d+) findings$/;

/**
 * Runs run-crash-states.ts as it was compiled below `build`, in a process of its own: without a test runner around it it
 * is several times as fast. Rejects where it ends without its own word on what it found.
 */
export async function runFaults(flags: readonly string[], build: string = PROJECT): Promise<FaultRunResult> {
  const file = join(build, 'dist/server/testing/faults/run-crash-states.js');
  const child = spawn(process.execPath, ['--enable-source-maps', file, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let cases: number | undefined;
  const findings: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    const summary = SUMMARY.exec(line);
    if (summary) cases = Number(summary[1]);
    else if (cases !== undefined) findings.push(line);
  });
  const code = await new Promise((done, fail) => child.on('error', fail).on('close', done));
  if (cases === undefined) throw new Error(`the fault run has ended with ${String(code)}`);
  return { cases, findings };
}
