import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeaseDriver } from '../testing/lease-driver.ts';
import { checkIndexes } from '../testing/lease-invariants.ts';
import type { LeaseAnswer, LeaseNotice } from './commands.ts';
import type { Holder } from './holder.ts';
import type { ResourcePolicy } from './policy.ts';

const PROCESS: Holder = { kind: 'process', owner: { kind: 'client', client: 'anna' } };
const CLIENT: Holder = { kind: 'client', client: 'anna' };
const POLICY = { ttlMinMs: 200, ttlMaxMs: 60_000 };
const DAY_MS = 86_400_000;

class Bench {
  readonly driver = new LeaseDriver();
  readonly notices: LeaseNotice[] = [];

  constructor(policy: Partial<ResourcePolicy> = {}) {
    this.execute({ type: 'StartEpoch', epoch: 1, tokenFloor: 0, suspendMs: 0 });
    this.configure(policy);
  }

  configure(policy: Partial<ResourcePolicy>): void {
    this.execute({ type: 'Configure', defaultPolicy: { ...POLICY, ...policy }, policies: new Map() });
  }

  execute(...[command]: Parameters<LeaseDriver['execute']>): LeaseAnswer {
    const decided = this.driver.execute(command);
    this.notices.push(...decided.flatMap(({ notices }) => notices));
    return decided.findLast(({ answer }) => answer)!.answer!;
  }

  advance(ms: number): void {
    this.notices.push(...this.driver.advance(ms).flatMap(({ notices }) => notices));
  }

  pool(...served: readonly (readonly number[])[]): void {
    const records = served.flatMap((resource_ids, index) =>
      resource_ids.length === 0
        ? []
        : [{ address: `10.0.0.${index + 1}:1`, country: 'US', rpw: 0, resource_ids: [...resource_ids] }],
    );
    this.execute({ type: 'ImportPool', records, replace: true });
  }

  acquire(holder: Holder, resource = 7, ttlMs = 10_000): number | undefined {
    const answer = this.execute({ type: 'AcquireLease', holder, resource, ttlMs, request: 1 });
    return answer.type === 'granted' ? answer.grants[0]!.lease : undefined;
  }

  release(
    holder: Holder,
    lease: number,
    report: { outcome?: 'ok' | 'failed' | 'banned'; requests?: number } = {},
  ): LeaseAnswer {
    return this.execute({ type: 'ReleaseLease', holder, lease, ...report });
  }

  /** Of this process, live. */
  held(): number[] {
    return [...this.driver.state.leases.values()]
      .filter(({ holder }) => holder.kind === 'process')
      .map(({ token }) => token);
  }

  /** Nothing is left of what dies with the process, and the journal has been told of what was used. */
  settle(): void {
    for (const lease of this.held()) this.release(PROCESS, lease);
    this.advance(1_000);
  }
}

