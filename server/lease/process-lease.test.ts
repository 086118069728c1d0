import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeaseDriver } from '../testing/lease-driver.ts';
import { ProcessLeaseBench as Bench, CLIENT, DAY_MS, leavesNothing, PROCESS } from '../testing/process-leases.ts';

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

  it('is counted before another lease of the address takes back what it was granted for', () => {
    const bench = new Bench();
    bench.pool([7, 8]);
    const others = bench.acquire(CLIENT, 8)!;
    const { record } = bench.driver.state.addresses.get(1)!;
    bench.execute({ type: 'UpdateAddress', addressId: 1, record: { ...record, rpw: 1 } });
    bench.execute({ type: 'UpdateAddress', addressId: 1, record: { ...record, rpw: 0 } });
    const lease = bench.acquire(PROCESS, 7)!;
    bench.release(CLIENT, others, { requests: 0 });
    bench.release(PROCESS, lease);
    bench.settle();
    expect(bench.driver.replayed()).toEqual(bench.driver.snapshot());
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
    expect(bench.notices).toEqual([
      { type: 'ProcessLeaseRevoking', lease, reason: 'unhealthy' },
      { type: 'ProcessLeaseEnded', lease, reason: 'unhealthy' },
    ]);
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

it('leaves a journal that comes to the state without it, whatever happens beside it', () => {
  fc.assert(leavesNothing(), { numRuns: 600 });
});
