import { expect, it } from 'vitest';
import { refusal } from './http-answers.ts';

it.each([
  [{ max_leases: 1 }, 'the resource has all the leases it may have'],
  [{ max_leases_per_client: 1 }, 'the client has all the leases of this resource that it may have'],
])('says whose bound is met: %j', async (bound, message) => {
  const response = refusal({
    type: 'refused',
    reason: 'max_leases',
    why: { states: { free: 2 }, excluded: 0, ...bound },
  });
  expect(await response.json()).toMatchObject({ reason: 'max_leases', message, why: bound });
});
