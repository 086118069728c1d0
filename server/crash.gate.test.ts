import { expect, it } from 'vitest';
import { killUnderLoad } from './testing/faults/kill-under-load.ts';

it('50 kills -9 under load lose no acknowledged lease and repeat no token, over either transport', async () => {
  const seed = Math.floor(Math.random() * 1e9);
  expect(await killUnderLoad({ seed, cases: 50 })).toEqual({ cases: 50, findings: [] });
});
