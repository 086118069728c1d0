import { writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { PoolAtStart } from './pool-at-start.ts';
import { dataFolder, startCoordinator } from './testing/coordinator-process.ts';

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

it('a pool file that says what it said before undoes nothing that was changed over HTTP, over kill -9 and orderly stops', async () => {
  const record = (number: number, country: string) => {
    return { address: `10.0.0.${number}:80`, country, rpw: 0, resource_ids: [7] };
  };
  const NUMBERS = [1, 2, 3, 4, 5, 6];
  const inFile = NUMBERS.map((number) => record(number, 'US'));
  const { dir, poolFile } = await dataFolder(inFile);
  let coordinator = await startCoordinator(['--data-dir', dir, '--pool', poolFile]);
  const call = async (method: string, path: string, body?: object) => {
    const response = await fetch(`http://127.0.0.1:${coordinator.adminPort}/v1/addresses${path}`, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
    });
    expect(response.ok).toBe(true);
    return response.status === 204 ? {} : ((await response.json()) as Record<string, unknown>);
  };
  const pool = async () => {
    const { addresses } = (await call('GET', '')) as { addresses: { address: string; country: string }[] };
    const lines = addresses.map(({ address, country }) => `${address.split(':')[0]!.slice(7)} ${country}`);
    return lines.sort();
  };
  const restart = async (signal: NodeJS.Signals) => {
    await coordinator.kill(signal);
    coordinator = await startCoordinator(['--data-dir', dir, '--pool', poolFile]);
    return pool();
  };

  for (const id of [1, 2]) await call('DELETE', `/${id}`);
  const again = await Promise.all([1, 2].map((number) => call('POST', '', record(number, 'DE'))));
  await call('DELETE', `/${again[1]!['address_id'] as number}`);
  await call(
    'POST',
    '/import',
    [3, 4, 5].map((number) => record(number, 'MX')),
  );
  await call('DELETE', '/3');
  await call('PATCH', '/4', { country: 'CA' });
  await call('PATCH', '/6', { country: 'CA' });
  const changed = ['1 DE', '4 CA', '5 MX', '6 CA'];
  expect(await pool()).toEqual(changed);
  expect(await restart('SIGKILL')).toEqual(changed);
  expect(await restart('SIGTERM')).toEqual(changed);

  await writeFile(poolFile, JSON.stringify(NUMBERS.map((number) => record(number, number > 2 ? 'BR' : 'US'))));
  const followed = ['1 DE', '3 BR', '4 BR', '5 BR', '6 BR'];
  expect(await restart('SIGTERM')).toEqual(followed);
  await writeFile(poolFile, JSON.stringify(inFile));
  expect(await restart('SIGTERM')).toEqual(['1 DE', '3 US', '4 US', '5 US', '6 US']);
});
