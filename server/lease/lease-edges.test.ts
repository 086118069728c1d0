/** Where rules meet: each of these once went wrong, or would without a word in the code that says why. */
import { expect, it } from 'vitest';
import { LeaseDriver } from '../testing/lease-driver.ts';
import type { AcquireLease, LeaseAnswer, LeaseCommand, LeaseNotice } from './commands.ts';
import { pairStatus } from './pair.ts';
import type { ResourcePolicy } from './policy.ts';

const LIMITS = { ttlMinMs: 200, ttlMaxMs: 1e9 };
const DAY_MS = 86_400_000;

/** Sessions `a`, `b`, `c` and a pool of `size` addresses for the resources 1 and 2. */
class Bench {
  readonly driver = new LeaseDriver();

  constructor(size: number, policy: Partial<ResourcePolicy> = {}, rpw = 0) {
    this.run({ type: 'StartEpoch', epoch: 1, tokenFloor: 0, suspendMs: 0 });
    this.configure(policy);
    const records = Array.from({ length: size }, (_, index) => {
      return { address: `p${index + 1}`, country: 'US', rpw, resource_ids: [1, 2] };
    });
    this.run({ type: 'ImportPool', records, replace: false });
    for (const session of ['a', 'b', 'c']) {
      this.run({ type: 'OpenSession', session, secretHash: '', resumeWindowMs: 0, sessionsMax: 9 });
    }
  }

  configure(policy: Partial<ResourcePolicy>): void {
    this.run({ type: 'Configure', defaultPolicy: { ...LIMITS, ...policy }, policies: new Map() });
  }

  run(command: LeaseCommand): LeaseAnswer {
    const decisions = this.driver.execute(command);
    return decisions.findLast(({ answer }) => answer !== undefined)!.answer!;
  }

  acquire(session: string, request: number, terms: Partial<AcquireLease> = {}): LeaseAnswer {
    const holder = { kind: 'session', session } as const;
    return this.run({ type: 'AcquireLease', holder, resource: 1, ttlMs: 60_000, request, ...terms });
  }

  /** Tokens of what is granted at once. */
  granted(session: string, request: number, terms: Partial<AcquireLease> = {}): number[] {
    const answer = this.acquire(session, request, terms);
    if (answer.type !== 'granted') throw new Error(`request ${request} is ${answer.type}`);
    return answer.grants.map(({ lease }) => lease);
  }

  release(session: string, leases: readonly number[], outcome?: 'banned'): void {
    for (const lease of leases) {
      const holder = { kind: 'session', session } as const;
      this.run({ type: 'ReleaseLease', holder, lease, ...(outcome && { outcome }) });
    }
  }

  advance(ms: number): LeaseNotice[] {
    return this.driver.advance(ms).flatMap(({ notices }) => notices);
  }

  holders(): string[] {
    return Array.from(this.driver.state.leases.values(), ({ holder }) => ('session' in holder ? holder.session : ''));
  }
}

it('revokes a lease that was renewed up to its announced revocation, with the reason', () => {
  const bench = new Bench(1);
  const leases = bench.granted('a', 1);
  bench.run({ type: 'RevokeLeases', leases, reason: 'operator', deadlineMs: 90_000 });
  bench.run({ type: 'RenewLeases', holder: { kind: 'session', session: 'a' }, leases, ttlMs: 3_600_000 });
  expect(bench.advance(90_000)).toContainEqual(expect.objectContaining({ type: 'LeaseRevoked', reason: 'operator' }));
});

it('refuses a count whose condition, written with each lease, would not fit one commit', () => {
  const bench = new Bench(100);
  const where = { address: { nin: Array.from({ length: 900 }, (_, index) => `${'x'.repeat(60)}${index}`) } };
  const holder = { kind: 'session', session: 'a' } as const;
  expect(bench.acquire('a', 1, { where, count: 100 })).toMatchObject({ type: 'rejected', path: 'where' });
  const explain = { type: 'ExplainAcquire', holder, resource: 1, ttlMs: 60_000, where, count: 100 } as const;
  expect(bench.run(explain)).toMatchObject({ type: 'rejected', path: 'where' });
  expect(bench.granted('a', 2, { where, count: 3 })).toHaveLength(3);
});

