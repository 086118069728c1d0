import { describe, expect, it } from 'vitest';
import { Coordinator } from '../coordinator/coordinator.ts';
import { Replica } from '../coordinator/replica.ts';
import { leaseDomain } from '../lease/lease-domain.ts';
import { maskAddress } from '../lease/masking.ts';
import type { LeaseState } from '../lease/state.ts';
import { MemoryEventLog } from '../testing/memory-event-log.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { VirtualClock, VirtualScheduler } from '../testing/virtual-time.ts';
import { AddressHealth, type AddressHealthSettings } from './address-health.ts';
import type { ProbeResult } from './prober.ts';

const SETTINGS: AddressHealthSettings = {
  intervalMs: 10_000,
  jitter: 0.1,
  timeoutMs: 1_000,
  concurrencyMax: 100,
  up: 2,
  down: 3,
  trafficDown: 5,
  ejectionMs: 30_000,
  ejectionMaxMs: 100_000,
  unhealthyShareMax: 0.5,
};
const OK: ProbeResult = { ok: true };

interface Given {
  readonly size?: number;
  readonly settings?: Partial<AddressHealthSettings>;
  readonly isProbing?: boolean;
}

/** A pool `http://user:secret@10.0.0.1:8080`, … of which nothing is wrong, in the real core. */
async function setUp({ size = 4, settings = {}, isProbing = true }: Given = {}) {
  const clock = new VirtualClock();
  const scheduler = new VirtualScheduler(clock);
  const replica = new Replica([leaseDomain]);
  const coordinator = new Coordinator({
    replica,
    log: new MemoryEventLog(),
    position: 0,
    epoch: 1,
    clock,
    scheduler,
    random: () => 0.5,
    onFailure: ({ message }) => {
      throw new Error(message);
    },
  });
  const leases = coordinator.mount(leaseDomain);
  const state = replica.state(leaseDomain.name) as LeaseState;
  const defaultPolicy = { ttlMinMs: 200, ttlMaxMs: 60_000 };
  leases.execute({ type: 'StartEpoch', epoch: 1, tokenFloor: 0, suspendMs: 20_000 }, () => {});
  leases.execute({ type: 'Configure', defaultPolicy, policies: new Map() }, () => {});
  const records = Array.from({ length: size }, (_, at) => ({
    address: `http://user:secret@10.0.${at >> 8}.${at & 255}:8080`,
    country: 'US',
    rpw: 0,
    resource_ids: [7],
  }));
  leases.execute({ type: 'ImportPool', records, replace: false }, () => {});
  await scheduler.advance(10);
  expect(state.addresses.size).toBe(size);

  const lines: { level: string; fields: Record<string, unknown>; message: string }[] = [];
  const line = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, fields: fields as Record<string, unknown>, message });
  /** What a probe finds, by id; absent: nothing wrong. */
  const found = new Map<number, ProbeResult>();
  const run = { hasRoom: true, probes: 0 };
  const open = (overrides: Given = { settings, isProbing }) =>
    new AddressHealth({
      settings: { ...SETTINGS, ...overrides.settings },
      probe:
        (overrides.isProbing ?? true)
          ? (address) => {
              run.probes += 1;
              return Promise.resolve(found.get(state.addressIds.get(address)!) ?? OK);
            }
          : undefined,
      leases,
      state,
      hasRoom: () => run.hasRoom,
      clock,
      scheduler,
      random: seededRandom(1),
      mask: maskAddress,
      log: { info: line('info'), warn: line('warn'), error: line('error') },
    });
  const health = open();
  const ids = [...state.addresses.keys()];
  const fails = (reason: string, ...which: number[]) => {
    for (const id of which) found.set(id, { ok: false, reason });
  };
  const unhealthy = () => ids.filter((id) => state.addresses.get(id)?.isUnhealthy);
  const metric = (name: string, label?: string) => {
    const samples = health
      .families()
      .find((family) => family.name === `leasehold_${name}`)!
      .samples();
    return [...samples].find(({ labels }) => label === undefined || Object.values(labels).includes(label))?.value;
  };
  return { scheduler, state, leases, ids, found, fails, health, open, run, lines, unhealthy, metric };
}

