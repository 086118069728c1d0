import { describe, expect, it } from 'vitest';
import { runSeeds } from './seeds.ts';

const SEEDS = { first: 1, count: 40, operations: 3_000 };

/** What has to come up in so many worlds for the invariants to have been at stake. */
const HAPPENS = [
  'AddressDrainChanged',
  'AddressHealthChanged',
  'AddressQuarantineEnded',
  'AddressQuarantined',
  'Configured',
  'CooldownEnded',
  'DayTurned',
  'EpochStarted',
  'GrantRepeated',
  'LeaseEnded expired',
  'LeaseEnded released',
  'LeaseEnded revoked',
  'LeaseEnded session_lost',
  'LeaseRenewed',
  'PairQuarantineEnded',
  'PairQuarantined',
  'PairReserved',
  'PoolCommitted',
  'ReservationsDropped',
  'RevocationAnnounced',
  'SessionSuspended session_lost',
  'SuspensionsExtended',
  'WaitEnded cancelled',
  'WaitEnded timeout',
  'WaitRepeated',
  'acquire, error key_reused',
  'acquire, error lease_lost',
  'acquire, error overloaded',
  'acquire, error unknown_resource',
  'cancelled',
  'cancelled, released',
  'closed with 1000',
  'closed with 1006',
  'closed with 4000',
  'closed with 4001',
  'closed with 4003',
  'closed with 4504',
  'error bad_field',
  'error lease_lost',
  'error not_holder',
  'error unknown_lease',
  'expiring',
  'explained grant',
  'explained queue',
  'explained refuse',
  'goaway',
  'granted, late',
  'granted, late, many',
  'granted, many',
  'queued',
  'refused max_leases',
  'refused none_available',
  'refused slowed',
  'refused wait_timeout',
  'revoked, substitute',
  'revoking',
  'revoking, substitute',
  'welcome, resumed: false',
  'welcome, resumed: true',
];

describe('the simulation, a small size', () => {
  it('finds nothing, comes by everything that may go wrong, and gives the same traces again', {
    timeout: 120_000,
  }, async () => {
    const run = await runSeeds(SEEDS);
    expect(run.findings).toEqual([]);
    expect(run.seeds).toHaveLength(SEEDS.count);
    expect(HAPPENS.filter((what) => !run.tally.has(what))).toEqual([]);

    const again = await runSeeds({ ...SEEDS, count: 4 });
    expect(run.seeds).toEqual(expect.arrayContaining([...again.seeds]));
    expect(new Set(run.seeds.map((line) => line.split('trace ')[1])).size).toBe(SEEDS.count);
  });
});
