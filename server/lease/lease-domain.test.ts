import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PAIR_STATES } from '../../protocol/codes.ts';
import { Coordinator } from '../coordinator/coordinator.ts';
import type { DomainPort } from '../coordinator/domain-port.ts';
import { Replica } from '../coordinator/replica.ts';
import { recordsOf } from '../testing/coordinator-bench.ts';
import { LeaseBench } from '../testing/lease-bench.ts';
import { LeaseDriver } from '../testing/lease-driver.ts';
import { known } from '../testing/lease-fields.ts';
import { checkIndexes } from '../testing/lease-invariants.ts';
import { MemoryEventLog } from '../testing/memory-event-log.ts';
import { VirtualClock, VirtualScheduler } from '../testing/virtual-time.ts';
import type { LeaseAnswers, LeaseCommand, LeaseNotice } from './commands.ts';
import { leaseRecordsOf } from './lease-columns.ts';
import { leaseDomain } from './lease-domain.ts';
import { encodeNumbers } from './number-column.ts';
import { encodeState } from './snapshot.ts';
import type { LeaseState } from './state.ts';

const HOLDER = { kind: 'secret', secretHash: 'x' } as const;
const POLICY = { ttlMinMs: 200, ttlMaxMs: 7 * 86_400_000 };
const RECORDS = ['p1', 'p2'].map((address) => ({ address, country: 'US', rpw: 0, resource_ids: [7] }));

const tenOf = (number: number) => encodeNumbers(Array.from({ length: 10 }, () => number));

describe('how often the clock has to be on disk', () => {
  function driver(): LeaseDriver {
    const fresh = new LeaseDriver();
    fresh.execute({ type: 'StartEpoch', epoch: 1, tokenFloor: 0, suspendMs: 0 });
    fresh.execute({ type: 'Configure', defaultPolicy: POLICY, policies: new Map() });
    fresh.execute({ type: 'ImportPool', records: RECORDS, replace: false });
    return fresh;
  }

  it('is a quarter of the shortest TTL at the latest, and a second at most', () => {
    const ttlMs = fc.integer({ min: POLICY.ttlMinMs, max: 10_000 });
    fc.assert(
      fc.property(ttlMs, ttlMs, (oneMs, otherMs) => {
        const fresh = driver();
        expect(leaseDomain.clockMarkMs(fresh.state)).toBeUndefined();
        for (const ttl of [oneMs, otherMs]) {
          fresh.execute({ type: 'AcquireLease', holder: HOLDER, resource: 7, ttlMs: ttl, request: 1 });
        }
        const markMs = leaseDomain.clockMarkMs(fresh.state)!;
        expect(markMs).toBeGreaterThan(0);
        expect(markMs).toBeLessThanOrEqual(Math.min(1_000, oneMs / 4, otherMs / 4));
      }),
    );
  });

  it('is a second while a session is suspended, and never while nothing can run out', () => {
    const fresh = driver();
    const open = { session: 'c1', secretHash: 's', resumeWindowMs: 60_000, sessionsMax: 10 } as const;
    fresh.execute({ type: 'OpenSession', ...open });
    expect(leaseDomain.clockMarkMs(fresh.state)).toBeUndefined();
    fresh.execute({ type: 'DropSession', session: 'c1', suspendMs: 0 });
    expect(leaseDomain.clockMarkMs(fresh.state)).toBe(1_000);
    fresh.advance(60_000);
    expect(leaseDomain.clockMarkMs(fresh.state)).toBeUndefined();
  });
});

