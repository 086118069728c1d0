import { describe, expect, it } from 'vitest';
import { startHub } from '../testing/hub-run.ts';
import type { LeaseAsk, LeaseAsked, ProcessLease } from './lease-source.ts';
import { ProcessLeases } from './process-leases.ts';

const ASK: LeaseAsk = { owner: { kind: 'client', client: 'anna' }, resource: 7 };

async function startLeases() {
  const run = await startHub();
  const { leases, scheduler } = run;
  let isOverloaded = false;
  const source = new ProcessLeases({ leases, scheduler, isOverloaded: () => isOverloaded });
  const acquire = async (ask: LeaseAsk = ASK): Promise<LeaseAsked> => {
    const asked = source.acquire(ask);
    await scheduler.advance(1);
    return asked;
  };
  const hold = async (): Promise<ProcessLease> => {
    const asked = await acquire();
    if (asked.type !== 'granted') throw new Error(`expected a grant, got ${asked.type}`);
    return asked.lease;
  };
  return {
    ...run,
    source,
    acquire,
    hold,
    overload: () => {
      isOverloaded = true;
    },
  };
}

describe('leases of the gateway', () => {
  it('keep a session from the pair, and the other way round', async () => {
    const { hold, acquire, open, scheduler } = await startLeases();
    const lease = await hold();
    expect(lease).toMatchObject({ resource: 7, addressId: 1, address: { address: '10.0.0.1:1' } });
    const peer = await open();
    peer.send({ type: 'acquire', id: 2, resource: 7, ttl_ms: 5_000 });
    await scheduler.advance(1);
    expect(peer.frames.at(-1)).toMatchObject({ type: 'refused', reason: 'none_available' });
    lease.release({ outcome: 'ok', requests: 1 });
    peer.send({ type: 'acquire', id: 3, resource: 7, ttl_ms: 5_000 });
    await scheduler.advance(1);
    expect(peer.frames.at(-1)).toMatchObject({ type: 'granted', id: 3 });
    expect(await acquire()).toMatchObject({ type: 'refused', reason: 'none_available' });
  });

  it('go to whoever waits when they are handed back', async () => {
    const { hold, open, scheduler } = await startLeases();
    const lease = await hold();
    const peer = await open();
    peer.send({ type: 'acquire', id: 2, resource: 7, ttl_ms: 5_000, wait_ms: 60_000 });
    await scheduler.advance(1);
    expect(peer.frames.at(-1)).toMatchObject({ type: 'queued' });
    lease.release();
    await scheduler.advance(1);
    expect(peer.frames.at(-1)).toMatchObject({ type: 'granted', id: 2 });
  });

  it('leave only when what they rest on is durable', async () => {
    const { source, leases, log, scheduler } = await startLeases();
    log.hold();
    leases.execute({ type: 'DrainAddress', addressId: 1, isDraining: true }, () => {});
    leases.execute({ type: 'DrainAddress', addressId: 1, isDraining: false }, () => {});
    let asked: LeaseAsked | undefined;
    void source.acquire(ASK).then((answer) => {
      asked = answer;
    });
    await scheduler.advance(100);
    expect(asked).toBeUndefined();
    log.release();
    await scheduler.advance(1);
    expect(asked).toMatchObject({ type: 'granted' });
  });

  it('are renewed as long as they are held', async () => {
    const { hold, source, scheduler } = await startLeases();
    const lease = await hold();
    await scheduler.advance(600_000);
    expect(lease.ended.aborted).toBe(false);
    lease.release();
    await scheduler.advance(1);
    expect(source.size).toBe(0);
  });

  it('say why they have ended, once, and are not handed back then', async () => {
    const { hold, leases, log, scheduler } = await startLeases();
    const lease = await hold();
    leases.execute({ type: 'RevokeLeases', leases: [lease.token], reason: 'operator' }, () => {});
    await scheduler.advance(1);
    expect(lease.ended.reason).toBe('operator');
    const { position } = log;
    lease.release({ outcome: 'banned' });
    await scheduler.advance(500);
    expect(log.position).toBe(position);
  });

  it('write nothing but the count of what was used, once a second', async () => {
    const { hold, log, scheduler } = await startLeases();
    (await hold()).release();
    await scheduler.advance(1_100);
    const { position } = log;
    for (let round = 0; round < 10; round += 1) (await hold()).release({ outcome: 'ok', requests: 1 });
    await scheduler.advance(900);
    expect(log.position - position).toBe(0);
    await scheduler.advance(200);
    expect(log.position - position).toBe(1);
  });

  it('say when their end is announced, and what is reported of them meanwhile counts', async () => {
    const { hold, leases, scheduler } = await startLeases();
    const defaultPolicy = { ttlMinMs: 200, ttlMaxMs: 60_000, banMs: 60_000 };
    leases.execute({ type: 'Configure', defaultPolicy, policies: new Map() }, () => {});
    const lease = await hold();
    leases.execute({ type: 'RevokeLeases', leases: [lease.token], reason: 'operator', deadlineMs: 5_000 }, () => {});
    await scheduler.advance(1);
    expect([lease.isRevoking(), lease.ended.aborted]).toEqual([true, false]);
    lease.report({ outcome: 'banned', requests: 4 });
    const seen = new Promise((done) =>
      leases.read((state) => {
        const { rpw, pairs } = state.addresses.get(1)!;
        return { rpw, ban: pairs?.get(7)?.quarantine?.reason };
      }, done),
    );
    await scheduler.advance(1);
    expect(await seen).toEqual({ rpw: 4, ban: 'banned' });
    await scheduler.advance(5_000);
    expect(lease.ended.reason).toBe('operator');
  });

  it('are refused while the disk is behind', async () => {
    const { acquire, overload } = await startLeases();
    overload();
    expect(await acquire()).toMatchObject({ type: 'rejected', code: 'overloaded', retryAfterMs: 1_000 });
  });

  it('are refused for what there is not', async () => {
    const { acquire } = await startLeases();
    expect(await acquire({ ...ASK, resource: 8 })).toMatchObject({ type: 'rejected', code: 'unknown_resource' });
    expect(await acquire({ ...ASK, where: { country: { eq: 'DE' } } })).toMatchObject({ type: 'refused' });
  });
});
