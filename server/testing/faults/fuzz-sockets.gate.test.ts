import { describe, expect, it } from 'vitest';
import { inOwnProcess } from './in-own-process.ts';

const SEED = Math.floor(Math.random() * 1e9);
const MESSAGES = 50_000;

describe(`${MESSAGES} messages of any kind over real sockets, seed ${SEED}`, () => {
  it('disturb neither the process nor another session, over each transport', async () => {
    const fuzz = inOwnProcess('fuzz-sockets.js', 'fuzzSockets');
    expect(await fuzz({ seed: SEED, cases: MESSAGES })).toEqual({ cases: MESSAGES, findings: [] });
  });
});
