import { describe, expect, it } from 'vitest';
import type { Batch, EventLog } from './coordinator/event-log.ts';
import { countedLeases, timedLog } from './measured.ts';
import { type Metrics, NO_METRICS } from './metrics/metrics.ts';
import { LeaseBench } from './testing/lease-bench.ts';
import { MemoryEventLog } from './testing/memory-event-log.ts';
import { VirtualClock } from './testing/virtual-time.ts';

/** Leases of a pool of two addresses, and what was counted of them since it was last asked for. */
function bench() {
  let said: string[] = [];
  const metrics: Metrics = {
    ...NO_METRICS,
    granted: (via) => said.push(`granted ${via}`),
    leaseEnded: (end, reason) => said.push(reason === undefined ? end : `${end} ${reason}`),
    refused: (reason) => said.push(`refused ${reason}`),
    waited: (seconds) => said.push(`waited ${seconds}`),
  };
  const counted = () => {
    const all = said;
    said = [];
    return all;
  };
  return { leases: new LeaseBench(2, {}, 0, countedLeases(metrics)), counted };
}

describe('counted leases', () => {
  it('are granted by who asked and ended as they were', () => {
    const { leases, counted } = bench();
    const [first] = leases.granted('a', 1);
    leases.run({
      type: 'AcquireLease',
      holder: { kind: 'secret', secretHash: 'x' },
      request: 1,
      resource: 1,
      ttlMs: 1_000,
    });
    expect(counted()).toEqual(['granted ws', 'granted http']);
    leases.release('a', [first!]);
    leases.release('a', [first!]);
    leases.advance(1_000);
    expect(counted()).toEqual(['released', 'expired']);
    leases.granted('a', 2, { count: 2 });
    leases.run({ type: 'EndSession', session: 'a' });
    expect(counted()).toEqual(['granted ws', 'granted ws', 'released', 'released']);
  });

  it('are a substitute where they come for another', () => {
    const { leases, counted } = bench();
    const [first] = leases.granted('a', 1);
    leases.run({ type: 'RevokeLeases', leases: [first!], reason: 'operator', deadlineMs: 5_000 });
    leases.advance(5_000);
    expect(counted()).toEqual(['granted ws', 'granted substitute', 'revoked operator']);
  });

  it('have waited once for each request, however many they are and however often it was sent', () => {
    const { leases, counted } = bench();
    const held = leases.granted('a', 1, { count: 2 });
    leases.acquire('b', 1, { count: 2, waitMs: 60_000, key: 'twice' });
    leases.advance(500);
    leases.acquire('b', 2, { count: 2, waitMs: 60_000, key: 'twice' });
    leases.advance(1_000);
    counted();
    leases.release('a', held);
    leases.advance(0);
    expect(counted()).toEqual(['released', 'released', 'granted waiter', 'waited 1.5', 'granted waiter']);
  });

  it('are refused at once, or when the wait is over', () => {
    const { leases, counted } = bench();
    leases.granted('a', 1, { count: 2 });
    counted();
    expect(leases.acquire('b', 1).type).toBe('refused');
    leases.run({ type: 'ExplainAcquire', holder: { kind: 'session', session: 'b' }, resource: 1, ttlMs: 1_000 });
    leases.acquire('b', 2, { waitMs: 1_000, key: 'twice' });
    leases.acquire('b', 3, { waitMs: 1_000, key: 'twice' });
    leases.acquire('b', 4, { waitMs: 1_000 });
    leases.run({ type: 'CancelAcquire', holder: { kind: 'session', session: 'b' }, request: 4 });
    leases.advance(1_000);
    expect(counted()).toEqual(['refused none_available', 'refused wait_timeout']);
  });
});

describe('a timed log', () => {
  const batchAt = (position: number): Batch => {
    return { position, eventCount: 1, epoch: 1, clockMs: 0, utcMs: 0, payload: new Uint8Array([0x90]) };
  };

  function open() {
    const memory = new MemoryEventLog();
    const clock = new VirtualClock();
    const committed: number[] = [];
    const metrics = { ...NO_METRICS, committed: (seconds: number) => committed.push(seconds) };
    const log: EventLog = timedLog(memory, clock, metrics);
    return { memory, clock, committed, log };
  }

  it('says how long a batch took until it was durable', async () => {
    const { memory, clock, committed, log } = open();
    memory.hold();
    const appended = log.append(batchAt(1), 0);
    clock.move(250);
    memory.release();
    expect(await appended).toEqual({ outcome: 'durable' });
    await log.append(batchAt(2), 1);
    expect(committed).toEqual([0.25, 0]);
    for await (const { position } of log.readFrom(2)) expect(position).toBe(2);
  });

  it('says nothing of one that never was', async () => {
    const { committed, log } = open();
    expect(await log.append(batchAt(9), 8)).toEqual({ outcome: 'deposed' });
    expect(committed).toEqual([]);
  });
});
