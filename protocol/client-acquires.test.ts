import { describe, expect, test } from 'vitest';
import {
  event,
  type FakeCoordinator,
  grantOf,
  handClock,
  leaseOf,
  type Peer,
  session,
  settled,
  WELCOME,
} from '../server/testing/fake-coordinator.ts';
import type { AcquireOptions, Client } from './client.ts';

const ASKED = { resource: 7, ttlMs: 30_000 } as const;

/** An acquire that stands in line, and knows it. */
async function queued(client: Client, peer: Peer, options: Partial<AcquireOptions> = {}) {
  const places: [number, number | undefined][] = [];
  const onQueued = (position: number, estimateMs: number | undefined) => places.push([position, estimateMs]);
  const acquiring = client.acquire({ ...ASKED, waitMs: 60_000, onQueued, ...options });
  const { id } = await peer.next('acquire');
  peer.send({ type: 'queued', id, position: 3 });
  await settled(client, peer);
  return { acquiring, id, places };
}

async function reconnected(peer: Peer, coordinator: FakeCoordinator): Promise<Peer> {
  peer.terminate();
  return coordinator.peer();
}

describe('in line', () => {
  test('an acquire tells its place until it is granted', async () => {
    const clock = handClock();
    const { client, peer } = await session(clock.options);
    const { acquiring, id, places } = await queued(client, peer);
    peer.send({ type: 'queued', id, position: 1, estimate_ms: 800 });
    await settled(client, peer);
    clock.advance(7_000);
    peer.send({ type: 'granted', id, ...grantOf(5, { waited_ms: 6_000 }) });
    const lease = await acquiring;
    expect(places).toEqual([
      [3, undefined],
      [1, 800],
    ]);
    expect(lease.remainingMs()).toBeCloseTo(36_000 * 0.999 - 7_000, 3);
  });

  test('an acquire whose time is over is refused with why', async () => {
    const { client, peer } = await session();
    const { acquiring, id } = await queued(client, peer);
    const why = { states: { leased: 2 }, excluded: 0 };
    peer.send({ type: 'refused', id, reason: 'wait_timeout', why });
    await expect(acquiring).rejects.toMatchObject({ name: 'RefusedError', reason: 'wait_timeout', why });
  });

  test('an acquire that is given up is cancelled', async () => {
    const { client, peer } = await session();
    const giveUp = new AbortController();
    const { acquiring, id } = await queued(client, peer, { signal: giveUp.signal });
    giveUp.abort('enough');
    await expect(acquiring).rejects.toMatchObject({ code: 'aborted', cause: 'enough' });
    expect(await peer.next('cancel')).toMatchObject({ request: id });
  });

  test('an acquire that is given up before it has a place is cancelled when it gets one', async () => {
    const { client, peer } = await session();
    const giveUp = new AbortController();
    const acquiring = client.acquire({ ...ASKED, waitMs: 60_000, signal: giveUp.signal });
    const { id } = await peer.next('acquire');
    giveUp.abort();
    await expect(acquiring).rejects.toMatchObject({ code: 'aborted' });
    await settled(client, peer);
    expect(peer.unread('cancel')).toEqual([]);
    peer.send({ type: 'queued', id, position: 3 });
    expect(await peer.next('cancel')).toMatchObject({ request: id });
  });

  test('a grant that crosses its cancel is given back', async () => {
    const { client, peer } = await session();
    const giveUp = new AbortController();
    const { acquiring, id } = await queued(client, peer, { signal: giveUp.signal });
    giveUp.abort();
    await expect(acquiring).rejects.toMatchObject({ code: 'aborted' });
    const cancel = await peer.next('cancel');
    peer.send({ type: 'granted', id, ...grantOf(5) }, { type: 'cancelled', id: cancel.id, lease: 5 });
    expect(await peer.next('release')).toMatchObject({ lease: 5 });
    expect(client.leases.size).toBe(0);
  });
});