it('serves who waits for a lower rpw when the day turns, whoever else asks for anything', () => {
  const bench = new Bench(1, {}, 500);
  bench.driver.pause(7 * DAY_MS - 5_000);
  expect(bench.acquire('a', 1, { where: { rpw: { lt: 500 } }, waitMs: 60_000 }).type).toBe('queued');
  bench.advance(6_000);
  expect(bench.holders()).toEqual(['a']);
});

it('lets no count collect that max_leases now forbids', () => {
  const bench = new Bench(3);
  const held = bench.granted('a', 1, { count: 3 });
  bench.acquire('b', 1, { count: 3, waitMs: 60_000 });
  bench.configure({ maxLeases: 2 });
  bench.release('a', held);
  expect(bench.granted('c', 1)).toHaveLength(1);
});

it('lets the next count collect where the pool will never be enough for the oldest', () => {
  const bench = new Bench(3);
  const [first, ...others] = bench.granted('a', 1, { count: 3 });
  bench.acquire('b', 1, { count: 5, waitMs: 60_000 });
  bench.acquire('c', 1, { count: 2, waitMs: 60_000 });
  bench.release('a', [first!]);
  expect(bench.acquire('a', 2).type).toBe('refused');
  bench.release('a', others.slice(0, 1));
  expect(bench.holders()).toEqual(['a', 'c', 'c']);
});

it('gives what a revoked lease leaves to who waits, before it is a substitute for the next', () => {
  const bench = new Bench(2);
  const leases = bench.granted('a', 1, { count: 2 });
  bench.acquire('b', 1, { waitMs: 60_000 });
  bench.run({ type: 'RevokeLeases', leases, reason: 'operator' });
  expect(bench.holders()).toContain('b');
});

it('knows for every pair of an address on probation until when its one lease is renewed', () => {
  const bench = new Bench(1, { banMs: 1_000, banAddressAfter: 1 });
  bench.release('a', bench.granted('a', 1), 'banned');
  bench.advance(2_000);
  const leases = bench.granted('a', 2);
  bench.run({ type: 'RenewLeases', holder: { kind: 'session', session: 'a' }, leases, ttlMs: 3_600_000 });
  for (const { id, pool } of bench.driver.state.resources.values()) pool.verify((address) => pairStatus(address, id));
  expect(bench.acquire('a', 3, { resource: 2 })).toMatchObject({ type: 'refused', retryAfterMs: 3_600_000 });
});

it('takes back what a request holds slice by slice, where a client gave many requests the same id', () => {
  for (const size of [1_000, 1_100]) {
    const bench = new Bench(size);
    for (let times = 0; times < size / 100; times += 1) bench.granted('a', 1, { count: 100 });
    const cancelled = bench.run({ type: 'CancelAcquire', holder: { kind: 'session', session: 'a' }, request: 1 });
    if (cancelled.type !== 'cancelled') throw new Error(`a cancel is answered ${cancelled.type}`);
    expect(new Set(cancelled.leases).size).toBe(size);
    expect(bench.holders()).toEqual([]);
  }
});

it('keeps nothing of a resource of which nothing is left', () => {
  const bench = new Bench(1);
  for (let resource = 3; resource < 20; resource += 1) {
    const record = { address: 'p1', country: 'US', rpw: 0, resource_ids: [resource] };
    bench.run({ type: 'ImportPool', records: [record], replace: true });
    bench.release('a', bench.granted('a', resource, { resource }));
    bench.acquire('b', resource, { resource, where: { country: { eq: 'CA' } }, waitMs: 1_000 });
    bench.advance(1_000);
  }
  const { resources, sessions } = bench.driver.state;
  expect([...resources.keys()]).toEqual([19]);
  for (const { served } of sessions.values()) for (const resource of served.keys()) expect(resource).toBe(19);
});

it('reads from a snapshot no resource that was forgotten, though a pair of it is still known', () => {
  const bench = new Bench(1, { banMs: 1_000 });
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
  const bench = new Bench(1);
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
