import { expect, it } from 'vitest';
import { Fifo } from './fifo.ts';

it('gives back in order whatever was put in, however the two take turns', () => {
  const fifo = new Fifo<number>();
  let pushed = 0;
  let taken = 0;
  for (const [puts, takes] of [
    [3_000, 2_500],
    [10, 400],
    [5_000, 5_110],
    [1, 1],
    [2_000, 2_000],
  ] as const) {
    for (let times = 0; times < puts; times += 1) fifo.push(pushed++);
    for (let times = 0; times < takes; times += 1) {
      expect(fifo.peek()).toBe(taken);
      expect(fifo.take()).toBe(taken);
      taken += 1;
    }
    expect(fifo.size).toBe(pushed - taken);
  }
  expect(fifo.size).toBe(0);
  expect([fifo.peek(), fifo.take(), fifo.size]).toEqual([undefined, undefined, 0]);
});