describe('many at once', () => {
  test('are asked for by their count and held each for itself', async () => {
    const clock = handClock();
    const { client, peer } = await session(clock.options);
    const acquiring = client.acquireMany({ ...ASKED, count: 2, key: 'k' });
    const frame = await peer.next('acquire');
    expect(frame).toMatchObject({ count: 2, key: 'k' });
    peer.send({ type: 'granted', id: frame.id, leases: [grantOf(5), grantOf(6, { ttl_ms: 10_000 })] });
    const leases = await acquiring;
    expect(leases.map(({ token }) => token)).toEqual([5, 6]);
    expect(leases.map((lease) => lease.remainingMs())).toEqual([expect.closeTo(29_970, 3), expect.closeTo(9_990, 3)]);
    expect([...client.leases.values()]).toEqual(leases);
  });

  test('of one are still a list', async () => {
    const { client, peer } = await session();
    const acquiring = client.acquireMany({ ...ASKED, count: 1 });
    const { id } = await peer.next('acquire');
    peer.send({ type: 'granted', id, leases: [grantOf(5)] });
    expect(await acquiring).toMatchObject([{ token: 5 }]);
  });

  test.each([
    ['fewer than asked for', [5, 6], 'lease_lost', [5, 6]],
    ['more than asked for', [5, 6, 7, 8], undefined, [8]],
  ])('where they are %s go back', async (_, granted, code, givenBack) => {
    const { client, peer } = await session();
    const acquiring = client.acquireMany({ ...ASKED, count: 3 });
    const { id } = await peer.next('acquire');
    peer.send({ type: 'granted', id, leases: granted.map((token) => grantOf(token)) });
    if (code === undefined) expect(await acquiring).toHaveLength(3);
    else await expect(acquiring).rejects.toMatchObject({ code });
    for (const lease of givenBack) expect(await peer.next('release')).toMatchObject({ lease });
    expect(client.leases.size).toBe(3 - (code === undefined ? 0 : 3));
  });

  test('are all given back where the TTL of one was over', async () => {
    const clock = handClock();
    const { client, peer } = await session(clock.options);
    const acquiring = client.acquireMany({ ...ASKED, count: 2 });
    const { id } = await peer.next('acquire');
    clock.advance(10_000);
    peer.send({ type: 'granted', id, leases: [grantOf(5), grantOf(6, { ttl_ms: 10_000 })] });
    await expect(acquiring).rejects.toMatchObject({ code: 'timeout' });
    for (const lease of [5, 6]) expect(await peer.next('release')).toMatchObject({ lease });
    expect(client.leases.size).toBe(0);
  });

  test('are all given back where they come too late', async () => {
    const { client, peer } = await session();
    const giveUp = new AbortController();
    const acquiring = client.acquireMany({ ...ASKED, count: 2, signal: giveUp.signal });
    const { id } = await peer.next('acquire');
    giveUp.abort();
    await expect(acquiring).rejects.toMatchObject({ code: 'aborted' });
    peer.send({ type: 'granted', id, leases: [grantOf(5), grantOf(6)] });
    for (const lease of [5, 6]) expect(await peer.next('release')).toMatchObject({ lease });
    expect(client.leases.size).toBe(0);
  });
});

test('an explanation says what an acquire would get, and why', async () => {
  const { client, peer } = await session();
  const where = { country: { eq: 'US' } };
  const explaining = client.explain({ ...ASKED, where, sticky: 'a', waitMs: 100, count: 2 });
  const frame = await peer.next('explain');
  expect(frame).toEqual({ ...frame, resource: 7, ttl_ms: 30_000, where, sticky: 'a', wait_ms: 100, count: 2 });
  const why = { states: { leased: 1, free: 1 }, excluded: 4, relax: 'country' };
  peer.send({ type: 'explained', id: frame.id, would: 'queue', why });
  expect(await explaining).toEqual({ would: 'queue', why });
});

