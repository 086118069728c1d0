import { describe, expect, it } from 'vitest';
import { isSkipped } from '../is-skipped.ts';
import { planter } from '../plant.ts';
import { whyNoLoopMount } from './loop-mount.ts';
import { UNFORCED_DISK } from './other-bugs.ts';
import { powerCuts, powerCutsExt4 } from './power-cuts.ts';

const SEED = Math.floor(Math.random() * 1e9);
const CUTS = 50;
/** Without fsync the first one or two lose something; a control that survives these proves nothing of the rest. */
const CONTROL_CUTS = 6;

const cannotRun = isSkipped('power cuts, for want of loop mounts', await whyNoLoopMount('ext4'));

describe.skipIf(cannotRun)('power cuts on ext4', () => {
  it(`lose nothing acknowledged in ${CUTS} cuts`, async () => {
    expect(await powerCutsExt4({ seed: SEED, cases: CUTS })).toEqual({ cases: CUTS, findings: [] });
  });

  it('lose what was acknowledged where nothing is forced to the disk: the control', async () => {
    const { findings } = await planter([UNFORCED_DISK])(UNFORCED_DISK, (build) =>
      powerCuts({ fileSystem: 'ext4', build })({ seed: SEED, cases: CONTROL_CUTS }),
    );
    expect(findings.join('\n')).toMatch(/which was acknowledged, is lost/);
  });
});