describe('by probes', () => {
  it('takes an address out after so many bad probes in a row, and brings it back after so many good ones', async () => {
    const { scheduler, ids, found, fails, lines, unhealthy, metric } = await setUp();
    const [first] = ids;
    fails('refused', first!);
    await scheduler.advance(18_000);
    expect(unhealthy()).toEqual([]);
    await scheduler.advance(22_000);
    expect(unhealthy()).toEqual([first]);
    expect(metric('addresses_unhealthy')).toBe(1);
    found.clear();
    await scheduler.advance(8_000);
    expect(unhealthy()).toEqual([first]);
    await scheduler.advance(22_000);
    expect(unhealthy()).toEqual([]);
    const address = 'http://***@10.0.0.0:8080';
    expect(lines).toEqual([
      {
        level: 'warn',
        fields: { addressId: first, address, reason: 'refused', by: 'probe' },
        message: 'address unhealthy',
      },
      { level: 'info', fields: { addressId: first, address }, message: 'address healthy' },
    ]);
    expect(metric('addresses_unhealthy')).toBe(0);
    expect(metric('address_health_changes_total', 'unhealthy')).toBe(1);
    expect(metric('address_health_changes_total', 'healthy')).toBe(1);
    expect(metric('address_probes_total', 'refused')).toBeGreaterThanOrEqual(3);
    expect(metric('address_probes_total', 'ok')).toBeGreaterThan(20);
  });

  it('probes addresses that join the pool, and no more those that leave it', async () => {
    const { scheduler, state, leases, ids, fails, run, metric } = await setUp();
    fails('refused', ids[0]!);
    await scheduler.advance(40_000);
    expect(metric('addresses_unhealthy')).toBe(1);
    leases.execute({ type: 'RemoveAddress', addressId: ids[0]! }, () => {});
    await scheduler.advance(10);
    expect(metric('addresses_unhealthy')).toBe(0);
    const record = { address: '10.1.0.1:1', country: 'US', rpw: 0, resource_ids: [7] };
    leases.execute({ type: 'AddAddress', record }, () => {});
    await scheduler.advance(10);
    const added = state.addressIds.get('10.1.0.1:1')!;
    fails('refused', added);
    await scheduler.advance(50_000);
    expect(state.addresses.get(added)?.isUnhealthy).toBe(true);
    expect(run.probes).toBeGreaterThan(30);
  });

  it('keeps as many addresses in use as the bound says, where the fault may be ours, and says so once', async () => {
    const { scheduler, ids, found, fails, lines, unhealthy, metric } = await setUp({ size: 10 });
    fails('timeout', ...ids);
    await scheduler.advance(50_000);
    expect(unhealthy()).toHaveLength(5);
    expect(metric('address_health_changes_total', 'withheld')).toBeGreaterThan(0);
    expect(lines.filter(({ level }) => level === 'error')).toEqual([
      {
        level: 'error',
        fields: { unhealthy: 5, addresses: 10, unhealthyShareMax: 0.5, reason: 'timeout' },
        message: expect.stringContaining('stay in use') as string,
      },
    ]);
    // Of these nobody can say that it is the network.
    fails('refused', ...ids);
    await scheduler.advance(15_000);
    expect(unhealthy()).toHaveLength(10);
    found.clear();
    await scheduler.advance(40_000);
    expect(unhealthy()).toEqual([]);
  });

  it('may always take one address out', async () => {
    const { scheduler, ids, fails, unhealthy } = await setUp({ size: 1 });
    fails('timeout', ids[0]!);
    await scheduler.advance(50_000);
    expect(unhealthy()).toEqual(ids);
  });

  it('changes nothing while there is no room for it, and makes up for it later', async () => {
    const { scheduler, ids, found, fails, run, unhealthy } = await setUp();
    run.hasRoom = false;
    fails('refused', ids[0]!);
    await scheduler.advance(60_000);
    expect(unhealthy()).toEqual([]);
    run.hasRoom = true;
    await scheduler.advance(12_000);
    expect(unhealthy()).toEqual([ids[0]]);
    run.hasRoom = false;
    found.clear();
    await scheduler.advance(60_000);
    expect(unhealthy()).toEqual([ids[0]]);
    run.hasRoom = true;
    await scheduler.advance(12_000);
    expect(unhealthy()).toEqual([]);
  });

  it('goes on with what was unhealthy before a restart', async () => {
    const { scheduler, ids, found, fails, health, open, run, unhealthy } = await setUp();
    fails('refused', ids[0]!);
    await scheduler.advance(50_000);
    await health.stop();
    const next = open();
    await scheduler.advance(50_000);
    expect(unhealthy()).toEqual([ids[0]]);
    found.clear();
    await scheduler.advance(30_000);
    expect(unhealthy()).toEqual([]);
    await next.stop();
    const { probes } = run;
    await scheduler.advance(60_000);
    expect(run.probes).toBe(probes);
  });

  it('is over when it is switched off: all are healthy again, a thousand in a few turns', async () => {
    const { scheduler, ids, fails, health, open, run, unhealthy } = await setUp({ size: 2_000 });
    fails('refused', ...ids);
    await scheduler.advance(50_000);
    expect(unhealthy()).toHaveLength(2_000);
    await health.stop();
    const probes = run.probes;
    run.hasRoom = false;
    const next = open({ isProbing: false });
    await scheduler.advance(10_000);
    expect(unhealthy()).toHaveLength(2_000);
    run.hasRoom = true;
    await scheduler.advance(1_000);
    expect(unhealthy()).toEqual([]);
    expect(run.probes).toBe(probes);
    await next.stop();
  });
});

