import { describe, expect, it } from 'vitest';
import type { CollectorFrame } from '../../protocol/frames.ts';
import { Peer, startHub as start } from '../testing/hub-run.ts';

const acquire = (id: number) => ({ type: 'acquire', id, resource: 7, ttl_ms: 30_000 }) as const;

describe('a session', () => {
  it('hears nothing of a grant, nor of what came after it, until the grant is durable', async () => {
    const { scheduler, log, open } = await start();
    const peer = await open();
    log.hold();
    peer.send(acquire(2));
    peer.send({ type: 'ping', id: 3 });
    await scheduler.advance(100);
    expect(peer.types).toEqual(['welcome']);
    log.release();
    await scheduler.advance(10);
    expect(peer.types).toEqual(['welcome', 'granted', 'pong']);
  });

  it('that is refused for a full disk is told so first, and nothing that came behind its hello is taken', async () => {
    const { scheduler, hub, leases } = await start();
    leases.execute({ type: 'SetStorage', level: 'low' }, () => {});
    const peer = new Peer(hub);
    peer.send({ type: 'hello', id: 1, protocol: 1, batch: true });
    peer.send(acquire(2));
    await scheduler.advance(10);
    expect(peer.frames).toMatchObject([{ type: 'error', id: 1, code: 'storage_full', retry_after_ms: 1_000 }]);
    expect(peer.closed).toBe(4003);
  });

  it('is told at once that the disk hangs, and so is whoever comes', async () => {
    const { scheduler, log, open } = await start();
    const [first, idle] = [await open(), await open()];
    log.hold();
    first.send(acquire(2));
    await scheduler.advance(3_000);
    idle.send(acquire(2));
    expect(idle.frames.at(-1)).toMatchObject({ type: 'error', id: 2, code: 'overloaded', retry_after_ms: 1_000 });
    const late = await open();
    expect(late.frames).toMatchObject([{ type: 'error', code: 'overloaded' }]);
    expect(late.closed).toBe(4003);
    log.release();
    await scheduler.advance(10);
    expect(first.types).toEqual(['welcome', 'granted']);
    idle.send(acquire(3));
    await scheduler.advance(10);
    expect(idle.frames.at(-1)).toMatchObject({ type: 'refused' });
  });

  it('moves to a newer socket: the older is heard no more at once, and closed when the resume is durable', async () => {
    const { scheduler, log, open } = await start();
    const older = await open({ resume_window_ms: 5_000 });
    const [welcome] = older.frames;
    if (welcome?.type !== 'welcome') throw new Error('no welcome');
    log.hold();
    const newer = await open({ resume: { session: welcome.session, secret: welcome.secret } });
    older.send(acquire(2));
    await scheduler.advance(100);
    expect(older.closed).toBeUndefined();
    log.release();
    await scheduler.advance(10);
    expect(older.closed).toBe(4504);
    expect(older.types).toEqual(['welcome']);
    expect(newer.frames).toMatchObject([{ type: 'welcome', resumed: true, leases: [] }]);
    newer.send(acquire(2));
    await scheduler.advance(10);
    expect(newer.types).toEqual(['welcome', 'granted']);
  });

  it('is kept for the window that it was told of, which is bounded, and not longer', async () => {
    const { scheduler, open } = await start();
    const peer = await open({ resume_window_ms: 3_600_000 });
    const [welcome] = peer.frames;
    if (welcome?.type !== 'welcome') throw new Error('no welcome');
    expect(welcome.limits.resume_window_ms).toBe(60_000);
    const resume = { session: welcome.session, secret: welcome.secret };
    peer.close(1_006);
    await scheduler.advance(59_000);
    const back = await open({ resume_window_ms: 3_600_000, resume });
    expect(back.frames).toMatchObject([{ resumed: true, session: welcome.session, secret: welcome.secret }]);
    back.close(1_006);
    await scheduler.advance(61_000);
    const late = await open({ resume });
    expect(late.frames).toMatchObject([{ type: 'welcome', resumed: false }]);
  });

  it.each([
    ['its close with 1000', (peer: Peer) => peer.close(1_000)],
    ['its bye', (peer: Peer) => peer.send({ type: 'bye' })],
  ])('is ended by %s, whatever window it asked for', async (_how, leave) => {
    const { scheduler, open } = await start();
    const [peer, other] = [await open({ resume_window_ms: 60_000 }), await open()];
    const [welcome] = peer.frames;
    if (welcome?.type !== 'welcome') throw new Error('no welcome');
    peer.send(acquire(2));
    await scheduler.advance(10);
    leave(peer);
    await scheduler.advance(10);
    other.send(acquire(2));
    await scheduler.advance(10);
    expect(other.types).toEqual(['welcome', 'granted']);
    const late = await open({ resume: { session: welcome.session, secret: welcome.secret } });
    expect(late.frames).toMatchObject([{ type: 'welcome', resumed: false, leases: [], ended: [] }]);
  });

  it('is lost by bytes that are no frame like by any drop, and at once where it asked for no window', async () => {
    const { scheduler, open } = await start();
    const [peer, other] = [await open(), await open()];
    peer.send(acquire(2));
    await scheduler.advance(10);
    peer.send(7 as unknown as CollectorFrame);
    await scheduler.advance(10);
    expect(peer.closed).toBe(4500);
    other.send(acquire(2));
    await scheduler.advance(10);
    expect(other.types).toEqual(['welcome', 'granted']);
  });

  it('is told of both that a cancel releases: a lease that is to be revoked, and its substitute', async () => {
    const { scheduler, leases, open } = await start();
    const [record, other] = ['10.0.0.1:1', '10.0.0.2:1'].map((address) => ({
      address,
      country: 'US',
      rpw: 0,
      resource_ids: [7],
    }));
    leases.execute({ type: 'ImportPool', records: [record!, other!], replace: false }, () => {});
    const peer = await open();
    peer.send(acquire(2));
    await scheduler.advance(10);
    const [, granted] = peer.frames;
    if (granted?.type !== 'granted' || !('lease' in granted)) throw new Error('no grant');
    const revocation = {
      type: 'RevokeLeases',
      leases: [granted.lease],
      reason: 'operator',
      deadlineMs: 5_000,
    } as const;
    leases.execute(revocation, () => {});
    peer.send({ type: 'cancel', id: 3, request: 2 });
    await scheduler.advance(10);
    const [, , revoking] = peer.frames;
    const substitute = revoking?.type === 'revoking' ? revoking.substitute?.lease : undefined;
    expect(peer.frames.at(-1)).toEqual({ type: 'cancelled', id: 3, leases: [granted.lease, substitute] });
  });

  it('adds what its peer has not taken to what is buffered in all, while it has a socket', async () => {
    const { hub, open } = await start();
    const [one, other] = [await open(), await open()];
    one.bufferedBytes = 700;
    other.bufferedBytes = 50;
    expect(hub.bufferedBytes).toBe(750);
    one.close(1006);
    expect(hub.bufferedBytes).toBe(50);
  });

  it('is not refused for a pause of the process while its hello was there to be read', async () => {
    const { clock, scheduler, hub } = await start();
    const peer = new Peer(hub);
    clock.move(5_000);
    // The overdue timer fires before the sockets are read.
    const timers = scheduler.advance(0);
    peer.send({ type: 'hello', id: 1, protocol: 1 });
    await timers;
    await scheduler.advance(10);
    expect(peer.types).toEqual(['welcome']);
    const silent = new Peer(hub);
    await scheduler.advance(1_100);
    expect(silent.closed).toBe(4002);
  });

  it('is closed when it asks far more than it waits to be answered', async () => {
    const { scheduler, log, open } = await start();
    const peer = await open({ batch: true, resume_window_ms: 5_000 });
    log.hold();
    peer.send([acquire(2)]);
    for (let message = 0; message < 17 && peer.closed === undefined; message += 1) {
      peer.send(Array.from({ length: 1_024 }, (_, index) => ({ type: 'ping', id: index }) as const));
    }
    await scheduler.runTurns();
    expect(peer.closed).toBe(4003);
    log.release();
    await scheduler.advance(10);
    expect(peer.types).toEqual(['welcome']);
  });

  it('takes a costly array over several turns, in order, and serves others in between', async () => {
    const { scheduler, open } = await start();
    const greedy = await open({ batch: true });
    const modest = await open({});
    const where = { country: { eq: 'nowhere' } };
    greedy.send(Array.from({ length: 100 }, (_, index) => ({ ...acquire(index), where })));
    greedy.send([{ type: 'ping', id: 1_000 }]);
    modest.send({ type: 'ping', id: 1 });
    while (!modest.types.includes('pong')) await scheduler.runTurn();
    expect(greedy.frames.length).toBeLessThan(60);
    await scheduler.advance(10);
    const answered = greedy.frames.slice(1).map((frame) => ('id' in frame ? frame.id : undefined));
    expect(answered).toEqual([...Array.from({ length: 100 }, (_, index) => index), 1_000]);
  });

  it.each([
    ['conditions of many operators', { where: { or: Array.from({ length: 60 }, () => ({ rpw: { lt: 0 } })) } }],
    ['counts', { count: 100 }],
  ])('takes few %s in one turn', async (_, costly) => {
    const { scheduler, open } = await start();
    const greedy = await open({ batch: true });
    greedy.send(Array.from({ length: 20 }, (__, index) => ({ ...acquire(index), ...costly })));
    let before = greedy.frames.length;
    while (greedy.frames.length < 21) {
      await scheduler.runTurn();
      // What two turns have decided may be released together.
      expect(greedy.frames.length - before).toBeLessThanOrEqual(2);
      before = greedy.frames.length;
    }
  });

  it('takes what came before a close, however many turns it needs', async () => {
    const { scheduler, open } = await start();
    const greedy = await open({ batch: true });
    const other = await open({});
    const pings = Array.from({ length: 500 }, (_, index) => ({ type: 'ping', id: index }) as const);
    greedy.send([acquire(1_000)]);
    await scheduler.advance(10);
    const granted = greedy.frames.find((frame) => frame.type === 'granted') as { lease: number } | undefined;
    greedy.send([...pings, { type: 'report', id: 1_001, lease: granted!.lease, requests: 77 }]);
    greedy.close(1_000);
    await scheduler.advance(10);
    other.send(acquire(5));
    await scheduler.advance(10);
    expect(other.frames.at(-1)).toMatchObject({ type: 'granted', address: { rpw: 78 } });
  });

  it('is told that an empty array is no frame, and closed when it sends nothing else', async () => {
    const { scheduler, open } = await start();
    const peer = await open({ batch: true });
    peer.send([]);
    await scheduler.advance(10);
    expect(peer.frames.at(-1)).toMatchObject({ type: 'error', code: 'bad_frame' });
    expect(peer.closed).toBeUndefined();
    for (let more = 1; more < 64; more += 1) peer.send([]);
    await scheduler.advance(10);
    expect(peer.closed).toBe(4505);
  });

  it('takes nothing of an array behind the fault that closes it', async () => {
    const { scheduler, open } = await start();
    const peer = await open({ batch: true, resume_window_ms: 5_000 });
    const faults = Array.from({ length: 64 }, (_, index) => ({ type: 'nonsense', id: index }));
    peer.send([...(faults as unknown as CollectorFrame[]), acquire(99)]);
    await scheduler.advance(10);
    expect(peer.closed).toBe(4505);
    expect(peer.types).not.toContain('granted');
    expect(peer.types.filter((type) => type === 'error')).toHaveLength(64);
  });
});
