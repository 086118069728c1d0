import { expect, it } from 'vitest';
import type { Lease } from '../../protocol/client.ts';
import { PairWatch } from './pair-watch.ts';

function lease(resource: number, address: string, live: boolean): Lease {
  return { resource, address: { address }, live } as Lease;
}

it('sees a grant of a pair on which another lease is live', () => {
  const watch = new PairWatch();
  expect(watch.take(lease(7, 'a:1', true))).toBe(false);
  expect(watch.take(lease(7, 'a:1', true))).toBe(true);
});

it('sees none where the lease before has ended, or the pair is another one', () => {
  const watch = new PairWatch();
  expect(watch.take(lease(7, 'a:1', false))).toBe(false);
  const held = lease(7, 'a:1', true);
  expect(watch.take(held)).toBe(false);
  expect(watch.take(held)).toBe(false);
  expect(watch.take(lease(8, 'a:1', true))).toBe(false);
  expect(watch.take(lease(7, 'b:1', true))).toBe(false);
});