describe('by traffic', () => {
  it('takes out at once what is refused or silent, whatever the bound, and probes bring it back', async () => {
    const { scheduler, ids, found, fails, health, lines, unhealthy } = await setUp({
      settings: { unhealthyShareMax: 0 },
    });
    fails('refused', ids[0]!, ids[1]!);
    health.onAddressFailure(ids[0]!, 'refused');
    health.onAddressFailure(ids[1]!, 'timeout');
    expect(unhealthy()).toEqual([ids[0], ids[1]]);
    await scheduler.advance(100);
    expect(lines.map(({ fields }) => [fields['reason'], fields['by']])).toEqual([
      ['refused', 'traffic'],
      ['timeout', 'traffic'],
    ]);
    await scheduler.advance(60_000);
    expect(unhealthy()).toEqual([ids[0], ids[1]]);
    found.clear();
    await scheduler.advance(30_000);
    expect(unhealthy()).toEqual([]);
  });

  it('keeps it out for a time that grows with each in a row where nobody probes', async () => {
    const { scheduler, ids, health, unhealthy } = await setUp({ isProbing: false });
    const [first] = ids;
    for (const outMs of [30_000, 60_000, 90_000, 100_000, 100_000]) {
      health.onAddressFailure(first!, 'refused');
      await scheduler.advance(outMs - 1_000);
      expect(unhealthy(), `${outMs}`).toEqual([first]);
      await scheduler.advance(2_000);
      expect(unhealthy(), `${outMs}`).toEqual([]);
    }
    // Well for as long as the longest ejection: it begins anew.
    await scheduler.advance(100_000);
    health.onAddressFailure(first!, 'refused');
    await scheduler.advance(31_000);
    expect(unhealthy()).toEqual([]);
  });

  it('takes out after so many bad answers in a row, of which a good one makes none', async () => {
    const { ids, health, unhealthy } = await setUp({ isProbing: false });
    const [first] = ids;
    for (let count = 0; count < 4; count += 1) health.onAddressFailure(first!, 'status_502');
    health.onAddressSuccess(first!);
    for (let count = 0; count < 4; count += 1) health.onAddressFailure(first!, 'status_502');
    expect(unhealthy()).toEqual([]);
    health.onAddressFailure(first!, 'reset');
    expect(unhealthy()).toEqual([first]);
  });

  it('keeps it out for its time even where probes find nothing wrong', async () => {
    const { scheduler, ids, health, unhealthy } = await setUp();
    for (let count = 0; count < 5; count += 1) health.onAddressFailure(ids[0]!, 'status_407');
    await scheduler.advance(29_000);
    expect(unhealthy()).toEqual([ids[0]]);
    await scheduler.advance(15_000);
    expect(unhealthy()).toEqual([]);
  });

  it('counts a slow answer as a bad one', async () => {
    const { ids, health, unhealthy } = await setUp({ settings: { latencyMaxMs: 1_000 } });
    for (let count = 0; count < 5; count += 1) health.onAddressSuccess(ids[0]!, 1_000);
    expect(unhealthy()).toEqual([]);
    for (let count = 0; count < 5; count += 1) health.onAddressSuccess(ids[0]!, 1_001);
    expect(unhealthy()).toEqual([ids[0]]);
  });

  it('leaves half of the pool in use, whatever status there is', async () => {
    const { ids, health, unhealthy } = await setUp({ size: 10 });
    for (const id of ids) for (let count = 0; count < 10; count += 1) health.onAddressFailure(id, 'status_503');
    expect(unhealthy()).toHaveLength(5);
  });

  it('passes over addresses that are not there, or out already', async () => {
    const { scheduler, ids, health, lines } = await setUp();
    health.onAddressFailure(9_999, 'refused');
    health.onAddressSuccess(9_999);
    health.onAddressFailure(ids[0]!, 'refused');
    health.onAddressFailure(ids[0]!, 'refused');
    await scheduler.advance(10);
    expect(lines).toHaveLength(1);
  });
});
