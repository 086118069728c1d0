import { describe, expect, it } from 'vitest';
import { clockJumps, whyNoFakeTime } from './clock-jumps.ts';
import type { FaultRun } from './fault-run.ts';
import { halfOpenPeers } from './half-open-peers.ts';
import { pauses } from './pauses.ts';

const SEED = Math.floor(Math.random() * 1e9);
const CASES = 10;

const whyNot = await whyNoFakeTime();
if (whyNot !== undefined) process.stdout.write(`SKIPPED: no clock jumps here: ${whyNot}\n`);

describe(`at a TTL of 300 ms, ${CASES} each, seed ${SEED}`, () => {
  const clean = async (run: FaultRun) =>
    expect(await run({ seed: SEED, cases: CASES })).toEqual({ cases: CASES, findings: [] });

  it('a process that stands still ends no lease early, renews none late and drops no session', () => clean(pauses));

  it.skipIf(whyNot !== undefined)('a wall clock that is set ends no lease early and none late', () =>
    clean(clockJumps),
  );

  it('a half-open peer is dropped, and its session ends or is kept', () => clean(halfOpenPeers));
});
