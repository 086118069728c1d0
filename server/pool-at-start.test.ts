import { expect, it } from 'vitest';
import { PoolAtStart } from './pool-at-start.ts';

type Parameters = ConstructorParameters<typeof PoolAtStart>;

it('a pool file is tried again where there is room before the answer that there was none has come', async () => {
  const answers: ((answer: object) => void)[] = [];
  const said: string[] = [];
  const leases = {
    execute: (_command: object, released: (answer: object) => void) => void answers.push(released),
    read: (_query: unknown, released: (count: number) => void) => released(3),
  } as unknown as Parameters[1];
  const say = (_fields: object, message: string) => void said.push(message);
  const log = { info: say, warn: say } as unknown as Parameters[3];
  const poolAtStart = new PoolAtStart([], leases, { pool: 'pool.json', poolReplace: false } as Parameters[2], log);

  const taking = poolAtStart.takeIn();
  await poolAtStart.takeIn();
  expect(answers).toHaveLength(1);
  answers[0]!({ type: 'rejected', code: 'storage_full' });
  await expect.poll(() => answers).toHaveLength(2);
  answers[1]!({ type: 'imported', counts: {} });
  await taking;
  expect(said).toEqual([expect.stringContaining('waits for room'), 'pool imported']);

  await poolAtStart.takeIn();
  expect(answers).toHaveLength(2);
});