describe('a snapshot', () => {
  it('brings back of each address how many leases there are on it, for whatever resource', () => {
    const fresh = new LeaseDriver();
    fresh.execute({ type: 'StartEpoch', epoch: 1, tokenFloor: 0, suspendMs: 0 });
    fresh.execute({ type: 'Configure', defaultPolicy: POLICY, policies: new Map() });
    const records = RECORDS.map((record) => ({ ...record, resource_ids: [7, 8] }));
    fresh.execute({ type: 'ImportPool', records, replace: false });
    const acquire = { type: 'AcquireLease', holder: HOLDER, ttlMs: 1_000, request: 1 } as const;
    fresh.execute({ ...acquire, resource: 7 });
    const restored = leaseDomain.create();
    for (const record of leaseDomain.encode(fresh.state)) leaseDomain.restore(restored, record);
    expect(() => checkIndexes(restored)).not.toThrow();
  });

  it('brings back the same in one go as record by record', () => {
    const bench = new LeaseBench(40, { banMs: 60_000, cooldownMs: { released: 60_000 } });
    const leases = bench.granted('a', 1, { count: 20 });
    bench.release('a', leases.slice(0, 3), 'banned');
    bench.release('a', leases.slice(3, 6));
    bench.run({ type: 'DrainAddress', addressId: 30, isDraining: true });
    bench.run({ type: 'SetAddressHealth', addressId: 31, isHealthy: false });
    const restored = leaseDomain.create();
    leaseDomain.beginReplay!(restored);
    for (const record of leaseDomain.encode(bench.driver.state)) leaseDomain.restore(restored, record);
    expect([...leaseDomain.encode(restored)]).toEqual([...leaseDomain.encode(bench.driver.state)]);
    leaseDomain.endReplay!(restored);
    expect(() => checkIndexes(restored)).not.toThrow();
    for (const [id, { pool }] of bench.driver.state.resources) {
      const counts = PAIR_STATES.map((state) => restored.resources.get(id)!.pool.countOf(state));
      expect(counts).toEqual(PAIR_STATES.map((state) => pool.countOf(state)));
    }
  });

  it('brings back every lease with all that is known of it, in the order of the tokens', () => {
    const bench = new LeaseBench(40, { ttlMaxMs: 60_000 });
    const leases = [...bench.granted('b', 1, { count: 10 }), ...bench.granted('a', 1, { count: 10 })];
    bench.granted('a', 1, { where: { country: { ne: 'XX' } }, strategy: 'random', ttlMs: 90_000 });
    bench.run({ type: 'RevokeLeases', leases: leases.slice(3, 5), reason: 'operator', deadlineMs: 5_000 });
    const { state } = bench.driver;
    const restored = leaseDomain.create();
    for (const record of leaseDomain.encode(state)) leaseDomain.restore(restored, record);
    expect(Array.from(restored.leases.values(), known)).toEqual(Array.from(state.leases.values(), known));
    expect(new Set(Array.from(state.leases.values(), ({ revoking }) => revoking?.reason)).size).toBe(2);
  });

  it('is read where its leases stand one by one, as they did once', () => {
    const bench = new LeaseBench(40, {});
    bench.granted('b', 1, { count: 10 });
    const { state } = bench.driver;
    const restored = leaseDomain.create();
    for (const record of encodeState(state)) {
      if (record[0] !== 'leases') leaseDomain.restore(restored, record);
      else for (const lease of leaseRecordsOf(record, [])) leaseDomain.restore(restored, ['lease', 2, lease]);
    }
    expect(() => checkIndexes(restored)).not.toThrow();
    expect([...leaseDomain.encode(restored)]).toEqual([...leaseDomain.encode(state)]);
  });

  it('that lacks some of its leases is none', () => {
    const bench = new LeaseBench(40, {});
    bench.granted('b', 1, { count: 10 });
    const restored = leaseDomain.create();
    leaseDomain.beginReplay!(restored);
    for (const record of encodeState(bench.driver.state)) {
      const cut = record[0] === 'leases' ? (record.with(2, 11) as unknown) : record;
      leaseDomain.restore(restored, cut);
    }
    expect(() => leaseDomain.endReplay!(restored)).toThrow('lacks some of its leases');
  });

  it.each([
    ["a fact of a lease that it hasn't", 16, [[10, ['operator', 1_500, false]]], 'something is said of lease 10 of 10'],
    ['a TTL beyond 32 bits', 10, tenOf(2 ** 31), 'some ttlsMs'],
    ['no TTL', 10, tenOf(0), 'some ttlsMs'],
    ['a deadline that never comes', 11, tenOf(Infinity), 'some deadlinesMs'],
    ['a day beyond 32 bits', 12, tenOf(2 ** 31), 'some grantedDays'],
    ['requests that are no number', 13, tenOf(Number.NaN), 'some requests'],
    ['a resource before the first', 7, tenOf(0), 'some resources'],
    ['flags beyond eight', 14, tenOf(256), 'some flags'],
    ['a holder that it lacks', 8, tenOf(1), 'has no holder'],
    ['a holder before the first', 8, tenOf(-1), 'has no holder'],
    ['fewer than no leases on an address', 3, encodeNumbers([1, 11, 2, -1]), 'address 2 has -1 leases'],
    ['a column that is too short', 9, encodeNumbers([1]), '10 leases have 1 requestIds'],
    ['leases on no address', 3, encodeNumbers([1, 1]), '1 of 10 leases have an address'],
    ["tokens that don't rise by their ranks", 5, encodeNumbers([1, 0, 2, 3, 4, 5, 6, 7, 8, 9]), 'comes after'],
  ] as const)('whose leases have %s is none', (_, field, value, message) => {
    const bench = new LeaseBench(40, {});
    bench.granted('b', 1, { count: 10 });
    const restored = leaseDomain.create();
    expect(() => {
      for (const record of encodeState(bench.driver.state)) {
        leaseDomain.restore(restored, record[0] === 'leases' ? (record.with(field, value) as unknown) : record);
      }
    }).toThrow(message);
  });

  it('comes from replayed events with the same indexes as from those that were decided', () => {
    const bench = new LeaseBench(40, { cooldownMs: { released: 60_000 } });
    bench.release('b', bench.granted('b', 1, { count: 10 }).slice(0, 5));
    const records = [{ address: 'p2', country: 'DE', rpw: 5, resource_ids: [2, 3] }];
    bench.run({ type: 'ImportPool', records, replace: true });
    const replayed = new LeaseDriver();
    leaseDomain.beginReplay!(replayed.state);
    for (const bytes of bench.driver.journal) replayed.replay(bytes);
    leaseDomain.endReplay!(replayed.state);
    expect(() => checkIndexes(replayed.state)).not.toThrow();
    expect(replayed.snapshot()).toEqual(bench.driver.snapshot());
    expect(Array.from(replayed.state.resources.keys())).toEqual(Array.from(bench.driver.state.resources.keys()));
  });
});