describe('a key', () => {
  test('leaves a late grant to its second answer', async () => {
    const { client, peer } = await session();
    const giveUp = new AbortController();
    const first = client.acquire({ ...ASKED, key: 'k', signal: giveUp.signal });
    const { id: firstId } = await peer.next('acquire');
    giveUp.abort();
    await expect(first).rejects.toMatchObject({ code: 'aborted' });
    const second = client.acquire({ ...ASKED, key: 'k' });
    const { id: secondId } = await peer.next('acquire');
    peer.send({ type: 'granted', id: firstId, ...grantOf(5) }, { type: 'granted', id: secondId, ...grantOf(5) });
    expect((await second).live).toBe(true);
    await settled(client, peer);
    expect(peer.unread('release')).toEqual([]);
  });

  test('gives a late grant back where its second answer is none', async () => {
    const { client, peer } = await session();
    const giveUp = new AbortController();
    const first = client.acquire({ ...ASKED, key: 'k', signal: giveUp.signal });
    const { id: firstId } = await peer.next('acquire');
    giveUp.abort();
    await expect(first).rejects.toMatchObject({ code: 'aborted' });
    const second = client.acquire({ ...ASKED, key: 'k' });
    const { id: secondId } = await peer.next('acquire');
    peer.send({ type: 'granted', id: firstId, ...grantOf(5) });
    await settled(client, peer);
    expect(peer.unread('release')).toEqual([]);
    peer.send({ type: 'error', id: secondId, code: 'overloaded', message: 'later' });
    await expect(second).rejects.toMatchObject({ code: 'overloaded' });
    expect(await peer.next('release')).toMatchObject({ lease: 5 });
  });

  test('that two wait by is not cancelled by one of them', async () => {
    const { client, peer } = await session();
    const giveUp = new AbortController();
    const first = await queued(client, peer, { key: 'k', signal: giveUp.signal });
    const second = await queued(client, peer, { key: 'k' });
    giveUp.abort();
    await expect(first.acquiring).rejects.toMatchObject({ code: 'aborted' });
    peer.send({ type: 'queued', id: first.id, position: 1 });
    peer.send({ type: 'granted', id: first.id, ...grantOf(5) }, { type: 'granted', id: second.id, ...grantOf(5) });
    expect((await second.acquiring).live).toBe(true);
    await settled(client, peer);
    expect([...peer.unread('cancel'), ...peer.unread('release')]).toEqual([]);
  });

  test('whose lease is held is not cancelled with another acquire by it', async () => {
    const { client, peer } = await session();
    const giveUp = new AbortController();
    const first = await queued(client, peer, { key: 'k' });
    const second = await queued(client, peer, { key: 'k', signal: giveUp.signal });
    peer.send({ type: 'granted', id: first.id, ...grantOf(5) });
    const lease = await first.acquiring;
    giveUp.abort();
    await expect(second.acquiring).rejects.toMatchObject({ code: 'aborted' });
    peer.send({ type: 'granted', id: second.id, ...grantOf(5) });
    await settled(client, peer);
    expect([...peer.unread('cancel'), ...peer.unread('release')]).toEqual([]);
    expect(lease.live).toBe(true);
  });

  test('gives the same lease object to all who ask by it', async () => {
    const { client, peer } = await session();
    const lease = await leaseOf(client, peer, 5, {}, { key: 'k' });
    expect(await leaseOf(client, peer, 5, { ttl_ms: 29_000 }, { key: 'k' })).toBe(lease);
  });

  test('revives no lease that was released while it was asked again', async () => {
    const { client, peer } = await session();
    const lease = await leaseOf(client, peer, 5, {}, { key: 'k' });
    const again = client.acquire({ ...ASKED, key: 'k' });
    const { id } = await peer.next('acquire');
    const releasing = lease.release();
    peer.send({ type: 'granted', id, ...grantOf(5) }, { type: 'released', id: (await peer.next('release')).id });
    await releasing;
    await expect(again).rejects.toMatchObject({ code: 'lease_lost' });
    expect(client.leases.size).toBe(0);
  });
});

