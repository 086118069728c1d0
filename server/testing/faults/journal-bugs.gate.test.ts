/**
 * The crash states and the corruption sweep against journals that are deliberately broken. That they find nothing in the
 * sources as they are is what crash-states.gate.test.ts (from the same seed on) and corruption-sweep.gate.test.ts say.
 */
import { describe, expect, it } from 'vitest';
import { type Bug, withPlanted } from '../plant.ts';
import { inOwnProcess } from './in-own-process.ts';
import { CRASH_BUGS, DAMAGE_BUGS } from './journal-bugs.ts';

const STATES = 60_000;
const TIMEOUT_MS = 120_000;

describe.concurrent('what a power cut leaves', () => {
  it.each(CRASH_BUGS)('shows: $name', { timeout: TIMEOUT_MS }, async (bug) => {
    const found = await findingsIn(bug, 'crash-states.js', 'crashStates', STATES);
    expect(found).toMatch(/^crash state \d+ of lives \d+: /);
  });
});

describe.concurrent('damage', () => {
  it.each(DAMAGE_BUGS)('shows: $name', { timeout: TIMEOUT_MS }, async (bug) => {
    const found = await findingsIn(bug, 'corruption-sweep.js', 'corruptionSweep', Number.MAX_SAFE_INTEGER);
    expect(found).toMatch(/^folder 1 \(.+\), /);
  });
});

function findingsIn({ edits }: Bug, file: string, name: string, cases: number): Promise<string> {
  return withPlanted(edits, async (build) => {
    const { findings } = await inOwnProcess(file, name, build)({ seed: 1, cases });
    return findings.join('\n');
  });
}
