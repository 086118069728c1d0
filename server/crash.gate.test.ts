import { describe, it } from 'vitest';
import { killsUnderLoad } from './testing/crash-load.ts';

describe('50 kills -9 under load', () => {
  it.each(['uws', 'ws'])('lose no acknowledged lease and repeat no token, over %s', async (transport) => {
    await killsUnderLoad(transport, 25);
  });
});
