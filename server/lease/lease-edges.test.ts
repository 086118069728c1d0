/** Where rules meet: each of these once went wrong, or would without a word in the code that says why. */
import { expect, it } from 'vitest';
import { LeaseBench } from '../testing/lease-bench.ts';
import { pairStatus } from './pair.ts';

const DAY_MS = 86_400_000;
/** What one turn's look at what is due ends at most, waits or leases. */
const PER_DUE = 1_000;

it('revokes a lease that was renewed up to its announced revocation, with the reason', () => {
  const bench = new LeaseBench(1);
  const leases = bench.granted('a', 1);
  bench.run({ type: 'RevokeLeases', leases, reason: 'operator', deadlineMs: 90_000 });
  bench.run({ type: 'RenewLeases', holder: { kind: 'session', session: 'a' }, leases, ttlMs: 3_600_000 });
  expect(bench.advance(90_000)).toContainEqual(expect.objectContaining({ type: 'LeaseRevoked', reason: 'operator' }));
});

it('refuses a count whose condition, written with each lease, would not fit one commit', () => {
  const bench = new LeaseBench(100);
  const where = { address: { nin: Array.from({ length: 900 }, (_, index) => `${'x'.repeat(60)}${index}`) } };
  const holder = { kind: 'session', session: 'a' } as const;
  expect(bench.acquire('a', 1, { where, count: 100 })).toMatchObject({ type: 'rejected', path: 'where' });
  const explain = { type: 'ExplainAcquire', holder, resource: 1, ttlMs: 60_000, where, count: 100 } as const;
  expect(bench.run(explain)).toMatchObject({ type: 'rejected', path: 'where' });
  expect(bench.granted('a', 2, { where, count: 3 })).toHaveLength(3);
});

it('serves who waits for a lower rpw when the day turns, whoever else asks for anything', () => {
  const bench = new LeaseBench(1, {}, 500);
  bench.driver.pause(7 * DAY_MS - 5_000);
  expect(bench.acquire('a', 1, { where: { rpw: { lt: 500 } }, waitMs: 60_000 }).type).toBe('queued');
  bench.advance(6_000);
  expect(bench.holders()).toEqual(['a']);
});

it('lets no count collect that max_leases now forbids', () => {
  const bench = new LeaseBench(3);
  const held = bench.granted('a', 1, { count: 3 });
  bench.acquire('b', 1, { count: 3, waitMs: 60_000 });
  bench.configure({ maxLeases: 2 });
  bench.release('a', held);
  expect(bench.granted('c', 1)).toHaveLength(1);
});

it('lets the next count collect where the pool will never be enough for the oldest', () => {
  const bench = new LeaseBench(3);
  const [first, ...others] = bench.granted('a', 1, { count: 3 });
  bench.acquire('b', 1, { count: 5, waitMs: 60_000 });
  bench.acquire('c', 1, { count: 2, waitMs: 60_000 });
  bench.release('a', [first!]);
  expect(bench.acquire('a', 2).type).toBe('refused');
  bench.release('a', others.slice(0, 1));
  expect(bench.holders()).toEqual(['a', 'c', 'c']);
});

it('gives what a revoked lease leaves to who waits, before it is a substitute for the next', () => {
  const bench = new LeaseBench(2);
  const leases = bench.granted('a', 1, { count: 2 });
  bench.acquire('b', 1, { waitMs: 60_000 });
  bench.run({ type: 'RevokeLeases', leases, reason: 'operator' });
  expect(bench.holders()).toContain('b');
});

it('knows for every pair of an address on probation until when its one lease is renewed', () => {
  const bench = new LeaseBench(1, { banMs: 1_000, banAddressAfter: 1 });
  bench.release('a', bench.granted('a', 1), 'banned');
  bench.advance(2_000);
  const leases = bench.granted('a', 2);
  bench.run({ type: 'RenewLeases', holder: { kind: 'session', session: 'a' }, leases, ttlMs: 3_600_000 });
  for (const { id, pool } of bench.driver.state.resources.values()) pool.verify((address) => pairStatus(address, id));
  expect(bench.acquire('a', 3, { resource: 2 })).toMatchObject({ type: 'refused', retryAfterMs: 3_600_000 });
});

