import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { COMPUTING_NODE } from '../computing-node.ts';
import { planter } from '../plant.ts';
import { inOwnProcess } from './in-own-process.ts';
import { SILENCES } from './other-bugs.ts';

const SEED = Math.floor(Math.random() * 1e9);
const FRAMES = 1_000_000;
const PROCESSES = availableParallelism();

const plant = planter(SILENCES);

describe(`${FRAMES} frames of any kind, seeds from ${SEED} on`, () => {
  it('are each answered or end the socket, and leave a sound state', async () => {
    const fuzz = inOwnProcess('fuzz-frames.js', 'fuzzFrames', { node: COMPUTING_NODE });
    const cases = Math.ceil(FRAMES / PROCESSES);
    const runs = await Promise.all(
      Array.from({ length: PROCESSES }, (_, index) => fuzz({ seed: SEED + index, cases })),
    );
    expect(runs.flatMap(({ findings }) => findings)).toEqual([]);
    expect(runs.reduce((sum, run) => sum + run.cases, 0)).toBeGreaterThanOrEqual(FRAMES);
  });
});

describe('a coordinator that', () => {
  it.each(SILENCES)('$name is found', async (silence) => {
    const { findings } = await plant(silence, (build) =>
      inOwnProcess('fuzz-frames.js', 'fuzzFrames', { build, node: COMPUTING_NODE })({ seed: SEED, cases: 20_000 }),
    );
    expect(findings.join()).toMatch(/frames are not answered/);
  });
});
