import { expect, it } from 'vitest';
import { dataFolder, startCoordinator } from '../testing/coordinator-process.ts';
import { LeaseBench } from '../testing/lease-bench.ts';
import { leaseDomain } from './lease-domain.ts';
import { policyOf } from './state.ts';

it('stands in the snapshot and in the journal with its version, and its versions go on behind it', () => {
  const bench = new LeaseBench(2, { maxLeases: 2, cooldownMs: { released: 5, expired: 6 } });
  bench.run({ type: 'SetPolicy', resource: 2, policy: { maxLeases: 1 } });
  bench.run({
    type: 'SetPolicy',
    resource: 1,
    policy: { cooldownMs: { released: 1 }, where: { country: { eq: 'CA' } } },
  });
  bench.run({ type: 'DeletePolicy', resource: 2 });
  const { driver } = bench;
  const written = driver.snapshot();
  expect(driver.replayed()).toEqual(written);
  driver.reload();
  expect(driver.snapshot()).toEqual(written);
  expect(policyOf(driver.state, 1)).toMatchObject({ maxLeases: 2, cooldownMs: { released: 1, expired: 6 } });
  expect(driver.state.policies.size).toBe(1);
  expect(bench.run({ type: 'SetPolicy', resource: 2, policy: {} })).toEqual({ type: 'policy_set', version: 3 });
});

it('is in no snapshot of an earlier version, and none is missed', () => {
  const restored = leaseDomain.create();
  leaseDomain.restore(restored, ['meta', 2, 1, 20_000, 5, 9, 3, 1, { ttlMinMs: 200, ttlMaxMs: 1_000 }, 4, 8]);
  leaseDomain.restore(restored, ['policy', 1, 7, { ttlMinMs: 300, ttlMaxMs: 400 }]);
  expect(restored).toMatchObject({ lastWaiter: 4, turns: 8, lastPolicyVersion: 0 });
  expect(policyOf(restored, 7)).toEqual({ ttlMinMs: 300, ttlMaxMs: 400 });
});

it('may be changed where the disk is nearly full only back to what there was', () => {
  const bench = new LeaseBench(1);
  bench.run({ type: 'SetPolicy', resource: 1, policy: { maxLeases: 1 } });
  bench.run({ type: 'SetStorage', level: 'low' });
  expect(bench.run({ type: 'SetPolicy', resource: 1, policy: {} })).toMatchObject({ code: 'storage_full' });
  expect(bench.run({ type: 'DeletePolicy', resource: 1 })).toEqual({ type: 'policy_deleted' });
});

it('is named at the start with what is wrong with it, where it no longer fits the configuration', async () => {
  const { dir } = await dataFolder();
  const start = (policies: object) =>
    startCoordinator(['--data-dir', dir], { LEASEHOLD_RESOURCES: JSON.stringify(policies) });
  const first = await start({ 7: { ban_ms: 60_000 } });
  for (const [resource, policy] of [
    [7, { ban_max_ms: 90_000 }],
    [8, { max_leases: 1 }],
  ] as const) {
    const response = await fetch(`http://127.0.0.1:${first.adminPort}/v1/resources/${resource}`, {
      method: 'PUT',
      body: JSON.stringify(policy),
      headers: { 'Content-Type': 'application/json' },
    });
    expect(response.status).toBe(200);
  }
  await first.kill('SIGTERM');
  const { output } = await start({});
  const warned = output.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ faults }) => faults);
  expect(warned).toEqual([
    expect.objectContaining({ resource: 7, faults: ['ban_max_ms means nothing without ban_ms'] }),
  ]);
});
