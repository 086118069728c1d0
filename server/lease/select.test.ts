import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Where } from '../../protocol/where.ts';
import { LeaseDriver } from '../testing/lease-driver.ts';
import { Address } from './address.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('choosing an address', () => {
  const WHERE: Where = { country: { in: ['us', 'CA'] }, rpw: { lt: 1_000 }, resource_ids: { has: 7 } };

  it('looks at as many addresses in a large pool as in a small one', () => {
    const small = looksOfCycles(100, WHERE);
    expect(looksOfCycles(20_000, WHERE)).toBe(small);
    expect(small).toBeGreaterThan(0);
  });

  it('does so without a condition too', () => {
    expect(looksOfCycles(20_000, undefined)).toBe(looksOfCycles(100, undefined));
  });

  /** How often any address is asked for anything in 50 acquires and releases, once the condition is known. */
  function looksOfCycles(size: number, where: Where | undefined): number {
    const driver = driverWithPool(size);
    cycle(driver, where);
    let looks = 0;
    for (const name of ['country', 'rpw', 'resourceIds', 'labels'] as const) {
      const getter = Object.getOwnPropertyDescriptor(Address.prototype, name)!;
      vi.spyOn(Address.prototype, name, 'get').mockImplementation(function look(this: Address) {
        looks += 1;
        return getter.get!.call(this) as never;
      });
    }
    for (let index = 0; index < 50; index += 1) cycle(driver, where);
    vi.restoreAllMocks();
    return looks;
  }

  function cycle(driver: LeaseDriver, where: Where | undefined): void {
    const holder = { kind: 'process' } as const;
    const ask = {
      type: 'AcquireLease',
      holder,
      resource: 7,
      ttlMs: 1_000,
      request: 1,
      ...(where ? { where } : {}),
    } as const;
    const answer = driver.execute(ask).at(-1)!.answer!;
    if (answer.type !== 'granted') throw new Error(`expected a grant, got ${answer.type}`);
    driver.execute({ type: 'ReleaseLease', holder, lease: answer.grants[0]!.lease });
  }

  function driverWithPool(size: number): LeaseDriver {
    const driver = new LeaseDriver();
    driver.execute({ type: 'StartEpoch', epoch: 1, tokenFloor: 0, suspendMs: 0 });
    const defaultPolicy = { ttlMinMs: 200, ttlMaxMs: 60_000 };
    driver.execute({ type: 'Configure', defaultPolicy, policies: new Map() });
    const records = Array.from({ length: size }, (_, index) => ({
      address: `p${index}`,
      country: index % 2 === 0 ? 'US' : 'DE',
      rpw: 0,
      resource_ids: [7],
    }));
    driver.execute({ type: 'ImportPool', records, replace: false });
    return driver;
  }
});
