import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LeaseAnswer, LeaseNotice } from '../lease/commands.ts';
import type { Holder } from '../lease/holder.ts';
import type { ResourcePolicy } from '../lease/policy.ts';
import { LeaseDriver } from './lease-driver.ts';
import { checkIndexes } from './lease-invariants.ts';

export const PROCESS: Holder = { kind: 'process', owner: { kind: 'client', client: 'anna' } };
export const CLIENT: Holder = { kind: 'client', client: 'anna' };
const POLICY = { ttlMinMs: 200, ttlMaxMs: 60_000 };
export const DAY_MS = 86_400_000;

/** The lease domain with leases of this process, of a client, and a pool that changes under them. */
export class ProcessLeaseBench {
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

function take(bench: ProcessLeaseBench, each: Step): void {
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

/**
 * Whatever happens beside leases of this process: the indexes agree, whoever recovers amid it all comes to a state that
 * holds for itself, and once those leases are over, to the very state that lived.
 */
export function leavesNothing() {
  return fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
    const bench = new ProcessLeaseBench();
    bench.pool([7], [7, 8], [8]);
    for (const each of steps) {
      take(bench, each);
      checkIndexes(bench.driver.state);
    }
    const recovered = new LeaseDriver();
    for (const bytes of bench.driver.journal) recovered.replay(bytes);
    checkIndexes(recovered.state);
    bench.execute({ type: 'SetStorage', level: 'ample' });
    bench.settle();
    assert.deepEqual(bench.driver.replayed(), bench.driver.snapshot());
  });
}