describe('a coordinator that crashes every half TTL', () => {
  const TTL_MS = 1_000;

  it('still lets the lease run out, and not before its time', async () => {
    const log = new MemoryEventLog();
    await run(log, async (leases, { scheduler }) => {
      leases.execute({ type: 'Configure', defaultPolicy: POLICY, policies: new Map() }, () => {});
      leases.execute({ type: 'ImportPool', records: RECORDS, replace: false }, () => {});
      let answer: LeaseAnswers['AcquireLease'] | undefined;
      leases.execute({ type: 'AcquireLease', holder: HOLDER, resource: 7, ttlMs: TTL_MS, request: 1 }, (given) => {
        answer = given;
      });
      await scheduler.advance(TTL_MS / 2);
      expect(answer?.type).toBe('granted');
    });
    let runs = 1;
    for (let isLive = true; isLive; runs += 1) {
      expect(runs).toBeLessThan(5);
      await run(log, async (_, { scheduler, clock, state }) => {
        const [lease] = state.leases.values();
        expect(lease?.deadlineMs).toBe(TTL_MS);
        await scheduler.advance(TTL_MS / 2);
        isLive = state.leases.size > 0;
        expect(isLive).toBe(clock.nowMs() < TTL_MS);
      });
    }
  });

  interface Running {
    readonly scheduler: VirtualScheduler;
    readonly clock: VirtualClock;
    readonly state: LeaseState;
  }

  /** A run of the coordinator over what is in the log, which nobody stops: a crash ends it. */
  async function run(
    log: MemoryEventLog,
    serve: (leases: DomainPort<LeaseState, LeaseCommand, LeaseAnswers, LeaseNotice>, running: Running) => Promise<void>,
  ): Promise<void> {
    const replica = new Replica([leaseDomain]);
    for (const { payload } of log.batches) {
      for (const record of recordsOf(payload)) if (record[0] !== 'coordinator') replica.apply(record);
    }
    const last = log.batches.at(-1);
    const clock = new VirtualClock({ nowMs: last?.clockMs ?? 0 });
    const scheduler = new VirtualScheduler(clock);
    const epoch = (last?.epoch ?? 0) + 1;
    const coordinator = new Coordinator({
      replica,
      log,
      position: log.position,
      epoch,
      clock,
      scheduler,
      random: () => 0.5,
      onFailure: ({ message }) => {
        throw new Error(message);
      },
    });
    const leases = coordinator.mount(leaseDomain);
    leases.execute({ type: 'StartEpoch', epoch, tokenFloor: 0, suspendMs: 0 }, () => {});
    await scheduler.runTurns();
    await serve(leases, { scheduler, clock, state: replica.state('lease') as LeaseState });
  }
});
