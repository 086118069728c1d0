import { describe, expect, it } from 'vitest';
import { isSkipped } from '../is-skipped.ts';
import { type Edit, withPlanted } from '../plant.ts';
import { whyNoLoopMount } from './loop-mount.ts';
import { powerCuts, powerCutsExt4 } from './power-cuts.ts';

const SEED = Math.floor(Math.random() * 1e9);
const CUTS = 50;
/** Without fsync the first one or two lose something; a control that survives these proves nothing of the rest. */
const CONTROL_CUTS = 6;

const DISK = 'server/journal/disk.ts';
const NO_FSYNC: readonly Edit[] = [
  { file: DISK, find: 'O_RDWR | O_CREAT | O_TRUNC | O_DSYNC', replace: 'O_RDWR | O_CREAT | O_TRUNC' },
  {
    file: DISK,
    find: 'fs.fsync(this.#descriptor, (error) => (error ? fail(error) : done()));',
    replace: 'setImmediate(done);',
  },
];

const cannotRun = isSkipped('power cuts, for want of loop mounts', await whyNoLoopMount('ext4'));

describe.skipIf(cannotRun)('power cuts on ext4', () => {
  it(`lose nothing acknowledged in ${CUTS} cuts`, async () => {
    expect(await powerCutsExt4({ seed: SEED, cases: CUTS })).toEqual({ cases: CUTS, findings: [] });
  });

  it('lose what was acknowledged where nothing is forced to the disk: the control', async () => {
    const { findings } = await withPlanted(NO_FSYNC, (build) =>
      powerCuts({ fileSystem: 'ext4', build })({ seed: SEED, cases: CONTROL_CUTS }),
    );
    expect(findings.join('\n')).toMatch(/which was acknowledged, is lost/);
  });
});
