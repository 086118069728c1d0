import { describe, it } from 'vitest';
import { killsUnderLoad } from './testing/crash-load.ts';

describe('kill -9 under load', () => {
  it.each(['uws', 'ws'])(
    'loses no acknowledged lease and repeats no token, over %s',
    async (transport) => {
      await killsUnderLoad(transport, 4);
    },
    120_000,
  );
});