describe('a lease of this process', () => {
  it('is exclusive like any, and none of it is in the journal or a snapshot', () => {
    const bench = new Bench();
    bench.pool([7]);
    const written = bench.driver.journal.length;
    const lease = bench.acquire(PROCESS)!;
    expect(bench.acquire(CLIENT)).toBeUndefined();
    expect(bench.acquire(PROCESS)).toBeUndefined();
    // The block of tokens alone.
    expect(bench.driver.journal.length).toBe(written + 1);
    expect(JSON.stringify(bench.driver.snapshot())).not.toContain('process');
    expect(bench.release(PROCESS, lease)).toEqual({ type: 'released' });
    expect(bench.acquire(CLIENT)).toBeGreaterThan(lease);
  });

  it('is refused where a client has the pair', () => {
    const bench = new Bench();
    bench.pool([7]);
    const lease = bench.acquire(CLIENT)!;
    expect(bench.acquire(PROCESS)).toBeUndefined();
    bench.release(CLIENT, lease);
    expect(bench.acquire(PROCESS)).toBeDefined();
  });

  it('counts with what its owner holds otherwise', () => {
    const bench = new Bench({ maxLeasesPerClient: 2 });
    bench.pool([7], [7], [7], [7]);
    bench.acquire(CLIENT);
    bench.acquire(PROCESS);
    expect(bench.acquire(PROCESS)).toBeUndefined();
    expect(bench.acquire({ kind: 'process', owner: { kind: 'client', client: 'berta' } })).toBeDefined();
  });

  it('counts requests at once, and writes them within a second, once for all', () => {
    const bench = new Bench();
    bench.pool([7]);
    for (let round = 0; round < 5; round += 1)
      bench.release(PROCESS, bench.acquire(PROCESS)!, { outcome: 'ok', requests: 3 });
    expect(bench.driver.state.addresses.get(1)!.rpw).toBe(15);
    const written = bench.driver.journal.length;
    bench.advance(1_000);
    expect(bench.driver.journal.length).toBe(written + 1);
    expect(bench.driver.replayed()).toEqual(bench.driver.snapshot());
  });

  it('counts on the day on which it was granted, whatever is written later', () => {
    const bench = new Bench();
    bench.pool([7]);
    bench.release(PROCESS, bench.acquire(PROCESS)!);
    bench.driver.utcMs += DAY_MS;
    bench.release(PROCESS, bench.acquire(PROCESS)!);
    bench.settle();
    expect(bench.driver.replayed()).toEqual(bench.driver.snapshot());
    bench.driver.utcMs += 6 * DAY_MS;
    bench.release(PROCESS, bench.acquire(PROCESS)!);
    expect(bench.driver.state.addresses.get(1)!.rpw).toBe(2);
  });

  it('writes its ban at once', () => {
    const bench = new Bench({ banMs: 60_000 });
    bench.pool([7]);
    bench.release(PROCESS, bench.acquire(PROCESS)!, { outcome: 'banned' });
    const recovered = new LeaseDriver();
    for (const bytes of bench.driver.journal) recovered.replay(bytes);
    expect(recovered.state.addresses.get(1)!.pairs?.get(7)?.quarantine?.reason).toBe('banned');
  });

  it('ends the probation of its pair, durably, once it has gone well', () => {
    const bench = new Bench({ banMs: 1_000 });
    bench.pool([7]);
    bench.release(PROCESS, bench.acquire(PROCESS)!, { outcome: 'banned' });
    bench.advance(1_500);
    expect(bench.driver.state.resources.get(7)!.pool.countOf('probation')).toBe(1);
    bench.release(PROCESS, bench.acquire(PROCESS)!, { outcome: 'ok' });
    expect(bench.driver.state.resources.get(7)!.pool.countOf('free')).toBe(1);
    bench.settle();
    expect(bench.driver.replayed()).toEqual(bench.driver.snapshot());
  });

  it('proves an address by later tokens than those that are unwritten when it comes back', () => {
    const bench = new Bench({ banMs: 400, banAddressAfter: 1 });
    bench.pool([7, 8], [7]);
    bench.release(PROCESS, bench.acquire(PROCESS, 7)!, { outcome: 'banned' });
    bench.settle();
    // The address is out for longer than the pair now.
    bench.release(PROCESS, bench.acquire(PROCESS, 8)!, { outcome: 'banned' });
    bench.advance(500);
    bench.release(PROCESS, bench.acquire(PROCESS, 7)!);
    bench.advance(300);
    bench.settle();
    expect(bench.driver.state.addresses.get(1)!.probationAfter).toBeDefined();
    expect(bench.driver.replayed()).toEqual(bench.driver.snapshot());
  });

  it('lets its pair cool down, durably', () => {
    const bench = new Bench({ cooldownMs: { released: 5_000 }, handover: 'safe' });
    bench.pool([7]);
    bench.release(PROCESS, bench.acquire(PROCESS)!);
    const recovered = new LeaseDriver();
    for (const bytes of bench.driver.journal) recovered.replay(bytes);
    expect(recovered.state.addresses.get(1)!.pairs?.get(7)?.coolingUntilMs).toBeDefined();
    bench.advance(5_000);
    expect(bench.acquire(PROCESS)).toBeDefined();
  });

  it('is told of where it expires, is revoked, or loses its address', () => {
    const bench = new Bench();
    bench.pool([7], [7], [7], [7]);
    const [expired, revoked, removed, withdrawn] = Array.from({ length: 4 }, () => bench.acquire(PROCESS)!);
    bench.execute({ type: 'RevokeLeases', leases: [revoked!], reason: 'operator' });
    bench.pool([7], [7], [], [8]);
    bench.advance(10_000);
    const told = bench.notices.map((notice) =>
      notice.type === 'ProcessLeaseEnded' ? [notice.lease, notice.reason] : notice,
    );
    expect(told).toEqual([
      [revoked, 'operator'],
      [withdrawn, 'resource_withdrawn'],
      [removed, 'address_removed'],
      [expired, 'expired'],
    ]);
  });

  it('is revoked with a deadline where the policy gives one, and stays until then', () => {
    const bench = new Bench({ revokeDeadlineMs: 3_000 });
    bench.pool([7]);
    const lease = bench.acquire(PROCESS)!;
    bench.execute({ type: 'SetAddressHealth', addressId: 1, isHealthy: false });
    bench.advance(2_999);
    expect(bench.held()).toEqual([lease]);
    bench.advance(1);
    expect(bench.notices).toEqual([{ type: 'ProcessLeaseEnded', lease, reason: 'unhealthy' }]);
  });

  it('leaves nothing of a removed address, so that what is said of it later is of the new one', () => {
    const bench = new Bench();
    bench.pool([7]);
    bench.acquire(PROCESS);
    bench.pool([]);
    expect(bench.driver.state.addresses.size).toBe(0);
    expect(bench.execute({ type: 'DrainAddress', addressId: 1, isDraining: true })).toMatchObject({ type: 'rejected' });
    bench.pool([7]);
    expect(bench.acquire(PROCESS)).toBeDefined();
    bench.settle();
    expect(bench.driver.replayed()).toEqual(bench.driver.snapshot());
  });

  it('never makes more unwritten than one event holds', () => {
    const bench = new Bench();
    bench.pool(...Array.from({ length: 2_500 }, () => [7]));
    for (let round = 0; round < 2_500; round += 1) {
      bench.acquire(PROCESS);
      expect(bench.driver.state.unwritten.requests.size).toBeLessThanOrEqual(1_000);
    }
    bench.settle();
    expect(bench.driver.replayed()).toEqual(bench.driver.snapshot());
  });
});

