import { expect, it } from 'vitest';
import { killUnderLoad } from './testing/faults/kill-under-load.ts';

it('kill -9 under load loses no acknowledged lease and repeats no token, over either transport', async () => {
  expect(await killUnderLoad({ seed: 1, cases: 4 })).toEqual({ cases: 4, findings: [] });
});
