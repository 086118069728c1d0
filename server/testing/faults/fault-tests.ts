import { runSeeds } from '../simulation/seeds.ts';
import { whyNoFakeTime } from './clock-jumps.ts';
import type { FaultRun } from './fault-run.ts';
import { inOwnProcess } from './in-own-process.ts';
import { whyNoLoopMount } from './loop-mount.ts';
import { whyNoStrace } from './strace.ts';

const OPERATIONS = 50_000;

export interface FaultTest {
  /** As `npm run soak -- --only` takes it. */
  readonly name: string;
  readonly run: FaultRun;
  /** Of one round: half a minute or so. */
  readonly soakCases: number;
  /** Why it can't run here; absent, or undefined: it can. */
  readonly whyNot?: () => Promise<string | undefined>;
}

/** Cases are seeds, one after the other from `seed` × `cases` on. */
const simulation: FaultRun = async ({ seed, cases, onProgress }) => {
  const { seeds, findings } = await runSeeds({
    first: (seed - 1) * cases + 1,
    count: cases,
    operations: OPERATIONS,
    onSeed: (_, doneCount) => onProgress?.(doneCount),
  });
  return { cases: seeds.length, findings };
};

/** All that the gate runs at the sizes of CI, for the soak to run for hours. Each is a process of its own. */
export const FAULT_TESTS: readonly FaultTest[] = [
  { name: 'simulation', run: simulation, soakCases: 10 },
  { name: 'crash-states', run: inOwnProcess('crash-states.js', 'crashStates'), soakCases: 50_000 },
  { name: 'corruption', run: inOwnProcess('corruption-sweep.js', 'corruptionSweep'), soakCases: 1_000_000 },
  { name: 'damage-and-repair', run: inOwnProcess('damage-and-repair.js', 'damageAndRepair'), soakCases: 3_000 },
  {
    name: 'power-cuts-ext4',
    run: inOwnProcess('power-cuts.js', 'powerCutsExt4'),
    soakCases: 15,
    whyNot: () => whyNoLoopMount('ext4'),
  },
  {
    name: 'power-cuts-xfs',
    run: inOwnProcess('power-cuts.js', 'powerCutsXfs'),
    soakCases: 15,
    whyNot: () => whyNoLoopMount('xfs'),
  },
  {
    name: 'system-call-faults',
    run: inOwnProcess('system-call-faults.js', 'systemCallFaults'),
    soakCases: 150,
    whyNot: whyNoStrace,
  },
  {
    name: 'coordinator-faults',
    run: inOwnProcess('coordinator-faults.js', 'coordinatorFaults'),
    soakCases: 12,
    whyNot: whyNoStrace,
  },
  { name: 'kill-under-load', run: inOwnProcess('kill-under-load.js', 'killUnderLoad'), soakCases: 15 },
  { name: 'fuzz-frames', run: inOwnProcess('fuzz-frames.js', 'fuzzFrames'), soakCases: 400_000 },
  { name: 'fuzz-sockets', run: inOwnProcess('fuzz-sockets.js', 'fuzzSockets'), soakCases: 30_000 },
  { name: 'pauses', run: inOwnProcess('pauses.js', 'pauses'), soakCases: 10 },
  { name: 'clock-jumps', run: inOwnProcess('clock-jumps.js', 'clockJumps'), soakCases: 10, whyNot: whyNoFakeTime },
  { name: 'half-open-peers', run: inOwnProcess('half-open-peers.js', 'halfOpenPeers'), soakCases: 10 },
];