it('gives nothing to waits that are over, however many of them a pause has left', () => {
  const bench = new LeaseBench(1);
  bench.granted('a', 0);
  for (let request = 0; request < 2 * PER_DUE; request += 1) {
    bench.acquire(request < PER_DUE ? 'b' : 'c', request, { waitMs: 10_000 });
  }
  bench.driver.pause(120_000);
  bench.granted('a', 1);
  expect(bench.holders()).toEqual(['a']);
});

it('gives no lease past its deadline again by its key, though a pause has left more ends than one turn takes', () => {
  const terms = { count: 100, ttlMs: 10_000 };
  const bench = new LeaseBench(3 * PER_DUE);
  for (let key = 0; key < 30; key += 1) bench.granted('a', key, { ...terms, key: `k${key}` });
  bench.driver.pause(60_000);
  for (const key of ['k0', 'k15', 'k29']) {
    expect(bench.acquire('a', 30, { ...terms, key })).toMatchObject({ type: 'rejected', code: 'lease_lost' });
  }
});

it('takes back what a request holds slice by slice, where a client gave many requests the same id', () => {
  for (const size of [1_000, 1_100]) {
    const bench = new LeaseBench(size);
    for (let times = 0; times < size / 100; times += 1) bench.granted('a', 1, { count: 100 });
    const cancelled = bench.run({ type: 'CancelAcquire', holder: { kind: 'session', session: 'a' }, request: 1 });
    if (cancelled.type !== 'cancelled') throw new Error(`a cancel is answered ${cancelled.type}`);
    expect(new Set(cancelled.leases).size).toBe(size);
    expect(bench.holders()).toEqual([]);
  }
});

it('keeps nothing of a resource of which nothing is left', () => {
  const bench = new LeaseBench(1);
  for (let resource = 3; resource < 20; resource += 1) {
    const record = { address: 'p1', country: 'US', rpw: 0, resource_ids: [resource] };
    bench.run({ type: 'ImportPool', records: [record], replace: true });
    bench.release('a', bench.granted('a', resource, { resource }));
    bench.acquire('b', resource, { resource, where: { country: { eq: 'CA' } }, waitMs: 1_000 });
    bench.advance(1_000);
  }
  const { resources, sessions } = bench.driver.state;
  expect([...resources.keys()]).toEqual([19]);
  for (const { collector } of sessions.values())
    for (const resource of collector.served.keys()) expect(resource).toBe(19);
});

it('reads from a snapshot no resource that was forgotten, though a pair of it is still known', () => {
  const bench = new LeaseBench(1, { banMs: 1_000 });
  bench.release('a', bench.granted('a', 1), 'banned');
  bench.advance(1_000);
  const record = { address: 'p1', country: 'US', rpw: 0, resource_ids: [2] };
  bench.run({ type: 'ImportPool', records: [record], replace: true });
  const written = bench.driver.snapshot();
  expect(written.filter((one) => Array.isArray(one) && one[0] === 'pair')).toHaveLength(1);
  expect(bench.driver.replayed()).toEqual(written);
  bench.driver.reload();
  expect(bench.driver.snapshot()).toEqual(written);
  expect([...bench.driver.state.resources.keys()]).toEqual([2]);
});

it('ends sessions that wait for much in slices', () => {
  const bench = new LeaseBench(1);
  bench.granted('a', 1);
  for (const session of ['d', 'e', 'f', 'g', 'h', 'i']) {
    bench.run({ type: 'OpenSession', session, secretHash: '', resumeWindowMs: 5_000, sessionsMax: 9 });
    for (let request = 1; request <= 600; request += 1) bench.acquire(session, request, { waitMs: 60_000 });
    bench.run({ type: 'DropSession', session, suspendMs: 0 });
  }
  bench.driver.nowMs += 5_000;
  // One slice before it, one behind it.
  bench.run({ type: 'EndSession', session: 'nobody' });
  expect(bench.driver.state.waiters.size).toBe(1_200);
  bench.driver.runDue();
  expect(bench.driver.state.waiters.size).toBe(0);
});
