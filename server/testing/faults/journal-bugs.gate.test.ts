/**
 * The crash states and the corruption sweep against journals that are deliberately broken. That they find nothing in the
 * sources as they are is what crash-states.gate.test.ts (from the same seed on) and corruption-sweep.gate.test.ts say.
 */
import { describe, expect, it } from 'vitest';
import { type Bug, plant } from '../plant.ts';
import { runFaults } from './fault-process.ts';
import { CRASH_BUGS, DAMAGE_BUGS } from './journal-bugs.ts';

const STATES = 30_000;
const TIMEOUT_MS = 120_000;

describe('what a power cut leaves', () => {
  it.each(CRASH_BUGS)('shows: $name', { timeout: TIMEOUT_MS }, async (bug) => {
    expect(await findingsIn(bug, ['--cases', String(STATES)])).toMatch(/^crash state \d+ of lives \d+: /);
  });
});

describe('damage', () => {
  it.each(DAMAGE_BUGS)('shows: $name', { timeout: TIMEOUT_MS }, async (bug) => {
    expect(await findingsIn(bug, ['--corruption'])).toMatch(/^folder 1 \(.+\), /);
  });
});

async function findingsIn(bug: Bug, flags: readonly string[]): Promise<string> {
  const build = await plant(bug, ['server/testing/faults/run-crash-states.ts']);
  try {
    const { findings } = await runFaults(flags, build.dir);
    return findings.join('\n');
  } finally {
    await build.remove();
  }
}