describe('over a broken connection', () => {
  test('a waiting acquire waits on under its id, and its deadline counts from its own sending', async () => {
    const clock = handClock();
    const { client, peer, coordinator } = await session(clock.options);
    const { acquiring, id, places } = await queued(client, peer);
    clock.advance(1_000);
    const next = await reconnected(peer, coordinator);
    await next.welcome({ resumed: true, waiting: [{ request: id, position: 2 }] });
    await settled(client, next);
    expect(places.at(-1)).toEqual([2, undefined]);
    expect([...next.unread('acquire'), ...next.unread('cancel')]).toEqual([]);
    clock.advance(4_000);
    next.send({ type: 'granted', id, ...grantOf(5, { waited_ms: 4_500 }) });
    expect((await acquiring).remainingMs()).toBeCloseTo(34_500 * 0.999 - 5_000, 3);
  });

  test('an acquire that was granted meanwhile holds what welcome lists, with what remains of it', async () => {
    const clock = handClock();
    const { client, peer, coordinator } = await session(clock.options);
    const acquiring = client.acquire(ASKED);
    const { id } = await peer.next('acquire');
    const next = await reconnected(peer, coordinator);
    const hello = await next.next('hello');
    clock.advance(500);
    const leases = [{ ...grantOf(5, { ttl_ms: 20_000, waited_ms: 9_000 }), request: id }];
    next.send({ type: 'welcome', id: hello.id, ...WELCOME, resumed: true, leases });
    expect((await acquiring).remainingMs()).toBeCloseTo(19_980 - 500, 3);
    await settled(client, next);
    expect(next.unread('release')).toEqual([]);
  });

  test('an acquire that was granted meanwhile knows of its announced revocation', async () => {
    const { client, peer, coordinator } = await session(handClock().options);
    const acquiring = client.acquire(ASKED);
    const { id } = await peer.next('acquire');
    const revoking = event(client, 'revoking');
    const next = await reconnected(peer, coordinator);
    const announced = { reason: 'operator', deadline_ms: 10_000 };
    await next.welcome({ resumed: true, leases: [{ ...grantOf(5), request: id, revoking: announced }] });
    const lease = await acquiring;
    expect(await revoking).toEqual({ lease, reason: 'operator', deadlineMs: 10_000 });
    expect(lease.remainingMs()).toBeCloseTo(9_990, 3);
  });

  test.each([true, false])('an acquire of which nothing is left fails, resumed %s', async (resumed) => {
    const { client, peer, coordinator } = await session();
    const { acquiring } = await queued(client, peer);
    const failing = expect(acquiring).rejects.toMatchObject({ code: 'disconnected' });
    const next = await reconnected(peer, coordinator);
    await next.welcome({ resumed });
    await failing;
  });

  test('many that were granted meanwhile are held, all of them', async () => {
    const { client, peer, coordinator } = await session();
    const acquiring = client.acquireMany({ ...ASKED, count: 2 });
    const { id } = await peer.next('acquire');
    const next = await reconnected(peer, coordinator);
    await next.welcome({ resumed: true, leases: [5, 6].map((token) => ({ ...grantOf(token), request: id })) });
    expect(await acquiring).toMatchObject([{ token: 5 }, { token: 6 }]);
    await settled(client, next);
    expect(next.unread('release')).toEqual([]);
  });

  test('many of which some have ended meanwhile are given back', async () => {
    const { client, peer, coordinator } = await session();
    const acquiring = client.acquireMany({ ...ASKED, count: 2 });
    const failing = expect(acquiring).rejects.toMatchObject({ code: 'lease_lost' });
    const { id } = await peer.next('acquire');
    const next = await reconnected(peer, coordinator);
    await next.welcome({ resumed: true, leases: [{ ...grantOf(5), request: id }] });
    await failing;
    expect(await next.next('release')).toMatchObject({ lease: 5 });
    expect(client.leases.size).toBe(0);
  });

  test('a key that waits is asked again, as often as the connection breaks', async () => {
    const { client, peer, coordinator } = await session();
    const { acquiring, id } = await queued(client, peer, { key: 'k' });
    const ids = [id];
    let last = peer;
    for (let round = 0; round < 3; round += 1) {
      last = await reconnected(last, coordinator);
      await last.welcome({ resumed: true, waiting: [{ request: ids.at(-1)!, key: 'k', position: 1 }] });
      const again = await last.next('acquire');
      expect(again).toMatchObject({ key: 'k', wait_ms: 60_000 });
      ids.push(again.id);
      last.send({ type: 'queued', id: again.id, position: 1 });
      await settled(client, last);
    }
    expect(new Set(ids).size).toBe(4);
    // Under the id of the connection before, too, should a coordinator do so.
    last.send(...ids.slice(-2).map((each) => ({ type: 'granted', id: each, ...grantOf(5) }) as const));
    expect(await acquiring).toMatchObject({ token: 5, live: true });
    await settled(client, last);
    expect([...last.unread('cancel'), ...last.unread('release')]).toEqual([]);
  });

  test('what a key was granted meanwhile is given back where its repeat is refused', async () => {
    const { client, peer, coordinator } = await session();
    const acquiring = client.acquire({ ...ASKED, key: 'k' });
    const failing = expect(acquiring).rejects.toMatchObject({ code: 'overloaded' });
    const { id } = await peer.next('acquire');
    const next = await reconnected(peer, coordinator);
    await next.welcome({ resumed: true, leases: [{ ...grantOf(5), request: id, key: 'k' }] });
    const again = await next.next('acquire');
    next.send({ type: 'error', id: again.id, code: 'overloaded', message: 'later' });
    await failing;
    expect(await next.next('release')).toMatchObject({ lease: 5 });
  });
});
