import { describe, expect, it } from 'vitest';
import { isSkipped } from '../is-skipped.ts';
import { coordinatorFaults } from './coordinator-faults.ts';
import { whyNoStrace } from './strace.ts';
import { systemCallFaults } from './system-call-faults.ts';

const SEED = Math.floor(Math.random() * 1e9);
const CALLS = 50;
const WRITES = 12;
const FAULTS = ['EIO', 'ENOSPC', 'kill'];

const cannotRun = isSkipped('faults of system calls, for want of strace', await whyNoStrace());

describe.skipIf(cannotRun)(`${FAULTS.join(', ')} at the first ${CALLS} calls that change the folder`, () => {
  it('lose nothing acknowledged, and nothing is acknowledged after them', async () => {
    const cases = CALLS * FAULTS.length;
    expect(await systemCallFaults({ seed: SEED, cases })).toEqual({ cases, findings: [] });
  });
});

describe.skipIf(cannotRun)(`${FAULTS.join(', ')} at a write of the coordinator under load`, () => {
  it('lose nothing that a collector was told of', async () => {
    expect(await coordinatorFaults({ seed: SEED, cases: WRITES })).toEqual({ cases: WRITES, findings: [] });
  });
});
