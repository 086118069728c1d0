import { describe, expect, it } from 'vitest';
import { fuzzFrames } from './fuzz-frames.ts';
import { fuzzSockets } from './fuzz-sockets.ts';

const SEED = Math.floor(Math.random() * 1e9);

describe(`frames of any kind, seed ${SEED}`, () => {
  it('are each answered or end the socket, and leave a sound state', async () => {
    expect(await fuzzFrames({ seed: SEED, cases: 5_000 })).toMatchObject({ findings: [] });
  });

  it('come the same way again from the same seed', async () => {
    const frames = { seed: SEED, cases: 500 };
    expect(await fuzzFrames(frames)).toEqual(await fuzzFrames(frames));
  });

  it('disturb nobody else over real sockets', async () => {
    expect(await fuzzSockets({ seed: SEED, cases: 500 })).toEqual({ cases: 500, findings: [] });
  });
});