const resource = fc.constantFrom(7, 8);
const served = fc.constantFrom([], [7], [8], [7, 8], [8, 7]);
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('acquire' as const),
      resource,
      holder: fc.constantFrom(PROCESS, PROCESS, CLIENT),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('release' as const),
      which: fc.nat(),
      report: fc.constantFrom(
        {},
        { outcome: 'ok' as const, requests: 3 },
        { outcome: 'banned' as const },
        { requests: 0 },
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('renew' as const), which: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('revoke' as const),
      which: fc.nat(),
      deadlineMs: fc.constantFrom(0, 2_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('pool' as const),
      served: fc.array(served, { minLength: 0, maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('rpw' as const),
      id: fc.integer({ min: 1, max: 6 }),
      rpw: fc.nat({ max: 9 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('mark' as const),
      type: fc.constantFrom('drain', 'health', 'quarantine', 'lift'),
      id: fc.integer({ min: 1, max: 6 }),
      on: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('configure' as const),
      policy: fc.constantFrom<Partial<ResourcePolicy>>(
        {},
        { banMs: 3_000, banAddressAfter: 2 },
        { cooldownMs: { released: 2_000, expired: 1_000 }, handover: 'safe' },
        { revokeDeadlineMs: 1_500, banMs: 1_000 },
        { strategy: 'least_recently_used' },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('storage' as const),
      level: fc.constantFrom('ample' as const, 'ample' as const, 'low' as const),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 400, 1_000, 2_500, 12_000) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('day' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

function take(bench: Bench, each: Step): void {
  const { driver } = bench;
  const live = [...driver.state.leases.values()];
  switch (each.do) {
    case 'acquire':
      bench.acquire(each.holder, each.resource, 3_000);
      return;
    case 'release': {
      const lease = live[each.which % Math.max(1, live.length)];
      if (lease) bench.release(lease.holder, lease.token, each.report);
      return;
    }
    case 'renew': {
      const lease = live[each.which % Math.max(1, live.length)];
      if (lease) bench.execute({ type: 'RenewLeases', holder: lease.holder, leases: [lease.token] });
      return;
    }
    case 'revoke': {
      const lease = live[each.which % Math.max(1, live.length)];
      if (lease)
        bench.execute({ type: 'RevokeLeases', leases: [lease.token], reason: 'operator', deadlineMs: each.deadlineMs });
      return;
    }
    case 'pool':
      return bench.pool(...each.served);
    case 'rpw': {
      const address = driver.state.addresses.get(each.id);
      if (!address || address.removed) return;
      bench.execute({ type: 'UpdateAddress', addressId: each.id, record: { ...address.record, rpw: each.rpw } });
      return;
    }
    case 'mark': {
      const addressId = each.id;
      if (each.type === 'drain') bench.execute({ type: 'DrainAddress', addressId, isDraining: each.on });
      else if (each.type === 'health') bench.execute({ type: 'SetAddressHealth', addressId, isHealthy: each.on });
      else if (each.type === 'lift') bench.execute({ type: 'LiftQuarantine', addressId });
      else bench.execute({ type: 'Quarantine', addressId, forMs: 2_000, ...(each.on ? { resource: 7 } : {}) });
      return;
    }
    case 'configure':
      return bench.configure(each.policy);
    case 'storage':
      bench.execute({ type: 'SetStorage', level: each.level });
      return;
    case 'advance':
      return bench.advance(each.ms);
    case 'day':
      driver.utcMs += DAY_MS;
      return;
  }
}

describe('leases of this process beside others', () => {
  it('leave a journal that comes to the state without them, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
        const bench = new Bench();
        bench.pool([7], [7, 8], [8]);
        for (const each of steps) {
          take(bench, each);
          checkIndexes(bench.driver.state);
        }
        // Whoever recovers amid it all comes to a state that holds for itself.
        const recovered = new LeaseDriver();
        for (const bytes of bench.driver.journal) recovered.replay(bytes);
        checkIndexes(recovered.state);
        bench.execute({ type: 'SetStorage', level: 'ample' });
        bench.settle();
        expect(bench.driver.replayed()).toEqual(bench.driver.snapshot());
      }),
      { numRuns: 600 },
    );
  });
});
