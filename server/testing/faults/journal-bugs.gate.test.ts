/**
 * The crash states and the corruption sweep against journals that are deliberately broken. That they find nothing in the
 * sources as they are is what crash-states.gate.test.ts (from the same seed on) and corruption-sweep.gate.test.ts say.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMPUTING_NODE } from '../computing-node.ts';
import { type Bug, planter } from '../plant.ts';
import { inOwnProcess } from './in-own-process.ts';
import { CRASH_BUGS, DAMAGE_BUGS, FOUND_AT } from './journal-bugs.ts';

const STATES = 60_000;
const TIMEOUT_MS = 120_000;

const plant = planter([...CRASH_BUGS, ...DAMAGE_BUGS]);

describe.concurrent('what a power cut leaves', () => {
  it.each(CRASH_BUGS)('shows: $name', { timeout: TIMEOUT_MS }, async (bug) => {
    const found = await findingsIn(bug, 'crash-states.js', 'crashStates', STATES);
    expect(found).toMatch(/^crash state \d+ of lives \d+: /m);
  });
});

describe.concurrent('damage', () => {
  it.each(DAMAGE_BUGS)('shows: $name', { timeout: TIMEOUT_MS }, async (bug) => {
    const found = await findingsIn(bug, 'corruption-sweep.js', 'corruptionSweep', Number.MAX_SAFE_INTEGER);
    expect(found).toMatch(/^folder 1 \(.+\), /m);
  });
});

/** Looks where the bug was found last time, and only where it isn't any more at all there is. */
function findingsIn(bug: Bug, file: string, name: string, cases: number): Promise<string> {
  return plant(bug, async (build) => {
    const found = await lookedAt(build, FOUND_AT.get(bug.name) ?? '--lives 1000000 --state 0');
    if (found !== undefined) return found;
    const { findings } = await inOwnProcess(file, name, { build, node: COMPUTING_NODE })({ seed: 1, cases });
    process.stdout.write(`${bug.name} is found elsewhere than FOUND_AT says: ${findings.join()}\n`);
    return findings.join('\n');
  });
}

/** What one state or damage shows; undefined: nothing is wrong with it. */
function lookedAt(build: string, flags: string): Promise<string | undefined> {
  const runner = join(build, 'dist/server/testing/faults/run-crash-states.js');
  return new Promise((done) => {
    execFile(COMPUTING_NODE, [runner, ...flags.split(' ')], (error, stdout) => done(error ? stdout : undefined));
  });
}
